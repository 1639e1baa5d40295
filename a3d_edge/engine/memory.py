"""What loaded networks may take, what each one does take, and a heap that gives back what loading leaves.

Amounts are bytes of anonymous memory. Mapped files, such as a bundle's weights, do not count: the kernel
drops them when it needs the room.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from a3d_edge.configuration import Configuration
from a3d_edge.device.cgroups import group_directories, memory_free
from a3d_edge.engine.engines import trim_heap
from a3d_edge.errors import UsageError
from a3d_edge.table import ConfigurationBudgetTable, Row

__all__ = [
    "Footprints",
    "anonymous_bytes",
    "anonymous_mb",
    "default_memory",
    "parse_memory",
    "tidy_heap",
    "weight_bytes",
]

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
SHARE_OF_FREE = 0.25
"""Of the memory that is free at the start, for loaded networks: a guest on the device, not its owner."""
WEIGHT_BYTES = {"fp32": 4, "int8": 1}
MAPPED_BYTES = 3_000_000
"""Graph and buffers of a network whose weights are mapped. Those of int8 are not: they are packed."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LOADING_BYTES = 64 * 2**10
RUNNING_BYTES = 32 * 2**20  # the most that glibc takes, and where its own moving threshold ends up


def parse_memory(text: str, option: str = "--memory", otherwise: str = "") -> int:
    """Bytes of ``200MB``, ``1.5GB`` or ``256MiB``. Raises `UsageError` for anything else, or nothing.

    ``option``, ``otherwise``: what the message names, and what else it may be.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]i?B)\s*", text, re.IGNORECASE)
    size = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
    if size < 1:
        kind = "an amount of memory" if option == "--memory" else "a size"
        raise UsageError(f"{option} '{text}' is not {kind}; write it like 200MB, 256MiB or 1GB{otherwise}")
    return size


def weight_bytes(row: Row) -> int:
    """What the weights of a configuration take."""
    return int(row.params_m * 1e6) * WEIGHT_BYTES[row.precision]


def default_memory(root: Path = Path("/")) -> int:
    """A quarter of the memory that is free now: the machine's, or what a tighter cgroup leaves us.

    ``root`` holds ``proc`` and ``sys``.
    """
    machine = psutil.virtual_memory()
    free = [float(machine.available)]
    for directory in group_directories(root, "memory"):
        if (found := memory_free(directory, machine.total)) is not None:
            free.append(found[0])
    return max(0, int(SHARE_OF_FREE * min(free)))


def anonymous_bytes() -> int | None:
    """Anonymous memory of this process that is resident; None where the kernel does not tell (not Linux)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"^RssAnon:\s*(\d+) kB", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def anonymous_mb() -> float | None:
    """The same in MB, 1e6 bytes."""
    now = anonymous_bytes()
    return None if now is None else now / 1e6


class Footprints:
    """Bytes that each configuration of a table takes when loaded: as measured, else the least it can be.

    That is its weights, or what is left of a network whose weights are ``mapped`` from a file.
    """

    def __init__(
        self,
        table: ConfigurationBudgetTable,
        measure: Callable[[], int | None] = anonymous_bytes,
        mapped: Callable[[Configuration], bool] = lambda configuration: False,
    ) -> None:
        self._measure, self._mapped = measure, mapped
        self._rows = {row.configuration: row for row in table.rows}
        self._measured: dict[Configuration, int] = {}

    def of(self, configuration: Configuration) -> int:
        """What to expect; 0 for a configuration that is not in the table."""
        return self._measured.get(configuration, self._least(configuration))

    @contextmanager
    def measuring(self, configuration: Configuration) -> Iterator[None]:
        """Learn from loading it in the block.

        Whatever else the process allocates or frees meanwhile is in the difference, so that no less than the
        least is believed.
        """
        before = self._measure()
        yield
        after = self._measure()
        if before is not None and after is not None:
            self._measured[configuration] = max(after - before, self._least(configuration))

    def _least(self, configuration: Configuration) -> int:
        row = self._rows.get(configuration)
        if row is None:
            return 0
        weights = weight_bytes(row)
        if not self._mapped(configuration):
            return weights
        return MAPPED_BYTES + (weights if row.precision == "int8" else 0)


@contextmanager
def tidy_heap() -> Iterator[None]:
    """While networks are loaded in the block, all but small tensors have memory of their own (glibc only).

    Loading makes and frees every weight several times over. On the heap they leave holes; a mapping of its
    own goes back to the kernel at once. Measured for a Slow R-50 of width 1.0 whose network takes 290 MB:
    the peak while loading is 305 MB instead of 384. When running, large blocks come and go with every picture
    and are better kept on the heap.
    """
    _set_thresholds(mmap=LOADING_BYTES, trim=2 * LOADING_BYTES)
    try:
        yield
    finally:
        _set_thresholds(mmap=RUNNING_BYTES, trim=2 * RUNNING_BYTES)
        trim_heap()


def _set_thresholds(mmap: int, trim: int) -> None:
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, mmap)
    mallopt(M_TRIM_THRESHOLD, trim)
