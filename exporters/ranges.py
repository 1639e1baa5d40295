"""The range of every quantized activation at one configuration, measured on clips with the fp32 graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from a3d_edge.exporters.int8_plan import Plan
from a3d_edge.exporters.onnx_graph import float32, save_graph
from a3d_edge.exporters.subgraphs import Stage
from numpy.typing import NDArray
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.engine.people import boxes_of_pathways
from a3d_edge.models.boxed import unboxed
from a3d_edge.models.checkpoint import Checkpoint, norms
from a3d_edge.models.network import Clips

__all__ = ["Ranges", "best_range", "measure_ranges", "scale_of"]

Ranges = dict[str, tuple[float, float]]

SAMPLED = 4096
"""Values of one activation kept of each window, evenly spread."""

SHRINKS = tuple(float(x) for x in np.linspace(0.2, 1.0, 33))
"""Shares of the whole range that are tried: a narrower one has finer steps and cuts off what lies beyond."""


def measure_ranges(
    checkpoint: Checkpoint,
    configuration: Configuration,
    models: Mapping[Stage, ir.Model],
    plans: Mapping[Stage, Plan],
    clips: Clips,
    folder: Path,
) -> Ranges:
    """(lowest, highest) by the plans' activation names: the `best_range` over all windows of ``clips``.

    ``folder`` is where the models' weights lie. The models are altered: they get the configuration's
    statistics, and the activations as outputs.
    """
    for model in models.values():
        _set_statistics(model.graph, checkpoint, configuration)
    sessions = {
        stage: _open(model, list(plans[stage].activations.values()), folder / f".{stage}.onnx")
        for stage, model in models.items()
    }
    samples: dict[str, list[NDArray[np.float32]]] = {}
    for window, boxes in _windows(checkpoint, configuration, clips):
        for stage, session in sessions.items():
            names = [given.name for given in session.get_inputs() if given.name not in boxes]
            people = boxes if stage == "clip" else {}
            inputs = {**dict(zip(names, window, strict=True)), **people}
            outputs = [output.name for output in session.get_outputs()]
            found = {**inputs, **dict(zip(outputs, session.run(None, inputs), strict=True))}
            for name, value in plans[stage].activations.items():
                samples.setdefault(name, []).append(_sample(found[value]))
            window = [found[outputs[0]]]
    return {name: best_range(np.concatenate(values)) for name, values in samples.items()}


def _sample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evenly spread values, and both extremes."""
    flat = values.reshape(-1)
    spread = flat[:: max(1, flat.size // SAMPLED)]
    return np.concatenate([spread, [flat.min(), flat.max()]])


def best_range(values: NDArray[np.float32]) -> tuple[float, float]:
    """The range, of those that are the whole one made smaller, whose u8 steps err least (squares)."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    if not np.isfinite([low, high]).all() or low == high:
        return low, high
    return min(((low * k, high * k) for k in SHRINKS), key=lambda one: quantization_error(values, *one))


def quantization_error(values: NDArray[np.float32], low: float, high: float) -> float:
    """Mean squared difference of values from their nearest u8 step in a range."""
    scale, zero = scale_of(low, high)
    steps = np.clip(np.rint(values / scale) + zero, 0, 255) - zero
    return float(np.mean((values - steps * scale) ** 2))


def scale_of(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of u8 for values from ``low`` to ``high``; zero is always one of the steps."""
    low, high = min(low, 0.0), max(high, 0.0, low + 1e-6)
    scale = np.float32((high - low) / 255)
    return scale, np.uint8(round(-low / float(scale)))


def _windows(
    checkpoint: Checkpoint, configuration: Configuration, clips: Clips
) -> Iterator[tuple[list[NDArray[np.float32]], dict[str, NDArray[np.float32]]]]:
    """Windows one by one, ``(T, 3, S, S)`` of every pathway, and the boxes in each by the graphs' names."""
    fitted, boxes = unboxed(checkpoint.model.fit(clips, configuration))
    pathways = [fitted] if isinstance(fitted, Tensor) else fitted
    for number, window in enumerate(zip(*(x.transpose(1, 2) for x in pathways), strict=True)):
        people: dict[str, NDArray[np.float32]] = {}
        if boxes is not None:
            mine = boxes.of_clip(number)
            sizes = tuple(int(x.shape[-1]) for x in window)
            people = boxes_of_pathways(float32(boxes.by_pathway[0][mine]), sizes)
        yield [float32(x) for x in window], people


def _set_statistics(graph: ir.Graph, checkpoint: Checkpoint, configuration: Configuration) -> None:
    """Put a configuration's batch-norm statistics into a graph, in the place of those it points at."""
    for layer, norm in norms(checkpoint.model).items():
        vectors = norm.calibrated[str(configuration.at("fp32"))]
        for name, vector in zip((f"{layer}.running_mean", f"{layer}.running_var"), vectors, strict=True):
            if name in graph.initializers:
                graph.initializers[name].const_value = ir.tensor(float32(vector), name=name)


def _open(model: ir.Model, values: list[str], path: Path) -> ort.InferenceSession:
    """A session whose outputs are the graph's own and then the named values."""
    graph = model.graph
    known = {value.name for value in [*graph.inputs, *graph.outputs]}
    for node in graph:
        for value in node.outputs:
            if value.name in values and value.name not in known:
                value.type = ir.TensorType(ir.DataType.FLOAT)
                graph.outputs.append(value)
                known.add(value.name)
    save_graph(model, path)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    finally:
        path.unlink()
