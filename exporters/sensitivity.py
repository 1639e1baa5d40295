"""Which convolutions int8 would hurt: those whose input, quantized alone, moves the logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from a3d_edge.exporters.ranges import best_range, scale_of
from torch import Tensor, nn

from a3d_edge.configuration import Configuration
from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.checkpoint import Checkpoint, norms
from a3d_edge.models.network import Clips, first_clips

__all__ = ["kept_in_float", "shifts"]

LIMIT = 0.03
"""Of the largest logit. What was seen to cost labels moved it by 0.03 to 0.05, and what stays fp32 is dear:
with 6 of 53 convolutions so (by a limit of 0.005), a Slow R-50 took 2.4 times as long as with none."""

MOST = 1 / 8  # of all convolutions

WINDOWS = 4


def kept_in_float(
    checkpoint: Checkpoint, configurations: Sequence[Configuration], clips: dict[Configuration, Clips]
) -> frozenset[str]:
    """Names (`res2.blocks.0.shortcut`) of the convolutions of one width to leave in fp32.

    ``clips[c]``: windows of a configuration; the first `WINDOWS` are looked at. At most `MOST` of all.
    """
    worst: dict[str, float] = {}
    for configuration in configurations:
        for name, shift in shifts(checkpoint, configuration, clips[configuration]).items():
            worst[name] = max(shift, worst.get(name, 0.0))
    ordered = sorted((name for name, shift in worst.items() if shift > LIMIT), key=lambda name: -worst[name])
    return frozenset(ordered[: int(len(worst) * MOST)])


def shifts(checkpoint: Checkpoint, configuration: Configuration, clips: Clips) -> dict[str, float]:
    """By how much of the largest logit each convolution's quantized input moves the logits: the median of
    the windows' largest shifts. Raises `A3DEdgeError` for an input that is not finite."""
    model = checkpoint.model
    few = first_clips(clips, WINDOWS)
    blocks = {name.removesuffix(".norm") for name in norms(model)}
    convolutions = {name: model.get_submodule(f"{name}.conv") for name in sorted(blocks)}
    at = configuration.at("fp32")
    inputs: dict[str, Tensor] = {}
    hooks = [conv.register_forward_pre_hook(_recorder(inputs, name)) for name, conv in convolutions.items()]
    with torch.inference_mode():
        expected = model(few, at)
        for hook in hooks:
            hook.remove()
        for name, seen in inputs.items():
            if not torch.isfinite(seen).all():
                raise A3DEdgeError(f"int8: the range of {name}'s input at {at} is not finite; train again")
        return {
            name: _shift(expected, _with_quantized_input(model, convolution, inputs[name], few, at))
            for name, convolution in convolutions.items()
        }


def _recorder(inputs: dict[str, Tensor], name: str) -> Any:
    def record(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        flat = arguments[0].detach().flatten()
        ends = torch.stack([flat.min(), flat.max()])
        inputs[name] = torch.cat([flat[:: max(1, flat.numel() // 65536)], ends])

    return record


def _with_quantized_input(
    model: nn.Module, convolution: nn.Module, seen: Tensor, clips: Clips, configuration: Configuration
) -> Tensor:
    scale, zero = scale_of(*best_range(seen.numpy().astype(np.float32)))

    def quantize(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        x, run = arguments
        steps = torch.clamp(torch.round(x / float(scale)) + int(zero), 0, 255) - int(zero)
        return steps * float(scale), run

    hook = convolution.register_forward_pre_hook(quantize)
    try:
        logits: Tensor = model(clips, configuration)
    finally:
        hook.remove()
    return logits


def _shift(expected: Tensor, got: Tensor) -> float:
    largest = expected.abs().amax(dim=1).clamp_min(1e-9)
    return float(((got - expected).abs().amax(dim=1) / largest).median())
