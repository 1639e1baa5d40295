"""What waits to be delivered to one place: in a folder, so that it survives the end of the process.

000000000042.json     an alert, the numbers in their order
ID.open               an event that has started and not ended yet, as it was last told of
lock                  held by the process that uses the folder
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from a3d_edge.disk import why
from a3d_edge.errors import ResourceError
from a3d_edge.files import write_atomically
from a3d_edge.json_text import json_object, json_text

__all__ = ["Message", "Outbox"]

LIMIT = 1000
"""Messages; a file each, of well below 4 kB."""
BEST_BEFORE_BYTES = 64 * 1024  # a larger file is not one of ours
_NUMBERED = re.compile(r"\d{12}\.json")
NAMES = 16
TEXTS = ("id", "state", "label", "name", "time", "end_time")


@dataclass(frozen=True, slots=True)
class Message:
    """An alert's fields, and its number."""

    number: int
    alert: dict[str, Any]


class Outbox:
    """A queue of at most ``limit`` alerts. When it is full the oldest `updated` makes room, else the oldest.

    If the disk takes nothing, messages wait in memory alone, and ``say`` hears of it once. Of events that an
    earlier process left open an ``ended`` with the reason ``interrupted`` is put in first. ``folder`` in
    use by another process: ``folder.1`` and so on. Raises `ResourceError` when it cannot be made.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], limit: int = LIMIT) -> None:
        self.folder, self._lock = _locked(folder)
        self._say, self._limit, self._said = say, limit, False
        self._guard = threading.Lock()
        self.dropped = 0
        self.hurried = False  # no time to wait for the disk: the end of a process
        self._waiting: deque[Message] = deque(self._left())
        self._next = self._waiting[-1].number + 1 if self._waiting else 1
        for path in sorted(self.folder.glob("*.open")):
            if (alert := _read(path)) is not None:
                following = int(alert.get("seq") or 0) + 1
                self.put({**alert, "seq": following, "state": "ended", "reason": "interrupted"})
            path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, alert: dict[str, Any]) -> None:
        """Append an alert; returns once it is on disk, or cannot be."""
        with self._guard:
            message = Message(self._next, alert)
            self._next += 1
            if len(self._waiting) >= self._limit:
                self._make_room()
            self._waiting.append(message)
            self._write(self._path(message), alert, flush=not self.hurried)
            opened = self.folder / f"{alert['id']}.open"
            if alert["state"] == "ended":
                opened.unlink(missing_ok=True)
            else:
                self._write(opened, alert, flush=False)

    def oldest(self) -> Message | None:
        """The next to deliver."""
        with self._guard:
            return self._waiting[0] if self._waiting else None

    def done(self, message: Message) -> None:
        """It is delivered, or never will be."""
        with self._guard:
            with suppress(ValueError):
                self._waiting.remove(message)
            self._path(message).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the folder; what waits stays in it."""
        self._lock.close()

    def _path(self, message: Message) -> Path:
        return self.folder / f"{message.number:012}.json"

    def _write(self, path: Path, alert: dict[str, Any], *, flush: bool) -> None:
        text = json_text(alert)
        try:
            write_atomically(path, lambda temporary: _put(temporary, text), flush=flush)
        except ResourceError as error:
            if not self._said:
                self._said = True
                self._say(f"{self.folder}: {why(error, self.folder, len(text))}; alerts wait in memory only")

    def _make_room(self) -> None:
        place = next((i for i, m in enumerate(self._waiting) if m.alert["state"] == "updated"), 0)
        message = self._waiting[place]
        del self._waiting[place]
        self._path(message).unlink(missing_ok=True)
        self.dropped += 1

    def _left(self) -> list[Message]:
        """What an earlier process could not deliver; remnants of writing are removed."""
        for path in self.folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)
        found: list[Message] = []
        for path in sorted(path for path in self.folder.iterdir() if _NUMBERED.fullmatch(path.name)):
            if (alert := _read(path)) is not None and len(found) < self._limit:
                found.append(Message(int(path.stem), alert))
            else:
                path.unlink(missing_ok=True)
        return found


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _read(path: Path) -> dict[str, Any] | None:
    """An alert's fields; None for what is none."""
    try:
        if not path.is_file() or path.stat().st_size > BEST_BEFORE_BYTES:
            return None
        found = json_object(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if all(isinstance(found.get(key), str) for key in TEXTS) else None


def _locked(folder: Path) -> tuple[Path, IO[str]]:
    """The folder, or one beside it, that no other process uses."""
    for number in range(NAMES):
        path = folder if number == 0 else folder.with_name(f"{folder.name}.{number}")
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (path / "lock").open("a", encoding="utf-8")
        except OSError as error:
            raise ResourceError(
                f"{path}: no queue of alerts can be kept here ({error.strerror}); name another `queue` folder"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        os.set_inheritable(lock.fileno(), False)
        return path, lock
    raise ResourceError(f"{folder}: {NAMES} processes use it already; name another `queue` folder")
