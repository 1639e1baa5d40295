"""The subgraphs of one width: every stage of the network lowered, its batch norms' statistics external."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import onnx_ir as ir
import torch
from a3d_edge.exporters.onnx_graph import lower_stage, save_graph
from a3d_edge.exporters.store import external
from torch import Tensor

from a3d_edge.bundle import NormEntry, WidthEntry
from a3d_edge.configuration import Configuration, format_width
from a3d_edge.models.checkpoint import Checkpoint, norms
from a3d_edge.models.layers import Run
from a3d_edge.video.sampler import pathways

__all__ = ["Stage", "lower_width", "write_width"]

Stage = Literal["frame", "clip"]


def write_width(
    checkpoint: Checkpoint,
    width: float,
    stored: Mapping[str, ir.ExternalTensor],
    statistics: tuple[Path, int],
    work: Path,
) -> WidthEntry:
    """Write the fp32 subgraphs of a width; their statistics are those that begin at a place of a file."""
    channels = {name: norm.channels_at(width) for name, norm in norms(checkpoint.model).items()}
    files: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for stage, graph in lower_width(checkpoint, width, stored, statistics):
        files[stage] = f"w{format_width(width)}.{stage}.onnx"
        save_graph(graph, work / files[stage])
        stages |= {name: stage for name in channels if f"{name}.running_mean" in graph.graph.initializers}
    entries = (NormEntry(name=name, channels=count, stage=stages[name]) for name, count in channels.items())
    return WidthEntry(frame=files.get("frame"), clip=files["clip"], norms=tuple(entries))


def lower_width(
    checkpoint: Checkpoint,
    width: float,
    stored: Mapping[str, ir.ExternalTensor],
    statistics: tuple[Path, int],
) -> Iterator[tuple[Stage, ir.Model]]:
    """The graphs of a width, each traced on an example that the one before it has computed."""
    model, description = checkpoint.model, checkpoint.description
    buffers = {**stored, **_statistics(checkpoint, width, *statistics)}
    largest = Configuration(width, description.size, description.frames)
    wanted = pathways(description.sampling, largest)
    examples = [torch.zeros(len(p.instants), 3, p.size, p.size) for p in wanted]
    logits = ("logits", (1, description.classes))
    for graph in model.graphs(Run(width)):
        inputs = [(name, _shape(name, x)) for name, x in zip(graph.inputs, examples, strict=True)]
        result = graph.compute(*examples)
        outputs = ("features", _shape("features", result)) if graph.stage == "frame" else logits
        lowered = lower_stage(
            graph.compute,
            model,
            examples,
            name=f"w{format_width(width)}.{graph.stage}",
            inputs=inputs,
            outputs=outputs,
            stored=buffers,
        )
        yield graph.stage, lowered
        examples = [result]


def _statistics(
    checkpoint: Checkpoint, width: float, path: Path, offset: int
) -> dict[str, ir.ExternalTensor]:
    found = {}
    for name, norm in norms(checkpoint.model).items():
        count = norm.channels_at(width)
        for suffix in ("running_mean", "running_var"):
            found[f"{name}.{suffix}"] = external(f"{name}.{suffix}", path, offset, (count,))
            offset += 4 * count
    return found


def _shape(name: str, x: Tensor) -> tuple[str | int, ...]:
    """The symbolic shape of an input or output."""
    sides = {"features": ("height", "width"), "fast": ("fast_size", "fast_size")}
    return "fast_frames" if name == "fast" else "frames", x.shape[1], *sides.get(name, ("size", "size"))
