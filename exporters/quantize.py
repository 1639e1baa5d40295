"""An fp32 graph to its int8 graph: u8 activations, s8 per-channel weights, QDQ in rank 4 (DESIGN §4).

Every convolution that a batch norm follows is quantized, the batch norm folded into it; the sums of residual
blocks too. What all widths and configurations share are the int8 weights: one per filter and full width,
w ≈ scale · q, of which a narrower width slices its part. What differs is small and is stored configuration by
configuration, in the order of `Plan.tensors`:

    x.scale, x.zero       of every quantized activation, from its range on calibration clips
    c.weight_scale        (O,) the filter's scale · |γ| / √(var + ε): batch norm's scale lives here
    c.bias, c.bias_scale  (O,) int32: β − γ·mean/√(var + ε) in units of x.scale · c.weight_scale

The sign of γ is in the shared weights, for scales are positive. ONNX Runtime fuses the pattern into integer
convolutions and sums; any other engine that knows QDQ computes the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

__all__ = ["ConvolutionScales", "Plan", "Tensor", "convolution_scales", "quantize", "quantize_weights"]

MOVEMENT = {"Slice", "Concat", "MaxPool", "Gather", "Transpose", "Unsqueeze"}
"""Operators that give out the numbers they got: they run on the quantized ones."""

LEAST_BIAS_STEP = 2.0**30
"""A bias is stored as int32: its step is never below 1/2³⁰ of it, also where γ is almost zero."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One of a configuration's own tensors: name, numpy type, shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Convolution:
    """A quantized convolution: its name (`res2.blocks.0.a`), the activation it reads, its output channels."""

    name: str
    reads: str
    channels: int


@dataclass(slots=True)
class Plan:
    """What a quantized graph needs: activations by name (of the fp32 graph's values), and convolutions."""

    activations: dict[str, str] = field(
        default_factory=dict
    )  # quantized name -> value name in the fp32 graph
    convolutions: list[Convolution] = field(default_factory=list)
    statistics: dict[str, int] = field(default_factory=dict)  # of batch norms that stay fp32: channels

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors of one configuration, in the order in which they are stored."""
        found = []
        for name in self.activations:
            found += [Tensor(f"{name}.scale", "float32", ()), Tensor(f"{name}.zero", "uint8", ())]
        for one in self.convolutions:
            shape = (one.channels,)
            found += [
                Tensor(f"{one.name}.weight_scale", "float32", shape),
                Tensor(f"{one.name}.bias", "int32", shape),
                Tensor(f"{one.name}.bias_scale", "float32", shape),
            ]
        return found + [Tensor(name, "float32", (n,)) for name, n in self.statistics.items()]


def quantize_weights(
    weight: NDArray[np.float32], gamma: NDArray[np.float32]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Full-width weights ``(O, I, …)`` as int8, and the scale of each filter ``(O,)``; with γ's signs."""
    rows = weight.reshape(len(weight), -1)
    scale = np.maximum(np.abs(rows).max(axis=1), np.float32(1e-12)) / np.float32(127)
    signed = rows / scale[:, None] * np.where(gamma < 0, -1, 1)[:, None]
    return np.rint(signed).astype(np.int8).reshape(weight.shape), scale.astype(np.float32)


@dataclass(frozen=True, slots=True)
class ConvolutionScales:
    """A convolution's own tensors at one configuration, each ``(O,)``."""

    weight_scale: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scale: NDArray[np.float32]


def convolution_scales(
    filter_scale: NDArray[np.float32],
    gamma: NDArray[np.float32],
    beta: NDArray[np.float32],
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
    input_scale: np.float32,
    eps: float = 1e-5,
) -> ConvolutionScales:
    """Batch norm folded: weight scale = filter scale · |g|, bias = β − g·mean; g = γ / √(variance + ε)."""
    g = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + eps)
    bias = beta.astype(np.float64) - g * mean.astype(np.float64)
    least = np.maximum(np.abs(bias) / (float(input_scale) * LEAST_BIAS_STEP), 1e-30)
    weight_scale = np.maximum(filter_scale * np.abs(g), least).astype(np.float32)
    bias_scale = np.float32(input_scale) * weight_scale
    steps = np.rint(bias / bias_scale.astype(np.float64)).clip(-(2.0**31) + 1, 2.0**31 - 1)
    return ConvolutionScales(weight_scale, steps.astype(np.int32), bias_scale)


