"""A graph as it was verified: an engine is given these bytes, whatever lies at their path by then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from a3d_edge.errors import BundleError
from a3d_edge.external_data import check_locations
from a3d_edge.graphs.check import GraphError, Limits, check_static, parsed
from a3d_edge.graphs.model import GRAPH_BYTES
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
) -> dict[str, GraphFile]:
    """The graphs of a configuration by stage, with what they need, if they are such as an export writes.

    ``pictures``: shapes of a whole window's, by the name of the input; ``files``: the bundle's. Nothing runs.
    Raises `BundleError`.
    """
    inputs = {name: Known(1, shape) for name, shape in pictures.items()}
    sizes = tuple(sorted((name, one.bytes) for name, one in files.items()))
    needed = {}
    for stage, graph in graphs.items():
        try:
            if stage == "frame":  # frames come one at a time, or all of a window's
                row = {name: Known(1, (1, *shape[1:])) for name, shape in pictures.items()}
                _checked(graph.data, tuple(row.items()), sizes, work)
            name, found, needs = _checked(graph.data, tuple(inputs.items()), sizes, work)
            wanted = "features" if stage == "frame" else "logits"
            if name != wanted or (stage != "frame" and found.shape != (1, classes)):
                raise GraphError(f"gives {name[:40]!a} {found.shape}, not the {wanted} of {classes} classes")
        except GraphError as error:
            check_locations(graph.path, graph.data, files)  # where that is what is wrong, it says so
            raise BundleError(f"{graph.path}: {error}; do not use it, or export the bundle again") from error
        needed[stage] = GraphFile(graph.path, graph.data, needs)
        inputs = {name: found._replace(stored=False)}
    return needed


@lru_cache(maxsize=256)
def _checked(
    data: bytes, inputs: tuple[tuple[str, Known], ...], sizes: tuple[tuple[str, int], ...], work: float
) -> tuple[str, Known, tuple[str, ...]]:
    """`check_static`, once for all that is the same; and the files that hold the graph's tensors."""
    graph = parsed(data)
    name, found = check_static(graph, dict(inputs), Limits(dict(sizes), work))
    return name, found, tuple(sorted({one.file for one in graph.tensors.values() if one.raw is None}))
