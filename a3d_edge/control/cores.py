"""How many cores this process really has: those it may run on, and what its container's quota pays for."""

from __future__ import annotations

import os
from pathlib import Path

from a3d_edge.control.cgroups import cpu_quota, group_directories

__all__ = ["affinity", "available_threads"]


def available_threads(root: Path = Path("/")) -> int:
    """Threads that can run at once: cores of the affinity mask, or the whole cores of a tighter CPU quota.

    A quota is rounded down: with a thread more, all of them are stopped together for the rest of each period.
    At least 1. ``root`` holds ``proc`` and ``sys``.
    """
    cores = len(affinity(os.cpu_count() or 1))
    quota, _ = cpu_quota(group_directories(root, "cpu"))
    return max(1, cores if quota is None else min(cores, int(quota)))


def affinity(cores: int) -> list[int]:
    """Indices of those of a machine's cores that this process may run on."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(cores))
    allowed = [core for core in sorted(os.sched_getaffinity(0)) if core < cores]
    return allowed or list(range(cores))
