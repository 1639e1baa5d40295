"""Lower a stage of a network to a rank-4 ONNX graph that takes any number of frames and any size.

The stage is run once on one example with PyTorch's own tracer, which records the ATen operators that really
ran at that width; each is written as one or two ONNX operators below. None of them holds a frame count or a
picture size, so the graph serves every configuration of its width (the parity step checks each of them).

`torch.onnx.export` is not used: it folds the slices of small weights and batch norms into constants of their
own, merges equal tensors, and takes 5 to 12 s a graph where this takes a tenth. Every weight must stay the
one full-width tensor that all widths share, and every batch-norm statistic must stay replaceable by name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from a3d_edge.errors import A3DEdgeError

__all__ = ["OPSET", "float32", "lower_stage", "save_graph"]

OPSET = 18
IR_VERSION = 10
END = np.iinfo(np.int64).max
_LAYOUT = {"dtype", "layout", "device", "pin_memory", "memory_format"}  # say nothing about a float32 value

Traced = Any  # ir.Value, numbers, lists: the arguments of a recorded operator


Named = tuple[str, Sequence[str | int]]  # a name and a shape, symbolic dimensions by name


def lower_stage(
    stage: Callable[..., Tensor],
    module: nn.Module,
    examples: Sequence[Tensor],
    *,
    name: str,
    inputs: Sequence[Named],
    outputs: Named,
    stored: Mapping[str, ir.TensorProtocol],
) -> ir.Model:
    """The ONNX model of ``stage(*x)``, whose tensors (parameters and buffers of ``module``) are ``stored``.

    Raises `A3DEdgeError` on an operator that has no lowering, naming it.
    """
    graph, names = _record(stage, module, examples)
    lowering = _Lowering(stored)
    xs = [_value(*given) for given in inputs]
    y = lowering.run(graph, [*(lowering.tensor(n) for n in names), *xs])
    lowering.drop_unused(y)
    y.name, y.shape, y.type = outputs[0], ir.Shape(outputs[1]), ir.TensorType(ir.DataType.FLOAT)
    onnx_graph = ir.Graph(
        xs,
        [y],
        nodes=lowering.nodes,
        initializers=lowering.initializers(),
        opset_imports={"": OPSET},
        name=name,
    )
    return ir.Model(onnx_graph, ir_version=IR_VERSION, producer_name="a3d-edge")


def _value(name: str, shape: Sequence[str | int]) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))


def _record(
    stage: Callable[..., Tensor], module: nn.Module, examples: Sequence[Tensor]
) -> tuple[fx.Graph, list[str]]:
    """The operators that ran, and the names of the graph's inputs before the last ones, the examples."""
    tensors = {n: t.detach() for n, t in [*module.named_parameters(), *module.named_buffers()]}
    names = list(tensors)

    def call(values: list[Tensor], xs: list[Tensor]) -> Tensor:
        replaced = dict(zip(names, values, strict=True))
        result: Tensor = torch.func.functional_call(
            _Stage(module, stage), {f"module.{n}": t for n, t in replaced.items()}, tuple(xs)
        )
        return result

    with torch.no_grad():
        graph = make_fx(call)(list(tensors.values()), list(examples)).graph
    return graph, names


