"""How much a cache may keep on the disk, and what goes first when that is full."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

__all__ = ["Usage", "least_used", "share_of_disk"]

SHARE_OF_FREE, CAP = 0.1, 2 * 10**9
"""Of the disk that is free, and at the most: all rows of a Slow R-50 are 1.1 GB."""

What = TypeVar("What")


class Usage(NamedTuple):
    """What a cache holds: entries, their bytes, and how many those may be."""

    entries: int
    bytes: int
    limit: int


def share_of_disk(folder: Path, held: int) -> int:
    """Bytes: a tenth of the disk that is free, or was before ``held`` were put there, no more than 2 GB."""
    existing = next((one for one in (folder, *folder.parents) if os.path.exists(one)), Path("/"))  # noqa: PTH110
    try:
        return min(CAP, int(SHARE_OF_FREE * (shutil.disk_usage(existing).free + held)))
    except OSError:
        return 0


def least_used(entries: Iterable[tuple[float, int, What]], most: int) -> list[What]:
    """What to delete so that ``most`` bytes are left at the most, of (when used, bytes, what): least recent
    first."""
    ordered = sorted(entries, key=lambda entry: entry[0])
    total = sum(size for _, size, _ in ordered)
    doomed: list[What] = []
    for _, size, what in ordered:
        if total <= most:
            break
        doomed.append(what)
        total -= size
    return doomed
