"""Whether a folder is the user's alone: nobody else writes to it, nor puts another one in its place.

Whoever may write to a folder may rename what is in it; so every folder on the way counts, and every link.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["make_private", "refuse_shared", "shared_place"]


def make_private(folder: Path) -> None:
    """Make a folder and all that lacks above it, for the user alone. Raises `OSError`."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def refuse_shared(folder: Path) -> None:
    """Raise `PermissionError`, which says what to do, where others could write to a folder or exchange it.

    Folders above may be root's, and everybody's if only owners may rename in them (`/tmp`). Raises `OSError`
    where there is no such folder.
    """
    if folder.is_symlink():
        raise PermissionError(f"{folder} is a link; name the folder itself")
    status = folder.stat()
    if status.st_mode & 0o022:
        raise PermissionError(f"{folder} may be written by others; 'chmod go-w' it")
    for place in _way(folder.absolute()):
        status = place.lstat()
        if status.st_uid not in (os.geteuid(), 0):
            raise PermissionError(f"{place} belongs to another user; name a folder of your own")
        if stat.S_ISDIR(status.st_mode) and _others_may_rename(status):
            raise PermissionError(f"{place} may be written by others; 'chmod go-w' it")


def shared_place(folder: Path) -> Path | None:
    """A folder, or a file in it, that others may write to; None if there is none that can be seen."""
    try:
        for place in (folder, *folder.iterdir()):
            status = place.stat()
            if status.st_uid not in (os.geteuid(), 0) or _others_may_write(status):
                return place
    except OSError:  # who may not look at it is told elsewhere
        pass
    return None


def _others_may_write(status: os.stat_result) -> bool:
    by_group = bool(status.st_mode & 0o020) and not _is_own_group(status.st_gid)
    return by_group or bool(status.st_mode & 0o002)


def _way(path: Path) -> Iterator[Path]:
    """Every folder and link that the kernel passes on its way to an existing path, and the path itself."""
    for place in (*reversed(path.parents), path):
        yield place
        if place.is_symlink():
            yield from _way(place.parent / place.readlink())


def _others_may_rename(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_ISVTX:
        return False
    return _others_may_write(status)


def _is_own_group(group: int) -> bool:
    """Whether it is the user's private group: their own, of their name, with nobody else in it. Where those
    are usual, so are folders that the group may write to (umask 002)."""
    try:
        name, found = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return group == os.getegid() and found.gr_name == name and set(found.gr_mem) <= {name}
