"""Which files an ONNX graph would read: found in the graph itself, before an engine opens it.

A tensor may lie in another file, which it names: ``../secret``, ``/etc/passwd``, a link. Engines check that
today; ONNX Runtime before 1.24 did not. So every tensor of a graph is looked at, wherever it hides, and
without a library, for the runtime has none that reads ONNX (see `a3d_edge.graphs.wire`). What is read and
what is refused is what an engine's protobuf reads, or stricter.

A bundle's graphs are held to far more (`a3d_edge.graphs.check`); this is for graphs that an engine has
written itself, and says of any graph what it would read.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from a3d_edge.errors import BundleError
from a3d_edge.graphs.wire import LENGTH, MalformedError, fields
from a3d_edge.reading import read_regular

__all__ = ["check_graph", "check_locations"]

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
LARGEST = 1 << 31
"""Bytes of a graph, at the most: protobuf's limit."""


def check_graph(graph: Path, allowed: Collection[str]) -> None:
    """Raise `BundleError` unless all that a graph reads are regular files beside it, with names ``allowed``.

    Also for a file that is no ONNX graph, or cannot be read.
    """
    if graph.suffix != ".onnx":  # engines tell other formats by the name
        raise BundleError(f"{graph}: a graph's name must end in .onnx; export the bundle again")
    try:
        data = read_regular(graph, LARGEST)
    except OSError as error:
        raise BundleError(f"{graph}: cannot be read ({error.strerror}); the bundle is incomplete") from error
    check_locations(graph, data, allowed)


def check_locations(graph: Path, data: bytes, allowed: Collection[str]) -> None:
    """The same for the bytes of a graph that lies there. Raises `BundleError`."""
    try:
        locations = {_text(one) for one in _locations(data)}
        outside = sorted(one for one in locations if one not in allowed or not _is_plain_file(graph, one))
    except MalformedError as error:
        raise BundleError(f"{graph}: is no ONNX graph ({error}); export the bundle again") from error
    except OSError as error:
        raise BundleError(f"{graph}: cannot be read ({error.strerror}); the bundle is incomplete") from error
    if outside:
        raise BundleError(
            f"{graph}: would read {outside[0][:80]!a}, which is no file of its bundle; do not use it"
        )


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
                raise MalformedError("a part of it is compiled for another device")
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
    return ((number, start, stop) for number, wire, start, stop in fields(data, at, end) if wire == LENGTH)
