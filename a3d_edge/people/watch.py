"""Keeps up with who is where in a stream: runs the detector at its period, or hears the feed, and tracks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from a3d_edge.people.box import Box, Identity, Person
from a3d_edge.people.protocols import Detector, Feed, Sighting
from a3d_edge.people.tracks import Tracks, TrackSettings, step
from a3d_edge.people.whereabouts import Whereabouts
from a3d_edge.video.frame import Frame

__all__ = ["PeopleWatch"]

EARLY_S = 0.004
"""How early a frame may be for a detection: containers round their times."""
REHEARSED = (480, 640, 3)
KEPT = 4096
"""Times of detections for the summary's percentiles."""
SHARES = (("p50", 0.5), ("p95", 0.95))


class PeopleWatch:
    """Looks at every frame it is given; asked where people were at a time not more than ``span_s`` back.

    ``period_s``: seconds of the source between two detections. ``source``: a detector or a
    feed. What has no identities is tracked. Call it from one thread. Raises what the source raises.
    """

    def __init__(
        self,
        source: Detector | Feed,
        *,
        period_s: float,
        span_s: float,
        tracking: TrackSettings = TrackSettings(),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.name = source.name
        self.period_s = period_s
        self._detector: Any = source if hasattr(source, "detect") else None
        self._feed: Any = None if self._detector else source
        self._tracking, self._clock = tracking, clock
        self._tracks = Tracks()
        self._where = Whereabouts(span_s, max(2 * period_s, 0.5))
        self._due_s = -1.0
        self._tracked_s = -1.0
        self._take: int | None = None
        self._work_s = 0.0
        self._recent: deque[float] = deque(maxlen=KEPT)
        self.sightings = 0

    def see(self, frame: Frame) -> None:
        """Look at a frame, if it is time to; of another take, people are others."""
        if self._take not in (None, frame.take):
            self.begin()
        self._take = frame.take
        begun = self._clock()
        if self._feed is not None:
            for sighting in self._feed.until(frame):
                self._follow(sighting)
        elif frame.time_s >= self._due_s - EARLY_S:
            self._follow(Sighting(frame.time_s, tuple(self._detector.detect(frame.image))))
            self._due_s = self._after(frame.time_s)
            self._recent.append(self._clock() - begun)
        self._work_s += self._clock() - begun

    def begin(self) -> None:
        """What comes next is another take, or stream."""
        self._tracks = Tracks(next_id=self._tracks.next_id)
        self._where.forget()
        self._due_s = self._tracked_s = -1.0

    def at(self, time_s: float) -> tuple[Person, ...]:
        """Who was where."""
        return self._where.at(time_s)

    def latest(self) -> dict[Identity, Box]:
        """Where people were seen last."""
        return self._where.latest()

    def rehearsal_ms(self, hop_s: float) -> float:
        """What a detector will take of a window, by a grey picture; 0 of a feed."""
        if self._detector is None:
            return 0.0
        grey = np.full(REHEARSED, 128, np.uint8)
        self._detector.detect(grey)  # the first allocates
        begun = self._clock()
        self._detector.detect(grey)
        return self._of_hop_ms(self._clock() - begun, hop_s)

    def taken_ms(self) -> float:
        """Work since this was asked last."""
        work_s, self._work_s = self._work_s, 0.0
        return 1e3 * work_s

    def steady_ms(self, hop_s: float) -> float:
        """What the detector takes of a window that follows another, by its latest run; 0 of a feed."""
        return self._of_hop_ms(self._recent[-1], hop_s) if self._recent else 0.0

    def warnings(self) -> Sequence[str]:
        """What went wrong and is survived, since this was asked last."""
        return () if self._feed is None else self._feed.warnings()

    def account(self) -> dict[str, Any]:
        """For the summary: sightings; of a live feed messages left out, of a detector how long it took."""
        found: dict[str, Any] = {"source": self.name, "sightings": self.sightings}
        if (left_out := getattr(self._feed, "left_out", None)) is not None:
            found["left_out"] = left_out
        if ordered := sorted(self._recent):
            at = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in SHARES}
            found["detector_ms"] = {name: 1e3 * taken_s for name, taken_s in at.items()}
        return found

    def close(self) -> None:
        """Let the detector or feed go."""
        (self._detector or self._feed).close()

    def _of_hop_ms(self, taken_s: float, hop_s: float) -> float:
        return 1e3 * taken_s * max(1.0, hop_s / self.period_s)

    def _after(self, time_s: float) -> float:
        """When the next detection is due: on one beat, so that windows' middles are looked at themselves."""
        late_s = time_s - self._due_s
        return (
            self._due_s + self.period_s
            if self._due_s >= 0 and late_s < self.period_s
            else time_s + self.period_s
        )

    def _follow(self, sighting: Sighting) -> None:
        self.sightings += 1
        named = [Person(one.id, one.box, one.score) for one in sighting.people if one.id is not None]
        if named:
            self._where.see(sighting.time_s, named)
            return
        if sighting.time_s <= self._tracked_s:  # told twice, or late: tracks go one way
            return
        self._tracked_s = sighting.time_s
        self._tracks = step(self._tracks, sighting.people, sighting.time_s, self._tracking)
        self._where.see(sighting.time_s, self._tracks.people(sighting.time_s))
