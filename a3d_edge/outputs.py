"""Where work may be written: asked before the work, so that none is lost, and no file that is there either.

exists? ─ is it an input, a folder, a device? refused ─ `overwrite`? ─ can this place be written to? tried
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from a3d_edge.disk import FULL, free_bytes, megabytes, why
from a3d_edge.errors import ResourceError, UsageError

__all__ = [
    "claim",
    "claim_folder",
    "refuse_existing",
    "refuse_input",
    "require_room",
    "require_writable",
]

TRIED = 64 * 1024  # bytes written to see whether a place takes any


def claim(
    path: Path,
    *,
    name: str = "out",
    inputs: Iterable[Path | None] = (),
    overwrite: bool = False,
    suffixes: tuple[str, ...] = (),
    instead: str = "",
) -> None:
    """Make sure that a file can be written at ``path``, and may be; nothing is changed.

    ``name``: the parameter that says where. ``inputs``: files that are read, which are never overwritten.
    ``overwrite``: whether an older file may be. ``suffixes``: how the name may end. ``instead``: what else
    helps where the file exists.
    Raises `UsageError` for a place that cannot be meant, `ResourceError` for one without room.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise UsageError(f"`{name}` {path}: unknown kind of file; end its name with {' or '.join(suffixes)}")
    _require_possible(path, name)
    if path.is_dir():
        raise UsageError(f"`{name}` {path}: is a folder; name a file to write, such as {path / 'NAME'}")
    refuse_input(path, inputs, name=name)
    if path.exists() and not path.is_file():
        raise UsageError(f"`{name}` {path}: is no plain file; name another")
    if not overwrite:
        refuse_existing(path, name=name, instead=instead)
    require_writable(path, name=name)


def claim_folder(
    path: Path, *, name: str = "out", inputs: Iterable[Path | None] = (), overwrite: bool = False
) -> None:
    """The same for a folder that is written as a whole: nothing there, or empty, or with ``overwrite``.

    The folder that one stands in, one above it, and a link to one are refused: they cannot be swapped for
    another. Whether an older folder is one that may be deleted is the writer's to say.
    """
    _require_possible(path, name)
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise UsageError(f"`{name}` {path}: is no plain folder; name another")
    whole = path.resolve()
    if whole == Path.cwd() or whole in Path.cwd().parents:
        raise UsageError(f"`{name}` {path}: is the folder you are in, or above it; name a new folder")
    if path.is_dir() and (at := next((i for i in inputs if i is not None and _within(i, whole)), None)):
        raise UsageError(f"`{name}` {path}: holds {at}, which is read; name another folder")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        refuse_existing(path, name=name)
    topmost = next(folder for folder in (whole, *whole.parents) if folder.parent.exists())
    require_writable(topmost, name=name)


def refuse_existing(path: Path, *, name: str = "out", instead: str = "") -> None:
    """Raise `UsageError` when something is there that `overwrite` would replace."""
    if path.exists() or path.is_symlink():
        raise UsageError(f"`{name}` {path}: exists; add `overwrite` to replace it, {instead}or name another")


def refuse_input(path: Path, inputs: Iterable[Path | None], *, name: str = "out") -> None:
    """Raise `UsageError` when ``path`` is one of the files that are read, by whatever name."""
    for file in inputs:
        if file is not None and _same(path, file):
            raise UsageError(f"`{name}` {path}: is {file}, which is read; name another")


def require_writable(path: Path, *, name: str = "out") -> None:
    """Write a file beside ``path`` as it will be written, and remove it.

    Raises `UsageError` where that cannot be, `ResourceError` when there is no room.
    """
    import tempfile  # few need it

    if not path.parent.is_dir():
        raise UsageError(f"`{name}` {path}: no such folder {path.parent}")
    try:
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent) as file:
            file.write(bytes(TRIED))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        reason = why(error, path.parent, TRIED)
        if error.errno in FULL:
            raise ResourceError(
                f"`{name}` {path}: cannot be written ({reason}); make room, or name another place"
            ) from error
        raise UsageError(f"`{name}` {path}: cannot be written ({reason}); name another place") from error


def require_room(path: Path, size: int, *, name: str = "out") -> None:
    """Raise `ResourceError` when the disk of a file to be written has fewer than ``size`` bytes left."""
    left = free_bytes(path.parent)
    if left is not None and left < size:
        raise ResourceError(
            f"`{name}` {path}: needs {megabytes(size)}, its disk has {megabytes(left)} left; make room, "
            "or name another place"
        )


def _require_possible(path: Path, name: str) -> None:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise UsageError(
            f"`{name}` {path}: cannot be written ({error.strerror}); name another place"
        ) from error


def _same(one: Path, other: Path) -> bool:
    """By content's place, links of both kinds included; by name where nothing is there yet."""
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def _within(file: Path, folder: Path) -> bool:
    resolved = file.resolve()
    return resolved == folder or folder in resolved.parents
