"""Sources made to behave like a camera: a file at its own speed, and the demo."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from a3d_edge.video.frame import Frame, Source
from a3d_edge.video.opencv import Image
from a3d_edge.video.pause import Clock, Pause, Sleep

if TYPE_CHECKING:
    from a3d_edge.video.health import Health

__all__ = ["Demo", "Paced", "Scene"]


LATE_S = 1.0
"""A frame that comes later than its time by more moves the time of all that follow: a live stream that comes
in bursts was interrupted. A file is hardly ever late, and catches up."""


class Paced:
    """Another source's frames, each delivered when its time has come and no sooner; live.

    ``unhurried``: frames that follow a late one keep their distance instead of catching up.
    """

    live = True

    def __init__(
        self,
        source: Source,
        clock: Clock = time.monotonic,
        sleep: Sleep | None = None,
        *,
        unhurried: bool = False,
    ) -> None:
        self.name = source.name
        self.frame_rate = source.frame_rate
        self._source = source
        self._clock = clock
        self._pause = Pause(clock, sleep)
        self._latest = LATE_S if unhurried else float("inf")
        self._start: float | None = None
        self._take = 0

    @property
    def unreadable(self) -> int:
        """What the source behind could not decode so far."""
        return self._source.unreadable

    @property
    def missed(self) -> int:
        """Pictures that the source behind had to let go so far."""
        return getattr(self._source, "missed", 0)

    def health(self) -> list[Health]:
        """What has changed of the source's behind."""
        ask: Callable[[], list[Health]] | None = getattr(self._source, "health", None)
        return [] if ask is None else ask()

    def read(self) -> Frame | None:
        """The next frame, at its time; None at the end or after `close`."""
        frame = self._source.read()
        if frame is None:
            return None
        start = self._clock() - frame.time_s
        if self._start is None or frame.take != self._take or start - self._start > self._latest:
            self._start, self._take = start, frame.take
        self._pause.until(self._start + frame.time_s)
        return None if self._pause.stopped else replace(frame, captured_s=self._clock())

    def close(self) -> None:
        """End a wait under way and close the source behind."""
        self._pause.stop()
        self._source.close()


class Scene(Protocol):
    """Pictures drawn on demand: `a3d_edge.demo.rendered.RenderedStream`."""

    def frame(self, index: int) -> tuple[Image, str]: ...
    def take(self, index: int) -> int: ...


class Demo:
    """A drawn scene filmed at ``rate`` frames a second: whoever is late misses what went on. Endless."""

    live = True
    unreadable = 0
    name = "demo"

    def __init__(
        self, scene: Scene, rate: float = 30.0, clock: Clock = time.monotonic, sleep: Sleep | None = None
    ) -> None:
        self.frame_rate: float | None = rate
        self._rate = rate
        self._scene = scene
        self._clock = clock
        self._pause = Pause(clock, sleep)
        self._start: float | None = None
        self._next = 0

    def read(self) -> Frame | None:
        """The frame whose time it is, or the next one; None only after `close`."""
        now = self._clock()
        self._start = now if self._start is None else self._start
        index = max(self._next, int((now - self._start) * self._rate))
        self._pause.until(self._start + index / self._rate)
        if self._pause.stopped:
            return None
        self._next = index + 1
        image, truth = self._scene.frame(index)
        return Frame(index, index / self._rate, image, self._clock(), truth, self._scene.take(index))

    def close(self) -> None:
        """End the show."""
        self._pause.stop()
