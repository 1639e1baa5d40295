"""What loaded networks may take, what each one does take, and a heap that gives back what loading leaves.

Amounts are bytes of anonymous memory. Mapped files, such as a bundle's weights, do not count: the kernel
drops them when it needs the room.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from a3d_edge.configuration import Configuration
from a3d_edge.device.memory import anonymous_bytes, free_bytes
from a3d_edge.engine.engines import trim_heap
from a3d_edge.errors import UsageError

__all__ = [
    "Footprints",
    "default_memory",
    "is_size",
    "parse_memory",
    "tidy_heap",
]

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
SHARE_OF_FREE = 0.25
"""Of the memory that is free at the start, for loaded networks: a guest on the device, not its owner."""
MAPPED_BYTES = 3_000_000
"""Graph and buffers of a network whose weights are mapped. Those of int8 are not: they are packed."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LOADING_BYTES = 64 * 2**10
RUNNING_BYTES = 32 * 2**20  # the most that glibc takes, and where its own moving threshold ends up


SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMG]i?B)\s*", re.IGNORECASE)


def is_size(text: str) -> bool:
    """Whether a text is what `parse_memory` takes, and not a file's name."""
    return SIZE.fullmatch(text) is not None


def parse_memory(text: str, name: str = "memory", otherwise: str = "") -> int:
    """Bytes of ``200MB``, ``1.5GB`` or ``256MiB``. Raises `UsageError` for anything else, or nothing.

    ``name``, ``otherwise``: the parameter that the message names, and what else it may be.
    """
    found = SIZE.fullmatch(text)
    size = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
    if size < 1:
        kind = "an amount of memory" if name == "memory" else "a size"
        raise UsageError(f"`{name}` '{text}' is not {kind}; write it like 200MB, 256MiB or 1GB{otherwise}")
    return size


def default_memory(root: Path = Path("/")) -> int:
    """A quarter of the memory that is free now; ``root`` as in `a3d_edge.device.memory.free_bytes`."""
    return max(0, int(SHARE_OF_FREE * free_bytes(root)))


class Footprints:
    """Bytes that each configuration takes when loaded: as measured, else the least it can be.

    That is its ``weights`` (bytes), or what is left of a network whose weights are ``mapped`` from a file.
    """

    def __init__(
        self,
        weights: Mapping[Configuration, int],
        measure: Callable[[], int | None] = anonymous_bytes,
        mapped: Callable[[Configuration], bool] = lambda configuration: False,
    ) -> None:
        self._measure, self._mapped = measure, mapped
        self._weights = weights
        self._measured: dict[Configuration, int] = {}

    def of(self, configuration: Configuration) -> int:
        """What to expect; 0 for a configuration that is not among them."""
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
        weights = self._weights.get(configuration, 0)
        if configuration not in self._weights or not self._mapped(configuration):
            return weights
        return MAPPED_BYTES + (weights if configuration.precision == "int8" else 0)


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
