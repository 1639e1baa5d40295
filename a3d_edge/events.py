"""What a running network reports: one prediction a window, one switch a change, one summary at the end."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from a3d_edge.alerts.alert import Alert
from a3d_edge.alerts.alert import utc as utc
from a3d_edge.configuration import Configuration
from a3d_edge.labels import labels_in
from a3d_edge.people.box import Box, Identity
from a3d_edge.ranking import Ranking as Ranking
from a3d_edge.video.frame import Frame
from a3d_edge.video.health import Health

if TYPE_CHECKING:
    from a3d_edge.control.policy import Decision

__all__ = [
    "Events",
    "PersonPrediction",
    "Prediction",
    "Ranking",
    "ReaderLeftError",
    "SinkLostError",
    "Stoppable",
    "Summary",
    "Switch",
]

TOP = 10
LATENCIES_KEPT = 4096
"""Percentiles are of the latest so many predictions: a run of weeks must not grow."""


@dataclass(frozen=True, slots=True)
class PersonPrediction:
    """What one person in a window does.

    ``id``: the track's number, or what a feed calls them; ``box``: x1, y1, x2, y2 in pixels of the frame, in
    the window's middle, as the network was asked; ``score``: of the detection. ``label``: the likeliest;
    ``labels``: all that are seen, with their scores, best first; ``top``: all. ``newest_box``: where they
    were seen last, None if not since.
    """

    id: Identity
    box: Box
    score: float
    top: Sequence[tuple[str, float]]
    labels: tuple[tuple[str, float], ...] = ()
    newest_box: Box | None = None

    @property
    def label(self) -> str:
        """The likeliest class, seen or not."""
        return self.top[0][0]

    @property
    def shown(self) -> tuple[tuple[str, float], ...]:
        """What people read, with scores: all labels that are seen, or else the best one with a ``?``."""
        return self.labels or ((f"{self.top[0][0]}?", self.top[0][1]),)

    def fields(self) -> dict[str, Any]:
        """As JSON values (docs/events.md)."""
        return {
            "id": self.id,
            "box": list(self.box),
            "score": self.score,
            "label": self.label,
            "labels": [{"label": name, "score": score} for name, score in self.labels],
        }


@dataclass(frozen=True, slots=True)
class Prediction:
    """The network's answer for one window.

    ``stream_time_s``: time of the newest frame it looked at; ``window_start_s``: of the oldest. ``top``: all
    labels with their scores, best first.
    ``latency_ms``: work done for it since the prediction before; ``age_ms``: from the capture of its newest
    frame to now. ``padded``: the source ended before the window was full. ``truth``: the demo's label,
    ``take``: the number of its scene (see `Frame`). ``captured_at``: when its newest frame came, in seconds
    since 1970 by the system's clock; ``source``: the source's name, without a URL's user and password.
    ``reason`` and ``limiting_signal``: why this configuration runs (see `Switch`), as was last decided.
    ``seen``: whether the score exceeds the label's threshold at this configuration (`Bundle.threshold`), so
    that a switch does not change what counts as seen; None where the bundle has no thresholds. ``labels``:
    of a network that tells many labels at once (`a3d_edge.task`) all that are seen, with their scores, best
    first; None of any other. ``truth`` is then a set, ``bows;waves``. ``people``: of a network that answers
    for people in boxes each of them, None of any other; ``top`` and ``labels`` are then what anybody does: of
    every class the highest score.
    """

    stream_time_s: float
    window_start_s: float
    label: str
    score: float
    top: Sequence[tuple[str, float]]
    configuration: Configuration
    latency_ms: float
    age_ms: float
    padded: bool = False
    truth: str | None = None
    take: int = 0
    captured_at: float | None = None
    source: str | None = None
    reason: str | None = None
    limiting_signal: str | None = None
    seen: bool | None = None
    labels: tuple[tuple[str, float], ...] | None = None
    people: tuple[PersonPrediction, ...] | None = None

    @property
    def shown_label(self) -> str:
        """The label as people read it: with a ``?`` when it does not count as seen."""
        return f"{self.label}?" if self.seen is False else self.label

    @property
    def shown(self) -> tuple[tuple[str, float], ...]:
        """What people read, with scores: all labels that are seen, or else the best one."""
        return self.labels or ((f"{self.label}?" if self.labels == () else self.shown_label, self.score),)

    @property
    def agrees(self) -> bool:
        """Whether it says what the demo acts."""
        if self.labels is None:
            return self.truth == self.label
        return {label for label, _ in self.labels} == set(labels_in(self.truth or ""))

    def fields(self) -> dict[str, Any]:
        """As JSON values (docs/events.md)."""
        found: dict[str, Any] = {
            "stream_time_s": self.stream_time_s,
            "window_start_s": self.window_start_s,
            "label": self.label,
            "score": self.score,
            "top": [{"label": label, "score": score} for label, score in self.top[:TOP]],
            "configuration": str(self.configuration),
            "latency_ms": self.latency_ms,
            "age_ms": self.age_ms,
            "padded": self.padded,
            "time": None if self.captured_at is None else utc(self.captured_at),
            "source": self.source,
            "reason": self.reason,
            "limiting_signal": self.limiting_signal,
        }
        labels = None if self.labels is None else [{"label": name, "score": s} for name, s in self.labels]
        people = None if self.people is None else [person.fields() for person in self.people]
        known = {"truth": self.truth, "seen": self.seen, "labels": labels, "people": people}
        return {**found, **{name: value for name, value in known.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of configuration between two windows, why, and which signal limits."""

    stream_time_s: float
    before: Configuration
    after: Configuration
    reason: str
    limiting_signal: str

    def fields(self) -> dict[str, Any]:
        """As JSON values (docs/events.md)."""
        return {
            "stream_time_s": self.stream_time_s,
            "from": str(self.before),
            "to": str(self.after),
            "reason": self.reason,
            "limiting_signal": self.limiting_signal,
        }


