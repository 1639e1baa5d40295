"""The loop: frames in, predictions out, the configuration switched between windows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol

from a3d_edge.audience import Audience
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Budget, Configuration
from a3d_edge.control.controller import BudgetController
from a3d_edge.control.cycle import Cycle
from a3d_edge.control.policy import Decision
from a3d_edge.engine.cache.prepared import PreparedNetworks
from a3d_edge.engine.engines import Engine
from a3d_edge.engine.pool import SessionPool
from a3d_edge.engine.stream import ReadyWindow, WindowResult, WindowStream
from a3d_edge.errors import A3DEdgeError, UsageError
from a3d_edge.events import Events, Prediction, Ranking, Summary, Switch
from a3d_edge.video.frame import Frame
from a3d_edge.video.reader import LIVE_CAPACITY, Reader
from a3d_edge.video.sampler import Calm, Sampler
from a3d_edge.video.source import Source

__all__ = ["Controller", "Cycle", "Runtime"]

LOG = logging.getLogger("a3d_edge")

WAIT_S = 0.5
"""How long the loop waits for a frame before it looks whether it is to stop."""
LOADING_S = 0.1
"""The same for a network."""
DECISION_S = 1.0
"""How long a decision holds that was made while waiting: sensors are not read more often either."""


class Controller(Protocol):
    """What a runtime asks which configuration to run; `BudgetController` is one."""

    def decide(self) -> Decision:
        """The configuration for the next window."""

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        """How long a prediction took."""

    def refuse(self, configuration: Configuration) -> None:
        """That a configuration could not be loaded."""


class Runtime:
    """Runs a bundle on a source until it ends, and reports to ``events`` (see `Events`).

    ``budget``: see `Budget`. ``hop``: model frames between two predictions, default τ. ``controller``: in the
    place of a `BudgetController` on the budget. ``engine``: see `find_engine`, default ``ort:CPU``.
    ``max_predictions``, ``seconds``: stop after so many. The source is closed at the end. A live source's
    switch is prepared in the background and made when ready; a file, which waits, is switched exactly where
    the controller says. ``latencies``: ms of one prediction that are known beforehand
    (`a3d_edge.profiling.profiles.latencies`): the run starts with the largest that fits. ``memory``: bytes
    that loaded networks may take, see `SessionPool`. ``cache``: where networks that are costly to load are
    kept between runs (`a3d_edge.engine.cache.prepared`), nowhere if not given. Raises `A3DEdgeError` of every
    branch.
    """

    def __init__(
        self,
        bundle: Bundle,
        source: Source,
        *,
        budget: Budget | str = "auto",
        hop: int | None = None,
        controller: Controller | None = None,
        events: Sequence[Events] = (),
        max_predictions: int | None = None,
        seconds: float | None = None,
        threads: int | None = None,
        engine: Engine | None = None,
        latencies: Mapping[Configuration, float] | None = None,
        memory: int | None = None,
        cache: PreparedNetworks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bundle, self._source, self._audience = bundle, source, Audience(events)
        hop = bundle.sampling.stride if hop is None else hop
        self._sampler = Sampler(bundle.sampling, hop, bundle.preprocessing.offsets)
        hop_s = hop / bundle.sampling.rate if source.live else None
        # A file runs faster than its time: what the controller waits for is then seconds of the stream.
        self._stream_s = 0.0
        time_of = clock if source.live else lambda: self._stream_s
        self._controller = controller or BudgetController(
            bundle.table, budget=budget, hop_s=hop_s, clock=time_of, latencies=latencies
        )
        self._max_predictions, self._seconds, self._clock = max_predictions, seconds, clock
        self._pool = SessionPool(bundle, memory=memory, threads=threads, engine=engine, cache=cache)
        self._cache = cache
        self._hop = hop
        self._stop = threading.Event()
        self._once = threading.Lock()  # taken for good by the one run
        self._latest: Prediction | None = None
        self._decision: Decision | None = None  # for the next window; None until it is asked for
        self._decided_at = float("inf")  # the first decision holds until the first window
        self._every_frame = self._audience.wants_every_frame
        self._wanted: Decision  # the one that first asked for the present configuration: its reason counts
        self._why: Decision  # the latest one for the configuration that runs: predictions carry its reason
        self._told_far = False
        self.summary = Summary()

    def stop(self) -> None:
        """End the run soon, with its summary; may be called from a signal handler or another thread."""
        self._stop.set()

    def run(self) -> Summary:
        """Run to the end, and the summary. Raises `UsageError` when it is called a second time."""
        if not self._once.acquire(blocking=False):
            raise UsageError("this Runtime has run; make a new one, of a source that is opened anew")
        begun = self._clock()
        reader: Reader | None = None
        try:
            self._wanted = self._why = first = self._controller.decide()
            self._decision = first
            if not self._loaded(first.configuration):
                return self.summary
            self._tell_of_cache()
            # No name for the network here: it would keep the first one in memory to the end of the run.
            self._stream = WindowStream(
                self._bundle.sampling,
                self._bundle.preprocessing,
                self._hop,
                self._pool.take(first.configuration),
            )
            reader = Reader(self._source)
            self._loop(reader, begun)
        finally:
            self._finish(reader, begun)
        return self.summary

    def _loop(self, reader: Reader, begun: float) -> None:
        while not self._is_over(begun):
            frame = reader.get(self._patience(begun), self._calm())
            if frame is None and reader.ended:
                self._end_of_source()
                return
            if frame is not None:
                self._take(frame)
                if self._source.live:
                    self._catch_up(reader)
            self._answer()
            if self._source.live and self._decision is None:  # a prediction was made
                self._look_ahead()

    def _patience(self, begun: float) -> float:
        """How long to wait for a frame (s)."""
        if self._seconds is None:
            return WAIT_S
        return min(WAIT_S, max(0.0, begun + self._seconds - self._clock()))

    def _calm(self) -> Calm | None:
        """The frames not to wake for: those that neither a window nor somebody told of frames waits for."""
        return self._sampler.calm if self._source.live and not self._every_frame else None

    def _catch_up(self, reader: Reader) -> None:
        """Look at everything that has come before answering, so that the answer is new.

        At most a queue-full: where frames come faster than they are looked at, there is always one more.
        """
        for _ in range(LIVE_CAPACITY):
            frame = None if self._stop.is_set() else reader.get(0)
            if frame is None:
                return
            self._take(frame)

    def _is_over(self, begun: float) -> bool:
        late = self._seconds is not None and self._clock() - begun >= self._seconds
        return late or self._is_enough()

    def _is_enough(self) -> bool:
        full = self._max_predictions is not None and self.summary.predictions >= self._max_predictions
        return full or self._stop.is_set()

    def _take(self, frame: Frame) -> None:
        self._stream_s = frame.time_s
        for sample in self._sampler.push(frame):
            self._stream.add(sample)
            if not self._source.live:
                self._answer()
        if not self._told_far and (far_s := self._sampler.far_apart_s) is not None:
            self._tell_far(far_s)
        self._audience.frame(frame, self._latest)

    def _tell_far(self, far_s: float) -> None:
        self._told_far = True
        looks_s = self._bundle.sampling.stride / self._bundle.sampling.rate
        self._audience.warning(
            f"the pictures are {far_s:.2g} s apart and the network looks at one every {looks_s:.2g} s: "
            "it sees the same ones again and again, or no window of them; take a faster source"
        )

    def _answer(self) -> None:
        """Run every window that is ready; of a live source only the newest, the others are counted."""
        while not self._is_enough() and (window := self._next_window()) is not None:
            if self._source.live and self._stream.is_ready_after(window):
                self._stream.skip(window)
                self.summary.windows_skipped += 1
                continue
            self._predict(window)

    def _next_window(self) -> ReadyWindow | None:
        """The next ready window, under the configuration that is to run it."""
        if self._stream.next_ready() is None:
            return None
        if self._decision is None or (self._source.live and self._clock() - self._decided_at > DECISION_S):
            self._decide()
        if self._source.live:
            self._pool.prepare(self._wanted.configuration)
        else:
            self._switch_to(self._wanted)
        return None if self._stop.is_set() else self._stream.next_ready()

    def _look_ahead(self) -> None:
        """Of a live source, after a prediction: most of a hop is left, and nothing waits.

        Decide about the next window, and if a switch can be made, make it now, with all that has come.
        """
        self._decide()
        if self._switch_to(self._wanted):
            self._stream.encode_ahead()

    def _decide(self) -> None:
        self._decision, self._decided_at = self._controller.decide(), self._clock()
        LOG.debug("wants %s: %s", self._decision.configuration, self._decision.reason)
        if self._decision.configuration != self._wanted.configuration:
            self._wanted = self._decision
        if self._decision.configuration == self._why.configuration:
            self._why = self._decision

    def _switch_to(self, decision: Decision) -> bool:
        """Switch if the network is there, and otherwise see that it will be; whether it was."""
        before, after = self._stream.network.configuration, decision.configuration
        if after == before:
            return False
        self._pool.prepare(after)
        if not (self._pool.is_ready(after) if self._source.live else self._loaded(after)):
            return False
        self._tell_of_cache()
        try:
            network = self._pool.take(after)
        except A3DEdgeError as error:
            self._controller.refuse(after)
            self._audience.warning(f"{after} could not be loaded, {before} runs on: {error}")
            return False
        self._stream.switch(network)
        self._why = decision
        self.summary.switches += 1
        at = self._latest.stream_time_s if self._latest else 0.0
        self._audience.switch(Switch(at, before, after, decision.reason, decision.limiting_signal))
        return True

    def _tell_of_cache(self) -> None:
        for note in self._cache.notes() if self._cache else ():
            self._audience.warning(note)

    def _loaded(self, configuration: Configuration) -> bool:
        """Wait until a configuration is loaded, or failed to; False when the run is to end before."""
        while not self._pool.wait(configuration, LOADING_S):
            if self._stop.is_set():
                return False
        return True

    def _predict(self, window: ReadyWindow) -> None:
        result = self._stream.run(window)
        self._decision = None
        configuration = self._stream.network.configuration
        self._controller.observe(configuration, result.work_ms)
        self._latest = self._prediction(result, configuration)
        self.summary.count(self._latest)
        self._audience.prediction(self._latest)

    def _prediction(self, result: WindowResult, configuration: Configuration) -> Prediction:
        top = Ranking(self._bundle.classes, result.scores)
        label, score = top[0]
        age_s = time.monotonic() - result.newest.captured_s
        return Prediction(
            stream_time_s=result.newest.time_s,
            window_start_s=result.oldest.time_s,
            label=label,
            score=score,
            top=top,
            configuration=configuration,
            latency_ms=result.work_ms,
            age_ms=age_s * 1000.0,
            padded=result.window.padded,
            truth=result.newest.truth,
            take=result.newest.take,
            captured_at=time.time() - age_s,
            source=self._source.name,
            reason=self._why.reason,
            limiting_signal=self._why.limiting_signal,
        )

    def _end_of_source(self) -> None:
        for sample in self._sampler.finish():
            self._stream.add(sample)
            self._answer()
        if (
            self.summary.predictions == 0
            and not self._is_enough()
            and (window := self._stream.padded()) is not None
        ):
            self._predict(window)

    def _finish(self, reader: Reader | None, begun: float) -> None:
        with ExitStack() as closing:  # each of them is closed, also when closing another fails
            closing.callback(self._audience.close)
            closing.callback(self._pool.close)
            if reader is not None:
                reader.close()
                self._account(reader)
            else:
                self._source.close()
            self.summary.seconds = self._clock() - begun
            self.summary.end()

    def _account(self, reader: Reader) -> None:
        """Every captured frame was used, or is dropped for a reason."""
        summary, dropped = self.summary, reader.dropped
        summary.frames_captured = reader.frames_captured + reader.unreadable
        summary.frames_used = self._sampler.used
        summary.dropped = {
            "not_sampled": reader.frames_captured - sum(dropped.values()) - self._sampler.used,
            "overrun": dropped["overrun"],
            "unread": dropped["closed"],
            "unreadable": reader.unreadable,
        }
