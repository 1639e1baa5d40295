"""The operators that an export writes, and what each gives: type, shape, and the numbers of integer values.

An operator that is not in `OPERATORS`, an attribute that is not listed with it, a shape that is not fixed:
refused. So nothing that a graph computes can be larger, or take longer, than is known before it runs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from a3d_edge.graphs import moves, numbers
from a3d_edge.graphs.model import INT64, Node, Tensor
from a3d_edge.graphs.values import Known, RefusedError, bounded

__all__ = ["OPERATORS", "infer", "value_of", "work"]

Inputs = list[Known | None]
Attributes = Mapping[str, Any]

TAKE_NOTHING = {"Concat", "Slice"}
"""Of a window of one frame, nothing is left where its first is cut off; zeros are then put beside it."""
ATTRIBUTE = {"f": float, "i": int, "s": str, "t": Tensor, "ints": list}


class Operator(NamedTuple):
    """``reads``: how many inputs, at least and at most; ``attributes``: name to its kind (`ATTRIBUTE`)."""

    infer: Callable[[Inputs, Attributes], Known]
    reads: tuple[int, int]
    attributes: Mapping[str, str] = {}


def infer(node: Node, inputs: Inputs) -> Known:
    """What a node gives. Raises `RefusedError`."""
    operator = OPERATORS.get(node.op)
    if operator is None:
        raise RefusedError("is no operator that an export writes")
    least, most = operator.reads
    if not least <= len(inputs) <= most or len(node.outputs) != 1:
        raise RefusedError(f"{len(inputs)} inputs and {len(node.outputs)} outputs")
    for name, value in node.attributes.items():
        kind = operator.attributes.get(name)
        if kind is None or not isinstance(value, ATTRIBUTE[kind]):
            raise RefusedError(f"attribute {name[:40]!a}, which an export does not write")
    if None in inputs and node.op != "Resize":
        raise RefusedError("an input is left out")
    if node.op not in TAKE_NOTHING and any(value is not None and 0 in value.shape for value in inputs):
        raise RefusedError("reads a value without numbers")
    return operator.infer(inputs, node.attributes)


def value_of(tensor: Tensor) -> Known:
    """What is known of a stored tensor. Raises `RefusedError` for integers outside the graph itself."""
    if tensor.type != INT64:
        return Known(tensor.type, tensor.shape, None, True)
    if tensor.raw is None or len(tensor.shape) > 1:
        raise RefusedError(f"integers {tensor.name[:40]!a} that are not in the graph")
    return Known(INT64, tensor.shape, bounded(struct.unpack(f"<{tensor.elements}q", tensor.raw)), True)


def work(node: Node, inputs: Inputs, output: Known) -> int:
    """Multiplications and additions of a node, about: products count each, others each number once."""
    if node.op == "Conv":
        weight = inputs[1]
        assert weight is not None
        return output.elements * math.prod(weight.shape[1:])
    if node.op == "RoiAlign":
        assert inputs[0] is not None
        bins = (node.attributes.get(name, 1) for name in ("output_height", "output_width"))
        samples = [size // side + 1 for size, side in zip(inputs[0].shape[2:], bins, strict=True)]
        return output.elements * 4 * int(math.prod(samples))
    if node.op == "Gemm":
        assert inputs[0] is not None
        return output.elements * inputs[0].shape[1]
    return output.elements


_WINDOW = {"strides": "ints", "pads": "ints", "dilations": "ints"}
REGION = {
    "mode": "s", "output_height": "i", "output_width": "i", "sampling_ratio": "i", "spatial_scale": "f",
    "coordinate_transformation_mode": "s",
}  # fmt: skip
OPERATORS: Mapping[str, Operator] = {
    "Add": Operator(numbers.number_by_number(lambda x, y: x + y), (2, 2)),
    "Sub": Operator(numbers.number_by_number(lambda x, y: x - y), (2, 2)),
    "Mul": Operator(numbers.number_by_number(lambda x, y: x * y), (2, 2)),
    "Div": Operator(numbers.number_by_number(numbers.divided), (2, 2)),
    "Min": Operator(numbers.number_by_number(min), (2, 2)),
    "BatchNormalization": Operator(numbers.batch_norm, (5, 5), {"epsilon": "f"}),
    "Cast": Operator(numbers.cast, (1, 1), {"to": "i"}),
    "Concat": Operator(moves.joined, (1, 64), {"axis": "i"}),
    "ConstantOfShape": Operator(moves.filled, (1, 1), {"value": "t"}),
    "Conv": Operator(numbers.convolution, (2, 3), {**_WINDOW, "group": "i"}),
    "CumSum": Operator(numbers.running_sum, (2, 2)),
    "DequantizeLinear": Operator(numbers.dequantize, (2, 3), {"axis": "i"}),
    "Expand": Operator(moves.expanded, (2, 2)),
    "Gather": Operator(moves.picked, (2, 2), {"axis": "i"}),
    "Gemm": Operator(numbers.product, (3, 3)),
    "Log": Operator(numbers.same, (1, 1)),
    "LogSoftmax": Operator(numbers.same, (1, 1), {"axis": "i"}),
    "MaxPool": Operator(numbers.pooling, (1, 1), {"kernel_shape": "ints", "strides": "ints", "pads": "ints"}),
    "Pad": Operator(moves.padded, (2, 2)),
    "QuantizeLinear": Operator(numbers.quantize, (3, 3)),
    "Range": Operator(moves.counted, (3, 3)),
    "ReduceLogSumExp": Operator(numbers.reduced, (2, 2), {"keepdims": "i"}),
    "ReduceMax": Operator(numbers.reduced, (2, 2), {"keepdims": "i"}),
    "ReduceMean": Operator(numbers.reduced, (2, 2), {"keepdims": "i"}),
    "Relu": Operator(numbers.same, (1, 1)),
    "Reshape": Operator(moves.reshaped, (2, 2)),
    "Resize": Operator(numbers.resize, (4, 4), {"mode": "s", "coordinate_transformation_mode": "s"}),
    "RoiAlign": Operator(numbers.regions, (3, 3), REGION),
    "Shape": Operator(moves.shape_of, (1, 1), {"start": "i", "end": "i"}),
    "Sigmoid": Operator(numbers.same, (1, 1)),
    "Slice": Operator(moves.cut, (4, 5)),
    "Softmax": Operator(numbers.same, (1, 1), {"axis": "i"}),
    "Squeeze": Operator(moves.squeezed, (1, 1)),
    "Transpose": Operator(moves.transposed, (1, 1), {"perm": "ints"}),
    "Unsqueeze": Operator(moves.unsqueezed, (2, 2)),
}
"""All that `exporters.onnx_operators` and `exporters.quantize` write, of opset 18."""
