"""A bounded folder of prepared networks: found by what they depend on, checked, the oldest of use deleted.

    w1.00-s224-t8-0f3a…/     one entry: a configuration of a bundle, for an engine and a processor
        entry.json           what it depends on (its identity), size and CRC-32 of every other file
        w1.00.frame.onnx …   what the engine wrote
    .a3d-edge-….tmp/         one that is being made or deleted; renamed when it is whole

Several processes may use one folder: entries come and go by a rename, and mapped files outlive their names.
Checksums are for damage, not against forgery: the folder is the user's own and nobody else may write to it.

Whatever else lies in the folder is neither counted nor touched: only a real folder with such a name, whose
``entry.json`` says that it is ours and whose every file we could have written, is ever deleted.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from a3d_edge.engine.cache.bounds import Usage, least_used
from a3d_edge.private_folder import make_private, refuse_shared

__all__ = ["Store", "describe_entry", "folder_bytes", "own_entries"]

Identity = Mapping[str, str]

ENTRY = "entry.json"
PREFIX, SUFFIX = ".a3d-edge-", ".tmp"
NAME = re.compile(r"(w\d+\.\d+-s\d+-t\d+(?:-\w+)?)-([0-9a-f]{16})")
WORK = re.compile(re.escape(PREFIX) + r"[0-9a-f]{16}" + re.escape(SUFFIX))
FILE = re.compile(r"[^/]+\.(?:onnx|data)|" + re.escape(ENTRY))
"""What lies in an entry: graphs, their weights, the record."""
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
        if not os.path.lexists(folder):
            return None
        refuse_shared(self.root)
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
        make_private(self.root)
        refuse_shared(self.root)
        self._sweep()
        self._make_room(needed, None)
        work = self._new_name()
        work.mkdir(mode=0o700)
        try:
            with _locked(work):
                _write_record(work, identity, {})  # by which it is known as ours, should we be killed
                yield work
                self._put(work, identity)
        finally:
            _remove(work)
        self._make_room(0, self._folder(identity))

    def discard(self, identity: Identity) -> None:
        """Delete the entry of an identity, if there is one, also when its record is what is damaged.

        Raises `PermissionError` where something else has its name.
        """
        folder = self._folder(identity)
        if os.path.lexists(folder):
            if not _holds_only_ours(folder):
                raise PermissionError(f"{folder} is none of our folders; move it away")
            self._delete(folder)

    def usage(self) -> Usage:
        """What the folder holds now."""
        entries = own_entries(self.root) if self.root.exists() else []
        return Usage(len(entries), sum(map(folder_bytes, entries)), self.limit)

    def clear(self) -> Usage:
        """Delete every entry, and what killed processes were making; what there was."""
        before = self.usage()
        if self.root.exists():
            refuse_shared(self.root)
            for folder in own_entries(self.root):
                self._delete(folder)
            self._sweep()
        return before

    def _folder(self, identity: Identity) -> Path:
        return self.root / f"{identity['configuration']}-{_key(identity)}"

    def _new_name(self) -> Path:
        return self.root / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"

    def _is_sound(self, folder: Path, identity: Identity) -> bool:
        try:
            status, listed = folder.lstat(), _record(folder)["files"]
            if not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o022 or not listed:
                return False
            if _identity(folder) != dict(identity) or not all(_is_ours(folder, name) for name in listed):
                return False
            files = {folder / name: found for name, found in listed.items()}
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
        kept = 0 if keep is None else folder_bytes(keep)
        others = (one for one in own_entries(self.root) if one != keep)
        entries = ((_used(folder), folder_bytes(folder), folder) for folder in others)
        for folder in least_used(entries, self.limit - needed - kept):
            self._delete(folder)

    def _delete(self, folder: Path) -> None:
        """By another name first: nobody sees half of one."""
        self._checked.pop(folder, None)
        doomed = self._new_name()
        with suppress(OSError):
            folder.rename(doomed)
            folder = doomed
        _remove(folder)

    def _sweep(self) -> None:
        """Delete what killed processes were making: nobody holds its lock. One just begun may lack it yet."""
        for work in self.root.glob(f"{PREFIX}*{SUFFIX}"):
            with suppress(OSError):
                if not WORK.fullmatch(work.name) or not _holds_only_ours(work) or _identity(work) is None:
                    continue
                with _locked(work):
                    if time.time() - work.stat().st_mtime > YOUNG_S:
                        _remove(work)


def describe_entry(folder: Path, identity: Identity) -> None:
    """Write the list of a folder's files, which makes it an entry. Raises `OSError`."""
    written = [one for one in sorted(folder.iterdir()) if one.name != ENTRY]
    files = {one.name: {"bytes": one.stat().st_size, "crc32": _checksum(one)} for one in written}
    _write_record(folder, identity, files)


def own_entries(root: Path) -> list[Path]:
    """The entries of a folder: by their names, which their records confirm. Raises `OSError`."""
    return [one for one in root.iterdir() if _is_entry(one)]


def _is_entry(folder: Path) -> bool:
    named = NAME.fullmatch(folder.name)
    if named is None or not _holds_only_ours(folder):
        return False
    identity = _identity(folder)
    return identity is not None and (identity.get("configuration"), _key(identity)) == named.groups()


def _holds_only_ours(folder: Path) -> bool:
    """Whether it is a real folder of this user, with nothing in it that we could not have written."""
    with suppress(OSError):
        status = folder.lstat()
        mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        return mine and all(_is_ours(folder, path.name) for path in folder.iterdir())
    return False


def _is_ours(folder: Path, name: str) -> bool:
    """Whether it is a real file that we could have written; a name from a record may lead elsewhere."""
    return FILE.fullmatch(name) is not None and stat.S_ISREG((folder / name).lstat().st_mode)


def _record(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / ENTRY).read_bytes())
    if not isinstance(content, dict):
        raise ValueError(content)
    return content


def _identity(folder: Path) -> dict[str, Any] | None:
    """What an entry depends on; None where no readable record of ours says so."""
    with suppress(OSError, ValueError, KeyError, RecursionError):
        found = _record(folder)["identity"]
        return found if isinstance(found, dict) else None
    return None


def _key(identity: Identity) -> str:
    return hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode()).hexdigest()[:16]


def _write_record(folder: Path, identity: Identity, files: Mapping[str, Any]) -> None:
    (folder / ENTRY).write_text(json.dumps({"identity": dict(identity), "files": files}, indent=1))


def _remove(folder: Path) -> None:
    """What we could have written in it, the record last, and then the folder, if that was all."""
    with suppress(OSError):
        files = [path for path in folder.iterdir() if _is_ours(folder, path.name)]
        for path in sorted(files, key=lambda path: path.name == ENTRY):
            path.unlink(missing_ok=True)
        folder.rmdir()


def folder_bytes(folder: Path) -> int:
    """What the files of a folder take; 0 when it has gone."""
    total = 0
    with suppress(OSError):
        for file in folder.iterdir():
            total += file.lstat().st_size
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
