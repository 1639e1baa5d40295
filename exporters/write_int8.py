"""The int8 part of a bundle: shared weights, and each configuration's scales, calibrated on real clips.

fp32 graphs of a width ─ quantize ─► int8 graphs, plan
         │ with every quantized activation as an output
         └─ run on clips at a configuration ─► ranges ─► scales, zero points, biases ─► scales.bin
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, get_args

import numpy as np
import onnx_ir as ir
from a3d_edge.exporters.int8_plan import Plan, convolution_scales, quantize_weights
from a3d_edge.exporters.onnx_graph import float32, save_graph
from a3d_edge.exporters.quantize import quantize
from a3d_edge.exporters.ranges import Ranges, measure_ranges, scale_of
from a3d_edge.exporters.sensitivity import kept_in_float
from a3d_edge.exporters.store import ALIGNMENT, append, external
from a3d_edge.exporters.subgraphs import Form, Stage, stage_of
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration, format_width
from a3d_edge.errors import A3DEdgeError
from a3d_edge.manifest import INT8_WEIGHTS, SCALES, TensorEntry, WidthEntry, width_key
from a3d_edge.models.checkpoint import Checkpoint, norms
from a3d_edge.models.network import Clips

__all__ = ["Int8Part", "write_int8"]

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Int8Part:
    """What the manifest says of it: subgraphs by width key, and where each configuration's block begins."""

    widths: dict[str, WidthEntry]
    offsets: dict[Configuration, int]


@dataclass(frozen=True, slots=True)
class _Shared:
    """The int8 weights by the fp32 tensors' names, and the scale of every filter by block."""

    weights: dict[str, ir.ExternalTensor]
    filter_scales: dict[str, NDArray[np.float32]]


def write_int8(
    checkpoint: Checkpoint,
    configurations: Sequence[Configuration],
    clips: Mapping[int, Clips],
    lowered: Mapping[float, Mapping[Form, ir.Model]],
    stored: Mapping[str, ir.ExternalTensor],
    work: Path,
    progress: Callable[[int, int], None],
) -> Int8Part:
    """Write weights, scales and graphs of int8 configurations into a bundle's folder.

    ``clips[S]``: windows of that size, on which activation ranges are measured. ``lowered``: the fp32 graphs
    of every width, which measuring alters. ``stored``: where the fp32 weights lie. Raises `A3DEdgeError` when
    a range is not finite.
    """
    part, done = Int8Part({}, {}), 0
    with (work / INT8_WEIGHTS).open("wb") as weights, (work / SCALES).open("wb") as scales:
        shared = _write_weights(checkpoint, weights, work / INT8_WEIGHTS)
        floats: dict[str, ir.ExternalTensor] = {}
        for width in sorted({c.width for c in configurations}):
            here = [c for c in configurations if c.width == width]
            forms = lowered[width]
            models: dict[Stage, ir.Model] = {s: forms[s] for s in get_args(Stage) if s in forms}
            # Differences between frames are mostly near zero, with a few large: 256 even steps lose them, and
            # the stem's features of them too.
            motion = checkpoint.preprocessing.input != "rgb"
            ends = {c: clips[c.size] for c in (min(here), max(here))}
            keep = kept_in_float(checkpoint, list(ends), ends)
            rewritten = {
                form: quantize(model, stage_of(form), shared.weights, float_input=motion, keep=keep)
                for form, model in forms.items()
            }
            plans = {stage: rewritten[stage][1] for stage in models}
            if "volume" in rewritten and not _same(rewritten["volume"][1], plans["clip"]):
                del rewritten["volume"]  # it would need scales of its own; any engine runs the rank-4 form
            entries = tuple(_entries(plans))
            for configuration in here:
                ranges = measure_ranges(
                    checkpoint, configuration, models, plans, clips[configuration.size], work
                )
                scales.write(b"\0" * (-scales.tell() % ALIGNMENT))
                part.offsets[configuration] = scales.tell()
                values = _values(checkpoint, configuration, plans, shared, ranges)
                _write_block(scales, entries, values)
                done += 1
                progress(done, len(configurations))
            key = width_key(here[0])
            files = {}
            for form, (graph, _) in rewritten.items():
                _place(graph, stage_of(form), entries, work / SCALES, part.offsets[max(here)])
                _copy_floats(graph, stored, floats, weights, work / INT8_WEIGHTS)
                files[form] = f"w{format_width(width)}-int8.{form}.onnx"
                save_graph(ir.Model(graph, ir_version=10, producer_name="a3d-edge"), work / files[form])
            part.widths[key] = WidthEntry(
                frame=files.get("frame"), clip=files["clip"], volume=files.get("volume"), tensors=entries
            )
    return part


