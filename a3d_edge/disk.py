"""A disk that is full, in words: what the system said, what was needed, and what is free."""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["FULL", "free_bytes", "megabytes", "why"]

FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def free_bytes(place: Path) -> int | None:
    """Bytes that the disk of a path, or of the nearest folder above it, has for us; None: unknown."""
    there = next((path for path in (place, *place.absolute().parents) if path.exists()), None)
    try:
        status = os.statvfs(there or "/")
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def megabytes(size: float) -> str:
    """In MB of 1e6 bytes, small ones to 10 kB, and below that in bytes."""
    if size < 10e3:
        return f"{size:.0f} bytes"
    return f"{size / 1e6:.2f} MB" if size < 10e6 else f"{size / 1e6:.0f} MB"


def why(error: Exception | None, place: Path, needed: int = 0, *, more: bool = False) -> str:
    """What the system said; of a full disk also how many bytes were ``needed`` (or ``more``), and are free.

    Of an error of ours it is what it came from; None: the disk is too full to try. numpy's short writes bring
    a sentence and no number.
    """
    cause = error if error is None or isinstance(error, OSError) else error.__cause__
    said = os.strerror(errno.ENOSPC) if error is None else getattr(cause, "strerror", None) or str(error)
    if error is not None and (not isinstance(cause, OSError) or cause.errno not in (*FULL, None)):
        return said
    free = free_bytes(place)
    needs = f" needs {'more than ' if more else ''}{megabytes(needed)}," if needed else ""
    return said if free is None else f"{said}:{needs} {megabytes(free)} free"
