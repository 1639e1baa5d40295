"""The loop: a source's frames in, predictions out; the configuration is switched between windows."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from inspect import GEN_SUSPENDED, getgeneratorstate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypedDict

from a3d_edge.adaptive import AdaptiveWindows, Controller
from a3d_edge.alerts import AlertRule, watch_for
from a3d_edge.audience import Audience
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Budget, Configuration
from a3d_edge.control.cycle import Cycle
from a3d_edge.control.settings import Settings
from a3d_edge.device.signals import Signals
from a3d_edge.engine.cache.prepared import PreparedNetworks
from a3d_edge.engine.engines import Engine
from a3d_edge.errors import UsageError
from a3d_edge.events import Events, Prediction, Summary
from a3d_edge.pace import pace_of
from a3d_edge.people.opening import watch_people
from a3d_edge.people.protocols import Detector, Feed
from a3d_edge.video.frame import Frame
from a3d_edge.video.reader import Reader
from a3d_edge.video.sampler import Calm
from a3d_edge.video.source import Source, open_source

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Controller", "Cycle", "RunOptions", "Runtime", "stream"]

WAIT_S = 0.5
"""How long the loop waits for a frame before it looks whether it is to stop."""


class Runtime:
    """Runs a bundle on a source until it ends, and reports to ``events`` (see `Events`).

        with Runtime(Bundle.default(), "clip.mp4", budget="80ms") as runtime:
            for prediction in runtime:
                print(prediction.label, prediction.score)

    ``source``: a `Source`, or what `open_source` takes: a path, a URL, a camera's number, ``demo``.
    ``budget``: see `Budget`. ``hop``: model frames between two predictions, default τ. ``controller``: in the
    place of a `BudgetController` on the budget. ``engine``: see `find_engine`, default ``ort:CPU``.
    ``max_predictions``, ``seconds``: stop after so many. The source is closed at the end. A live source's
    switch is prepared in the background and made when ready; a file, which waits, is switched exactly where
    the controller says. ``latencies``: ms of one prediction that are known beforehand
    (`a3d_edge.profiling.profiles.latencies`): the run starts with the largest that fits. ``memory``: bytes
    that loaded networks may take, see `SessionPool`. ``cache``: where networks that are costly to load are
    kept between runs (`a3d_edge.engine.cache.prepared`), nowhere if not given. ``settings``: of the
    controller (`a3d_edge.control.configured`). ``people``: of a bundle that answers for people in boxes where
    they are: what `a3d_edge.people.opening.open_people` takes, or a detector or feed of one's own; closed at
    the end. ``people_every``: seconds between two detections, as often as a window if not given. Raises
    `A3DEdgeError` of every branch.
    """

    def __init__(
        self,
        bundle: Bundle,
        source: Source | str | int | Path,
        *,
        budget: Budget | str = "auto",
        hop: int | None = None,
        controller: Controller | None = None,
        events: Sequence[Events | object] = (),
        max_predictions: int | None = None,
        seconds: float | None = None,
        threads: int | None = None,
        engine: Engine | None = None,
        latencies: Mapping[Configuration, float] | None = None,
        memory: int | None = None,
        cache: PreparedNetworks | None = None,
        alerts: Sequence[AlertRule | str] = (),
        settings: Settings | None = None,
        people: Detector | Feed | str | Path | None = None,
        people_every: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._audience = Audience(events, watch_for(alerts, bundle, hop))
        self._seconds, self._clock = seconds, clock
        self._stop = threading.Event()
        self._once = threading.Lock()  # taken for good by the one run
        self._running: Callable[[], Generator[Prediction, None, None] | None] = lambda: None
        with ExitStack() as failing:
            self._source = _opened(source, bundle.classes, failing)
            self._pace = pace_of(self._source.live, clock)
            self._people = watch_people(bundle, people, every_s=people_every, hop=hop, threads=threads)
            if self._people is not None:
                failing.callback(self._people.close)
            self._windows = AdaptiveWindows(
                bundle, self._audience, self._pace, stop=self._stop, budget=budget, hop=hop,
                controller=controller, threads=threads, engine=engine, latencies=latencies, memory=memory,
                cache=cache, max_predictions=max_predictions, source=self._source.name, settings=settings,
                people=self._people,
            )  # fmt: skip
            self._pool = self._windows.pool
            self.summary = self._windows.summary
            self._reader: Reader | None = None
            self.turned_at: float | None = None  # when the loop last did, by ``time.monotonic()``
            self._every_frame = self._audience.wants_every_frame or self._people is not None
            self._audience.bind(self)
            failing.pop_all()

    def stop(self) -> None:
        """End the run soon, with its summary; may be called from a signal handler or another thread."""
        self._stop.set()

    @property
    def signals(self) -> Signals | None:
        """The latest reading of the sensors, of a controller that has one."""
        return self._windows.signals

    def account(self) -> Summary:
        """The summary with the frames so far; may be asked from any thread."""
        if self._reader is not None:
            self._account(self._reader)
        return self.summary

    def run(self) -> Summary:
        """Run to the end, and the summary. Raises `UsageError` when it is called a second time."""
        with closing(self._predictions()) as predictions:
            deque(predictions, maxlen=0)
        return self.summary

    def __iter__(self) -> Iterator[Prediction]:
        """The one run, in the caller's thread, each prediction as it is made.

        While the caller is busy at most a queue of frames is read ahead (see `Reader`). Leaving the loop
        early ends the run as `stop` does. Raises what `run` raises.
        """
        predictions = self._predictions()
        # Weak: who leaves the loop lets go of it, and that closes it.
        self._running = weakref.ref(predictions)
        return predictions

    def close(self) -> None:
        """Stop, let everything go, tell the sinks. May be called twice, and from any thread; one that runs
        in another thread, or that called this, ends soon and closes itself."""
        self.stop()
        suspended = self._running()
        if suspended is not None and getgeneratorstate(suspended) == GEN_SUSPENDED:
            suspended.close()
        if self._once.acquire(blocking=False):
            self._finish(None, self._clock())

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _predictions(self) -> Generator[Prediction, None, None]:
        """The run, suspended after each prediction; whatever ends it, all is closed."""
        if not self._once.acquire(blocking=False):
            raise UsageError("this Runtime has run; make a new one, of a source that is opened anew")
        begun = self._clock()
        reader: Reader | None = None
        try:
            if self._windows.open():
                self._reader = reader = Reader(self._source)
                yield from self._loop(reader, begun)
        finally:
            self._finish(reader, begun)

    def _loop(self, reader: Reader, begun: float) -> Iterator[Prediction]:
        while not self._is_over(begun):
            self.turned_at = time.monotonic()
            frame = reader.get(self._patience(begun), self._calm())
            self._tell_health(reader)
            if frame is None and reader.ended:
                yield from self._end_of_source()
                return
            if frame is not None:
                yield from self._windows.take(frame)
                yield from self._catch_up(reader)
            else:
                self._audience.waited(self._clock())
            yield from self._windows.answer()
            self._windows.look_ahead()

    def _tell_health(self, reader: Reader) -> None:
        for health in reader.health():
            self._audience.health(health)

    def _end_of_source(self) -> Iterator[Prediction]:
        yield from self._windows.end()
        if self.summary.predictions == 0:
            yield from self._windows.pad()

    def _patience(self, begun: float) -> float:
        """How long to wait for a frame (s)."""
        if self._seconds is None:
            return WAIT_S
        return min(WAIT_S, max(0.0, begun + self._seconds - self._clock()))

    def _calm(self) -> Calm | None:
        """The frames not to wake for: those that neither a window nor somebody told of frames waits for."""
        return None if self._every_frame else self._pace.calm(self._windows.sampler)

    def _catch_up(self, reader: Reader) -> Iterator[Prediction]:
        """Look at what has come before answering, so that the answer is new."""
        for _ in range(self._pace.backlog):
            frame: Frame | None = None if self._stop.is_set() else reader.get(0)
            if frame is None:
                return
            yield from self._windows.take(frame)

    def _is_over(self, begun: float) -> bool:
        late = self._seconds is not None and self._clock() - begun >= self._seconds
        return late or self._windows.is_enough

    def _finish(self, reader: Reader | None, begun: float) -> None:
        with ExitStack() as ending:  # each of them is closed, also when closing another fails
            ending.callback(self._audience.close, self.summary)
            ending.callback(self._pool.close)
            if self._people is not None:
                ending.callback(self._people.close)
            if reader is not None:
                ending.callback(self._tell_health, reader)
                reader.close()
                self._account(reader)
            else:
                self._source.close()
            self.summary.seconds = self._clock() - begun
            self.summary.end()

    def _account(self, reader: Reader) -> None:
        """Every captured frame was used, or is dropped for a reason."""
        summary, dropped, used = self.summary, reader.dropped, self._windows.sampler.used
        summary.people = None if self._people is None else self._people.account()
        summary.frames_captured = reader.frames_captured + reader.unreadable
        summary.frames_used = used
        summary.dropped = {
            "not_sampled": reader.frames_captured - sum(dropped.values()) - used - reader.waiting,
            "overrun": dropped["overrun"],
            "unread": dropped["closed"],
            "unreadable": reader.unreadable,
        }


def _opened(source: Source | str | int | Path, classes: Sequence[str], failing: ExitStack) -> Source:
    """The source, or what its word means, which is closed again if making the runtime fails."""
    if not isinstance(source, (str, int, os.PathLike)):
        return source
    opened = open_source(source if isinstance(source, int) else os.fspath(source), classes=classes)
    failing.callback(opened.close)
    return opened


class RunOptions(TypedDict, total=False):
    """Options of `Runtime`, by keyword."""

    budget: Budget | str
    hop: int | None
    controller: Controller | None
    events: Sequence[Events | object]
    max_predictions: int | None
    seconds: float | None
    threads: int | None
    engine: Engine | None
    latencies: Mapping[Configuration, float] | None
    memory: int | None
    cache: PreparedNetworks | None
    alerts: Sequence[AlertRule | str]
    settings: Settings | None
    people: Detector | Feed | str | Path | None
    people_every: float | None
    clock: Callable[[], float]


def stream(
    source: Source | str | int | Path,
    bundle: Bundle | str | Path | None = None,
    **options: Unpack[RunOptions],
) -> Generator[Prediction, None, None]:
    """Predictions of a source as they are made: ``for prediction in stream("clip.mp4", budget="80ms")``.

    ``bundle``: a `Bundle`, its folder, or a built-in one's name; the default one if not given. ``options``:
    those of `Runtime`. Nothing is opened before the first is asked for; leaving the loop closes everything.
    Raises as `Runtime`.
    """
    if bundle is None:
        bundle = Bundle.default()
    elif not isinstance(bundle, Bundle):
        bundle = Bundle.find(bundle)
    with Runtime(bundle, source, **options) as runtime:
        yield from runtime
