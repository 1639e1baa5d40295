"""What an ONNX file holds, read strictly: a field that an export does not write is refused, not passed over.

Protobuf merges a field that comes twice and passes over those that it does not know; two readers may then
see two graphs in one file. What is read here is what every reader sees.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from a3d_edge.graphs.wire import FOUR, LENGTH, VARINT, Bytes, MalformedError, fields, varint

__all__ = [
    "FLOAT",
    "INT8",
    "INT32",
    "INT64",
    "ITEM_BYTES",
    "UINT8",
    "Graph",
    "Node",
    "Schema",
    "Tensor",
    "Value",
    "read_graph",
    "read_message",
    "value_in",
]

FLOAT, UINT8, INT8, INT32, INT64 = 1, 2, 3, 6, 7
"""Of ONNX' types of numbers, those that our graphs have."""
ITEM_BYTES = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8}

IR_VERSION, OPSET = 10, 18
GRAPH_BYTES, NODES, TENSORS, NAME_BYTES, RANK = 16_000_000, 4096, 4096, 512, 6
SMALL = 64
"""Numbers that a graph holds in itself, in one tensor: indices, shapes."""

INT, TEXT, NUMBER, INTS, MESSAGE, MESSAGES, TEXTS, SKIPPED, REFUSED = range(9)
Schema = Mapping[int, tuple[str, int, Any]]
"""Of a message: by a field's number what it is, how it is read, and of what. REFUSED: what it would be."""

