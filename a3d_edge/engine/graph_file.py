"""A graph as it was verified: an engine is given these bytes, whatever lies at their path by then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from a3d_edge.engine.checked import key_of, recall, remember
from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.errors import BundleError
from a3d_edge.external_data import check_locations
from a3d_edge.graphs.check import GraphError, Limits, check_static, parsed
from a3d_edge.graphs.model import FLOAT, GRAPH_BYTES, Graph
from a3d_edge.graphs.values import Known
from a3d_edge.reading import read_regular

__all__ = ["FileSum", "GraphFile", "Known", "check_graphs"]


class FileSum(NamedTuple):
    """What a manifest says of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class GraphFile:
    """A graph's bytes and where they lie; ``needs``: the files beside it that hold its tensors."""

    path: Path
    data: bytes = field(repr=False)
    needs: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, expected: FileSum | None = None) -> GraphFile:
        """The graph of a file. Raises `BundleError` when it cannot be read, or is not as ``expected``."""
        if path.suffix != ".onnx":  # engines tell other formats by the name
            raise BundleError(f"{path}: a graph's name must end in .onnx; export the bundle again")
        try:
            data = read_regular(path, GRAPH_BYTES)
        except OSError as error:
            raise BundleError(
                f"{path}: cannot be read ({error.strerror}); the bundle is incomplete"
            ) from error
        if expected is not None and hashlib.sha256(data).hexdigest() != expected.sha256:
            raise BundleError(
                f"{path}: altered since it was verified (SHA-256 differs); copy the bundle again"
            )
        return cls(path, data)

    @property
    def name(self) -> str:
        """The file's."""
        return self.path.name

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


def check_graphs(
    graphs: Mapping[str, GraphFile],
    pictures: Mapping[str, tuple[int, ...]],
    files: Mapping[str, FileSum],
    classes: int,
    work: float,
    boxes: Sequence[str] = (),
) -> dict[str, GraphFile]:
    """The graphs of a configuration by stage, with what they need, if they are such as an export writes.

    ``pictures``: shapes of a whole window's, by the name of the input; ``files``: the bundle's; ``boxes``:
    the clip stage's inputs for them. Nothing runs.
    What has passed on this device is not taken apart again (`a3d_edge.engine.checked`).
    Raises `BundleError`.
    """
    sizes = sorted((name, one.bytes) for name, one in files.items())
    read = [part for stage, graph in graphs.items() for part in (stage, graph.data)]
    people = (tuple(boxes), MOST_PEOPLE) if boxes else ()
    key = key_of(*read, tuple(pictures.items()), sizes, classes, work, *people)
    needs = recall(key)
    if needs is None or set(needs) != set(graphs):
        needs = _needs(graphs, pictures, Limits(dict(sizes), work), classes, boxes)
        remember(key, needs)
    return {stage: replace(graph, needs=needs[stage]) for stage, graph in graphs.items()}


def _needs(
    graphs: Mapping[str, GraphFile],
    pictures: Mapping[str, tuple[int, ...]],
    limits: Limits,
    classes: int,
    boxes: Sequence[str],
) -> dict[str, tuple[str, ...]]:
    """The files that each graph needs, all of them checked. Raises `BundleError`."""
    inputs = {name: Known(FLOAT, shape) for name, shape in pictures.items()}
    needs = {}
    for stage, graph in graphs.items():
        try:
            found = parsed(graph.data)
            if stage == "frame":
                _check_frame_stage(found, inputs, limits)
            counts = (1, MOST_PEOPLE) if boxes and stage != "frame" else (1,)
            for count in counts:
                people = {name: Known(FLOAT, (count, 4)) for name in boxes if stage != "frame"}
                name, given = check_static(found, {**inputs, **people}, limits)
                wanted = "features" if stage == "frame" else "logits"
                if name != wanted or (stage != "frame" and given.shape != (count, classes)):
                    raise GraphError(
                        f"gives {name[:40]!a} {given.shape}, not the {wanted} of {classes} classes"
                    )
        except GraphError as error:
            check_locations(graph.path, graph.data, limits.files)  # where that is what is wrong, it says so
            raise BundleError(f"{graph.path}: {error}; do not use it, or export the bundle again") from error
        needs[stage] = tuple(sorted({one.file for one in found.tensors.values() if one.raw is None}))
        inputs = {name: given._replace(stored=False)}
    return needs


def _check_frame_stage(graph: Graph, inputs: Mapping[str, Known], limits: Limits) -> None:
    """Frames come one at a time, or several at once: what is known of one holds of any number."""
    if any(node.op == "Shape" for node in graph.nodes):
        raise GraphError("computes something of how many frames there are")
    check_static(graph, {n: Known(FLOAT, (1, *one.shape[1:])) for n, one in inputs.items()}, limits)
