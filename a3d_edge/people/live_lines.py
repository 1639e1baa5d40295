"""Messages that come while the source goes on: kept, a bounded number, until the next frame is looked at."""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from a3d_edge.errors import SourceError
from a3d_edge.people.feed_line import Message, content_of, message_of, placed
from a3d_edge.people.protocols import Sighting
from a3d_edge.video.frame import Frame

__all__ = ["WAITING", "LiveLines"]

WAITING = 64
"""Messages between two frames; the oldest go first. The run's own thread hears them."""
FLOOD_BYTES, LEAST_BYTES, FLOOD_S = 1 << 20, 4096, 0.01
"""What may come between two frames, a message counted as so much at least; then its sender waits."""
AHEAD_S = 5.0
WARNINGS = 8
_DIGITS = re.compile(r"[\d.]+")


class LiveLines:
    """``heard``, ``put`` and ``passed`` from the thread that receives, the rest from the run's.

    What is wrong with a message is warned of, once a kind, and the message left out and counted: who sends
    may mend it, and the camera runs on.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._queue: queue.Queue[bytes] = queue.Queue(WAITING)
        self._told: set[str] = set()
        self._fresh: list[str] = []
        self._came = self._passed = self._refused = 0

    @property
    def left_out(self) -> int:
        """Messages that were wrong, or too many."""
        return self._passed + self._refused

    def heard(self, size: int) -> None:
        """So many bytes have come. In a flood it waits: reading it to no avail would take the processor."""
        self._came += max(size, LEAST_BYTES)
        if self._came > FLOOD_BYTES:
            time.sleep(FLOOD_S)

    def put(self, line: bytes) -> None:
        """A message has come."""
        while True:
            try:
                self._queue.put_nowait(line)
                return
            except queue.Full:
                with suppress(queue.Empty):
                    self._queue.get_nowait()
                    self._passed += 1

    def passed(self, count: int) -> None:
        """So many messages were not put, for newer ones came with them."""
        self._passed += count

    def taken(self) -> Iterator[bytes]:
        """What has come."""
        self._came = 0
        for _ in range(WAITING):  # more may come meanwhile
            try:
                yield self._queue.get_nowait()
            except queue.Empty:
                return

    def sighting(self, line: bytes, frame: Frame) -> Sighting | None:
        """What a message of ours says: of its time, or of this frame. None: it is left out."""
        try:
            return self.placed(message_of(content_of(line, self._where), self._where), frame)
        except SourceError as error:
            self.refuse(error)
            return None

    def placed(self, message: Message, frame: Frame) -> Sighting:
        """Raises `SourceError` for a box that is not in the frame, and a time that is still to come."""
        if message.time_s is not None and message.time_s > frame.time_s + AHEAD_S:
            raise SourceError(
                f"{self._where}: time {message.time_s:g} is ahead of the source, which is at "
                f"{frame.time_s:.1f} s; give seconds of the source, or no time"
            )
        height, width = frame.image.shape[:2]
        people = placed(message, height, width, self._where)
        return Sighting(frame.time_s if message.time_s is None else message.time_s, people)

    def refuse(self, error: SourceError) -> None:
        """Leave a message out, for what is wrong with it."""
        self._refused += 1
        self.warn(f"{error}; the message is left out")

    def warn(self, line: str) -> None:
        """Once a kind: numbers make no difference."""
        kind = _DIGITS.sub("#", line)
        if kind not in self._told and len(self._told) < WARNINGS:
            self._told.add(kind)
            self._fresh.append(line)

    def warnings(self) -> Sequence[str]:
        """Those that have not been asked for."""
        fresh, self._fresh = self._fresh, []
        return fresh
