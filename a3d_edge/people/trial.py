"""The first opening of a detector's graph: in a process of its own, with limits, where it may crash or hang.

    graph ── read_foreign ──► one run takes what every run takes ── trial ──► remembered, opened here

What it may take grows with what was exported: a network of so many weights, for such a picture.
"""

from __future__ import annotations

import hashlib
import mmap
import stat
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import onnxruntime as ort

from a3d_edge.engine.checked import key_of, recall, remember
from a3d_edge.errors import SourceError
from a3d_edge.graphs.foreign import read_foreign
from a3d_edge.graphs.model import Value
from a3d_edge.graphs.wire import MalformedError
from a3d_edge.limited import Limits, LostError, run_limited
from a3d_edge.reading import NotReadableError, open_regular, why

__all__ = ["DetectorGraph", "read_detector", "tried"]

LARGEST = 1 << 31
"""Bytes of a graph, protobuf's limit, and of its weights beside it."""
MEMORY, OF_WEIGHTS, OF_PICTURE = 96 << 20, 6, 16
"""Bytes that a detector may take beside what the process has: at all, a byte of its files, of its input."""
CPU_S, CPU_S_MB, SILENCE_S = 2.0, 0.5, 300.0
"""Seconds of the processor to open it and run it once: at all, a MB of its files; and by the clock."""


@dataclass(frozen=True, slots=True)
class DetectorGraph:
    """A graph as it was checked: its bytes, what it takes, and how many bytes it is with its weights."""

    path: Path
    data: bytes
    inputs: tuple[Value, ...]
    size: int
    digest: str


def read_detector(path: Path, where: str) -> DetectorGraph:
    """The graph in a file, if one run tells what every run takes. Raises `SourceError`."""
    try:
        with open_regular(path, LARGEST) as file:
            if file.seek(0, 2) == 0:
                raise MalformedError("it is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as there:  # of holes nothing is read
                found = read_foreign(there)
                data = there[:]
        sha, size = hashlib.sha256(data), len(data)
        for name in sorted(found.files):
            size += _hashed(path, name, sha)
    except MalformedError as error:
        raise SourceError(f"{where}: {error}; name a detector's ONNX graph, as it was exported") from error
    except OSError as error:
        raise SourceError(f"{where}: cannot be read ({why(error)})") from error
    return DetectorGraph(path, data, found.inputs, size, sha.hexdigest())


def _hashed(graph: Path, name: str, sha: Any) -> int:
    """The bytes of a file of weights. Raises `MalformedError` for one that is not beside its graph."""
    if name not in (f"{graph.name}.data", f"{graph.name}_data", f"{graph.stem}.data"):
        raise MalformedError(f"it would read {name[:80]!a}, which is no file of its weights")
    beside = graph.with_name(name)
    if not stat.S_ISREG(beside.lstat().st_mode):
        raise NotReadableError(f"{name} beside it is no regular file")
    with open_regular(beside, LARGEST) as file:
        size = 0
        while block := file.read(1 << 20):
            sha.update(block)
            size += len(block)
    return size


def tried(graph: DetectorGraph, described: Path, asked: str, pixels: int, where: str) -> None:
    """Open and run it once in a process with limits, unless that was done here before. ``asked``: how it is
    described; ``pixels`` of its input. Raises `SourceError`, `ResourceError`."""
    key = key_of("detector", ort.__version__, graph.digest, asked)
    if recall(key) is not None:
        return
    memory = MEMORY + OF_WEIGHTS * graph.size + OF_PICTURE * 12 * pixels
    cpu_s = ceil(CPU_S + CPU_S_MB * graph.size / 1e6)
    task = {"path": str(described.absolute()), "digest": graph.digest, "memory": memory, "cpu_s": cpu_s}
    limits = Limits(memory + (4 << 30), cpu_s + 120, SILENCE_S)  # until its libraries are there
    try:
        for _ in run_limited("a3d_edge.people.onnx_detector", "try_apart", task, limits):
            pass
    except LostError as error:
        raise SourceError(f"{where}: cannot be opened ({error}); do not use it") from error
    remember(key, {})
