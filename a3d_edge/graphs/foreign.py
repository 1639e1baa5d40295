"""Whether a graph that others have exported can be tried: a detector's, of more operators than ours has.

    bytes ── read_foreign ──► operators ── each, with what it reads ──► of what is seen no shape depends

What such a graph takes is not derived, but measured, in a process with limits. That is a proof only where one
run takes what every other does. So: no subgraphs, hence no loops; standard operators, whose shapes follow
from those of their inputs, and from numbers that depend on the picture's shape alone, never on the picture;
and no division of whole numbers that do, which may end the process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from a3d_edge.graphs.model import (
    INT,
    INTS,
    MESSAGE,
    MESSAGES,
    OPSET_FIELDS,
    PAIR,
    REFUSED,
    SKIPPED,
    TEXT,
    TEXTS,
    VALUE,
    Schema,
    Value,
    read_message,
    value_in,
)  # fmt: skip
from a3d_edge.graphs.wire import Bytes, MalformedError

__all__ = ["Foreign", "read_foreign"]

_TENSOR: Schema = {
    1: ("dims", INTS, None),
    2: ("type", INT, None),
    3: ("a tensor in segments", REFUSED, None),
    6: ("texts", REFUSED, None),
    8: ("name", TEXT, None),
    13: ("external", MESSAGES, PAIR),
    14: ("location", INT, None),
    **dict.fromkeys((4, 5, 7, 9, 10, 11, 12, 16), ("content", SKIPPED, None)),
}
_ATTRIBUTE: Schema = {
    1: ("name", TEXT, None),
    3: ("i", INT, None),
    5: ("t", MESSAGE, _TENSOR),
    20: ("type", INT, None),
    **dict.fromkeys((2, 4, 7, 8, 9, 13), ("content", SKIPPED, None)),
    **dict.fromkeys((6, 11), ("a graph within it, such as of a loop or branch", REFUSED, None)),
}
_NODE: Schema = {
    1: ("inputs", TEXTS, None),
    2: ("outputs", TEXTS, None),
    4: ("op", TEXT, None),
    5: ("attributes", MESSAGES, _ATTRIBUTE),
    7: ("domain", TEXT, None),
    **dict.fromkeys((3, 6, 9), ("note", SKIPPED, None)),
}
_GRAPH: Schema = {
    1: ("operators", MESSAGES, _NODE),
    5: ("stored", MESSAGES, _TENSOR),
    11: ("inputs", MESSAGES, VALUE),
    12: ("outputs", SKIPPED, None),
    15: ("a sparse tensor", REFUSED, None),
    **dict.fromkeys((2, 10, 13, 14, 16), ("note", SKIPPED, None)),
}
_MODEL: Schema = {
    7: ("graph", MESSAGE, _GRAPH),
    8: ("opsets", MESSAGES, OPSET_FIELDS),
    20: ("steps of training", REFUSED, None),
    25: ("functions of its own", REFUSED, None),
    **dict.fromkeys((1, 2, 3, 4, 5, 6, 14), ("note", SKIPPED, None)),
}

BROKEN = (1, 10, 11, 16)
"""Types of numbers that are not whole: of 32, 16 and 64 bits, and bfloat16."""
NUMBERS = (*BROKEN, 2, 3, 4, 5, 6, 7, 9, 12, 13)

_PLAIN = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Cast
    Ceil Celu Clip Concat Constant Conv ConvInteger ConvTranspose Cos Cosh CumSum DepthToSpace
    DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Flatten Floor Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample
    GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization MatMul MatMulInteger Max
    MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg Not Or PRelu Pow QLinearConv QLinearMatMul
    QuantizeLinear RMSNormalization Reciprocal Relu Round ScatterElements ScatterND Selu Shape Sigmoid Sign
    Sin Sinh Size Softmax Softplus Softsign SpaceToDepth Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu
    Transpose Trilu Where Xor
"""
PLAIN = frozenset(_PLAIN.split())
"""Operators whose output is as large as their inputs' shapes and their attributes say."""
REDUCING = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
SHAPING: Mapping[str, tuple[int, ...]] = {
    "Compress": (1,), "ConstantOfShape": (0,), "Expand": (1,), "NonMaxSuppression": (0, 1, 2, 3, 4),
    "NonZero": (0,), "OneHot": (1,), "Pad": (1, 3), "Range": (0, 1, 2), "Reshape": (1,), "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "Tile": (1,), "TopK": (1,), "Unsqueeze": (1,),
    "Upsample": (1,), **{f"Reduce{name}": (1,) for name in REDUCING},
}  # fmt: skip
"""Of other operators, which inputs say by their numbers how large the output is."""
OF_SHAPES = ("Shape", "Size")
TO_WHOLE = (
    "ArgMax", "ArgMin", "ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "NonMaxSuppression",
    "NonZero", "QLinearConv", "QLinearMatMul", "QuantizeLinear", "Shape", "Size",
)  # fmt: skip
TYPED_BY: Mapping[str, tuple[int, ...]] = {
    "DequantizeLinear": (), "Gather": (0,), "GatherElements": (0,), "GatherND": (0,), "OneHot": (2,),
    "Where": (1, 2), **{name: (0,) for name in SHAPING if name not in ("OneHot", "Range")},
}  # fmt: skip
"""Whose numbers are whole if one of these inputs' are; of all other operators: any input's."""


