"""Whether a graph is such as an export writes, and what it takes, found before any engine sees it.

    bytes ── read_graph ──► Graph ── every node, with the shapes of a configuration ──► what it gives
                                     operators, attributes, types, sizes: known and bounded, or refused

Engines run what they are given: loops without an end, shapes that fill the memory, divisions that kill the
process. A graph that is quiet on one input may do so on another; here nothing depends on what is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from a3d_edge.graphs.model import FLOAT, ITEM_BYTES, UINT8, Graph, Tensor, Value, read_graph
from a3d_edge.graphs.operators import infer, value_of, work
from a3d_edge.graphs.values import Known, RefusedError
from a3d_edge.graphs.wire import MalformedError

__all__ = ["GraphError", "Limits", "check_static", "parsed"]

GROWTH = 64
"""A value against all inputs of its graph, or all stored tensors, whichever is more."""
LEAST = 1 << 20
"""Numbers that any value may have: of tiny networks and their heads."""
MOST = 1 << 26
STEPS, WORK, LIVE = 1_000, 200_000, 64
"""Against the inputs: all values together, multiplications (70,000 of a Slow R-101), those at once."""
FOLDS = 8
"""What is made of stored tensors alone, against those."""


class GraphError(Exception):
    """Why a graph is refused, in a few words."""


@dataclass(frozen=True)
class Limits:
    """``files``: those that tensors may lie in, by name, with their bytes; ``work``: multiplications."""

    files: Mapping[str, int]
    work: float


class _Base(NamedTuple):
    """Numbers of all inputs, and of all stored tensors."""

    given: int
    stored: int


@lru_cache(maxsize=64)
def parsed(data: bytes) -> Graph:
    """The graph in a file's bytes. Raises `GraphError`."""
    try:
        return read_graph(data)
    except MalformedError as error:
        raise GraphError(f"is no ONNX graph of ours ({error})") from error


def check_static(graph: Graph, inputs: Mapping[str, Known], limits: Limits) -> tuple[str, Known]:
    """The name of a graph's output, and its type and shape, for inputs of these. Raises `GraphError`."""
    _check_inputs(graph, inputs)
    known: dict[str, Known | None] = {**inputs, "": None}
    for tensor in graph.tensors.values():
        _check_place(tensor, limits.files)
        _define(known, tensor.name, _refusing(tensor.name, value_of, tensor))
    stored = sum(tensor.elements for tensor in graph.tensors.values())
    given = sum(value.elements for value in inputs.values())
    _check_nodes(graph, known, _Base(given, stored), limits.work)
    return _output(graph, known)


def _check_nodes(graph: Graph, known: dict[str, Known | None], base: _Base, allowed: float) -> None:
    """What every node gives, and what all together take."""
    largest = min(MOST, max(LEAST, GROWTH * max(base.given, base.stored)))
    total = folded = done = 0
    given = {one.name for one in graph.inputs}
    for place, node in enumerate(graph.nodes):
        where = f"node {place} ({node.op[:40]!a})"
        if node.op == "RoiAlign" and not given.issuperset(node.inputs[1:2]):
            raise GraphError(f"{where}: regions that it makes itself; theirs are given, and checked before")
        missing = [name for name in node.inputs if name not in known]
        if missing:
            raise GraphError(f"{where}: reads {missing[0][:40]!a}, which is not there")
        read = [known[name] for name in node.inputs]
        found = _refusing(where, infer, node, read)
        if found.elements > largest:
            raise GraphError(f"{where}: {found.elements} numbers, more than a network of its size has")
        if all(value is None or value.stored for value in read):
            found, folded = found._replace(stored=True), folded + found.elements
        total, done = total + found.elements, done + work(node, read, found)
        _define(known, node.outputs[0], found)
    _check_amounts(base, total, folded, done, allowed)
    if (peak := _peak(graph, known)) > max(LIVE * base.given, 16 * LEAST):
        raise GraphError(f"{peak:.3g} numbers at once, more than a network of its size has")


def _check_amounts(base: _Base, total: int, folded: int, done: int, allowed: float) -> None:
    """All values together, those of stored tensors alone, and multiplications."""
    given = max(base.given, LEAST)
    most = min(allowed, WORK * max(base.given, LEAST // 4))
    if done > most + total or total > STEPS * given:
        raise GraphError(
            f"takes {done:.3g} multiplications, {total:.3g} numbers: more than its configuration"
        )
    if folded > FOLDS * base.stored + LEAST:
        raise GraphError(f"makes {folded:.3g} numbers of {base.stored} stored ones")


def _peak(graph: Graph, known: Mapping[str, Known | None]) -> int:
    """How many numbers are there at once, of those that depend on the inputs."""
    last = {name: place for place, node in enumerate(graph.nodes) for name in node.inputs}
    live = peak = 0
    for place, node in enumerate(graph.nodes):
        live += _moving(known[node.outputs[0]])
        peak = max(peak, live)
        gone = {name for name in (*node.inputs, *node.outputs) if last.get(name, place) == place}
        live -= sum(_moving(known[name]) for name in gone)
    return peak


def _moving(value: Known | None) -> int:
    return 0 if value is None or value.stored else value.elements


def _refusing(where: str, what: Callable[..., Known], *given: Any) -> Known:
    try:
        return what(*given)
    except RefusedError as error:
        raise GraphError(f"{where}: {error}") from error


def _define(known: dict[str, Known | None], name: str, value: Known) -> None:
    if name in known:
        raise GraphError(f"{name[:40]!a} is there twice")
    known[name] = value


def _check_place(tensor: Tensor, files: Mapping[str, int]) -> None:
    """Raise `GraphError` unless a stored tensor lies within a file of the bundle."""
    if tensor.raw is not None:
        return
    if tensor.file not in files:
        raise GraphError(f"would read {tensor.file[:80]!a}, which is no file of its bundle")
    end = tensor.offset + tensor.elements * ITEM_BYTES[tensor.type]
    if end > files[tensor.file]:
        raise GraphError(f"{tensor.name[:40]!a} lies behind the end of {tensor.file}")


def _check_inputs(graph: Graph, inputs: Mapping[str, Known]) -> None:
    if [one.name for one in graph.inputs] != list(inputs):
        raise GraphError(f"its inputs are not {', '.join(inputs)}")
    for one in graph.inputs:
        _check_declared(one, inputs[one.name])


def _check_declared(declared: Value, found: Known) -> None:
    fits = len(declared.shape) == len(found.shape) and all(
        size is None or size == other for size, other in zip(declared.shape, found.shape, strict=True)
    )
    if declared.type != found.type or declared.type not in (FLOAT, UINT8) or not fits:
        raise GraphError(f"{declared.name[:40]!a} is not of the type or shape that it has here")


def _output(graph: Graph, known: Mapping[str, Known | None]) -> tuple[str, Known]:
    if len(graph.outputs) != 1:
        raise GraphError(f"has {len(graph.outputs)} outputs")
    declared = graph.outputs[0]
    found = known.get(declared.name)
    if found is None or declared.name in graph.tensors:
        raise GraphError(f"does not compute its output {declared.name[:40]!a}")
    _check_declared(declared, found)
    return declared.name, found
