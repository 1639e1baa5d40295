"""Each operator that PyTorch records, as one or two of ONNX; none holds a frame count or a picture size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.roi import BINS, SCALE

__all__ = ["OPERATORS", "Nodes"]

END = np.iinfo(np.int64).max


class Nodes:
    """Collects ONNX nodes and the initializers that they use."""

    def __init__(self, stored: Mapping[str, ir.TensorProtocol]) -> None:
        self.nodes: list[ir.Node] = []
        self._stored = stored
        self._tensors: dict[str, ir.Value] = {}
        self._constants: dict[tuple[Any, ...], ir.Value] = {}
        self.cuts: dict[ir.Value, tuple[ir.Value, dict[int, tuple[int, int, int]]]] = {}

    def emit(self, op: str, inputs: Sequence[ir.Value | None], **attributes: Any) -> ir.Value:
        """Add a node; its first output."""
        node = ir.node(op, inputs, attributes=attributes)
        self.nodes.append(node)
        node.outputs[0].name = f"v{len(self.nodes)}"
        return node.outputs[0]

    def tensor(self, name: str) -> ir.Value:
        """The initializer that holds a stored tensor."""
        if name not in self._tensors:
            tensor = self._stored[name]
            value = ir.Value(
                name=name,
                shape=ir.Shape(tensor.shape.numpy()),
                type=ir.TensorType(tensor.dtype),
                const_value=tensor,
            )
            self._tensors[name] = value
        return self._tensors[name]

    def constant(self, values: Sequence[int] | int) -> ir.Value:
        """A small int64 constant, kept in the graph itself and shared."""
        array = np.array(values, np.int64)
        key = (array.shape, array.tobytes())
        if key not in self._constants:
            name = f"const_{len(self._constants)}"
            self._constants[key] = ir.Value(
                name=name,
                shape=ir.Shape(array.shape),
                type=ir.TensorType(ir.DataType.INT64),
                const_value=ir.tensor(array, name=name),
            )
        return self._constants[key]

    def drop_unused(self, result: ir.Value) -> None:
        """Take out the nodes that nothing uses: first halves of merged slices."""
        for node in reversed(self.nodes.copy()):
            if not any(output.uses() or output is result for output in node.outputs):
                for place in range(len(node.inputs)):
                    node.replace_input_with(place, None)
                self.nodes.remove(node)

    def initializers(self) -> list[ir.Value]:
        """Those tensors and constants that a node uses."""
        known = [*self._tensors.values(), *self._constants.values()]
        return [value for value in known if value.uses()]


def _slice(
    g: Nodes, x: ir.Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> ir.Value:
    """One Slice; of a stored weight, one for all its axes, and none where nothing is cut off."""
    begin, last = start or 0, END if end is None else end
    base, cuts = g.cuts.get(x, (x, {}))
    whole = step == 1 and begin == 0 and base.shape is not None and last >= _static(base.shape[dim])
    if not whole and dim in cuts:
        base, cuts = x, {}  # an axis cut again counts from the first cut
    cuts = cuts if whole else {**cuts, dim: (begin, last, step)}
    if not cuts:
        return base
    axes = sorted(cuts)
    starts, ends, steps = ([cuts[axis][i] for axis in axes] for i in range(3))
    cut = g.emit("Slice", [base, *(g.constant(values) for values in (starts, ends, axes, steps))])
    if base.const_value is not None:
        g.cuts[cut] = (base, cuts)
    return cut


def _static(dimension: Any) -> int:
    """A known dimension, else more than any end."""
    return dimension if isinstance(dimension, int) else int(END) + 1


def _convolution(
    g: Nodes,
    x: ir.Value,
    weight: ir.Value,
    bias: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    *rest: Any,
) -> ir.Value:
    inputs = [x, weight] if bias is None else [x, weight, bias]
    groups = rest[2]
    return g.emit("Conv", inputs, strides=stride, pads=[*padding, *padding], dilations=dilation, group=groups)


def _batch_norm(g: Nodes, x: Any, weight: Any, bias: Any, mean: Any, var: Any, *rest: Any) -> ir.Value:
    if len(rest) == 3 and rest[0]:  # (training, momentum, eps) or (momentum, eps)
        raise A3DEdgeError("export: a batch norm runs in training mode; put the model in eval mode first")
    own, epsilon = [weight, bias, mean, var], float(rest[-1])
    return _before_move(
        g, x, lambda value: g.emit("BatchNormalization", [value, *own], epsilon=epsilon), by_channel=True
    )


def _relu(g: Nodes, x: ir.Value) -> ir.Value:
    return _before_move(g, x, lambda value: g.emit("Relu", [value]))


def _before_move(
    g: Nodes, x: ir.Value, emit: Callable[[ir.Value], ir.Value], by_channel: bool = False
) -> ir.Value:
    """What is computed number by number, of a transposed value: computed first, and moved then.

    Batch norm and ReLU stand beside their convolution so, where every engine folds them into it.
    """
    move = x.producer()
    if move is None or move.op_type != "Transpose":
        return emit(x)
    order, source = list(move.attributes["perm"].as_ints()), move.inputs[0]
    if by_channel and order[1] != 1:
        return emit(x)
    assert source is not None
    return g.emit("Transpose", [emit(source)], perm=order)


def _zeros_like(g: Nodes, x: ir.Value) -> ir.Value:
    zero = ir.tensor(np.zeros(1, np.float32))
    return g.emit("ConstantOfShape", [g.emit("Shape", [x])], value=zero)


def _max_pool(g: Nodes, x: ir.Value, kernel: list[int], stride: list[int], padding: list[int]) -> ir.Value:
    return g.emit("MaxPool", [x], kernel_shape=kernel, strides=stride, pads=[*padding, *padding])


def _average_window(g: Nodes, length: ir.Value, window: int) -> tuple[ir.Value, ir.Value]:
    """(window, at most the length; number of windows at stride 1), each ``(1,)`` int64."""
    size = g.emit("Min", [length, g.constant([window])])
    return size, g.emit("Add", [g.emit("Sub", [length, size]), g.constant([1])])


def _window_mean(g: Nodes, x: ir.Value, window: int) -> ir.Value:
    """Means of all windows of ``(N, C, H, W)``, by differences of running sums along each axis."""
    for axis in (2, 3):
        shape = g.emit("Shape", [x])
        length = g.emit("Gather", [shape, g.constant([axis])], axis=0)
        size, count = _average_window(g, length, window)
        pads = [0] * 8
        pads[axis] = 1
        sums = g.emit("CumSum", [g.emit("Pad", [x, g.constant(pads)]), g.constant(axis)])
        high = g.emit("Slice", [sums, size, g.constant([END]), g.constant([axis])])
        low = g.emit("Slice", [sums, g.constant([0]), count, g.constant([axis])])
        divisor = g.emit("Cast", [size], to=ir.DataType.FLOAT.value)
        x = g.emit("Div", [g.emit("Sub", [high, low]), divisor])
    return x


def _resize_like(g: Nodes, x: ir.Value, like: ir.Value) -> ir.Value:
    own = g.emit("Shape", [x], start=0, end=2)
    wanted = g.emit("Shape", [like], start=2, end=4)
    sizes = g.emit("Concat", [own, wanted], axis=0)
    return g.emit(
        "Resize", [x, None, None, sizes], mode="linear", coordinate_transformation_mode="half_pixel"
    )


def _pick_frames_like(g: Nodes, x: ir.Value, like: ir.Value) -> ir.Value:
    """Frames floor(i · available / wanted), i < wanted."""
    available = g.emit("Shape", [x], start=0, end=1)
    wanted = g.emit("Shape", [like], start=0, end=1)
    places = g.emit("Range", [g.constant(0), g.emit("Squeeze", [wanted]), g.constant(1)])
    picks = g.emit("Div", [g.emit("Mul", [places, available]), wanted])
    return g.emit("Gather", [x, picks], axis=0)


def _roi_align(g: Nodes, x: ir.Value, boxes: ir.Value) -> ir.Value:
    """``half_pixel`` is ``aligned``; all boxes are in the one clip."""
    zero = ir.tensor(np.zeros(1, np.int64))
    count = g.emit("Shape", [boxes], start=0, end=1)
    owners = g.emit("ConstantOfShape", [count], value=zero)
    return g.emit(
        "RoiAlign", [x, boxes, owners], mode="avg", output_height=BINS, output_width=BINS, sampling_ratio=0,
        spatial_scale=SCALE, coordinate_transformation_mode="half_pixel",
    )  # fmt: skip


def _identity(g: Nodes, x: ir.Value, *_: Any) -> ir.Value:
    return x


OPERATORS: dict[str, Callable[..., Any]] = {
    "aten::slice.Tensor": _slice,
    "aten::select.int": lambda g, x, dim, index: g.emit("Gather", [x, g.constant(index)], axis=dim),
    "aten::convolution": _convolution,
    "aten::native_batch_norm": _batch_norm,
    "aten::_native_batch_norm_legit_no_training": _batch_norm,
    "aten::cudnn_batch_norm": _batch_norm,
    "aten::relu": _relu,
    "aten::add.Tensor": lambda g, x, y: g.emit("Add", [x, y]),
    "aten::cat": lambda g, xs, dim=0: g.emit("Concat", xs, axis=dim),
    "aten::permute": lambda g, x, order: g.emit("Transpose", [x], perm=order),
    "aten::t": lambda g, x: g.emit("Transpose", [x], perm=[1, 0]),
    "aten::view": lambda g, x, shape: g.emit("Reshape", [x, g.constant(shape)]),
    "aten::_unsafe_view": lambda g, x, shape: g.emit("Reshape", [x, g.constant(shape)]),
    "aten::zeros_like": _zeros_like,
    "aten::max_pool2d_with_indices": _max_pool,
    "aten::mean.dim": lambda g, x, dims, keep=False: g.emit(
        "ReduceMean", [x, g.constant(dims)], keepdims=int(keep)
    ),
    "aten::unsqueeze": lambda g, x, dim: g.emit("Unsqueeze", [x, g.constant([dim])]),
    "aten::amax": lambda g, x, dims, keep=False: g.emit(
        "ReduceMax", [x, g.constant(dims)], keepdims=int(keep)
    ),
    "aten::addmm": lambda g, bias, x, weight: g.emit("Gemm", [x, weight, bias]),
    "aten::clone": _identity,
    "aten::detach": _identity,
    "aten::empty.memory_format": lambda g, *_: None,  # batch norm's unused third output
    "aten::alias": _identity,
    "aten::sigmoid": lambda g, x: g.emit("Sigmoid", [x]),
    "aten::silu": lambda g, x: g.emit("Mul", [x, g.emit("Sigmoid", [x])]),
    "aten::mul.Tensor": lambda g, x, y: g.emit("Mul", [x, y]),
    "aten::log": lambda g, x: g.emit("Log", [x]),
    "aten::logsumexp": lambda g, x, dims, keep=False: g.emit(
        "ReduceLogSumExp", [x, g.constant(dims)], keepdims=int(keep)
    ),
    "aten::_softmax": lambda g, x, dim, half: g.emit("Softmax", [x], axis=dim),
    "aten::_log_softmax": lambda g, x, dim, half: g.emit("LogSoftmax", [x], axis=dim),
    "aten::sub.Tensor": lambda g, x, y: g.emit("Sub", [x, y]),
    "a3d_edge::roi_align": _roi_align,
    "a3d_edge::window_mean": _window_mean,
    "a3d_edge::resize_like": _resize_like,
    "a3d_edge::pick_frames_like": _pick_frames_like,
}
"""By the name that PyTorch's tracer records."""