class _Stage(nn.Module):
    """A method of a module as a module, so that its tensors can be swapped for traced ones."""

    def __init__(self, module: nn.Module, stage: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.stage = module, stage

    def forward(self, *xs: Tensor) -> Tensor:
        return self.stage(*xs)


class _Lowering:
    """Collects ONNX nodes and the initializers that they use."""

    def __init__(self, stored: Mapping[str, ir.TensorProtocol]) -> None:
        self.nodes: list[ir.Node] = []
        self._stored = stored
        self._tensors: dict[str, ir.Value] = {}
        self._constants: dict[tuple[Any, ...], ir.Value] = {}
        self.cuts: dict[ir.Value, tuple[ir.Value, dict[int, tuple[int, int, int]]]] = {}

    def run(self, graph: fx.Graph, inputs: Sequence[ir.Value]) -> ir.Value:
        """Lower a recorded graph; its single output."""
        values: dict[fx.Node, Traced] = {}
        waiting = iter(inputs)
        for node in graph.nodes:
            if node.op == "placeholder":
                values[node] = next(waiting)
            elif node.op == "call_function":
                arguments = fx.map_arg(node.args, lambda n: values[n])
                values[node] = self._lower(node.target, arguments, set(node.kwargs) - _LAYOUT)
            elif node.op == "get_attr":
                raise A3DEdgeError(
                    "export: the stage uses a tensor that is no parameter or buffer of the model"
                )
            elif node.op == "output":
                result = fx.map_arg(node.args[0], lambda n: values[n])
                return result if isinstance(result, ir.Value) else result[0]
        raise A3DEdgeError("the traced stage has no output")

    def _lower(self, target: Any, arguments: Any, options: set[str]) -> Traced:
        if target is operator.getitem:
            return arguments[0] if arguments[1] == 0 else None
        name = target.name() if hasattr(target, "name") else str(target)
        if name not in _OPERATORS or options:
            used = f"{name} with {', '.join(sorted(options))}" if options else name
            raise A3DEdgeError(
                f"export: the operator {used} has no ONNX lowering; add it to exporters/onnx_graph.py"
            )
        return _OPERATORS[name](self, *arguments)

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
    g: _Lowering, x: ir.Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
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
    g: _Lowering,
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


def _batch_norm(g: _Lowering, x: Any, weight: Any, bias: Any, mean: Any, var: Any, *rest: Any) -> ir.Value:
    if len(rest) == 3 and rest[0]:  # (training, momentum, eps) or (momentum, eps)
        raise A3DEdgeError("export: a batch norm runs in training mode; put the model in eval mode first")
    own, epsilon = [weight, bias, mean, var], float(rest[-1])
    return _before_move(
        g, x, lambda value: g.emit("BatchNormalization", [value, *own], epsilon=epsilon), by_channel=True
    )


def _relu(g: _Lowering, x: ir.Value) -> ir.Value:
    return _before_move(g, x, lambda value: g.emit("Relu", [value]))


def _before_move(
    g: _Lowering, x: ir.Value, emit: Callable[[ir.Value], ir.Value], by_channel: bool = False
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


def _zeros_like(g: _Lowering, x: ir.Value) -> ir.Value:
    zero = ir.tensor(np.zeros(1, np.float32))
    return g.emit("ConstantOfShape", [g.emit("Shape", [x])], value=zero)


def _max_pool(
    g: _Lowering, x: ir.Value, kernel: list[int], stride: list[int], padding: list[int]
) -> ir.Value:
    return g.emit("MaxPool", [x], kernel_shape=kernel, strides=stride, pads=[*padding, *padding])


def _average_window(g: _Lowering, length: ir.Value, window: int) -> tuple[ir.Value, ir.Value]:
    """(window, at most the length; number of windows at stride 1), each ``(1,)`` int64."""
    size = g.emit("Min", [length, g.constant([window])])
    return size, g.emit("Add", [g.emit("Sub", [length, size]), g.constant([1])])


def _window_mean(g: _Lowering, x: ir.Value, window: int) -> ir.Value:
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


def _resize_like(g: _Lowering, x: ir.Value, like: ir.Value) -> ir.Value:
    own = g.emit("Shape", [x], start=0, end=2)
    wanted = g.emit("Shape", [like], start=2, end=4)
    sizes = g.emit("Concat", [own, wanted], axis=0)
    return g.emit(
        "Resize", [x, None, None, sizes], mode="linear", coordinate_transformation_mode="half_pixel"
    )


def _pick_frames_like(g: _Lowering, x: ir.Value, like: ir.Value) -> ir.Value:
    """Frames floor(i · available / wanted), i < wanted."""
    available = g.emit("Shape", [x], start=0, end=1)
    wanted = g.emit("Shape", [like], start=0, end=1)
    places = g.emit("Range", [g.constant(0), g.emit("Squeeze", [wanted]), g.constant(1)])
    picks = g.emit("Div", [g.emit("Mul", [places, available]), wanted])
    return g.emit("Gather", [x, picks], axis=0)


def _identity(g: _Lowering, x: ir.Value, *_: Any) -> ir.Value:
    return x


_OPERATORS: dict[str, Callable[..., Traced]] = {
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
    "a3d_edge::window_mean": _window_mean,
    "a3d_edge::resize_like": _resize_like,
    "a3d_edge::pick_frames_like": _pick_frames_like,
}


def save_graph(model: ir.Model, path: Path) -> None:
    """Write a graph without what a reader can infer (types of stored tensors, node names): half the size."""
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    for node in proto.graph.node:
        node.ClearField("name")
    path.write_bytes(proto.SerializeToString())


def float32(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor's values as a contiguous float32 array."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)
