"""A camera or a network stream: its own clock where it has one, else ours, reopened when it fails.

A capture that has failed once never recovers, and a failed read is not an end: a live source has none. Only
one that turns out to be a recording ends: its pictures came quicker than anybody can have filmed them, or it
says how long it is when it is opened again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from a3d_edge.errors import SourceError
from a3d_edge.video.frame import Frame
from a3d_edge.video.opencv import Image
from a3d_edge.video.pause import Clock, Pause, Sleep
from a3d_edge.video.timeline import Timeline

__all__ = ["GIVE_UP_S", "LiveSource", "Opened"]

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0
GIVE_UP_S = 30.0
"""A source without a picture for this long has failed for good."""

SMALLEST_STEP_S = 1e-6
USUAL_RATE = 30.0
QUICKER, AHEAD_S = 2.0, 1.0
"""How much quicker than its own time, and by how much more, a stream came that is no live one: live ones
begin with what the server held back, a second or two."""


class Opened(Protocol):
    """A capture: pictures, and where they stand in its own time (s), if it has one."""

    def read(self) -> tuple[Image, float | None] | None: ...
    def close(self) -> None: ...


class LiveSource:
    """Frames from the first one on; skips nothing itself (the reader drops what is old).

    They are timed by the stream's own time stamps from when its connection began, else by our clock. A
    failed read reopens the capture after 0.5 s, doubling to 8 s; ``reconnects`` counts those that worked.
    ``unreadable`` counts what the capture could not decode. Raises `SourceError` at once if it cannot be
    opened, and from `read` after 30 s without a picture.
    """

    live = True
    frame_rate: float | None = None  # what live sources announce is often wrong

    def __init__(
        self,
        name: str,
        open_capture: Callable[[], Opened],
        clock: Clock = time.monotonic,
        sleep: Sleep | None = None,
    ) -> None:
        self.name = name
        self.reconnects = 0
        self._open = open_capture
        self._clock = clock
        self._pause = Pause(clock, sleep)
        self._begun: float | None = None
        self._last = -SMALLEST_STEP_S
        self._index = -1
        self._unreadable = 0  # of captures that are closed
        self._trouble = "it gives none"
        self._take = -1
        self._ended = False
        self._capture: Opened | None = None
        self._connect()

    @property
    def unreadable(self) -> int:
        """Pictures that could not be decoded so far."""
        return self._unreadable + getattr(self._capture, "unreadable", 0)

    def read(self) -> Frame | None:
        """The next picture; None after `close`, or if it was a recording. Blocks while the source is away."""
        asked, delay = self._clock(), FIRST_DELAY_S
        while not self._is_over():
            found = self._picture()
            if found is not None:
                return self._frame(*found)
            if self._is_over():
                break
            if self._clock() - asked >= GIVE_UP_S:
                raise SourceError(
                    f"{self.name}: no picture for {GIVE_UP_S:.0f} s ({self._trouble}); "
                    "check the cable or the network"
                )
            self._pause.wait(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)
            self._reopen()
        self._let_go()
        return None

    def close(self) -> None:
        """End a wait under way and let go of the device; a read that blocks lets go when it returns."""
        self._pause.stop()
        if (capture := self._capture) is not None:
            capture.close()

    def _is_over(self) -> bool:
        return self._pause.stopped or self._ended

    def _picture(self) -> tuple[Image, float | None] | None:
        if self._capture is None:
            return None
        try:
            found = self._capture.read()
        except SourceError as error:
            self._trouble = str(error)
            return None
        self._ended = found is None and self._came_too_quickly()
        return found

    def _came_too_quickly(self) -> bool:
        if self._begun is None or self._connected_s is None:
            return False
        took_s = self._clock() - self._begun - self._connected_s
        return self._last - self._connected_s > QUICKER * took_s + AHEAD_S

    def _reopen(self) -> None:
        if self._pause.stopped:
            return
        self._let_go()
        try:
            self._connect()
        except SourceError as error:
            self._trouble = str(error)
        else:
            self.reconnects += 1
            self._ended = not getattr(self._capture, "live", True)

    def _let_go(self) -> None:
        if self._capture is not None:
            self._unreadable += getattr(self._capture, "unreadable", 0)
            self._capture.close()
        self._capture = None

    def _connect(self) -> None:
        self._capture = self._open()
        self._timeline = Timeline(getattr(self._capture, "rate", None) or USUAL_RATE)
        self._connected_s: float | None = None  # time of this connection's first picture
        self._first_take = self._take + 1

    def _frame(self, image: Image, position_s: float | None) -> Frame:
        now = self._clock()
        self._begun = now if self._begun is None else self._begun
        time_s = now - self._begun
        if position_s is not None:
            self._connected_s = time_s if self._connected_s is None else self._connected_s
            time_s = self._connected_s + self._timeline.place(position_s)
        self._last = max(time_s, self._last + SMALLEST_STEP_S)
        self._take = self._first_take + self._timeline.take
        self._index += 1
        return Frame(self._index, self._last, image, now, take=self._take)
