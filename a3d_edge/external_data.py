"""Which files an ONNX graph would read: found in the graph itself, before an engine opens it.

A tensor may lie in another file, which it names: ``../secret``, ``/etc/passwd``, a link. Engines check that
today; ONNX Runtime before 1.24 did not. So every tensor of a graph is looked at, wherever it hides, and
without a library, for the runtime has none that reads ONNX. What is read is protobuf's wire format:

    message = field*    field = key, value    key = varint: number << 3 | wire type
    wire type 0: varint    1: 8 bytes    2: length, so many bytes (text, message)    5: 4 bytes

What is read and what is refused is what an engine's protobuf reads, or stricter.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from a3d_edge.errors import BundleError

__all__ = ["check_graph"]

TENSOR, ENTRY, NODE = "tensor", "entry", "node"
PARTS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: NODE, 11: "attribute"},
    "graph": {1: NODE, 5: TENSOR, 15: "sparse"},
    NODE: {5: "attribute"},
    "attribute": {5: TENSOR, 6: "graph", 10: TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: TENSOR, 2: TENSOR},
    TENSOR: {13: ENTRY},
}
"""Messages on the way to a tensor, by field number; the names are those of onnx.proto3, shortened."""
OPERATOR, COMPILED = 4, b"EPContext"
"""A node's operator, and the one that names a file of its own: code compiled for another device."""
KEY, VALUE, LOCATION = 1, 2, b"location"

LONGEST, LARGEST_KEY = 10, 1 << 32
"""Bytes of a varint, and what a key is below."""


def check_graph(graph: Path, allowed: Collection[str]) -> None:
    """Raise `BundleError` unless all that a graph reads are regular files beside it, with names ``allowed``.

    Also for a file that is no ONNX graph, or cannot be read.
    """
    if graph.suffix != ".onnx":  # engines tell other formats by the name
        raise BundleError(f"{graph}: a graph's name must end in .onnx; export the bundle again")
    try:
        locations = {_text(one) for one in _locations(graph.read_bytes())}
        outside = sorted(one for one in locations if one not in allowed or not _is_plain_file(graph, one))
    except _MalformedError as error:
        raise BundleError(f"{graph}: is no ONNX graph ({error}); export the bundle again") from error
    except OSError as error:
        raise BundleError(f"{graph}: cannot be read ({error.strerror}); the bundle is incomplete") from error
    if outside:
        raise BundleError(
            f"{graph}: would read {outside[0][:80]!a}, which is no file of its bundle; do not use it"
        )


class _MalformedError(Exception):
    """Why bytes are no message, in a few words."""


def _is_plain_file(graph: Path, name: str) -> bool:
    """Whether it lies beside the graph, and is no link."""
    return (
        Path(name).name == name and "\0" not in name and stat.S_ISREG((graph.parent / name).lstat().st_mode)
    )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _locations(data: bytes) -> Iterator[bytes]:
    """Of every tensor in a model: a list of what is still to be looked at, so that depth costs nothing.

    Most parts do not have the words in them that alone would matter: looking for those first is quicker.
    """
    waiting = [("model", 0, len(data))]
    while waiting:
        kind, begin, end = waiting.pop()
        parts = PARTS[kind]
        for number, start, stop in _fields(data, begin, end):
            if kind == NODE and number == OPERATOR and data[start:stop] == COMPILED:
                raise _MalformedError("a part of it is compiled for another device")
            if number not in parts or not _has_any(data, start, stop):
                continue
            if parts[number] == ENTRY:
                yield from _values(data, start, stop)
            else:
                waiting.append((parts[number], start, stop))


def _has_any(data: bytes, begin: int, end: int) -> bool:
    return data.find(LOCATION, begin, end) >= 0 or data.find(COMPILED, begin, end) >= 0


def _values(data: bytes, begin: int, end: int) -> Iterator[bytes]:
    """Of an entry whose key is the location, all: which of several counts is the reader's affair."""
    fields = [(number, data[start:stop]) for number, start, stop in _fields(data, begin, end)]
    if (KEY, LOCATION) in fields:
        yield from (value for number, value in fields if number == VALUE)


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of every field of a message that has a length; the others hold no message."""
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if not 8 <= key < LARGEST_KEY:
            raise _MalformedError(f"field {number} at byte {at}")
        if wire == 2:
            length, at = _varint(data, at, end)
            if length > end - at:
                raise _MalformedError(f"{length} bytes at byte {at}, where {end - at} are left")
            yield number, at, at + length
            at += length
        elif wire == 0:
            _, at = _varint(data, at, end)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise _MalformedError(f"wire type {wire} at byte {at}")
    if at > end:
        raise _MalformedError("it ends within a number")


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends: seven bits a byte, the lowest first, the last byte below 128."""
    if at < end and (byte := data[at]) < 128:  # as a rule
        return byte, at + 1
    value = 0
    for place, byte in enumerate(data[at : min(at + LONGEST, end)]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise _MalformedError(f"a number without an end at byte {at}")
