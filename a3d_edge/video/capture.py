"""The parent's side of a capture process (`a3d_edge.video.capturing`): whatever blocks or dies there, blocks
and kills nothing here.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from a3d_edge.child import command
from a3d_edge.errors import SourceError
from a3d_edge.video import exchange
from a3d_edge.video.causes import WORDS, Cause
from a3d_edge.video.exchange import MESSAGE, PictureNote, Release, Slots
from a3d_edge.video.opencv import Image

__all__ = ["CaptureProcess", "EndedError", "Order", "Taken"]

KEPT_FREE = 2
"""Slots that the child can always write to: while more pictures than the others are held, they are copies."""
DESCRIPTORS = 1
ANSWER_S = 0.3
LONGEST_WORDS = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Order:
    """What to capture: a camera's number, or a URL (``name``: as it may be printed)."""

    name: str
    url: str = ""
    camera: int | None = None
    redirects: bool = False

    def packed(self) -> bytes:
        """As a message."""
        if self.camera is not None:
            return json.dumps({"camera": self.camera, "name": self.name}).encode()
        return json.dumps({"open": self.url, "name": self.name, "redirects": self.redirects}).encode()

    def __repr__(self) -> str:
        return f"Order({self.name!r})"  # the URL may hold a password


@dataclass(frozen=True, slots=True)
class Opened:
    """What has been opened, see `a3d_edge.video.opening.Opened`; ``rate``: as announced."""

    live: bool
    in_bursts: bool
    rate: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A picture (H, W, 3) BGR, where it stands in its stream (s), when its data had come, and the counts so
    far of this connection (see `PictureNote`)."""

    image: Image
    position_s: float | None
    arrived_s: float
    missed: int
    unreadable: int


class EndedError(Exception):
    """The stream is over; nothing is wrong with it. ``unreadable``: see `Taken`, to the very end."""

    def __init__(self, unreadable: int = 0) -> None:
        super().__init__()
        self.unreadable = unreadable


class CaptureProcess:
    """A process that captures; used by one thread, but `kill` may come from any.

    It is started by the first `open`, and stays for the next one unless it was killed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._busy = threading.Lock()  # while a thread waits for a message
        self._slots: Slots | None = None
        self._held: dict[tuple[int, int], weakref.ref[Image]] = {}

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process else None

    def open(self, order: Order, timeout: float) -> Opened:
        """Open it within so many seconds. Raises `SourceError` with its cause; after a time-out the process
        is gone."""
        self._start()
        self._send(order.packed())
        until = time.monotonic() + timeout
        while (message := self._message(until - time.monotonic())) is not None:
            found = self._words(message)
            if "opened" in found:
                return self._understood(_opened, found["opened"])
            self._raise_if_over(found)
        self.kill()
        raise SourceError(f"{WORDS[Cause.TIMEOUT]}; check the address and that it is on", cause=Cause.TIMEOUT)

    def read(self, timeout: float) -> Taken | None:
        """The next picture; None when none came within so many seconds.

        Raises `EndedError` at the end of the stream, `SourceError` with its cause when it broke off.
        """
        until = time.monotonic() + timeout
        while (message := self._message(until - time.monotonic())) is not None:
            if message[:1] == b"P":
                return self._taken(message)
            self._raise_if_over(self._words(message))
        return None

    def unreadable(self) -> int | None:
        """Pictures that could not be decoded so far, asked of a child that gives none; None without an
        answer."""
        self._send(json.dumps({"how": True}).encode())
        until = time.monotonic() + ANSWER_S
        with contextlib.suppress(SourceError):
            while (message := self._message(until - time.monotonic())) is not None:
                if message[:1] != b"P" and "unreadable" in (found := self._words(message)):
                    return int(found["unreadable"])
        return None

    def kill(self) -> None:
        """End the process at once, and whoever waits for it. May be called from any thread, and again."""
        with self._lock:
            process, connection = self._process, self._socket
            self._process = self._socket = None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # who waits for it wakes up, and closes it
            if self._busy.acquire(blocking=False):
                connection.close()
                self._busy.release()
        if process is not None:
            process.kill()
            process.wait()

    def _start(self) -> None:
        if self._process is not None:
            return
        ours, theirs = exchange.pair()
        with theirs:
            process = subprocess.Popen(
                command("a3d_edge.video.capturing", "main"),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        with self._lock:
            self._process, self._socket = process, ours
        self._slots = None

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # its death is found out where its answer is read
            if (connection := self._socket) is not None:
                connection.send(message)

    def _message(self, timeout: float) -> bytes | None:
        """The next message; None after so many seconds. Raises `SourceError` when the process is gone."""
        connection = self._socket
        if connection is None:
            raise _crashed()
        with self._busy:
            message, descriptors = _received(connection, max(0.0, timeout))
        if descriptors and message:
            self._take_memory(message, descriptors)
        if message == b"":
            self.kill()
            connection.close()
            raise _crashed()
        return message

    def _take_memory(self, message: bytes, descriptors: list[int]) -> None:
        try:
            words = exchange.said(message)
            number, count, size = (int(words[key]) for key in ("memory", "count", "size"))
            self._slots = exchange.map_slots(number, count, size, descriptors[0])
        except (ValueError, KeyError, TypeError):
            self._distrust()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _words(self, message: bytes) -> dict[str, Any]:
        try:
            return {} if message[:1] == b"P" else exchange.said(message)
        except ValueError:
            self._distrust()

    def _distrust(self) -> NoReturn:
        self.kill()
        raise _crashed() from None

    def _raise_if_over(self, found: dict[str, Any]) -> None:
        if "ended" in found:
            raise EndedError(self._understood(lambda ended: int(ended["unreadable"]), found["ended"]))
        if "failed" in found:
            raise self._understood(_failed, found["failed"])

    def _understood(self, what: Callable[[Any], T], words: object) -> T:
        try:
            return what(words)
        except (ValueError, KeyError, TypeError, AttributeError):
            self._distrust()

    def _taken(self, message: bytes) -> Taken:
        try:
            note = exchange.note_of(message)
            slots = self._slots
            if slots is None or note.memory != slots.number or note.slot >= slots.count:
                raise ValueError("a slot that is not there")
            if note.height * note.width * 3 > slots.size:
                raise ValueError("a picture larger than its slot")
        except ValueError:
            self._distrust()
        position = note.position_s if math.isfinite(note.position_s) else None
        now = time.monotonic()
        arrived = min(note.arrived_s, now) if math.isfinite(note.arrived_s) else now
        return Taken(self._image(note, slots), position, arrived, note.missed, note.unreadable)

    def _image(self, note: PictureNote, slots: Slots) -> Image:
        """The picture where it lies, its slot released when nobody holds it any more; or a copy."""
        size = note.height * note.width * 3
        flat = np.frombuffer(slots.memory, np.uint8, size, slots.at(note.slot))
        shape = note.height, note.width, 3
        release = Release(note.memory, note.slot).packed()
        if len(self._held) + KEPT_FREE >= slots.count:
            copied = flat.reshape(shape).copy()
            self._send(release)
            return copied
        key, held, send = (note.memory, note.slot), self._held, self._send

        def let_go(_: object) -> None:
            held.pop(key, None)
            send(release)

        # All views of the picture hold this array, whose memory is not its own: it goes last.
        held[key] = weakref.ref(flat, let_go)
        return flat.reshape(shape)


def _opened(words: Any) -> Opened:
    rate = words["rate"]
    return Opened(bool(words["live"]), bool(words["in_bursts"]), None if rate is None else float(rate))


def _failed(words: Any) -> SourceError:
    said = "".join(letter for letter in str(words["words"])[:LONGEST_WORDS] if letter.isprintable())
    return SourceError(said, cause=Cause(words["cause"]))


def _received(connection: socket.socket, timeout: float) -> tuple[bytes | None, list[int]]:
    """A message and the descriptors that came with it: None after so many seconds, empty when nobody is
    there."""
    try:
        if not select.select([connection], [], [], timeout)[0]:
            return None, []
        message, descriptors, _, _ = socket.recv_fds(connection, MESSAGE, DESCRIPTORS)
    except (OSError, ValueError):  # closed meanwhile
        return b"", []
    return message, descriptors


def _crashed() -> SourceError:
    return SourceError(f"{WORDS[Cause.CRASHED]}; it is started again", cause=Cause.CRASHED)
