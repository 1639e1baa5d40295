"""Inference engines by name: what opens an exported graph and runs it.

An engine is one small protocol: `Engine.open` gives a `Stage` of a graph file, some of whose stored tensors
are replaced by a configuration's own (batch-norm statistics, quantization scales). `ort:CPU` is always there;
other execution providers of ONNX Runtime go by their names (`ort:CUDA`, `ort:OpenVINO`), and OpenVINO itself
is `openvino` (an extra).
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from a3d_edge.errors import UsageError

__all__ = ["DEFAULT", "Engine", "Stage", "Tensors", "find_engine", "reason", "trim_heap"]

Tensors = Mapping[str, NDArray[Any]]

DEFAULT = "ort:CPU"


class Stage(Protocol):
    """A loaded graph."""

    def run(self, inputs: Tensors) -> NDArray[Any]:
        """The graph's output. Raises `ResourceError` when it cannot be computed."""


class Engine(Protocol):
    """Opens graphs."""

    @property
    def name(self) -> str:
        """As `find_engine` takes it."""

    def open(
        self, graph: Path, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> Stage:
        """Load a graph whose stored tensors of these names have other values.

        ``shapes``: those of its inputs in this configuration. A graph with as many output rows as input rows
        (the frame stage) looks at each row by itself, and may be run with any number of them.
        Raises `BundleError` when the engine refuses the graph, `ResourceError` when memory is short.
        """


def find_engine(name: str) -> Engine:
    """An engine by its name: ``ort:CPU``, ``ort:<provider>``, ``openvino`` or ``openvino:<device>``.

    Raises `UsageError` that says what to install for one that is not available here.
    """
    family, _, device = name.partition(":")
    if family.lower() == "ort":
        from a3d_edge.engine.ort import OrtEngine

        return OrtEngine.of(device or "CPU")
    if family.lower() == "openvino":
        if importlib.util.find_spec("openvino") is None:
            raise UsageError(f"--engine {name}: OpenVINO is not installed; pip install 'a3d-edge[openvino]'")
        from a3d_edge.engine.openvino import OpenVinoEngine

        return OpenVinoEngine.of(device or "CPU")
    raise UsageError(f"unknown --engine '{name}'; there are ort:CPU, ort:<execution provider> and openvino")


def reason(error: Exception) -> str:
    """An engine's message in one short line."""
    return " ".join(str(error).split())[:200]


def trim_heap() -> None:
    """Give back what loading left: 400 → 155 MB for ONNX Runtime and a width-1.0 Slow R-50 (glibc only)."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return
