"""How a stream's time goes: a camera does not wait for the network, a file does.

`AdaptiveWindows` and `Runtime` ask their pace at each turn of a stream; what differs is here alone.
``backlog``: frames to look at before an answer, if they have come; ``decision_s``: how long a decision holds
that no window has used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Protocol

from a3d_edge.control.controller import SENSING_INTERVAL_S
from a3d_edge.engine.stream import ReadyWindow, WindowStream
from a3d_edge.events import Prediction
from a3d_edge.video.frame import Frame
from a3d_edge.video.reader import LIVE_CAPACITY
from a3d_edge.video.sampler import Calm, Sampler

__all__ = ["FilePace", "LivePace", "Pace", "pace_of"]


class Paced(Protocol):
    """What a pace moves: `a3d_edge.adaptive.AdaptiveWindows`, which describes these."""

    def answer(self) -> Iterator[Prediction]: ...
    def decide(self) -> None: ...
    def prepare(self) -> None: ...
    def switch(self, *, wait: bool) -> bool: ...
    def encode_ahead(self) -> None: ...


class LivePace:
    """A camera's: of several ready windows the newest is run, and a switch is prepared in the background.

    It is made, when prepared, right after a prediction: most of a hop is left then, and nothing waits.
    """

    backlog = LIVE_CAPACITY  # where frames come faster than they are looked at, there is always one more
    decision_s = SENSING_INTERVAL_S  # more often there is nothing new to decide by

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def see(self, frame: Frame) -> None:
        """A frame is looked at."""

    def now(self) -> float:
        """By the clock that the controller waits by."""
        return self._clock()

    def hop_s(self, hop_s: float) -> float | None:
        """What the controller is to hold predictions to, if windows are so far apart."""
        return hop_s

    def calm(self, sampler: Sampler) -> Calm | None:
        """Frames not to wake for, if nobody wants every one."""
        return sampler.calm

    def after_sample(self, windows: Paced) -> Iterator[Prediction]:
        """What is answered when a frame has filled one instant, perhaps not its last."""
        return iter(())

    def before_window(self, windows: Paced) -> None:
        """A window is ready."""
        windows.prepare()

    def passes_over(self, stream: WindowStream, window: ReadyWindow) -> bool:
        """Whether a ready window is not to be run."""
        return stream.is_ready_after(window)

    def after_prediction(self, windows: Paced) -> None:
        """A window was run, or none for long, and none is ready."""
        windows.decide()
        if windows.switch(wait=False):
            windows.encode_ahead()


class FilePace:
    """A file's: every window is run, each exactly on what the controller says.

    It runs faster than its time: what the controller waits for is seconds of the stream. See `LivePace`.
    """

    backlog = 0
    decision_s = inf

    def __init__(self) -> None:
        self._stream_s = 0.0

    def see(self, frame: Frame) -> None:
        self._stream_s = frame.time_s

    def now(self) -> float:
        return self._stream_s

    def hop_s(self, hop_s: float) -> float | None:
        return None

    def calm(self, sampler: Sampler) -> Calm | None:
        return None

    def after_sample(self, windows: Paced) -> Iterator[Prediction]:
        return windows.answer()

    def before_window(self, windows: Paced) -> None:
        windows.switch(wait=True)

    def passes_over(self, stream: WindowStream, window: ReadyWindow) -> bool:
        return False

    def after_prediction(self, windows: Paced) -> None:
        pass


Pace = LivePace | FilePace


def pace_of(live: bool, clock: Callable[[], float]) -> Pace:
    """That of a source which is live, or is not."""
    return LivePace(clock) if live else FilePace()
