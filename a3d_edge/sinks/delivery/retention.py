"""Which clips and snapshots are kept: by age, and by their size together. Others' files are not touched."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

__all__ = ["keep_within", "remove_remnants"]

OURS = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{4}-\d+\.(mp4|jpg)")
REMNANT = re.compile(r"\.\d{8}T\d{9}Z-[0-9a-f]{4}-\d+\..*(part\.mp4|tmp)")


def keep_within(folder: Path, *, now_s: float, age_s: float | None, limit: int | None) -> int:
    """Delete what is older than ``age_s``, then the oldest until all take ``limit`` bytes; how many went.

    ``now_s``: seconds since 1970, as modification times are.
    """
    files = sorted((found.stat().st_mtime, found) for found in _ours(folder))
    total = sum(path.stat().st_size for _, path in files)
    deleted = 0
    for modified, path in files:
        old = age_s is not None and now_s - modified > age_s
        if not old and (limit is None or total <= limit):
            break
        total -= path.stat().st_size
        path.unlink(missing_ok=True)
        deleted += 1
    return deleted


def remove_remnants(folder: Path) -> None:
    """Of clips that a process could not finish."""
    for path in folder.iterdir():
        if REMNANT.fullmatch(path.name) and path.is_file():
            with suppress(OSError):
                path.unlink()


def _ours(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if OURS.fullmatch(p.name) and p.is_file() and not p.is_symlink()]
