"""How many cores this process really has: those it may run on, and what its container's quota pays for."""

from __future__ import annotations

import os
from pathlib import Path

from a3d_edge.device.cgroups import cpu_quota, group_directories
from a3d_edge.errors import UsageError

__all__ = ["affinity", "available_threads", "checked_threads", "effective_cores"]

MOST_A_CORE = 4
"""Threads that a network may be given for each core: more only wait for one another, and take memory."""


def available_threads(root: Path = Path("/")) -> int:
    """Threads that can run at once: cores of the affinity mask, or the whole cores of a tighter CPU quota.

    A quota is rounded down: with a thread more, all of them are stopped together for the rest of each period.
    At least 1. ``root`` holds ``proc`` and ``sys``.
    """
    cores = len(affinity(os.cpu_count() or 1))
    quota, _ = cpu_quota(group_directories(root, "cpu"))
    return max(1, cores if quota is None else min(cores, int(quota)))


def effective_cores(root: Path = Path("/")) -> float:
    """Cores that affinity and quota leave us: 0.5 where the container may use half a core."""
    cores = len(affinity(os.cpu_count() or 1))
    quota, _ = cpu_quota(group_directories(root, "cpu"))
    return float(cores) if quota is None else min(float(cores), quota)


def checked_threads(threads: int | None, root: Path = Path("/")) -> int:
    """The threads asked for; `available_threads` if none were.

    Raises `UsageError` for fewer than 1, or more than `MOST_A_CORE` for each core.
    """
    if threads is None:
        return available_threads(root)
    cores = len(affinity(os.cpu_count() or 1))
    if not 1 <= threads <= MOST_A_CORE * cores:
        raise UsageError(
            f"`threads` {threads} is not from 1 to {MOST_A_CORE * cores}, {MOST_A_CORE} for each core here; "
            f"the default is {available_threads(root)}"
        )
    return threads


def affinity(cores: int) -> list[int]:
    """Indices of those of a machine's cores that this process may run on."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(cores))
    allowed = [core for core in sorted(os.sched_getaffinity(0)) if core < cores]
    return allowed or list(range(cores))
