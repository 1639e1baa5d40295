"""What a run is doing, for whoever asks while it runs: counted as it is told, read from any thread."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from a3d_edge.events import Events, Prediction, Stoppable, Summary, Switch
from a3d_edge.video.frame import Frame

__all__ = ["BOUNDS_S", "Histogram", "RunState"]

BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 5.0)
LABELS_KEPT = 32
"""Of limiting signals, sources' states and the like: a controller of somebody's may name any number."""
SILENT_S = 5.0
"""Without a frame for so long, frames do not flow: what a stalled source is noticed after, too."""
STUCK_S = 30.0
"""A loop that has not turned for so long does not move; preparing a large network takes some seconds."""


@dataclass(slots=True)
class Histogram:
    """Seconds, counted by `BOUNDS_S`; the last count is of all that are longer."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds


class RunState(Events):
    """Counts of one run. Holds no frame: of one it keeps when it was seen.

    ``source``: its ``state`` and ``reconnects`` are asked for where it has them. ``budget``: as it was given.
    """

    every_frame = False

    def __init__(
        self, *, source: Any = None, budget: str = "auto", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.budget = budget
        self.predictions: Counter[str] = Counter()
        self.switches: Counter[str] = Counter()
        self.warnings = 0
        self.latency, self.age = Histogram(), Histogram()
        self.latest: tuple[float, str] | None = None  # age in s, configuration
        self.ended = False
        self._seen_at: float | None = None
        self._source, self._clock = source, clock
        self._begun = clock()
        self._runtime: Any = None
        self._frames: dict[str, int] = {}

    def bind(self, runtime: Stoppable) -> None:
        self._runtime = runtime

    def frame(self, frame: Frame, latest: Prediction | None) -> None:
        self._seen_at = self._clock()

    def prediction(self, prediction: Prediction) -> None:
        name = str(prediction.configuration)
        self.predictions[name] += 1
        self.latency.add(prediction.latency_ms / 1000)
        self.age.add(prediction.age_ms / 1000)
        self.latest = prediction.age_ms / 1000, name

    def switch(self, switch: Switch) -> None:
        self.switches[bounded(switch.limiting_signal, self.switches)] += 1
        if self.latest is not None:
            self.latest = self.latest[0], str(switch.after)

    def warning(self, message: str) -> None:
        self.warnings += 1

    def summary(self, summary: Summary) -> None:
        self.ended = True

    @property
    def silent_s(self) -> float | None:
        """Seconds since a frame was looked at; None before the first."""
        return None if self._seen_at is None else self._clock() - self._seen_at

    @property
    def moves(self) -> bool:
        """Whether the loop turns; while it is not reached yet, whether that is not too long ago."""
        turned = getattr(self._runtime, "turned_at", None)
        return self._clock() - (self._begun if turned is None else turned) < STUCK_S

    @property
    def flows(self) -> bool:
        """Whether a network is loaded and frames come."""
        silent = self.silent_s
        return not self.ended and silent is not None and silent < SILENT_S

    @property
    def source_state(self) -> str:
        """As the source says, else as its frames let one think."""
        told = getattr(self._source, "state", None)
        if told is not None:
            return str(getattr(told, "value", told))
        if self.ended:
            return "ended"
        return "connecting" if self._seen_at is None else "live" if self.flows else "stalled"

    @property
    def reconnects(self) -> int | None:
        """None where the source does not count them."""
        found = getattr(self._source, "reconnects", None)
        return found if isinstance(found, int) else None

    def frames(self) -> Mapping[str, int]:
        """Every captured frame by what became of it, so far; none before the run."""
        summary = getattr(self._runtime, "account", lambda: None)()
        if summary is not None:
            for outcome, count in {"used": summary.frames_used, **summary.dropped}.items():
                self._frames[outcome] = max(count, self._frames.get(outcome, 0))  # one is in nobody's hands
        return self._frames

    def signals(self) -> Any:
        """The latest reading of the sensors; None where there is none."""
        return getattr(self._runtime, "signals", None)


def bounded(name: str, known: Mapping[str, Any]) -> str:
    """``name``, or ``other`` where there are too many already."""
    return name if name in known or len(known) < LABELS_KEPT else "other"