def _same(one: Plan, other: Plan) -> bool:
    """Whether two forms of a stage need the same tensors: names are given in the order of the operators."""
    return one.tensors == other.tensors and one.convolutions == other.convolutions


def _write_weights(checkpoint: Checkpoint, file: BinaryIO, path: Path) -> _Shared:
    weights, scales = {}, {}
    for name in norms(checkpoint.model):
        block = name.removesuffix(".norm")
        fp32, gamma = (
            float32(checkpoint.model.get_parameter(f"{block}.{tensor}"))
            for tensor in ("conv.weight", "norm.weight")
        )
        int8, scales[block] = quantize_weights(fp32, gamma)
        weights[f"{block}.conv.weight"] = append(file, path, f"{block}.conv.weight.int8", int8)
    return _Shared(weights, scales)


def _entries(plans: Mapping[Stage, Plan]) -> list[TensorEntry]:
    """All tensors of a configuration; those of one byte last, so that the others stay aligned."""
    entries = [
        TensorEntry(name=one.name, dtype=one.dtype, shape=one.shape, stage=stage)  # type: ignore[arg-type]
        for stage, plan in plans.items()
        for one in plan.tensors
    ]
    return sorted(entries, key=lambda entry: entry.dtype == "uint8")


def _values(
    checkpoint: Checkpoint,
    configuration: Configuration,
    plans: Mapping[Stage, Plan],
    shared: _Shared,
    ranges: Ranges,
) -> Arrays:
    values: Arrays = {}
    for name, (low, high) in ranges.items():
        if not np.isfinite([low, high]).all():
            raise A3DEdgeError(f"int8: the range of {name} at {configuration} is not finite; train again")
        scale, zero = scale_of(low, high)
        values[f"{name}.scale"], values[f"{name}.zero"] = np.asarray(scale), np.asarray(zero)
    layers = norms(checkpoint.model)
    for plan in plans.values():
        for name in plan.statistics:
            layer, _, which = name.rpartition(".")
            mean, variance = layers[layer].calibrated[str(configuration.at("fp32"))]
            values[name] = float32(mean if which == "running_mean" else variance)
        for one in plan.convolutions:
            norm = layers[f"{one.name}.norm"]
            mean, variance = norm.calibrated[str(configuration.at("fp32"))]
            found = convolution_scales(
                shared.filter_scales[one.name][: one.channels],
                float32(norm.weight)[: one.channels],
                float32(norm.bias)[: one.channels],
                float32(mean),
                float32(variance),
                np.float32(values[f"{one.reads}.scale"]),
                norm.eps,
            )
            values[f"{one.name}.weight_scale"] = found.weight_scale
            values[f"{one.name}.bias"], values[f"{one.name}.bias_scale"] = found.bias, found.bias_scale
    return values


def _write_block(file: BinaryIO, entries: Sequence[TensorEntry], values: Arrays) -> None:
    for entry in entries:
        array = np.asarray(values[entry.name], np.dtype(entry.dtype).newbyteorder("<"))
        assert array.shape == entry.shape, f"{entry.name}: {array.shape} instead of {entry.shape}"
        file.write(array.tobytes())


def _place(graph: ir.Graph, stage: Stage, entries: Sequence[TensorEntry], path: Path, offset: int) -> None:
    """Point a graph's own tensors at a configuration's block."""
    for entry in entries:
        if entry.stage == stage:
            value = graph.initializers[entry.name]
            value.const_value = external(entry.name, path, offset, entry.shape, entry.dtype)
        offset += entry.bytes


def _copy_floats(
    graph: ir.Graph,
    stored: Mapping[str, ir.ExternalTensor],
    copied: dict[str, ir.ExternalTensor],
    file: BinaryIO,
    path: Path,
) -> None:
    """What stays fp32 (the classifier) lies beside the int8 weights too: int8 alone needs no other file."""
    for name, value in graph.initializers.items():
        if name in stored:
            if name not in copied:
                copied[name] = append(file, path, name, stored[name].numpy())
            value.const_value = copied[name]