PAIR: Schema = {1: ("key", TEXT, None), 2: ("value", TEXT, None)}
_TENSOR: Schema = {
    1: ("dims", INTS, None),
    2: ("type", INT, None),
    8: ("name", TEXT, None),
    9: ("raw", NUMBER, None),
    12: ("note", SKIPPED, None),
    13: ("external", MESSAGES, PAIR),
    14: ("location", INT, None),
}
_ATTRIBUTE: Schema = {
    1: ("name", TEXT, None),
    2: ("f", NUMBER, None),
    3: ("i", INT, None),
    4: ("s", TEXT, None),
    5: ("t", MESSAGE, _TENSOR),
    8: ("ints", INTS, None),
    13: ("note", SKIPPED, None),
    20: ("type", INT, None),
}
_NODE: Schema = {
    1: ("inputs", TEXTS, None),
    2: ("outputs", TEXTS, None),
    3: ("name", SKIPPED, None),
    4: ("op", TEXT, None),
    5: ("attributes", MESSAGES, _ATTRIBUTE),
    6: ("note", SKIPPED, None),
    7: ("domain", TEXT, None),
    9: ("properties", SKIPPED, None),
}
_DIMENSION: Schema = {1: ("size", INT, None), 2: ("symbol", TEXT, None), 3: ("note", SKIPPED, None)}
_SHAPE: Schema = {1: ("dims", MESSAGES, _DIMENSION)}
_TENSOR_TYPE: Schema = {1: ("type", INT, None), 2: ("shape", MESSAGE, _SHAPE)}
_TYPE: Schema = {1: ("tensor", MESSAGE, _TENSOR_TYPE), 6: ("note", SKIPPED, None)}
VALUE: Schema = {
    1: ("name", TEXT, None),
    2: ("type", MESSAGE, _TYPE),
    3: ("note", SKIPPED, None),
    4: ("properties", SKIPPED, None),
}
_GRAPH: Schema = {
    1: ("nodes", MESSAGES, _NODE),
    2: ("name", SKIPPED, None),
    5: ("initializers", MESSAGES, _TENSOR),
    10: ("note", SKIPPED, None),
    11: ("inputs", MESSAGES, VALUE),
    12: ("outputs", MESSAGES, VALUE),
    13: ("values", SKIPPED, None),
    16: ("properties", SKIPPED, None),
}
OPSET_FIELDS: Schema = {1: ("domain", TEXT, None), 2: ("version", INT, None)}
_MODEL: Schema = {
    1: ("ir_version", INT, None),
    2: ("producer", SKIPPED, None),
    3: ("producer_version", SKIPPED, None),
    4: ("domain", SKIPPED, None),
    5: ("version", INT, None),
    6: ("note", SKIPPED, None),
    7: ("graph", MESSAGE, _GRAPH),
    8: ("opsets", MESSAGES, OPSET_FIELDS),
    14: ("properties", SKIPPED, None),
}
"""Of onnx.proto3. What is not here (functions, subgraphs, sparse tensors, training) is refused."""
MOST = {"nodes": NODES, "initializers": TENSORS, "inputs": 64, "outputs": 64, "attributes": 16, "dims": 64}
MOST |= {"operators": 10_000, "stored": 10_000}  # of graphs that others have exported
KINDS: Mapping[Any, tuple[str, Any]] = {
    1: ("f", 0.0),
    2: ("i", 0),
    3: ("s", ""),
    4: ("t", None),
    7: ("ints", []),
}
"""Of an attribute, by its type: the field that holds its value, and what one that is not written means."""
WIRES = {INT: VARINT, TEXT: LENGTH, TEXTS: LENGTH, MESSAGE: LENGTH, MESSAGES: LENGTH}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A stored tensor: its bytes here (``raw``), or in ``file`` from byte ``offset`` on."""

    name: str
    type: int
    shape: tuple[int, ...]
    raw: bytes | None = None
    file: str = ""
    offset: int = 0

    @property
    def elements(self) -> int:
        """How many numbers."""
        count = 1
        for one in self.shape:
            count *= one
        return count


@dataclass(frozen=True, slots=True)
class Node:
    """An operator and what it reads and gives, by name; attributes as plain values."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output: dimensions that are not fixed are None."""

    name: str
    type: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """All of it, nodes in their order."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]


def read_graph(data: bytes) -> Graph:
    """The graph of an ONNX file. Raises `MalformedError` for anything that an export does not write."""
    if len(data) > GRAPH_BYTES:
        raise MalformedError(f"{len(data)} bytes are more than a graph has")
    model = read_message(data, 0, len(data), _MODEL)
    opsets = [(one.get("domain", ""), one.get("version")) for one in model.get("opsets", ())]
    if model.get("ir_version") != IR_VERSION or opsets != [("", OPSET)]:
        raise MalformedError(f"it is not of ONNX opset {OPSET} alone")
    if "graph" not in model:
        raise MalformedError("it has no graph")
    graph = model["graph"]
    tensors = [_tensor(one) for one in graph.get("initializers", ())]
    named = {one.name: one for one in tensors}
    if len(named) != len(tensors):
        raise MalformedError("two stored tensors have one name")
    inputs, outputs = ([value_in(one) for one in graph.get(which, ())] for which in ("inputs", "outputs"))
    return Graph(tuple(inputs), tuple(outputs), named, tuple(map(_node, graph.get("nodes", ()))))


def read_message(data: Bytes, at: int, end: int, schema: Schema) -> dict[str, Any]:
    """Its fields by name. Raises `MalformedError` for one that is unknown, or comes twice and may not."""
    found: dict[str, Any] = {}
    for number, wire, start, stop in fields(data, at, end):
        if number not in schema:
            raise MalformedError(f"field {number}, which an export does not write")
        name, kind, inner = schema[number]
        if kind == REFUSED:
            raise MalformedError(f"it has {name}")
        if kind == SKIPPED:
            continue
        if WIRES.get(kind, wire) != wire:
            raise MalformedError(f"{name} of wire type {wire}")
        if kind == INTS:
            _extend(found.setdefault(name, []), name, _ints(data, wire, start, stop))
        elif kind == MESSAGES:
            _extend(found.setdefault(name, []), name, (read_message(data, start, stop, inner),))
        elif kind == TEXTS:
            _extend(found.setdefault(name, []), name, (_text(data, start, stop),))
        elif name in found:
            raise MalformedError(f"{name} comes twice")
        elif kind == MESSAGE:
            found[name] = read_message(data, start, stop, inner)
        else:
            found[name] = _one(data, wire, start, stop, kind)
    return found


def _extend(items: list[Any], name: str, more: Any) -> None:
    items.extend(more)
    if len(items) > MOST.get(name, SMALL):
        raise MalformedError(f"more than {MOST.get(name, SMALL)} {name}")


def _one(data: Bytes, wire: int, start: int, stop: int, kind: int) -> Any:
    if kind == INT:
        return _signed(start)
    if kind == TEXT:
        return _text(data, start, stop)
    if wire == FOUR:
        return float(struct.unpack_from("<f", data, start)[0])
    if wire != LENGTH or stop - start > 8 * SMALL:
        raise MalformedError("numbers in it that an export does not write")
    return data[start:stop]


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _ints(data: Bytes, wire: int, start: int, stop: int) -> list[int]:
    """One number, or several packed."""
    if wire == VARINT:
        return [_signed(start)]
    if wire != LENGTH or stop - start > 10 * SMALL:
        raise MalformedError("more numbers than an export writes")
    found = []
    while start < stop:
        value, start = varint(data, start, stop)
        found.append(_signed(value))
    return found


def _text(data: Bytes, start: int, stop: int) -> str:
    if stop - start > NAME_BYTES:
        raise MalformedError(f"a name of {stop - start} bytes")
    try:
        return data[start:stop].decode()
    except UnicodeDecodeError as error:
        raise MalformedError("a name that is no text") from error


def _tensor(found: Mapping[str, Any]) -> Tensor:
    name, kind, shape = found.get("name", ""), found.get("type"), tuple(found.get("dims", ()))
    if kind not in ITEM_BYTES or len(shape) > RANK or any(size < 1 for size in shape):
        raise MalformedError(f"tensor {name!a} of type {kind}, shape {shape}")
    bare = Tensor(name, kind, shape)
    wanted = bare.elements * ITEM_BYTES[kind]
    if "external" not in found:
        raw = found.get("raw")
        if found.get("location", 0) != 0 or not isinstance(raw, bytes) or len(raw) != wanted:
            raise MalformedError(f"tensor {name!a} does not hold the {wanted} bytes of its shape")
        return Tensor(name, kind, shape, raw)
    place = {one.get("key", ""): one.get("value", "") for one in found["external"]}
    if "raw" in found or found.get("location") != 1 or len(place) != len(found["external"]):
        raise MalformedError(f"tensor {name!a} lies in two places")
    if set(place) != {"location", "offset", "length"} or not _is_size(place["offset"]):
        raise MalformedError(f"tensor {name!a} does not say where it lies")
    if place["length"] != str(wanted):
        raise MalformedError(f"tensor {name!a} is {place['length'][:20]!a} bytes, of its shape are {wanted}")
    return Tensor(name, kind, shape, None, place["location"], int(place["offset"]))


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _node(found: Mapping[str, Any]) -> Node:
    op = found.get("op", "")
    if found.get("domain", "") not in ("", "ai.onnx"):
        raise MalformedError(f"operator {op!a} of {found['domain']!a}, which an export does not write")
    attributes: dict[str, Any] = {}
    for one in found.get("attributes", ()):
        values = [key for key in ("f", "i", "s", "t", "ints") if key in one]
        name = one.get("name", "")
        if len(values) > 1 or name in attributes:
            raise MalformedError(f"{op!a} has two values of {name!a}")
        kind = one.get("type")
        if kind not in KINDS or (values and values[0] != KINDS[kind][0]):
            raise MalformedError(f"attribute {name!a} of {op!a} is not of its type")
        value = one[values[0]] if values else KINDS[kind][1]
        attributes[name] = _tensor({"name": name, **value}) if isinstance(value, dict) else value
    return Node(op, tuple(found.get("inputs", ())), tuple(found.get("outputs", ())), attributes)


def value_in(found: Mapping[str, Any]) -> Value:
    """An input or output of its message. Raises `MalformedError` where it is no tensor of a known rank."""
    tensor = found.get("type", {}).get("tensor", {})
    dims = tensor.get("shape", {}).get("dims", ())
    if "shape" not in tensor or len(dims) > RANK:
        raise MalformedError(f"{found.get('name', '')!a} is no tensor of a known rank")
    return Value(found.get("name", ""), tensor.get("type", 0), tuple(one.get("size") for one in dims))
