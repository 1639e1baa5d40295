"""The subgraphs of one width: every stage of the network lowered, its batch norms' statistics external."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import onnx_ir as ir
import torch
from a3d_edge.exporters.onnx_graph import lower_stage, save_graph
from a3d_edge.exporters.store import external
from torch import Tensor

from a3d_edge.configuration import Configuration, format_width
from a3d_edge.manifest import NormEntry, WidthEntry
from a3d_edge.models.checkpoint import Checkpoint, norms
from a3d_edge.models.network import NetworkDescription
from a3d_edge.models.widths import Run
from a3d_edge.video.sampler import pathways

__all__ = ["Form", "Stage", "lower_width", "stage_of", "write_width"]

Stage = Literal["frame", "clip"]

Form = Literal["frame", "clip", "volume"]
"""A graph file: of a stage, or the clip stage in rank 5."""


def stage_of(form: Form) -> Stage:
    """The stage that a graph file is a form of."""
    return "frame" if form == "frame" else "clip"


def write_width(
    checkpoint: Checkpoint, width: float, lowered: Mapping[Form, ir.Model], work: Path
) -> WidthEntry:
    """Write the fp32 subgraphs of a width, as `lower_width` made them."""
    channels = {name: norm.channels_at(width) for name, norm in norms(checkpoint.model).items()}
    files: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for form, graph in lowered.items():
        files[form] = f"w{format_width(width)}.{form}.onnx"
        save_graph(graph, work / files[form])
        own = (name for name in channels if f"{name}.running_mean" in graph.graph.initializers)
        stages |= dict.fromkeys(own, stage_of(form))
    entries = (NormEntry(name=name, channels=count, stage=stages[name]) for name, count in channels.items())
    return WidthEntry(
        frame=files.get("frame"), clip=files["clip"], volume=files.get("volume"), norms=tuple(entries)
    )


def lower_width(
    checkpoint: Checkpoint,
    width: float,
    stored: Mapping[str, ir.ExternalTensor],
    statistics: tuple[Path, int],
) -> dict[Form, ir.Model]:
    """The graphs of a width, each traced on an example that the one before it has computed.

    Their statistics are those that begin at a place of a file.
    """
    found: dict[Form, ir.Model] = {}
    model, description = checkpoint.model, checkpoint.description
    buffers = {**stored, **_statistics(checkpoint, width, *statistics)}
    largest = Configuration(width, description.size, description.frames)
    known = _examples(description, largest)
    rows = "people" if description.takes_boxes else 1
    logits = ("logits", (rows, description.classes))
    for graph in model.graphs(Run(width)):
        examples = [known[name] for name in graph.inputs]
        inputs = [(name, _shape(name, x)) for name, x in zip(graph.inputs, examples, strict=True)]
        result = graph.compute(*examples)
        outputs = ("features", _shape("features", result)) if graph.stage == "frame" else logits
        forms: dict[Form, Callable[..., Tensor] | None] = {graph.stage: graph.compute, "volume": graph.volume}
        for form, compute in forms.items():
            if compute is not None:
                found[form] = lower_stage(
                    compute,
                    model,
                    examples,
                    name=f"w{format_width(width)}.{form}",
                    inputs=inputs,
                    outputs=outputs,
                    stored=buffers,
                )
        known["features"] = result
    return found


def _examples(description: NetworkDescription, configuration: Configuration) -> dict[str, Tensor]:
    """Blank inputs of a network by the names of the graphs' inputs; one box in each pathway."""
    found: dict[str, Tensor] = {}
    names = ("pictures",) if description.sampling.alpha == 1 else ("slow", "fast")
    wanted = pathways(description.sampling, configuration)
    for name, boxes, p in zip(names, ("boxes", "fast_boxes"), wanted, strict=False):
        found[name] = torch.zeros(len(p.instants), 3, p.size, p.size)
        found[boxes] = torch.tensor([[0.0, 0.0, p.size, p.size]])
    return found


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
    if name in ("boxes", "fast_boxes"):
        return "people", 4
    if name == "features":
        return "frames", "height", "width", x.shape[3]
    frames, size = ("fast_frames", "fast_size") if name == "fast" else ("frames", "size")
    return frames, x.shape[1], size, size
