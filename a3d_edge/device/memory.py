"""What memory this machine has and leaves us, and what of it a process holds: readings, no policy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from a3d_edge.device.cgroups import group_directories, memory_free, memory_limit

__all__ = ["anonymous_bytes", "anonymous_mb", "free_bytes", "memory_rooms", "total_bytes"]


def total_bytes(root: Path = Path("/")) -> float | None:
    """The machine's memory, or the container's limit. ``root`` holds ``proc`` and ``sys``."""
    machine = _kilobytes(root / "proc/meminfo", "MemTotal")
    if machine is None:
        return None
    limits = [memory_limit(group) for group in group_directories(root, "memory")]
    return min([float(machine), *(limit for limit in limits if limit is not None)])


def free_bytes(root: Path = Path("/")) -> float:
    """The machine's free memory, or what a tighter cgroup leaves us. ``root`` as in `total_bytes`."""
    rooms = memory_rooms(psutil.virtual_memory(), group_directories(root, "memory"))
    return min(free for free, _ in rooms)


def memory_rooms(machine: Any, groups: Iterable[Path]) -> list[tuple[float, float]]:
    """(free, limit) of the ``machine``, as psutil tells it, and of each memory cgroup that has a limit."""
    within = (memory_free(group, machine.total) for group in groups)
    return [(float(machine.available), float(machine.total)), *(room for room in within if room is not None)]


def anonymous_bytes(process: int | str = "self") -> int | None:
    """Anonymous memory of a process that is resident; None where the kernel does not tell (not Linux)."""
    return _kilobytes(Path(f"/proc/{process}/status"), "RssAnon")


def anonymous_mb(process: int | str = "self") -> float | None:
    """The same in MB, 1e6 bytes."""
    now = anonymous_bytes(process)
    return None if now is None else now / 1e6


def _kilobytes(path: Path, key: str) -> int | None:
    """The bytes of a line ``key:  number kB``."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(rf"^{key}:\s*(\d+) kB", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else None
