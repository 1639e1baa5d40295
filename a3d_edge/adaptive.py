"""Frames in, predictions out, the configuration switched between windows; on whatever thread asks.

What a `Runtime`, which reads a source, and a `Recognizer`, which is given frames, have in common. The window
arithmetic is the `Sampler`'s, the reuse of features the `WindowStream`'s, the loading the `SessionPool`'s.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from a3d_edge.audience import Audience
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Budget, Configuration
from a3d_edge.control.controller import BudgetController
from a3d_edge.control.policy import Decision
from a3d_edge.control.settings import Settings
from a3d_edge.device.signals import Signals
from a3d_edge.engine.cache.prepared import PreparedNetworks
from a3d_edge.engine.engines import Engine
from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.engine.pool import SessionPool
from a3d_edge.engine.rehearsal import rehearsal_ms
from a3d_edge.engine.stream import ReadyWindow, WindowResult, WindowStream
from a3d_edge.errors import A3DEdgeError
from a3d_edge.events import Prediction, Ranking, Summary, Switch
from a3d_edge.pace import Pace
from a3d_edge.people.box import Person
from a3d_edge.people.watch import PeopleWatch
from a3d_edge.seen import SeenLabels, anybodys
from a3d_edge.video.frame import Frame
from a3d_edge.video.sampler import Sampler

__all__ = ["AdaptiveWindows", "Controller"]

LOG = logging.getLogger("a3d_edge")

LOADING_S = 0.1
"""How long to wait for a network before looking whether to stop."""


class Controller(Protocol):
    """What a run asks which configuration to use; `BudgetController` is one."""

    def decide(self) -> Decision:
        """The configuration for the next window."""

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        """How long a prediction took."""

    def refuse(self, configuration: Configuration) -> None:
        """That a configuration could not be loaded."""


class AdaptiveWindows:
    """The windows of one stream, each run on the configuration that the controller wants.

    ``pace``: which windows are run, and when a switch is made. ``stop``: ends any wait. ``max_predictions``:
    nothing is run after so many. ``people``: who is where, for a bundle that answers for people in boxes. The
    other options are `Runtime`'s. Raises `A3DEdgeError` of every branch.
    """

    def __init__(
        self,
        bundle: Bundle,
        audience: Audience,
        pace: Pace,
        *,
        stop: threading.Event,
        budget: Budget | str,
        hop: int | None,
        controller: Controller | None,
        threads: int | None,
        engine: Engine | None,
        latencies: Mapping[Configuration, float] | None,
        memory: int | None,
        cache: PreparedNetworks | None,
        settings: Settings | None = None,
        max_predictions: int | None = None,
        source: str | None = None,
        people: PeopleWatch | None = None,
    ) -> None:
        self._seen, self._people = SeenLabels(bundle), people
        self._bundle, self._audience, self._pace, self._stop = bundle, audience, pace, stop
        self._hop = bundle.sampling.stride if hop is None else hop
        self.sampler = Sampler(bundle.sampling, self._hop, bundle.preprocessing.offsets)
        self._hop_s = self._hop / bundle.sampling.rate
        hop_s = pace.hop_s(self._hop_s)
        self._controller = controller or BudgetController(
            bundle.table, budget=budget, hop_s=hop_s, clock=pace.now, latencies=latencies, settings=settings
        )
        self._max_predictions, self._source_name = max_predictions, source
        self.pool = SessionPool(bundle.networks, memory=memory, threads=threads, engine=engine, cache=cache)
        self._cache = cache
        self._latest: Prediction | None = None
        self._decision: Decision | None = None  # for the next window; None until it is asked for
        self._decided_at = float("inf")  # the first decision holds until the first window
        self._wanted: Decision  # the one that first asked for the present configuration: its reason counts
        self._why: Decision  # the latest one for the configuration that runs: predictions carry its reason
        self._told_far = False
        self.summary = Summary()

    @property
    def configuration(self) -> Configuration:
        """The one that runs; to be asked after `open`."""
        return self._stream.network.configuration

    @property
    def signals(self) -> Signals | None:
        """What the controller last sensed, if it does."""
        found = getattr(self._controller, "last_signals", None)
        return found if isinstance(found, Signals) else None

    @property
    def is_enough(self) -> bool:
        """Whether no more is to be run."""
        full = self._max_predictions is not None and self.summary.predictions >= self._max_predictions
        return full or self._stop.is_set()

    def open(self) -> bool:
        """Load the first network; False when stopped before that. Raises what loading it raises."""
        if self._people is not None and isinstance(self._controller, BudgetController):
            self._controller.beside(self._people.rehearsal_ms(self._hop_s))
        self._wanted = self._why = first = self._controller.decide()
        self._decision = first
        if not self._loaded(first.configuration):
            return False
        if (better := self._rehearsed(first)) is not None:
            if not self._loaded(better.configuration):
                return False
            first = self._wanted = self._why = self._decision = self._beginning(first, better)
        self._tell_of_cache()
        # No name for the network here: it would keep the first one in memory to the end of the run.
        self._stream = WindowStream(
            self._bundle.sampling,
            self._bundle.preprocessing,
            self._hop,
            self.pool.take(first.configuration),
        )
        return True

    def _rehearsed(self, first: Decision) -> Decision | None:
        """What to begin with once the smallest is timed on blank pictures; None where that is not needed.

        Without it every stream would begin with seconds of the least accurate answers.
        """
        controller = self._controller
        if not isinstance(controller, BudgetController) or controller.knows_latency:
            return None
        controller.rehearsed(first.configuration, rehearsal_ms(self.pool.take(first.configuration)))
        return controller.decide()

    def _beginning(self, first: Decision, better: Decision) -> Decision:
        """The better one if it can be loaded; else the run begins with the first, which is."""
        try:
            self.pool.take(better.configuration)
        except A3DEdgeError as error:
            self._refuse(better.configuration, first.configuration, error)
            return first
        return better

    def _refuse(self, wanted: Configuration, instead: Configuration, error: A3DEdgeError) -> None:
        self._controller.refuse(wanted)
        self._audience.warning(f"{wanted} could not be loaded, {instead} runs on: {error}")

    def take(self, frame: Frame) -> Iterator[Prediction]:
        """Look at the next frame; where the pace says so, answer what it completes. Raises `UsageError` if it
        is not later than the one before, or no picture."""
        self._pace.see(frame)
        if self._people is not None:
            self._people.see(frame)
            self._warn_of_people()
        for sample in self.sampler.push(frame):
            self._stream.add(sample)
            yield from self._pace.after_sample(self)
        if not self._told_far and (far_s := self.sampler.far_apart_s) is not None:
            self._tell_far(far_s)
        self._audience.frame(frame, self._latest)

    def answer(self) -> Iterator[Prediction]:
        """Run every window that is ready; those that the pace passes over are counted."""
        while not self.is_enough and (window := self._next_window()) is not None:
            if self._pace.passes_over(self._stream, window):
                self._stream.skip(window)
                self.summary.windows_skipped += 1
                continue
            yield self._predict(window)

    def look_ahead(self) -> None:
        """Nothing is ready: the next window may be prepared for, if one was run since this was asked last, or
        if none was for so long that the device may have changed (a scene cut, a camera that is away)."""
        if self._decision is None or self._is_stale():
            self._pace.after_prediction(self)

    def end(self) -> Iterator[Prediction]:
        """The stream is over: what its last frame completes. The next frame begins another."""
        for sample in self.sampler.finish():
            self._stream.add(sample)
            yield from self.answer()

    def pad(self) -> Iterator[Prediction]:
        """After the end of a stream too short for a window: that window, the last frame held."""
        if not self.is_enough and (window := self._stream.padded()) is not None:
            yield self._predict(window)

    def _tell_far(self, far_s: float) -> None:
        self._told_far = True
        looks_s = self._bundle.hop_s
        self._audience.warning(
            f"the pictures are {far_s:.2g} s apart and the network looks at one every {looks_s:.2g} s: "
            "it sees the same ones again and again, or no window of them; take a faster source"
        )

    def _next_window(self) -> ReadyWindow | None:
        """The next ready window, under the configuration that is to run it."""
        if self._stream.next_ready() is None:
            return None
        if self._decision is None or self._is_stale():
            self.decide()
        self._pace.before_window(self)
        return None if self._stop.is_set() else self._stream.next_ready()

    def _is_stale(self) -> bool:
        return self._pace.now() - self._decided_at > self._pace.decision_s

    def decide(self) -> None:
        """Ask the controller which configuration is wanted."""
        self._decision, self._decided_at = self._controller.decide(), self._pace.now()
        self._audience.decision(self._decision)
        LOG.debug("wants %s: %s", self._decision.configuration, self._decision.reason)
        if self._decision.configuration != self._wanted.configuration:
            self._wanted = self._decision
        if self._decision.configuration == self._why.configuration:
            self._why = self._decision

    def prepare(self) -> None:
        """Begin to load what is wanted."""
        self.pool.prepare(self._wanted.configuration)

    def switch(self, *, wait: bool) -> bool:
        """Switch to what is wanted: once it is loaded, or only if it is; whether it was done."""
        before, after = self.configuration, self._wanted.configuration
        if after == before:
            return False
        self.prepare()
        if not (self._loaded(after) if wait else self.pool.is_ready(after)):
            return False
        self._tell_of_cache()
        try:
            network = self.pool.take(after)
        except A3DEdgeError as error:
            self._refuse(after, before, error)
            return False
        self._stream.switch(network)
        self._why = self._wanted
        self.summary.switches += 1
        at = self._latest.stream_time_s if self._latest else 0.0
        self._audience.switch(Switch(at, before, after, self._why.reason, self._why.limiting_signal))
        return True

    def encode_ahead(self) -> None:
        """Encode for the next window what has come, where nothing waits."""
        self._stream.encode_ahead()

    def _tell_of_cache(self) -> None:
        for note in self._cache.notes() if self._cache else ():
            self._audience.warning(note)

    def _loaded(self, configuration: Configuration) -> bool:
        """Wait until a configuration is loaded, or failed to; False when the run is to end before."""
        while not self.pool.wait(configuration, LOADING_S):
            if self._stop.is_set():
                return False
        return True

    def _predict(self, window: ReadyWindow) -> Prediction:
        people = self._people_of(window)
        boxes, shown = (None, ()) if people is None else people
        result = self._stream.run(window, boxes)
        self._decision = None
        configuration = self._stream.network.configuration
        self._observe(configuration, result)
        self._latest = self._prediction(result, configuration)
        if self._people is not None:
            self._latest = self._with_people(self._latest, result, shown)
        self.summary.count(self._latest)
        self._audience.prediction(self._latest)
        return self._latest

    def _observe(self, configuration: Configuration, result: WindowResult) -> None:
        """Tell the controller what it took, with finding people, which no configuration changes."""
        beside_ms = 0.0 if self._people is None else self._people.steady_ms(self._hop_s)
        if isinstance(self._controller, BudgetController):
            self._controller.observe(configuration, result.steady_ms + beside_ms, beside_ms=beside_ms)
        else:
            self._controller.observe(configuration, result.steady_ms + beside_ms)

    def _warn_of_people(self) -> None:
        assert self._people is not None
        for warning in self._people.warnings():
            self._audience.warning(warning)

    def _people_of(self, window: ReadyWindow) -> tuple[Any, Sequence[Person]] | None:
        """Who is shown in a window's middle, and their boxes as the network takes them."""
        if self._people is None:
            return None
        people = self._people.at(self._stream.middle(window).time_s)[:MOST_PEOPLE]
        placed = self._stream.placed(window, [person.box for person in people])
        return placed.boxes, [people[place] for place in placed.kept.tolist()]

    def _with_people(self, answer: Prediction, result: WindowResult, people: Sequence[Person]) -> Prediction:
        """The answer of a window with what each of its people does, and the work of finding them."""
        assert self._people is not None
        found = self._seen.people(answer.configuration, result.scores, people, self._people.latest())
        return replace(answer, people=found, latency_ms=answer.latency_ms + self._people.taken_ms())

    def _prediction(self, result: WindowResult, configuration: Configuration) -> Prediction:
        scores = anybodys(result.scores)
        top = Ranking(self._bundle.classes, scores)
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
            source=self._source_name,
            reason=self._why.reason,
            limiting_signal=self._why.limiting_signal,
            seen=self._seen.best(configuration, label, score),
            labels=self._seen.labels(configuration, scores),
        )
