"""Recognition in an application that has a camera, and a loop, of its own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from a3d_edge.adaptive import AdaptiveWindows, Controller
from a3d_edge.alerts import AlertRule, watch_for
from a3d_edge.audience import Audience
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Budget, Configuration
from a3d_edge.engine.cache.prepared import PreparedNetworks
from a3d_edge.engine.engines import Engine
from a3d_edge.errors import UsageError
from a3d_edge.events import Events, Prediction, Summary
from a3d_edge.pace import pace_of
from a3d_edge.people.box import Detection
from a3d_edge.people.opening import watch_people
from a3d_edge.people.protocols import Detector, Feed
from a3d_edge.people.pushed import Pushed
from a3d_edge.task import BOXES
from a3d_edge.video.frame import Frame
from a3d_edge.video.preprocess import check_image

__all__ = ["Recognizer"]


class Recognizer:
    """Takes an application's frames, one by one, and answers every hop.

        with Recognizer(Bundle.default(), budget="80ms") as recognizer:
            while camera.is_on():
                for prediction in recognizer.push(camera.frame(), time.monotonic()):
                    print(prediction.label, prediction.score)

    Inside are the windows, the features that they share, and a change of configuration prepared in the
    background; the first network is loaded when it is made. ``live``: frames come as from a camera: a change
    is made once it is prepared, and of several windows that one frame completes only the newest is answered.
    A recording that is pushed as fast as it decodes is not live: every window is answered, exactly on what
    the controller says. The other options are those of `Runtime`; ``events`` hear of switches and warnings
    too. Frames are copied. Call it from one thread. Raises `A3DEdgeError` of every branch.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        live: bool = True,
        budget: Budget | str = "auto",
        hop: int | None = None,
        controller: Controller | None = None,
        events: Sequence[Events | object] = (),
        threads: int | None = None,
        engine: Engine | None = None,
        latencies: Mapping[Configuration, float] | None = None,
        memory: int | None = None,
        cache: PreparedNetworks | None = None,
        alerts: Sequence[AlertRule | str] = (),
        people: Detector | Feed | str | Path | None = None,
        people_every: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._audience = Audience(events, watch_for(alerts, bundle, hop))
        self._stop, self._clock = threading.Event(), clock
        self._begun = clock()
        self._pushed = 0
        self._predicted = 0  # before the present stream, which ends with a padded window if it gave none
        self._last_s = -math.inf  # until the stream's first frame
        source = Pushed() if people is None and bundle.task == BOXES else people
        self._people = watch_people(bundle, source, every_s=people_every, hop=hop, threads=threads)
        self._pushed_people = source if isinstance(source, Pushed) else None
        with ExitStack() as failing:
            if self._people is not None:
                failing.callback(self._people.close)
            self._windows = AdaptiveWindows(
                bundle, self._audience, pace_of(live, clock), stop=self._stop, budget=budget, hop=hop,
                controller=controller, threads=threads, engine=engine, latencies=latencies, memory=memory,
                cache=cache, people=self._people,
            )  # fmt: skip
            failing.callback(self._windows.pool.close)
            self._windows.open()
            failing.pop_all()

    @property
    def configuration(self) -> Configuration:
        """The one that runs now."""
        return self._windows.configuration

    @property
    def summary(self) -> Summary:
        """What it did so far; frames that no window looked at are counted at the end, by `close`."""
        return self._windows.summary

    def push(self, frame: Any, t: float, people: Sequence[Detection] | None = None) -> list[Prediction]:
        """What the frame ``(H, W, 3)`` BGR uint8, seen at ``t`` seconds, completes: mostly nothing, or one.

        ``t`` begins anywhere and rises; a gap longer than a window begins a new timeline. ``people``: those
        in this frame, of a detector of the application's own (None: it was not asked); for a bundle that
        answers for people in boxes. Raises `UsageError` for another frame, time or box, which is then as if
        it had not come, and after `close`.
        """
        self._check_open()
        check_image(frame)
        t = self._later(t)
        if people is not None:
            self._tell_people(people, frame)
        self._last_s = t
        taken = Frame(self._pushed, t, frame.copy(), time.monotonic())
        self._pushed += 1
        found = [*self._windows.take(taken), *self._windows.answer()]
        self._windows.look_ahead()
        return found

    def flush(self) -> list[Prediction]:
        """The stream is over: what its last frames complete. Its one window, padded, if it was too short.

        The next frame begins another stream, at any time ``t``. Raises `UsageError` after `close`.
        """
        self._check_open()
        found = list(self._windows.end())
        if self._last_s > -math.inf and self.summary.predictions == self._predicted:
            found += self._windows.pad()
        self._audience.stream_over()
        if self._people is not None:
            self._people.begin()
        self._predicted, self._last_s = self.summary.predictions, -math.inf
        return found

    def close(self) -> None:
        """Let the networks go and tell the sinks; what `flush` would give is lost. May be called twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        with ExitStack() as ending:  # each of them is closed, also when closing another fails
            ending.callback(self._audience.close, self.summary)
            ending.callback(self._windows.pool.close)
            if self._people is not None:
                ending.callback(self._people.close)
                self.summary.people = self._people.account()
            used = self._windows.sampler.used
            self.summary.frames_captured, self.summary.frames_used = self._pushed, used
            self.summary.dropped = {"not_sampled": self._pushed - used}
            self.summary.seconds = self._clock() - self._begun
            self.summary.end()

    def __enter__(self) -> Recognizer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tell_people(self, people: Sequence[Detection], frame: Any) -> None:
        if self._pushed_people is None:
            raise UsageError(
                "`people`: this Recognizer asks a source of its own, or answers for the whole picture"
            )
        self._pushed_people.tell(people, *frame.shape[:2])

    def _check_open(self) -> None:
        if self._stop.is_set():
            raise UsageError("this Recognizer is closed; make a new one")

    def _later(self, t: Any) -> float:
        """The time as a number. Raises `UsageError` unless it is one, and later than the one before."""
        try:
            seconds = float(t)
        except (TypeError, ValueError):
            seconds = math.nan
        if not math.isfinite(seconds):
            raise UsageError(f"t {t!r} is no time; give seconds, such as time.monotonic()")
        if seconds <= self._last_s:
            raise UsageError(
                f"t {seconds} s is not later than the frame before, at {self._last_s} s; "
                "call flush() between two recordings"
            )
        return seconds
