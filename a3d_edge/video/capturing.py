"""The capture process: opens what its parent names, and lays each picture where the parent sees it.

It loads little (neither NumPy nor OpenCV, but for cameras by number), lives in a session of its own, so that
Ctrl-C does not reach it, dies with its parent, leaves no core, and is the first to go where memory is short.
The parent ends it whenever it likes: a read that blocks in FFmpeg or a driver cannot be ended otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import socket
import threading
import time
from typing import Any, Protocol

from a3d_edge.errors import A3DEdgeError
from a3d_edge.video.causes import WORDS, Cause
from a3d_edge.video.exchange import MESSAGE, PictureNote, Release, Slots, make_slots, said

__all__ = ["main"]

DATA_BYTES = 1_500_000_000
"""What it may allocate: 8K decodes in less."""
PATIENT_S = 0.02
"""For a slot, of a live stream: a burst is taken whole, and a parent that has stalled costs nothing but
pictures."""


class Reading(Protocol):
    """What pictures come from here: `Decoder`, or an OpenCV `Capture`."""

    def read(self) -> tuple[Any, float | None] | None: ...
    def close(self) -> None: ...


def main() -> None:
    """Serve the parent at standard input until it leaves."""
    _be_harmless()
    connection = socket.socket(fileno=os.dup(0))
    server = _Server(connection)
    threading.Thread(target=server.listen, daemon=True).start()
    server.serve()


def _be_harmless() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = DATA_BYTES if hard == resource.RLIM_INFINITY else min(DATA_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("500")


class _Server:
    """One source after the other; a thread of its own hears the parent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._orders: queue.Queue[dict[str, Any]] = queue.Queue()
        self._free = threading.Condition()
        self._slots: Slots | None = None
        self._idle: set[int] = set()  # slots that may be written to
        self._number = 0
        self._missed = 0
        self._reading: Reading | None = None

    def listen(self) -> None:
        """Hear the parent out; when it is gone, so is this process, wherever it blocks."""
        with contextlib.suppress(OSError, ValueError):
            while message := self._connection.recv(MESSAGE):
                if message[:1] == b"R":
                    self._release(Release.of(message))
                elif "how" in (words := said(message)):
                    self._connection.send(json.dumps({"unreadable": self._unreadable()}).encode())
                else:
                    self._orders.put(words)
        os._exit(0)

    def serve(self) -> None:
        """Open what is ordered and show it to its end, again and again."""
        while True:
            self._show(self._orders.get())

    def _unreadable(self) -> int:
        return getattr(self._reading, "unreadable", 0)

    def _release(self, release: Release) -> None:
        with self._free:
            if self._slots is not None and release.memory == self._slots.number:
                self._idle.add(release.slot)
                self._free.notify()

    def _show(self, order: dict[str, Any]) -> None:
        self._missed = 0
        try:
            self._reading, live = self._open(order)
            self._pictures(self._reading, live)
            self._say("ended", unreadable=self._unreadable())
        except A3DEdgeError as error:
            self._say("failed", **self._failure(error, order))
        except MemoryError:
            self._say("failed", cause=Cause.CODEC, words="its pictures take more memory than there is")
        finally:
            if self._reading is not None:
                self._reading.close()
            self._reading = None

    def _failure(self, error: A3DEdgeError, order: dict[str, Any]) -> dict[str, str]:
        """The kind and the sentence, without the source's name, which the parent knows."""
        kind = Cause(getattr(error, "cause", None) or Cause.OTHER)
        words = str(error).removeprefix(f"{order['name']}: ")
        if kind is Cause.OTHER and "open" in order and _is_unknown(order["open"]):
            kind = Cause.UNKNOWN_HOST
            words = f"cannot be opened as video ({WORDS[kind]}); check the address"
        return {"cause": kind, "words": words}

    def _open(self, order: dict[str, Any]) -> tuple[Reading, bool]:
        if "camera" in order:
            from a3d_edge.video.opencv import Capture

            capture = Capture(order["camera"])
            self._say("opened", live=True, in_bursts=False, rate=None)
            return capture, True
        from a3d_edge.video.reaching import reach

        decoder = reach(order["open"], order["name"], redirects=order["redirects"])
        self._say("opened", live=decoder.live, in_bursts=decoder.in_bursts, rate=decoder.rate)
        return decoder, decoder.live

    def _pictures(self, reading: Reading, live: bool) -> None:
        count = 0
        while (found := reading.read()) is not None:
            image, position = found
            count += 1
            arrived = getattr(reading, "arrived_s", None) or time.monotonic()
            height, width = _size(image)
            slots = self._room(height * width * 3)
            slot = self._slot(wait=not live)
            if slot is None:
                self._missed += 1
                continue
            _lay(image, slots, slot)
            quick = getattr(reading, "too_quick", 0)
            self._connection.send(
                PictureNote(
                    slots.number, slot, height, width,
                    float("nan") if position is None else position, arrived,
                    count + quick, self._missed + quick, getattr(reading, "unreadable", 0),
                ).packed()
            )  # fmt: skip

    def _room(self, picture_bytes: int) -> Slots:
        """Memory whose slots hold such a picture; new memory where the present one does not."""
        if self._slots is not None and self._slots.size >= picture_bytes:
            return self._slots
        self._number += 1
        slots, descriptor = make_slots(self._number, picture_bytes)
        with self._free:
            self._slots, self._idle = slots, set(range(slots.count))
        words = json.dumps({"memory": slots.number, "count": slots.count, "size": slots.size})
        socket.send_fds(self._connection, [words.encode()], [descriptor])
        os.close(descriptor)
        return slots

    def _slot(self, *, wait: bool) -> int | None:
        """One that is free; a recording waits for it, of a live stream the picture is soon let go."""
        with self._free:
            self._free.wait_for(lambda: self._idle, None if wait else PATIENT_S)
            return self._idle.pop() if self._idle else None

    def _say(self, what: str, **values: object) -> None:
        self._connection.send(json.dumps({what: values}).encode())


def _size(image: Any) -> tuple[int, int]:
    """Height and width of an array, or of FFmpeg's frame."""
    return (image.height, image.width) if hasattr(image, "planes") else image.shape[:2]


def _lay(image: Any, slots: Slots, slot: int) -> None:
    """Copy a picture to where the parent sees it, row by row if its rows are padded."""
    height, width = _size(image)
    row, at = width * 3, slots.at(slot)
    if not hasattr(image, "planes"):
        slots.memory[at : at + height * row] = image.tobytes()
        return
    with memoryview(image.planes[0]) as source, memoryview(slots.memory) as target:
        line = image.planes[0].line_size
        if line == row:
            target[at : at + height * row] = source[: height * row]
            return
        for number in range(height):
            place, begin = at + number * row, number * line
            target[place : place + row] = source[begin : begin + row]


def _is_unknown(url: str) -> bool:
    """Whether its host has no address: FFmpeg says only that something went wrong."""
    from urllib.parse import urlsplit

    try:
        socket.getaddrinfo(urlsplit(url).hostname, None)
    except socket.gaierror:
        return True
    except (OSError, ValueError, UnicodeError):
        pass
    return False
