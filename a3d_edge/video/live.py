"""A camera or a network stream: our own clock, our own watchdog, reopened when it fails.

A capture that has failed once never recovers, and a failed read is not an end: a live source has none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from a3d_edge.errors import SourceError
from a3d_edge.video.frame import Frame
from a3d_edge.video.opencv import NETWORK_LIMITS, Capture, Image, cv2
from a3d_edge.video.pause import Clock, Pause, Sleep

__all__ = ["GIVE_UP_S", "LiveSource", "open_camera", "open_url"]

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0
GIVE_UP_S = 30.0
"""A source without a picture for this long has failed for good."""

SMALLEST_STEP_S = 1e-6


class Opened(Protocol):
    """What a live source needs of a capture."""

    @property
    def opened(self) -> bool: ...
    def read(self) -> tuple[Image, float] | None: ...
    def close(self) -> None: ...


class LiveSource:
    """Frames timed by our clock from the first one on; skips nothing itself (the reader drops what is old).

    A failed read reopens the capture after 0.5 s, doubling to 8 s; ``reconnects`` counts those that worked.
    Raises `SourceError` at once if it cannot be opened, and from `read` after 30 s without a picture.
    """

    live = True
    frame_rate: float | None = None  # what live sources announce is often wrong
    unreadable = 0

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
        self._start: float | None = None
        self._last = -SMALLEST_STEP_S
        self._index = -1
        self._capture = open_capture()
        if not self._capture.opened:
            self._capture.close()
            raise SourceError(
                f"{name}: cannot be opened; check that it is connected, on, and not used elsewhere"
            )

    def read(self) -> Frame | None:
        """The next picture; None only after `close`. Blocks while the source is away."""
        asked, delay = self._clock(), FIRST_DELAY_S
        while not self._pause.stopped:
            found = self._capture.read()
            if found is not None:
                return self._frame(found[0])
            if self._clock() - asked >= GIVE_UP_S:
                raise SourceError(
                    f"{self.name}: no picture for {GIVE_UP_S:.0f} s; check the cable or the network"
                )
            self._pause.wait(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)
            self._reopen()
        self._capture.close()
        return None

    def close(self) -> None:
        """End a wait under way and let go of the device; a read that blocks lets go when it returns."""
        self._pause.stop()
        self._capture.close()

    def _reopen(self) -> None:
        if self._pause.stopped:
            return
        self._capture.close()
        self._capture = self._open()
        self.reconnects += self._capture.opened

    def _frame(self, image: Image) -> Frame:
        now = self._clock()
        self._start = now if self._start is None else self._start
        self._last = max(now - self._start, self._last + SMALLEST_STEP_S)
        self._index += 1
        return Frame(self._index, self._last, image, now, take=self.reconnects)


def open_camera(index: int) -> Capture:
    """The camera with that number."""
    return Capture(index)


def open_url(url: str) -> Capture:
    """A network stream, with time limits on opening and reading."""
    return Capture(url, cv2.CAP_FFMPEG, NETWORK_LIMITS)