def quantize(
    model: ir.Model,
    stage: str,
    int8: Mapping[str, ir.TensorProtocol],
    *,
    float_input: bool = False,
    keep: Collection[str] = (),
) -> tuple[ir.Graph, Plan]:
    """The int8 graph of a lowered fp32 ``stage``, and what it needs.

    ``float_input``: what reads the pictures, and what reads the stem, stays fp32: for pictures that 256 steps
    do not suit. ``keep``: names of convolutions that stay fp32, and with them those whose results they read.

    ``int8``: the shared weights by the fp32 tensors' names. The graph's own tensors are named but hold
    placeholders (`Plan.tensors`); a frame stage's output and a clip stage's ``features`` are uint8.
    """
    rewriter = _Rewriter(model.graph, stage, int8, float_input, keep)
    return rewriter.run(), rewriter.plan


@dataclass(frozen=True, slots=True)
class _Quantized:
    """A value in the new graph as uint8, and the activation whose scale it has."""

    value: ir.Value
    activation: str


class _Rewriter:
    """Walks the fp32 nodes in order and writes the int8 ones."""

    def __init__(
        self,
        graph: ir.Graph,
        stage: str,
        int8: Mapping[str, ir.TensorProtocol],
        float_input: bool,
        keep: Collection[str],
    ) -> None:
        self.graph, self.stage, self.int8 = graph, stage, int8
        self.plan = Plan()
        self.nodes: list[ir.Node] = []
        self.initializers: dict[str, ir.Value] = {}
        self.float: dict[ir.Value, ir.Value] = {}
        self.quantized: dict[ir.Value, _Quantized] = {}
        self.names: dict[ir.Value, str] = {}
        early = set(_early(graph)) if float_input else set()
        foldable = dict(_foldable(graph, int8))
        self.exact = {
            convolution
            for norm, convolution in foldable.items()
            if self._root(_input_of(convolution, 0)) in early or _name_of(norm) in keep
        }
        # What gives them their floats cannot be an integer convolution, and would be one in name alone.
        read = {self._root(_input_of(convolution, 0)) for convolution in self.exact}
        self.convolutions = {
            norm: convolution
            for norm, convolution in foldable.items()
            if convolution not in self.exact and _given_by(norm) not in read
        }
        self.folded = set(self.convolutions.values())
        self.points = set(self._points())

    def run(self) -> ir.Graph:
        inputs = [self._input(value) for value in self.graph.inputs]
        for node in self.graph:
            self._rewrite(node)
        output = self._output(self.graph.outputs[0])
        return ir.Graph(
            inputs,
            [output],
            nodes=self.nodes,
            initializers=list(self.initializers.values()),
            opset_imports={"": 18},
            name=f"{self.graph.name}.int8",
        )

    # --- what is quantized

    def _points(self) -> Iterator[ir.Value]:
        """Values with a scale of their own: what convolutions read and give, and what residual sums add."""
        for norm, convolution in self.convolutions.items():
            yield self._root(_input_of(convolution, 0))
            yield _given_by(norm)  # also where only floats are computed of it: no integer kernel otherwise
        folded = {node.outputs[0] for node in self.convolutions}
        for node in self.graph:
            if node.op_type == "Add" and all(
                v is not None and self._is_summand(v, folded) for v in node.inputs
            ):
                yield from (v for v in node.inputs if v is not None)
        if self.stage == "frame":
            yield self._root(self.graph.outputs[0])

    def _is_summand(self, value: ir.Value, folded: set[ir.Value]) -> bool:
        """A batch norm's output, or a block's own input, which a ReLU made."""
        producer = value.producer()
        return value in folded or (producer is not None and producer.op_type == "Relu")

    def _root(self, value: ir.Value) -> ir.Value:
        """The value whose numbers these are, through operators that only move them."""
        producer = value.producer()
        if producer is None or producer.op_type not in MOVEMENT:
            return value
        roots = {self._root(v) for v in _moved(producer) if not _is_zeros(v)}
        return roots.pop() if len(roots) == 1 else value

    # --- writing

    def _input(self, value: ir.Value) -> ir.Value:
        u8 = self.stage == "clip" and value.name == "features"
        kind = ir.DataType.UINT8 if u8 else ir.DataType.FLOAT
        new = ir.Value(name=value.name, shape=value.shape, type=ir.TensorType(kind))
        if u8:
            self.quantized[value] = _Quantized(new, self._activation(value))
        else:
            self.float[value] = new
        return new

    def _output(self, value: ir.Value) -> ir.Value:
        if self.stage == "frame":
            new, kind = self._as_u8(value).value, ir.DataType.UINT8
        else:
            new, kind = self._as_float(value), ir.DataType.FLOAT
        new.name, new.shape, new.type = value.name, value.shape, ir.TensorType(kind)
        return new

    def _rewrite(self, node: ir.Node) -> None:
        if _stored(node) or node in self.folded or self._is_padding(node):
            return  # written where they are used
        if node in self.convolutions:
            self.float[node.outputs[0]] = self._convolution(node, self.convolutions[node])
        elif self._moves_u8(node):
            root = self._root(node.outputs[0])
            moved_values = _moved(node)
            inputs = [
                None if v is None else self._moved_u8(v, root) if v in moved_values else self._as_float(v)
                for v in node.inputs
            ]
            moved = self._emit(node.op_type, inputs, dict(node.attributes))
            self.quantized[node.outputs[0]] = _Quantized(moved, self._activation(root))
        else:
            read = self._unrounded if node in self.exact else self._as_float
            inputs = [None if v is None else read(v) for v in node.inputs]
            news = self._emit(node.op_type, inputs, dict(node.attributes), len(node.outputs))
            for old, new in zip(node.outputs, news if isinstance(news, list) else [news], strict=True):
                self.float[old] = new

    def _moves_u8(self, node: ir.Node) -> bool:
        if node.op_type not in MOVEMENT:
            return False
        root = self._root(node.outputs[0])
        return root is not node.outputs[0] and (root in self.points or root in self.quantized)

    def _is_padding(self, node: ir.Node) -> bool:
        """Zeros that only concatenations of uint8 read, or the shape that they are made of."""
        if node.op_type == "Shape":
            readers = node.outputs[0].consumers()
            return (
                bool(readers)
                and all(one.op_type == "ConstantOfShape" for one in readers)
                and all(self._is_padding(one) for one in readers)
            )
        readers = node.outputs[0].consumers() if node.op_type == "ConstantOfShape" else ()
        return bool(readers) and all(self._moves_u8(one) for one in readers)

    def _moved_u8(self, value: ir.Value, root: ir.Value) -> ir.Value:
        """A moved operand as uint8; zeros are the zero point."""
        if not _is_zeros(value):
            return self._as_u8(value).value
        like = self._as_u8(_zeros_like(value)).value
        zero = self._parameter(f"{self._activation(root)}.zero")
        padding: ir.Value = self._emit("Expand", [zero, self._emit("Shape", [like], {})], {})
        return padding

    def _convolution(self, norm: ir.Node, convolution: ir.Node) -> ir.Value:
        """Conv and batch norm: DequantizeLinear of input, weight and bias into one Conv."""
        read = self._as_u8(_input_of(convolution, 0))
        name = _name_of(norm)
        channels = _channels(norm)
        self.plan.convolutions.append(Convolution(name, read.activation, channels))
        weight = self._again(_input_of(convolution, 1), int8=True)
        scale = self._parameter(f"{name}.weight_scale", "float32", (channels,))
        bias = self._parameter(f"{name}.bias", "int32", (channels,))
        bias_scale = self._parameter(f"{name}.bias_scale", "float32", (channels,))
        operands = [
            self._as_float_of(read),
            self._emit("DequantizeLinear", [weight, scale], {"axis": ir.AttrInt64("axis", 0)}),
            self._emit("DequantizeLinear", [bias, bias_scale], {"axis": ir.AttrInt64("axis", 0)}),
        ]
        convolved: ir.Value = self._emit("Conv", operands, dict(convolution.attributes))
        return convolved

    def _again(self, value: ir.Value, int8: bool = False) -> ir.Value:
        """The slices, transposes and reshapes of a stored tensor once more, or over its int8 counterpart."""
        producer = value.producer()
        if producer is None:
            tensor = self.int8.get(str(value.name)) if int8 else None
            return self._constant(value) if tensor is None else self._initializer(str(tensor.name), tensor)
        inputs = [None if v is None else self._again(v, int8) for v in producer.inputs]
        again: ir.Value = self._emit(producer.op_type, inputs, dict(producer.attributes))
        return again

    def _as_u8(self, value: ir.Value) -> _Quantized:
        """A value as uint8, quantized where it is not yet."""
        if value not in self.quantized:
            name = self._activation(value)
            operands = [self.float[value], *self._scale(name)]
            self.quantized[value] = _Quantized(self._emit("QuantizeLinear", operands, {}), name)
        return self.quantized[value]

    def _as_float(self, value: ir.Value) -> ir.Value:
        """A value as float: with its scale's rounding where it has one, as the integer kernels see it."""
        if value in self.quantized or (value in self.points and value in self.float):
            return self._as_float_of(self._as_u8(value))
        return self.float[value] if value in self.float else self._again(value)

    def _unrounded(self, value: ir.Value) -> ir.Value:
        """A value as a convolution that stays fp32 reads it: not quantized, though others quantize it."""
        producer = value.producer()
        if value in self.float or producer is None or value not in self.quantized:
            return self.float[value] if value in self.float else self._as_float(value)
        inputs = [self._unrounded_operand(v, v in _moved(producer)) for v in producer.inputs if v is not None]
        self.float[value] = self._emit(producer.op_type, inputs, dict(producer.attributes))
        return self.float[value]

    def _unrounded_operand(self, value: ir.Value, is_moved: bool) -> ir.Value:
        if not is_moved:
            return self._as_float(value)
        if not _is_zeros(value):
            return self._unrounded(value)
        shape = self._emit("Shape", [self._unrounded(_zeros_like(value))], {})
        producer = value.producer()
        assert producer is not None
        zeros: ir.Value = self._emit("ConstantOfShape", [shape], dict(producer.attributes))
        return zeros

    def _as_float_of(self, quantized: _Quantized) -> ir.Value:
        operands = [quantized.value, *self._scale(quantized.activation)]
        value: ir.Value = self._emit("DequantizeLinear", operands, {})
        return value

    def _activation(self, value: ir.Value) -> str:
        """A new name for a quantized activation: shared between the stages for the features."""
        if value not in self.names:
            boundary = value is self._root(self.graph.outputs[0]) or value.name == "features"
            name = "features" if boundary else f"{self.stage}.x{len(self.names)}"
            self.names[value] = name
            assert value.name is not None
            self.plan.activations[name] = value.name
        return self.names[value]

    def _scale(self, activation: str) -> tuple[ir.Value, ir.Value]:
        return self._parameter(f"{activation}.scale", "float32"), self._parameter(f"{activation}.zero")

    def _parameter(self, name: str, dtype: str = "uint8", shape: tuple[int, ...] = ()) -> ir.Value:
        """A configuration's own tensor; its value here is only a placeholder until it is stored."""
        return self._initializer(name, ir.tensor(np.zeros(shape, dtype), name=name))

    def _constant(self, value: ir.Value) -> ir.Value:
        assert value.const_value is not None, f"{value.name} is neither computed nor constant"
        name = str(value.name)
        if name.endswith((".running_mean", ".running_var")):
            self.plan.statistics[name] = int(value.const_value.shape.numpy()[0])
            return self._parameter(name, "float32", (self.plan.statistics[name],))
        return self._initializer(str(value.name), value.const_value)

    def _initializer(self, name: str, tensor: ir.TensorProtocol) -> ir.Value:
        if name not in self.initializers:
            self.initializers[name] = ir.Value(
                name=name,
                shape=ir.Shape(tensor.shape.numpy()),
                type=ir.TensorType(tensor.dtype),
                const_value=tensor,
            )
        return self.initializers[name]

    def _emit(
        self, op: str, inputs: Sequence[ir.Value | None], attributes: Mapping[str, Any], outputs: int = 1
    ) -> Any:
        node = ir.Node("", op, inputs, attributes=list(attributes.values()), num_outputs=outputs)
        self.nodes.append(node)
        for place, value in enumerate(node.outputs):
            value.name = f"v{len(self.nodes)}" if outputs == 1 else f"v{len(self.nodes)}.{place}"
        return node.outputs[0] if outputs == 1 else list(node.outputs)


