"""Write files and directories so that an interruption leaves the old or the new one, never half of one.

Modes are as of anything else that the user makes: what replaces something keeps the mode of that, what is new
has what the umask leaves. The kernel applies it, for to ask for a umask is to change it for all threads.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from a3d_edge.disk import why
from a3d_edge.errors import ResourceError

__all__ = ["new_directory", "sync", "write_atomically"]

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux' renameat2(2)


def write_atomically(path: Path, write: Callable[[Path], None], *, flush: bool = True) -> None:
    """Call ``write`` with a temporary path beside ``path``, flush it to disk and rename it into place.

    Not ``flush``: quicker, and whole also when the process is killed, but perhaps not when the power fails.
    Raises `ResourceError` when the disk is full or not writable; an older file is then unharmed.
    """
    temporary = _beside(path)
    try:
        kept = _mode(path) & 0o777 if path.is_file() else None
        mode = 0o666 if kept is None else kept | 0o600  # from the start: what is private is so while written
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written ({why(error, path)}); name another place") from error
    try:
        given = _mode(temporary)
        write(temporary)
        if flush:
            sync(temporary)
        _set_mode(temporary, given if kept is None else kept)
        temporary.replace(path)
        if flush:
            sync(path.parent)
    except OSError as error:
        raise _failed(path, error, temporary) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """A temporary directory beside ``target`` that takes its place when the block ends without an error.

    Every file is flushed to disk first. On any error, or Ctrl-C, an older ``target`` is as it was.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        kept = _mode(target) if target.is_dir() else None
        work = _beside(target)
        work.mkdir(mode=0o777 if kept is None else kept | 0o700)
    except OSError as error:
        raise ResourceError(
            f"{target}: cannot be written ({why(error, target)}); name another place"
        ) from error
    try:
        yield work
        for file in sorted(work.rglob("*")):
            if file.is_file():
                sync(file)
        if kept is not None:
            _set_mode(work, kept)
        _swap(work, target)
    except OSError as error:
        raise _failed(target, error, work) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A name that nothing has, in the same folder."""
    return path.parent / f".{path.name}.{secrets.token_hex(6)}.tmp"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _set_mode(path: Path, mode: int) -> None:
    if _mode(path) != mode:  # some disks have no modes, and refuse to set any
        path.chmod(mode)


def _swap(work: Path, target: Path) -> None:
    """Put ``work`` where ``target`` is, in one step of the file system; what was there is then removed."""
    sync(work)
    if not target.exists():
        work.rename(target)
    elif not _exchange(work, target):
        _replace(work, target)
    sync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths atomically (Linux renameat2); False where that does not exist."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done: int = renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    return done == 0


def _replace(work: Path, target: Path) -> None:
    """In two steps, where there is no atomic one; the old one is put back when the second fails."""
    old = work.with_suffix(".old")
    target.rename(old)
    try:
        work.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _failed(path: Path, error: OSError, work: Path) -> ResourceError:
    """``work``, what was written so far, is removed."""
    files = [file for file in (work, *work.rglob("*")) if file.is_file()]
    written = sum(file.stat().st_size for file in files)
    shutil.rmtree(work, ignore_errors=True) if work.is_dir() else work.unlink(missing_ok=True)
    said = why(error, path.parent, written, more=True)
    return ResourceError(f"{path}: writing failed ({said}); nothing was changed")


def sync(path: Path) -> None:
    """Flush a file's or a directory's content to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
