"""Which convolutions and values of a lowered fp32 graph become integers, and how such a graph is read.

Convolutions: each that a batch norm follows, but for those that are to stay fp32 and those that give them
their input. Values: what the quantized convolutions read and give, and what the sums of residual blocks add.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

__all__ = [
    "Choice",
    "block_of",
    "channels_of",
    "choose",
    "input_of",
    "is_stored",
    "is_zeros",
    "moved_by",
    "root_of",
    "zeros_like",
]

MOVEMENT = {"Slice", "Concat", "MaxPool", "Gather", "Transpose", "Unsqueeze"}
"""Operators that give out the numbers they got: they run on the quantized ones."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is quantized. ``convolutions``: by the batch norm that is folded into each; ``exact``: those that
    stay fp32 and read what nothing has rounded; ``points``: the values that have a scale of their own."""

    convolutions: Mapping[ir.Node, ir.Node]
    exact: frozenset[ir.Node]
    points: frozenset[ir.Value]


def choose(
    graph: ir.Graph,
    stage: str,
    int8: Collection[str],
    *,
    float_input: bool = False,
    keep: Collection[str] = (),
) -> Choice:
    """What of a lowered ``stage`` is quantized. ``int8``: names of the weights that can be; ``float_input``,
    ``keep``: as in `a3d_edge.exporters.quantize.quantize`."""
    early = set(_early(graph)) if float_input else set()
    foldable = dict(_foldable(graph, int8))
    exact = frozenset(
        convolution
        for norm, convolution in foldable.items()
        if root_of(input_of(convolution, 0)) in early or block_of(norm) in keep
    )
    # What gives them their floats cannot be an integer convolution, and would be one in name alone.
    read = {root_of(input_of(convolution, 0)) for convolution in exact}
    convolutions = {
        norm: convolution
        for norm, convolution in foldable.items()
        if convolution not in exact and _given_by(norm) not in read
    }
    points = {*_around(convolutions), *_summands(graph, convolutions)}
    if stage == "frame":
        points.add(root_of(graph.outputs[0]))
    return Choice(convolutions, exact, frozenset(points))


def _foldable(graph: ir.Graph, int8: Collection[str]) -> Iterator[tuple[ir.Node, ir.Node]]:
    """(batch norm, convolution) of every convolution without bias whose only reader is a batch norm."""
    for node in graph:
        if node.op_type != "BatchNormalization":
            continue
        convolution = input_of(node, 0).producer()
        if convolution is None or convolution.op_type != "Conv" or len(convolution.inputs) > 2:
            continue
        if len(list(convolution.outputs[0].uses())) == 1 and f"{block_of(node)}.conv.weight" in int8:
            yield node, convolution


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


def _around(convolutions: Mapping[ir.Node, ir.Node]) -> Iterator[ir.Value]:
    """What convolutions read and give."""
    for norm, convolution in convolutions.items():
        yield root_of(input_of(convolution, 0))
        yield _given_by(norm)  # also where only floats are computed of it: no integer kernel otherwise


def _given_by(norm: ir.Node) -> ir.Value:
    """What a fused convolution gives: after the ReLU if nothing else reads the batch norm."""
    readers = norm.outputs[0].consumers()
    relu = len(readers) == 1 and readers[0].op_type == "Relu"
    return readers[0].outputs[0] if relu else norm.outputs[0]


def _summands(graph: ir.Graph, convolutions: Mapping[ir.Node, ir.Node]) -> Iterator[ir.Value]:
    """What residual sums add: a batch norm's output, or a block's own input, which a ReLU made."""
    folded = {norm.outputs[0] for norm in convolutions}
    for node in graph:
        operands = [value for value in node.inputs if value is not None]
        if node.op_type == "Add" and all(v in folded or _is_rectified(v) for v in operands):
            yield from operands


def _is_rectified(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type == "Relu"


def root_of(value: ir.Value) -> ir.Value:
    """The value whose numbers these are, through operators that only move them."""
    producer = value.producer()
    if producer is None or producer.op_type not in MOVEMENT:
        return value
    roots = {root_of(v) for v in moved_by(producer) if not is_zeros(v)}
    return roots.pop() if len(roots) == 1 else value


def moved_by(node: ir.Node) -> list[ir.Value]:
    """The operands whose numbers an operator moves: all of a Concat, the first of the others."""
    operands = [value for value in node.inputs if value is not None]
    return operands if node.op_type == "Concat" else operands[:1]


def block_of(norm: ir.Node) -> str:
    """A batch norm's block: ``res2.blocks.0.a`` of ``res2.blocks.0.a.norm.weight``."""
    return str(_source(input_of(norm, 3)).name).removesuffix(".norm.running_mean")


def channels_of(norm: ir.Node) -> int:
    """How many channels a batch norm has."""
    mean = _source(input_of(norm, 3))
    assert mean.const_value is not None
    return int(mean.const_value.shape.numpy()[0])


def _source(value: ir.Value) -> ir.Value:
    """The stored tensor behind slices of it."""
    producer = value.producer()
    return value if producer is None else _source(input_of(producer, 0))


def input_of(node: ir.Node, place: int) -> ir.Value:
    """An operand that is there."""
    value = node.inputs[place]
    assert value is not None
    return value


def is_zeros(value: ir.Value) -> bool:
    """Whether it is padding: zeros of a shape that another value gives."""
    producer = value.producer()
    return producer is not None and producer.op_type == "ConstantOfShape"


def zeros_like(value: ir.Value) -> ir.Value:
    """What the zeros have the shape of."""
    producer = value.producer()
    assert producer is not None
    shape = input_of(producer, 0).producer()
    assert shape is not None
    return input_of(shape, 0)


def is_stored(node: ir.Node) -> bool:
    """Whether a node only slices or reshapes stored tensors."""
    return all(value is None or _is_constant(value) for value in node.inputs)


def _is_constant(value: ir.Value) -> bool:
    producer = value.producer()
    return value.const_value is not None if producer is None else is_stored(producer)
