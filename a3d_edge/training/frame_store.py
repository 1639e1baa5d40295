"""A bounded folder of decoded clips: found by a key, those used least recently deleted.

    0f3a….npy        when the frames are, their takes and sizes, where each ends in
    0f3a….pictures   the frames, compressed (`a3d_edge.training.packed`), one after the other
    .0f3a….….tmp     one that is being written; renamed when it is whole

Several processes may use one folder, which may be deleted at any time: what is mapped outlives its name.
Whatever else lies in the folder is neither counted nor touched.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import time
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from numpy.typing import NDArray

from a3d_edge.engine.cache.bounds import Usage, least_used, share_of_disk
from a3d_edge.errors import DataWarning, ResourceError
from a3d_edge.files import write_atomically
from a3d_edge.folders import usable_folder, user_folder
from a3d_edge.training.packed import Image, PackedPictures, Packer

__all__ = ["FrameStore", "StoredFrames", "cache_folder", "usual_folder"]

NAME = re.compile(r"([0-9a-f]{24})\.(?:npy|pictures|npz|bgr)")
"""What is ours; ``.npz`` and ``.bgr`` are of older versions, which kept plain pixels and had no bound."""
WORK = re.compile(r"\.[0-9a-f]{24}\.(?:npy|pictures|npz|bgr)\.[0-9a-f]{12}\.tmp")
OLD_S = 3600.0
"""When what somebody was writing is taken for left behind."""
ROOM, SEEN_EVERY = 0.9, 0.05
"""Of the limit: to what a full folder is cleared, and after how much written it is looked at again: to look
asks for every file, and others write too."""


INDEX = np.dtype([("time", "f8"), ("take", "i8"), ("shape", "i4", (2,)), ("end", "i8")])


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """Frames by place, their times (s) and takes."""

    pictures: PackedPictures
    times: NDArray[np.float64]
    takes: NDArray[np.intp]


class FrameStore:
    """The folder ``root``, which holds ``limit`` bytes at the most: from the disk if not given."""

    def __init__(self, root: Path, limit: int | None = None) -> None:
        self.root = root
        self.limit = share_of_disk(root, self._bytes()) if limit is None else limit
        self._unseen: int | None = None

    def usage(self) -> Usage:
        """What is there now."""
        return Usage(sum(1 for _ in self._entries()), self._bytes(), self.limit)

    def _bytes(self) -> int:
        return sum(size for _, size, _ in self._entries())

    def find(self, key: str) -> StoredFrames | None:
        """The entry of a key, used now; None where there is none, or one that is damaged."""
        index, pictures = self._paths(key)
        found = _mapped(index, pictures)
        if found is not None:
            with suppress(OSError):  # a read-only disk, or deleted meanwhile
                os.utime(index)
        return found

    def holds(self, key: str) -> bool:
        """Whether there is an entry, of which nothing is read."""
        return all(path.exists() for path in self._paths(key))

    def write(self, key: str, frames: Iterable[tuple[Image, float, int]]) -> StoredFrames:
        """Write an entry of (picture, its time, its take), one picture in memory at a time; then make room.

        Raises `ResourceError`, and whatever ``frames`` raises.
        """
        index, pictures = self._paths(key)
        rows: list[tuple[float, int, tuple[int, int], int]] = []

        def write(temporary: Path) -> None:
            packer = Packer()
            with temporary.open("wb") as file:
                for image, time_s, take in frames:
                    file.write(packer.pack(image))
                    rows.append((time_s, take, (image.shape[0], image.shape[1]), file.tell()))

        write_atomically(pictures, write)
        write_atomically(index, lambda temporary: _write_index(temporary, np.array(rows, INDEX)))
        made = _mapped(index, pictures)
        if made is None:
            raise ResourceError(f"{self.root}: what was written there cannot be read; name another `cache`")
        self._unseen = None if self._unseen is None else self._unseen + rows[-1][-1]
        if self._unseen is None or self._unseen > SEEN_EVERY * self.limit:
            self._make_room(key)
        return made

    def clear(self) -> Usage:
        """Delete all that is ours; what that was."""
        before = self.usage()
        for _, _, files in self._entries():
            _delete(files)
        _delete(path for path in self._files() if WORK.fullmatch(path.name))
        return before

    def _paths(self, key: str) -> tuple[Path, Path]:
        return self.root / f"{key}.npy", self.root / f"{key}.pictures"

    def _make_room(self, keep: str) -> None:
        """Where there is too much, delete what was used least recently, and what was left behind; never what
        was just written."""
        entries = list(self._entries())
        self._unseen = 0
        if sum(size for _, size, _ in entries) <= self.limit:
            return
        kept = sum(size for _, size, files in entries if files[0].stem == keep)
        others = [entry for entry in entries if entry[2][0].stem != keep]
        for files in least_used(others, int(ROOM * self.limit) - kept):
            _delete(files)
        young = time.time() - OLD_S
        _delete(path for path in self._files() if WORK.fullmatch(path.name) and _status(path)[0] < young)

    def _entries(self) -> Iterator[tuple[float, int, list[Path]]]:
        """(when used, bytes, files) of every clip."""
        files: dict[str, list[Path]] = {}
        for path in self._files():
            if (named := NAME.fullmatch(path.name)) is not None:
                files.setdefault(named[1], []).append(path)
        for there in files.values():
            found = [_status(path) for path in there]
            yield max(used for used, _ in found), sum(size for _, size in found), there

    def _files(self) -> list[Path]:
        try:
            return [path for path in self.root.iterdir() if not path.is_symlink() and path.is_file()]
        except OSError:
            return []


def usual_folder() -> Path:
    """``$XDG_CACHE_HOME/a3d-edge/frames``, or below ``~/.cache``."""
    return user_folder("XDG_CACHE_HOME", ".cache") / "frames"


def cache_folder(folder: str | Path | None) -> Path:
    """Where decoded frames are kept if no ``folder`` is named; for this process only where that cannot be.

    Raises `ResourceError` when there is no other place either.
    """
    if folder is not None:
        return Path(folder)
    usual = usual_folder()
    try:
        return usable_folder(usual)
    except OSError as error:
        place = _folder_of_this_process()
        warnings.warn(
            f"{usual}: cannot keep decoded frames ({error.strerror}); they are in {place} until the end, see "
            "`cache`", DataWarning, stacklevel=2,
        )  # fmt: skip
        return place


def _folder_of_this_process() -> Path:
    try:
        place = mkdtemp(prefix="a3d-edge-frames-")
    except OSError as error:
        raise ResourceError(f"no folder for decoded frames ({error}); name one by `cache`") from error
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


def _status(path: Path) -> tuple[float, int]:
    """When a file was used, and its bytes; nothing of one that has gone."""
    try:
        status = path.stat()
    except OSError:
        return 0.0, 0
    return status.st_mtime, status.st_size


def _delete(files: Iterable[Path]) -> None:
    for path in files:
        with suppress(OSError):
            path.unlink()


def _write_index(path: Path, rows: NDArray[np.void]) -> None:
    with path.open("wb") as file:
        np.save(file, rows)


def _mapped(index: Path, pictures: Path) -> StoredFrames | None:
    """An entry of the folder; None where there is none, or one that is damaged."""
    try:
        rows = np.load(index)
        if rows.dtype != INDEX or pictures.stat().st_size != rows["end"][-1]:
            return None
        with pictures.open("rb") as file:
            values = mmap(file.fileno(), 0, access=ACCESS_READ)
    except (OSError, ValueError, IndexError, EOFError, AttributeError, zipfile.BadZipFile):
        return None
    times, takes, shapes, ends = (np.ascontiguousarray(rows[name]) for name in rows.dtype.names)
    starts = np.concatenate([[0], ends[:-1]])
    return StoredFrames(PackedPictures(values, starts, ends, shapes), times, takes)
