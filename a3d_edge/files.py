"""Write files and directories so that an interruption leaves the old or the new one, never half of one."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from a3d_edge.errors import ResourceError

__all__ = ["new_directory", "sync", "write_atomically"]

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux' renameat2(2)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` with a temporary path beside ``path``, flush it to disk and rename it into place.

    Raises `ResourceError` when the disk is full or not writable; an older file is then unharmed.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written ({error.strerror}); name another place") from error
    temporary = Path(name)
    try:
        write(temporary)
        sync(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise ResourceError(f"{path}: writing failed ({_reason(error)}); nothing was changed") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """A temporary directory beside ``target`` that takes its place when the block ends without an error.

    Every file is flushed to disk first. On any error, or Ctrl-C, an older ``target`` is as it was.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    except OSError as error:
        raise ResourceError(f"{target}: cannot be written ({error.strerror}); name another place") from error
    try:
        yield work
        for file in sorted(work.rglob("*")):
            if file.is_file():
                file.chmod(0o644)
                sync(file)
        work.chmod(0o755)
        _swap(work, target)
    except OSError as error:
        raise ResourceError(f"{target}: writing failed ({_reason(error)}); nothing was changed") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


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


def _reason(error: OSError) -> str:
    """What the system said; numpy's short writes bring a sentence and no error number."""
    return error.strerror or str(error)


def sync(path: Path) -> None:
    """Flush a file's or a directory's content to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
