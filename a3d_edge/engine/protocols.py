"""What an engine is, and what its makers share: `a3d_edge.engine.engines` finds them by name."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from a3d_edge.engine.graph_file import GraphFile
from a3d_edge.errors import BundleError

__all__ = ["Engine", "PreparingEngine", "Stage", "Tensors", "path_text", "reason", "trim_heap"]

Tensors = Mapping[str, NDArray[Any]]


class Stage(Protocol):
    """A loaded graph."""

    @property
    def rows(self) -> int:
        """How many rows of its input it computes at once most quickly, if it looks at each by itself."""

    def run(self, inputs: Tensors) -> NDArray[Any]:
        """The graph's output. Raises `ResourceError` when it cannot be computed."""


class Engine(Protocol):
    """Opens graphs."""

    @property
    def name(self) -> str:
        """As `find_engine` takes it."""

    @property
    def volumes(self) -> bool:
        """Whether clip stages of rank 5 are to be opened: three-dimensional convolutions are quick here."""

    def open(
        self, graph: GraphFile, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> Stage:
        """Load a graph whose stored tensors of these names have other values.

        ``shapes``: those of its inputs in this configuration. A graph with as many output rows as input rows
        (the frame stage) looks at each row by itself, and may be run with any number of them.
        Raises `BundleError` when the engine refuses the graph, `ResourceError` when memory is short.
        """


@runtime_checkable
class PreparingEngine(Engine, Protocol):
    """An engine that can write an opened graph to disk as it runs it: opened again, it is mapped, not made.

    See `a3d_edge.engine.cache.prepared`, which keeps them.
    """

    @property
    def prepared_form(self) -> str | None:
        """What its prepared graphs depend on beside the processor: a library's version. None: it has none."""

    def write_prepared(
        self, graph: GraphFile, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], folder: Path
    ) -> None:
        """Write what `open` would load into files of ``folder`` whose names begin with the graph's.

        Raises `BundleError` when the engine refuses the graph or cannot write.
        """

    def open_prepared(
        self, folder: Path, graph: str, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> Stage:
        """Load what was written for the graph of that file name. Raises as `open` does."""


def reason(error: Exception) -> str:
    """An engine's message in one short line."""
    return " ".join(str(error).split())[:200]


def path_text(path: Path) -> str:
    """A path as libraries want it that take UTF-8 only, whatever the locale. Raises `BundleError`."""
    try:
        return os.fsencode(path).decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: the name is not UTF-8; rename the folder") from error


def trim_heap() -> None:
    """Give back what loading left: 400 → 155 MB for ONNX Runtime and a width-1.0 Slow R-50 (glibc only)."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return