def _foldable(graph: ir.Graph, int8: Mapping[str, ir.TensorProtocol]) -> Iterator[tuple[ir.Node, ir.Node]]:
    """(batch norm, convolution) of every convolution without bias whose only reader is a batch norm."""
    for node in graph:
        if node.op_type != "BatchNormalization":
            continue
        convolution = _input_of(node, 0).producer()
        if convolution is None or convolution.op_type != "Conv" or len(convolution.inputs) > 2:
            continue
        if len(list(convolution.outputs[0].uses())) == 1 and f"{_name_of(node)}.conv.weight" in int8:
            yield node, convolution


def _given_by(norm: ir.Node) -> ir.Value:
    """What a fused convolution gives: after the ReLU if nothing else reads the batch norm."""
    readers = norm.outputs[0].consumers()
    relu = len(readers) == 1 and readers[0].op_type == "Relu"
    return readers[0].outputs[0] if relu else norm.outputs[0]


def _early(graph: ir.Graph) -> Iterator[ir.Value]:
    """The pictures, and what the stem makes of them before pooling."""
    for value in graph.inputs:
        if value.name != "features":
            yield value
            while value.consumers() and value.consumers()[0].op_type in (
                "Conv",
                "BatchNormalization",
                "Relu",
            ):
                value = value.consumers()[0].outputs[0]
            yield value


