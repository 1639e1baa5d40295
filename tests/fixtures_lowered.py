"""A stage of a tiny network lowered to an fp32 graph, and what its tensors hold."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import onnx_ir as ir
import torch
from a3d_edge.exporters.onnx_graph import float32, lower_stage
from fixtures_bundle import lively, tiny_slow

from a3d_edge.models.checkpoint import norms
from a3d_edge.models.widths import Run

if TYPE_CHECKING:
    from a3d_edge.models.slow import Slow

FRAME_STAGE = {"stem", *(f"res{k}.blocks.0.{name}" for k in (2, 3) for name in ("a", "b", "c", "shortcut"))}
"""All convolutions of `tiny_frame_stage`."""
READ_THE_STEM = {"res2.blocks.0.a", "res2.blocks.0.shortcut"}


def stored_of(module: Any, width: float) -> dict[str, ir.TensorProtocol]:
    """Parameters at full width; statistics, which every width has of its own, at that width."""
    stored = {name: float32(tensor) for name, tensor in [*module.named_parameters(), *module.named_buffers()]}
    for name, norm in norms(module).items():
        for one in (f"{name}.running_mean", f"{name}.running_var"):
            stored[one] = stored[one][: norm.channels_at(width)]
    return {name: ir.tensor(array, name=name) for name, array in stored.items()}


@cache
def tiny_frame_stage() -> tuple[Slow, ir.Model]:
    """The tiny network and its frame stage, lowered at half width."""
    model: Any = lively(tiny_slow())
    lowered = lower_stage(
        lambda x: model.frame_stage(x, Run(0.5)),
        model,
        [torch.zeros(2, 3, 32, 32)],
        name="frame",
        inputs=[("pictures", ("frames", 3, "size", "size"))],
        outputs=("features", ("frames", 32, "height", "width")),
        stored=stored_of(model, 0.5),
    )
    return model, lowered
