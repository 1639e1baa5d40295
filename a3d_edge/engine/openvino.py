"""OpenVINO, which reads the bundle's graphs as they are.

It cannot replace stored tensors from outside, so they are exchanged in its own model before it is compiled:
a stored tensor becomes a constant of the same name. Scales and zero points of `QuantizeLinear` are an
exception, for OpenVINO turns them into the limits of a FakeQuantize while it reads: a converter of ours puts
the right ones in there. fp32 is float32 on every processor. In int8, OpenVINO adds one branch of a residual
sum without rounding it first, so its logits differ from ONNX Runtime's, by no more than int8's from fp32's.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import openvino as ov
import openvino.opset13 as op
from numpy.typing import NDArray
from openvino.frontend import FrontEndManager
from openvino.frontend.onnx import ConversionExtension

from a3d_edge.engine.graph_file import GraphFile
from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.engine.protocols import Tensors, reason, trim_heap
from a3d_edge.errors import BundleError, ResourceError, UsageError

__all__ = ["OpenVinoEngine", "OpenVinoStage"]

PEOPLE = {"boxes", "fast_boxes"}
"""Inputs that have as many rows as there are people."""
LEVELS = 256
"""Of a uint8."""


@functools.cache
def _core() -> ov.Core:
    """One for the life of the process. What it loads for the CPU gives the thread that loads it another stack
    for signals and frees that when the last core goes; where that is another thread's doing, the first one's
    next signal is handled on memory that is gone: SIGTERM would be SIGSEGV."""
    return ov.Core()


@dataclass(frozen=True, slots=True)
class OpenVinoEngine:
    """A device of OpenVINO."""

    volumes: ClassVar[bool] = True

    name: str
    device: str
    core: ov.Core

    @classmethod
    def of(cls, device: str) -> OpenVinoEngine:
        """By OpenVINO's name of the device, in any case. Raises `UsageError` when there is no such device."""
        core, wanted = _core(), device.upper()
        available = core.available_devices
        if wanted not in {*available, *(name.partition(".")[0] for name in available)}:
            here = ", ".join(f"openvino:{name}" for name in available)
            raise UsageError(
                f"`engine` openvino:{device}: no such device found; install its driver, or take one of {here}"
            )
        return cls("openvino" if wanted == "CPU" else f"openvino:{wanted}", wanted, core)

    def open(
        self, graph: GraphFile, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> OpenVinoStage:
        """See `a3d_edge.engine.engines.Engine.open`.

        A graph with as many output rows as input rows (the frame stage) is compiled twice, for one row and
        for all: frames come one at a time, but a window's may come at once, which is up to 30 % quicker, and
        one compiled for any number of rows is up to twice as slow. Its weights are a twentieth of all.
        """
        try:
            with _as_files(graph) as path:
                model = _read(path, replaced)
            _thin_first(model)
            _move_once(model)
            by_row = model.output(0).partial_shape[0].is_dynamic and not PEOPLE & set(shapes)
            counts = {1, *(shape[0] for shape in shapes.values())} if by_row else {None}
            requests = {count: self._compiled(model, shapes, count, threads) for count in counts}
            stage = OpenVinoStage(graph.name, requests)
        except MemoryError as error:
            raise ResourceError(f"{graph.name}: not enough memory to load it; pin a narrower one") from error
        except BundleError:
            raise
        except Exception as error:  # as ONNX Runtime's: many types without a common base
            raise BundleError(f"{graph.path}: OpenVINO refuses the graph ({reason(error)})") from error
        del model
        trim_heap()
        return stage

    def _compiled(
        self, model: ov.Model, shapes: Mapping[str, tuple[int, ...]], count: int | None, threads: int
    ) -> ov.InferRequest:
        """For so many rows, or just the shapes; of any number of boxes."""
        model.reshape(
            {
                name: [ov.Dimension(1, MOST_PEOPLE) if name in PEOPLE else count or shape[0], *shape[1:]]
                for name, shape in shapes.items()
            }
        )
        compiled = self.core.compile_model(model, self.device, _properties(self.device, threads))
        return compiled.create_infer_request()


@dataclass(frozen=True, slots=True)
class OpenVinoStage:
    """A compiled graph: by the number of rows that it takes, or None, of those that it is about."""

    name: str
    requests: Mapping[int | None, ov.InferRequest]

    @property
    def rows(self) -> int:
        """How many rows at once are quickest."""
        return max(count or 1 for count in self.requests)

    def run(self, inputs: Tensors) -> NDArray[Any]:
        """The first output, in memory of its own."""
        count = len(next(iter(inputs.values())))
        whole = self.requests.get(None) or self.requests.get(count)
        if whole is not None:
            return self._infer(whole, inputs)
        row = self.requests[1]
        rows = ({name: array[i : i + 1] for name, array in inputs.items()} for i in range(count))
        return np.concatenate([self._infer(row, one) for one in rows])

    def _infer(self, request: ov.InferRequest, inputs: Tensors) -> NDArray[Any]:
        # They must live until it is done. What `infer` does more in Python takes 60 µs of every call.
        given = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        try:
            for name, array in given.items():
                request.set_tensor(name, ov.Tensor(array, shared_memory=True))
            request.start_async()
            request.wait()
            # A copy, for the next run writes over it; an array given to be written to was 8 % slower.
            return np.array(request.get_output_tensor(0).data)
        except Exception as error:  # as in `open`
            raise ResourceError(f"{self.name}: OpenVINO failed ({reason(error)})") from error


def _properties(device: str, threads: int) -> dict[str, Any]:
    """Floats stay float32: processors with bfloat16 (float16 on ARM) would silently compute in it."""
    found: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if device == "CPU":
        found |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    return found


@contextmanager
def _as_files(graph: GraphFile) -> Iterator[Path]:
    """Where OpenVINO finds a graph and what it needs: it reads files only, and no links out of a folder.

    Raises `BundleError` when the graph was exchanged while it was read.
    """
    folder = graph.path.parent.resolve()
    if all((folder / name).resolve() == folder / name for name in (graph.name, *graph.needs)):
        yield graph.path
        if graph.path.read_bytes() != graph.data:
            raise BundleError(f"{graph.path}: altered while it was opened; copy or export the bundle again")
        return
    with tempfile.TemporaryDirectory(prefix="a3d-edge-") as copies:
        Path(copies, graph.name).write_bytes(graph.data)
        for name in graph.needs:
            try:
                Path(copies, name).hardlink_to((folder / name).resolve())
            except OSError:  # of another disk, or another user
                shutil.copyfile(folder / name, Path(copies, name))
        yield Path(copies, graph.name)


def _read(graph: Path, replaced: Tensors) -> ov.Model:
    """The graph with the replaced tensors in it. Raises `BundleError` when it lacks one of them."""
    frontend = FrontEndManager().load_by_framework("onnx")
    used: set[str] = set()
    frontend.add_extension(ConversionExtension("QuantizeLinear", _quantize_with(replaced, used)))
    model = frontend.convert(frontend.load(str(graph)))
    for node in model.get_ops():
        name = node.get_friendly_name()
        if node.get_type_name() == "Constant" and name in replaced:
            _check_same(graph, name, node, replaced[name])
            node.output(0).replace(_constant(replaced[name], name).output(0))
            used.add(name)
    if missing := sorted(set(replaced) - used):
        raise BundleError(f"{graph}: has no stored tensor {missing[0]}; export the bundle again")
    return model


def _thin_first(model: ov.Model) -> None:
    """Let strided 1×1 convolutions of quantized values read every n-th of them, with stride 1.

    OpenVINO would thin them out for itself, but between their dequantization's steps: then neither that nor
    the convolution is an integer one any more. 8 to 9 % of a Slow R-50's time in int8.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Convolution" or list(node.input(1).get_partial_shape())[2:] != [1, 1]:
            continue
        attributes, reader = node.get_attributes(), _reader_of_u8(node)
        strides, padding = attributes["strides"], (*attributes["pads_begin"], *attributes["pads_end"])
        if max(strides) == 1 or any(padding) or reader is None:
            continue
        every = [np.array(values) for values in ([0] * 4, [0] * 4, [1, 1, *strides])]
        thinned = op.strided_slice(reader.get_source_output(), *every, begin_mask=[1] * 4, end_mask=[1] * 4)
        reader.replace_source_output(thinned.output(0))
        node.set_attribute("strides", [1, 1])
    model.validate_nodes_and_infer_types()


def _move_once(model: ov.Model) -> None:
    """Where channel-last bytes come in or go out, let a pooling of single positions read or give them.

    Kernels work on channel-last memory: the exchange of axes there moves nothing, and OpenVINO leaves it out,
    unless a residual sum or a conversion to float stands beside it: then it moves every byte twice, 7 % of a
    Slow R-50's clip stage. The pooling is one copy.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Transpose" or node.get_output_element_type(0) != ov.Type.u8:
            continue
        readers = list(node.output(0).get_target_inputs())
        if any(reader.get_node().get_type_name() == "Result" for reader in readers):
            node.input(0).replace_source_output(_copied(node.input_value(0)))
        elif _is_given(node.input_value(0).get_node()):
            copied = _copied(node.output(0))
            for reader in readers:
                reader.replace_source_output(copied)
    model.validate_nodes_and_infer_types()


def _is_given(node: ov.Node) -> bool:
    """Whether it is an input of the model, or one with more axes."""
    if node.get_type_name() in ("Unsqueeze", "Reshape"):
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Parameter")


def _copied(value: ov.Output) -> ov.Output:
    """The same numbers, by a pooling of single positions."""
    axes = len(list(value.get_partial_shape())) - 2
    ones, zeros = [1] * axes, [0] * axes
    return op.max_pool(value, ones, ones, zeros, zeros, ones).output(0)


def _reader_of_u8(convolution: ov.Node) -> ov.Input | None:
    """Where the dequantization begins that this convolution alone reads; None if there is none."""
    reader = convolution.input(0)
    while (given := reader.get_source_output()).get_element_type() != ov.Type.u8:
        step = given.get_node()
        dequantizes = step.get_type_name() in ("Multiply", "Subtract", "Convert")
        if not dequantizes or len(given.get_target_inputs()) != 1:
            return None
        reader = step.input(0)
    return reader


def _check_same(graph: Path, name: str, node: ov.Node, value: NDArray[Any]) -> None:
    """Raise `BundleError` when a tensor would be replaced by one of another shape or type."""
    stored = (tuple(node.get_output_shape(0)), node.get_output_element_type(0).to_dtype())
    if stored != (value.shape, value.dtype):
        raise BundleError(f"{graph}: {name} is not of the shape that the manifest says; export it again")


def _constant(value: NDArray[Any], name: str) -> ov.Node:
    """With a copy of the value; the name stays, for messages."""
    constant = op.constant(np.array(value, order="C"))
    constant.set_friendly_name(name)
    return constant


def _quantize_with(replaced: Tensors, used: set[str]) -> Any:
    """A converter of `QuantizeLinear` to uint8: x ↦ clip(round(x / scale) + zero, 0, 255)."""

    def value(stored: ov.Output) -> NDArray[Any]:
        node = stored.get_node()
        name = node.get_friendly_name()
        if name in replaced:
            used.add(name)
            return replaced[name]
        found: NDArray[Any] = node.data
        return found

    def convert(node: Any) -> Any:
        scale, zero = value(node.get_input(1)), value(node.get_input(2))
        low = np.float32(scale * (0.0 - zero))
        high = np.float32(scale * (LEVELS - 1.0 - zero))
        levels = np.float32(0), np.float32(LEVELS - 1)
        quantized = op.fake_quantize(node.get_input(0), low, high, *levels, LEVELS)
        return op.convert(quantized, "u8").outputs()

    return convert