class ReaderLeftError(BrokenPipeError):
    """The reader of our output has left: the run has nobody to run for, and ends without a failure."""


class SinkLostError(Exception):
    """A sink can do its work no more, and the run goes on without it: the others warn with the message."""


class Stoppable(Protocol):
    """A run that can be ended early; a `Runtime` is one."""

    def stop(self) -> None:
        """End it soon, in order."""


class Events:
    """Where a run reports to: derive from it and write the methods that matter; the others do nothing.

    Called from the run's thread, in order. Any object with some of these methods will do as well.

    To end the run, a sink raises an `A3DEdgeError` (a full disk: `ResourceError`) or `ReaderLeftError`, and
    Ctrl-C and `SystemExit` end it as anywhere. A `SinkLostError` is told as it is, and the run goes on. Any
    other exception is reported once through the `warning` of the other sinks, or by ``logging``
    (``a3d_edge``) when none has one; the run goes on, the sink is told on, and how often it failed is
    reported at the end. All sinks are closed, the last first.

    With ``every_frame = False``, or without a `frame` of its own, a sink does not care for every frame:
    unless others do, the loop then sleeps while a live source's frames pass that no window looks at, and is
    not told of them.
    """

    every_frame: bool = True

    def bind(self, runtime: Stoppable) -> None:
        """The `Runtime` that will report, before it runs. Not told by a `Recognizer`, which nobody stops."""

    def frame(self, frame: Frame, latest: Prediction | None) -> None:
        """A captured frame, with the latest prediction there is."""

    def prediction(self, prediction: Prediction) -> None:
        """A window's answer."""

    def switch(self, switch: Switch) -> None:
        """The configuration has changed."""

    def decision(self, decision: Decision) -> None:
        """The controller was asked: what it wants next, and why; mostly what runs already."""

    def alert(self, alert: Alert) -> None:
        """An event has started, goes on, or has ended (the run's ``alerts`` say which there are)."""

    def warning(self, message: str) -> None:
        """Something went wrong that the run survives."""

    def health(self, health: Health) -> None:
        """Something about the source has changed: its connection, or what its pictures show."""

    def summary(self, summary: Summary) -> None:
        """What the run did, however it ended, just before `close`."""

    def close(self) -> None:
        """The run is over, however it ended."""