class _Given(NamedTuple):
    """A value: whether it depends on what is seen, and whether its numbers are whole."""

    seen: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Foreign:
    """A graph that one run tells all of: its inputs, and the files beside it that its tensors lie in."""

    inputs: tuple[Value, ...]
    files: frozenset[str]


def read_foreign(data: Bytes) -> Foreign:
    """The graph in a file's bytes. Raises `MalformedError` for one that may take more in another run."""
    graph = read_message(data, 0, len(data), _MODEL).get("graph")
    if graph is None:
        raise MalformedError("it has no graph")
    stored, nodes = graph.get("stored", ()), graph.get("operators", ())
    known = {one.get("name", ""): _Given(False, one.get("type") not in BROKEN) for one in stored}
    inputs = [value_in(one) for one in graph.get("inputs", ())]
    inputs = [one for one in inputs if one.name not in known]  # older files name what is stored as well
    known |= {one.name: _Given(True, one.type not in BROKEN) for one in inputs}
    for node in nodes:
        _follow(node, known)
    tensors = [*stored, *(one["t"] for node in nodes for one in node.get("attributes", ()) if "t" in one)]
    return Foreign(tuple(inputs), frozenset(name for one in tensors for name in _files(one)))


def _follow(node: Mapping[str, Any], known: dict[str, _Given]) -> None:
    """What an operator gives becomes known."""
    op, names, outputs = (node.get(key, default) for key, default in _PARTS)
    if node.get("domain", "") not in ("", "ai.onnx"):
        raise MalformedError(f"operator {op[:40]!a} of {node['domain'][:40]!a} is no standard one")
    if op not in PLAIN and op not in SHAPING:
        raise MalformedError(f"operator {op[:40]!a} is none that a detector needs")
    missing = [name for name in names if name and name not in known]
    if missing:
        raise MalformedError(f"operator {op!a} reads {missing[0][:40]!a}, which is not there before it")
    read = [known[name] if name else _Given(False, False) for name in names]
    if any(read[place].seen for place in SHAPING.get(op, ()) if place < len(read)):
        raise MalformedError(f"operator {op!a} gives more or less by what is seen, so no limit can be known")
    seen = op not in OF_SHAPES and any(one.seen for one in read)
    whole = _is_whole(op, node.get("attributes", ()), read)
    if seen and whole and op in ("Div", "Mod"):
        raise MalformedError(
            f"operator {op!a} divides whole numbers by what is seen, which may end the process"
        )
    for place, name in enumerate(outputs):
        if name and name in known:
            raise MalformedError(f"{name[:40]!a} is there twice")
        known[name] = _Given(seen, whole or (place > 0 and op in ("TopK", "MaxPool")))


_PARTS: Sequence[tuple[str, Any]] = (("op", ""), ("inputs", ()), ("outputs", ()))


def _is_whole(op: str, attributes: Sequence[Mapping[str, Any]], read: Sequence[_Given]) -> bool:
    """Whether the numbers that an operator gives may be whole ones."""
    named = {one.get("name", ""): one for one in attributes}
    if op == "Cast":
        return named.get("to", {}).get("i") not in BROKEN
    if op in ("Constant", "ConstantOfShape"):
        tensor = named.get("value", {}).get("t")
        if tensor is not None:
            return tensor.get("type") not in BROKEN
        return "value_int" in named or "value_ints" in named
    if op in TO_WHOLE:
        return True
    return any(read[place].whole for place in TYPED_BY.get(op, range(len(read))) if place < len(read))


def _files(tensor: Mapping[str, Any]) -> list[str]:
    """The file that a stored tensor lies in, if it lies in one."""
    if tensor.get("type") not in NUMBERS:
        raise MalformedError(f"tensor {tensor.get('name', '')[:40]!a} is of no numbers that a detector needs")
    found = [one.get("value", "") for one in tensor.get("external", ()) if one.get("key") == "location"]
    if len(found) > 1:
        raise MalformedError(f"tensor {tensor.get('name', '')[:40]!a} lies in two places")
    return found