def _name_of(norm: ir.Node) -> str:
    """A batch norm's block: ``res2.blocks.0.a`` of ``res2.blocks.0.a.norm.weight``."""
    return str(_source(_input_of(norm, 3)).name).removesuffix(".norm.running_mean")


def _channels(norm: ir.Node) -> int:
    mean = _source(_input_of(norm, 3))
    assert mean.const_value is not None
    return int(mean.const_value.shape.numpy()[0])


def _source(value: ir.Value) -> ir.Value:
    """The stored tensor behind slices of it."""
    producer = value.producer()
    return value if producer is None else _source(_input_of(producer, 0))


def _input_of(node: ir.Node, place: int) -> ir.Value:
    value = node.inputs[place]
    assert value is not None
    return value


def _moved(node: ir.Node) -> list[ir.Value]:
    """The operands whose numbers an operator moves: all of a Concat, the first of the others."""
    operands = [value for value in node.inputs if value is not None]
    return operands if node.op_type == "Concat" else operands[:1]


def _is_zeros(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type == "ConstantOfShape"


def _zeros_like(value: ir.Value) -> ir.Value:
    """What the zeros have the shape of."""
    producer = value.producer()
    assert producer is not None
    shape = _input_of(producer, 0).producer()
    assert shape is not None
    return _input_of(shape, 0)


def _stored(node: ir.Node) -> bool:
    """Whether a node only slices or reshapes stored tensors: written where its result is used."""
    return all(value is None or _is_stored(value) for value in node.inputs)


def _is_stored(value: ir.Value) -> bool:
    producer = value.producer()
    return value.const_value is not None if producer is None else _stored(producer)
