"""Which graphs have been checked on this device: their bytes, with the shapes and files of a configuration.

    ~/.cache/a3d-edge/checked/0f3a…    one file each, named by a digest of all that the check depends on

A graph that passed once is not taken apart again. The folder is the user's alone, or it is not used: whoever
could write to it could have a graph pass that was never looked at. What cannot be kept is checked each time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from a3d_edge.folders import user_folder
from a3d_edge.private_folder import make_private, refuse_shared

__all__ = ["key_of", "recall", "remember"]

RULES = "1"
"""Of the check; another number, and all is checked anew."""
MOST, LONGEST = 4_000, 4_000
"""Files that are kept, and bytes of each."""

Needs = Mapping[str, tuple[str, ...]]


def key_of(*parts: object) -> str:
    """A digest of plain values and bytes."""
    sha = hashlib.sha256(f"{RULES} {os.geteuid()}".encode())
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode("utf-8", "backslashreplace")
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()


def recall(key: str) -> dict[str, tuple[str, ...]] | None:
    """The files that each graph needs, by stage, if all have been checked; None if that is not known."""
    folder = _folder(_place())
    if folder is None:
        return None
    try:
        with (folder / key).open("rb") as file:
            content = json.loads(file.read(LONGEST))
        return {str(stage): tuple(map(str, names)) for stage, names in content.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def remember(key: str, needs: Needs) -> None:
    """Keep that they have been checked, where that can be."""
    place = _place()
    with suppress(OSError, ValueError):
        make_private(place)
        _folder.cache_clear()
        if _folder(place) is None:
            return
        if sum(1 for _ in os.scandir(place)) >= MOST:
            for old in place.iterdir():
                old.unlink(missing_ok=True)
        work = place / f"{key}.{os.getpid()}.tmp"
        work.write_text(json.dumps({stage: list(names) for stage, names in needs.items()}))
        work.replace(place / key)


def _place() -> Path:
    return user_folder("XDG_CACHE_HOME", ".cache") / "checked"


@lru_cache(maxsize=4)
def _folder(place: Path) -> Path | None:
    """The folder, if it is the user's alone."""
    try:
        refuse_shared(place)
    except OSError:
        return None
    return place
