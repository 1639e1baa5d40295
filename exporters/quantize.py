"""An fp32 graph to its int8 graph: u8 activations, s8 per-channel weights, QDQ in rank 4.

Every convolution that a batch norm follows is quantized, the batch norm folded into it; the sums of residual
blocks too (`a3d_edge.exporters.quantizable` chooses). Weights are those that all widths share; what a
configuration has of its own is named in a `Plan` (`a3d_edge.exporters.int8_plan`) and filled in where it is
stored. ONNX Runtime fuses the pattern into integer convolutions and sums; any other engine that knows QDQ
computes the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from a3d_edge.exporters.int8_plan import Convolution, Plan
from a3d_edge.exporters.quantizable import (
    Choice,
    block_of,
    channels_of,
    choose,
    input_of,
    is_stored,
    is_zeros,
    moved_by,
    root_of,
    zeros_like,
)

__all__ = ["quantize"]


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
    choice = choose(model.graph, stage, int8, float_input=float_input, keep=keep)
    rewriter = _Rewriter(model.graph, stage, int8, choice)
    return rewriter.run(), rewriter.plan


@dataclass(frozen=True, slots=True)
class _Quantized:
    """A value in the new graph as uint8, and the activation whose scale it has."""

    value: ir.Value
    activation: str


class _Rewriter:
    """Walks the fp32 nodes in order and writes the int8 ones."""

    def __init__(
        self, graph: ir.Graph, stage: str, int8: Mapping[str, ir.TensorProtocol], choice: Choice
    ) -> None:
        self.graph, self.stage, self.int8, self.choice = graph, stage, int8, choice
        self.plan = Plan()
        self.nodes: list[ir.Node] = []
        self.initializers: dict[str, ir.Value] = {}
        self.float: dict[ir.Value, ir.Value] = {}
        self.quantized: dict[ir.Value, _Quantized] = {}
        self.names: dict[ir.Value, str] = {}
        self.folded = set(choice.convolutions.values())

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
        if is_stored(node) or node in self.folded or self._is_padding(node):
            return  # written where they are used
        if node in self.choice.convolutions:
            self.float[node.outputs[0]] = self._convolution(node, self.choice.convolutions[node])
        elif self._moves_u8(node):
            root = root_of(node.outputs[0])
            moved_values = moved_by(node)
            inputs = [
                None if v is None else self._moved_u8(v, root) if v in moved_values else self._as_float(v)
                for v in node.inputs
            ]
            moved = self._emit(node.op_type, inputs, dict(node.attributes))
            self.quantized[node.outputs[0]] = _Quantized(moved, self._activation(root))
        else:
            read = self._unrounded if node in self.choice.exact else self._as_float
            inputs = [None if v is None else read(v) for v in node.inputs]
            news = self._emit(node.op_type, inputs, dict(node.attributes), len(node.outputs))
            for old, new in zip(node.outputs, news if isinstance(news, list) else [news], strict=True):
                self.float[old] = new

    def _moves_u8(self, node: ir.Node) -> bool:
        root = root_of(node.outputs[0])
        return root is not node.outputs[0] and (root in self.choice.points or root in self.quantized)

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
        if not is_zeros(value):
            return self._as_u8(value).value
        like = self._as_u8(zeros_like(value)).value
        zero = self._parameter(f"{self._activation(root)}.zero")
        padding: ir.Value = self._emit("Expand", [zero, self._emit("Shape", [like], {})], {})
        return padding

    def _convolution(self, norm: ir.Node, convolution: ir.Node) -> ir.Value:
        """Conv and batch norm: DequantizeLinear of input, weight and bias into one Conv."""
        read = self._as_u8(input_of(convolution, 0))
        name = block_of(norm)
        channels = channels_of(norm)
        self.plan.convolutions.append(Convolution(name, read.activation, channels))
        weight = self._again(input_of(convolution, 1), int8=True)
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
        if value in self.quantized or (value in self.choice.points and value in self.float):
            return self._as_float_of(self._as_u8(value))
        return self.float[value] if value in self.float else self._again(value)

    def _unrounded(self, value: ir.Value) -> ir.Value:
        """A value as a convolution that stays fp32 reads it: not quantized, though others quantize it."""
        producer = value.producer()
        if value in self.float or producer is None or value not in self.quantized:
            return self.float[value] if value in self.float else self._as_float(value)
        inputs = [
            self._unrounded_operand(v, v in moved_by(producer)) for v in producer.inputs if v is not None
        ]
        self.float[value] = self._emit(producer.op_type, inputs, dict(producer.attributes))
        return self.float[value]

    def _unrounded_operand(self, value: ir.Value, is_moved: bool) -> ir.Value:
        if not is_moved:
            return self._as_float(value)
        if not is_zeros(value):
            return self._unrounded(value)
        shape = self._emit("Shape", [self._unrounded(zeros_like(value))], {})
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
            boundary = value is root_of(self.graph.outputs[0]) or value.name == "features"
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