@dataclass(slots=True)
class Scene:
    """One scene of the demo: its summed scores so far, the highest of which is its label; of ``many`` labels
    acted at once, the highest ones are."""

    take: int
    truth: str
    scores: defaultdict[str, float]
    many: bool = False

    @property
    def label(self) -> str:
        """The label with the highest summed score."""
        return max(self.scores, key=lambda name: self.scores[name])

    @property
    def agrees(self) -> bool:
        """Whether that is what was acted; of a set, whether as many of the highest are just those."""
        if not self.many:
            return self.label == self.truth
        acted = labels_in(self.truth)
        return set(sorted(self.scores, key=lambda name: -self.scores[name])[: len(acted)]) == set(acted)


@dataclass(slots=True)
class Summary:
    """What a run did. Every captured frame was used or is counted in ``dropped`` by its reason."""

    frames_captured: int = 0
    frames_used: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    predictions: int = 0
    switches: int = 0
    windows_skipped: int = 0
    seconds: float = 0.0
    by_configuration: Counter[str] = field(default_factory=Counter)
    agreed: int = 0
    with_truth: int = 0
    scenes: int = 0
    scenes_agreed: int = 0
    scene: Scene | None = None  # the one going on
    people: dict[str, Any] | None = None  # where boxes come from, how often, and how long a detector takes
    recording: dict[str, Any] | None = None  # what became of it: frames, missed, and why it ended early
    alerts: dict[str, Any] = field(default_factory=dict)  # counts, and what each sink of them did
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))

    def count(self, prediction: Prediction) -> None:
        """Add a prediction."""
        self.predictions += 1
        self.by_configuration[str(prediction.configuration)] += 1
        self.latencies_ms.append(prediction.latency_ms)
        if prediction.truth is not None:
            self.with_truth += 1
            self.agreed += prediction.agrees
            self._count_scene(prediction, prediction.truth)

    def end(self) -> None:
        """Count the scene that was going on."""
        if self.scene is not None:
            self.scenes += 1
            self.scenes_agreed += self.scene.agrees
        self.scene = None

    def _count_scene(self, prediction: Prediction, truth: str) -> None:
        if self.scene is None or self.scene.take != prediction.take:
            self.end()
            self.scene = Scene(prediction.take, truth, defaultdict(float), prediction.labels is not None)
        for label, score in prediction.top:
            self.scene.scores[label] += score

    def percentile_ms(self, share: float) -> float | None:
        """The latency that ``share`` of the predictions kept to; None without any."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    def fields(self) -> dict[str, Any]:
        """As JSON values (docs/events.md)."""
        found: dict[str, Any] = {
            "frames_captured": self.frames_captured,
            "frames_used": self.frames_used,
            "dropped": self.dropped,
            "predictions": self.predictions,
            "switches": self.switches,
            "windows_skipped": self.windows_skipped,
            "latency_ms": {"p50": self.percentile_ms(0.5), "p95": self.percentile_ms(0.95)},
            "configurations": dict(self.by_configuration),
            "seconds": self.seconds,
        }
        if self.people is not None:
            found["people"] = self.people
        if self.recording is not None:
            found["recording"] = self.recording
        if self.with_truth:
            found["truth"] = {
                "agreed": self.agreed,
                "of": self.with_truth,
                "scenes_agreed": self.scenes_agreed,
                "scenes": self.scenes,
            }
        if self.alerts:
            found["alerts"] = self.alerts
        return found
