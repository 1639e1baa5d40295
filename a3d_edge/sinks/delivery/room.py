"""Why a disk takes nothing, in bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["free_bytes", "lacking"]


def free_bytes(place: Path) -> int | None:
    """What the disk of a place has left; None where it cannot be asked."""
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def lacking(place: Path, needed: int, error: Exception | None = None) -> str:
    """``/clips: needs 812 bytes, 0 are free``; another reason where there is room enough."""
    free = free_bytes(place)
    if free is not None and (free < needed or error is None or "space" in str(error).lower()):
        return f"{place}: needs {needed:,} bytes, {free:,} are free"
    reason = getattr(error, "strerror", None) or str(error)
    return f"{place}: cannot be written ({reason})"
