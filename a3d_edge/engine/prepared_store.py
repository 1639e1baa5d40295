"""A bounded folder of prepared networks: found by what they depend on, checked, the oldest of use deleted.

    w1.00-s224-t8-0f3a…/     one entry: a configuration of a bundle, for an engine and a processor
        entry.json           what it depends on (its identity), size and CRC-32 of every other file
        w1.00.frame.onnx …   what the engine wrote
    .….tmp/                  one that is being made; renamed when it is whole

Several processes may use one folder: entries come and go by a rename, and mapped files outlive their names.
Checksums are for damage, not against forgery: the folder is the user's own and nobody else may write to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["Store", "describe_entry", "folder_bytes"]

Identity = Mapping[str, str]

ENTRY = "entry.json"
PREFIX, SUFFIX = ".", ".tmp"
BLOCK = 1 << 18
YOUNG_S = 60.0


class Store:
    """The folder ``root``, which holds ``limit`` bytes at the most. Raises `OSError`, as the disk does."""

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit
        self._checked: dict[Path, tuple[Any, ...]] = {}

    def find(self, identity: Identity) -> Path | None:
        """The entry of an identity, used now; None without one. A damaged one is deleted.

        Every byte is read the first time, as those of a bundle are; later only whether the files are the same
        ones. 126 MB take 0.10 s by CRC-32 and 0.5 s by SHA-256 on a processor without instructions for it.
        """
        folder = self._folder(identity)
        if not folder.is_dir():
            return None
        self._refuse_foreign()
        if not self._is_sound(folder, identity):
            self.discard(identity)
            return None
        with suppress(OSError):  # a read-only disk
            os.utime(folder)
        return folder

    @contextmanager
    def making(self, identity: Identity, needed: int) -> Iterator[Path]:
        """A temporary folder to fill, that is the identity's entry when the block ends without an error.

        Room for ``needed`` bytes is made before.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._refuse_foreign()
        self._sweep()
        self._make_room(needed, None)
        work = Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=self.root))
        try:
            with _locked(work):
                yield work
                self._put(work, identity)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self._make_room(0, self._folder(identity))

    def discard(self, identity: Identity) -> None:
        """Delete the entry of an identity, if there is one."""
        self._delete(self._folder(identity))

    def _folder(self, identity: Identity) -> Path:
        key = hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode()).hexdigest()
        return self.root / f"{identity['configuration']}-{key[:16]}"

    def _refuse_foreign(self) -> None:
        """Raise `PermissionError` where others could put graphs of theirs."""
        status = self.root.stat()
        if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
            raise PermissionError(f"{self.root} may be written by others; 'chmod go-w' it")

    def _is_sound(self, folder: Path, identity: Identity) -> bool:
        try:
            content = json.loads((folder / ENTRY).read_bytes())
            if content["identity"] != dict(identity):
                return False
            files = {folder / name: found for name, found in content["files"].items()}
            if any(path.stat().st_size != found["bytes"] for path, found in files.items()):
                return False
            signature = tuple(_signature(path) for path in files)
            if self._checked.get(folder) != signature:
                if any(_checksum(path) != found["crc32"] for path, found in files.items()):
                    return False
                self._checked[folder] = signature
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return True

    def _put(self, work: Path, identity: Identity) -> None:
        """Rename a made entry into place. If another process was quicker, its entry stays."""
        target = self._folder(identity)
        try:
            work.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            return
        # Whoever made it has just read it: not again.
        self._checked[target] = tuple(
            _signature(target / name) for name in json.loads((target / ENTRY).read_bytes())["files"]
        )

    def _make_room(self, needed: int, keep: Path | None) -> None:
        """Delete what was used least recently until ``needed`` bytes more are within the limit."""
        entries = sorted(((_used(folder), folder) for folder in self._entries()), key=lambda one: one[0])
        total = sum(folder_bytes(folder) for _, folder in entries)
        for _, folder in entries:
            if total + needed <= self.limit:
                return
            if folder != keep:
                total -= folder_bytes(folder)
                self._delete(folder)

    def _entries(self) -> list[Path]:
        return [one for one in self.root.iterdir() if one.is_dir() and not one.name.startswith(PREFIX)]

    def _delete(self, folder: Path) -> None:
        """By another name first: nobody sees half of one."""
        self._checked.pop(folder, None)
        with suppress(OSError):
            doomed = Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=self.root))
            folder.rename(doomed)  # onto an empty folder
            folder = doomed
        shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Delete what killed processes were making: nobody holds its lock. One just begun may lack it yet."""
        for work in self.root.glob(f"{PREFIX}*{SUFFIX}"):
            with suppress(OSError), _locked(work):
                if time.time() - work.stat().st_mtime > YOUNG_S:
                    shutil.rmtree(work, ignore_errors=True)


def describe_entry(folder: Path, identity: Identity) -> None:
    """Write the list of a folder's files, which makes it an entry. Raises `OSError`."""
    files = {
        one.name: {"bytes": one.stat().st_size, "crc32": _checksum(one)} for one in sorted(folder.iterdir())
    }
    (folder / ENTRY).write_text(json.dumps({"identity": dict(identity), "files": files}, indent=1))


def folder_bytes(folder: Path) -> int:
    """What the files of a folder take; 0 when it has gone."""
    total = 0
    with suppress(OSError):
        for file in folder.iterdir():
            total += file.stat().st_size
    return total


def _used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # gone meanwhile
        return 0.0


def _signature(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _checksum(path: Path) -> int:
    found, block = 0, bytearray(BLOCK)
    view = memoryview(block)
    with path.open("rb") as file:
        while count := file.readinto(block):
            found = zlib.crc32(view[:count], found)
    return found


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process. Raises `BlockingIOError` where one is held."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
