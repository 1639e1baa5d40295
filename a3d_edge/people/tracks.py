"""Who is who over time: ByteTrack's association (Zhang et al., ECCV 2022), in plain steps.

    predict (constant velocity) ─► sure boxes to all tracks ─► faint boxes to what is left ─► begin, lose, end

Boxes with a high score are matched first, those with a low one only with tracks that go on: a person who is
half hidden is still found faintly, and a false alarm begins no track. By overlap alone: no look at pixels. In
the place of the Kalman filter a box's velocity is averaged, and in that of the Hungarian method pairs are
taken greedily, the largest overlap first: no SciPy is needed, and people overlap seldom enough.

Pure: the state goes in and comes out, time is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from a3d_edge.people.box import Box, Detection, Person, overlaps

__all__ = ["MOST_TRACKS", "Track", "TrackSettings", "Tracks", "step"]

SMOOTHING = 0.5
"""Of the velocity: how much the newest displacement counts."""


MOST_TRACKS = 256
"""That go on at once; those that were not seen the longest end first."""


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """Scores and overlaps are from 0 to 1. A track begins above ``begin``; boxes above ``sure`` are matched
    first, others down to ``faint``. ``lost_s``: how long nobody may see a track before it ends."""

    sure: float = 0.5
    faint: float = 0.1
    begin: float = 0.6
    overlap: float = 0.2  # of sure boxes with where tracks are expected
    faint_overlap: float = 0.5
    fresh_overlap: float = 0.3  # with a track that was seen once
    lost_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Track:
    """A person who is followed: the box at ``seen_s``, its velocity in pixels a second, how often seen."""

    id: int
    box: Box
    score: float
    seen_s: float
    velocity: Box = (0.0, 0.0, 0.0, 0.0)
    times: int = 1

    def expected(self, now_s: float) -> Box:
        """Where the box should be; its size is held, only its centre moves."""
        after_s = now_s - self.seen_s
        across = (self.velocity[0] + self.velocity[2]) / 2 * after_s
        down = (self.velocity[1] + self.velocity[3]) / 2 * after_s
        x1, y1, x2, y2 = self.box
        return x1 + across, y1 + down, x2 + across, y2 + down

    def after(self, found: Detection, now_s: float) -> Track:
        """The track with one more detection."""
        after_s = now_s - self.seen_s
        velocity = self.velocity
        if after_s > 0:
            weight = SMOOTHING if self.times > 1 else 1.0
            fresh = ((b - a) / after_s for a, b in zip(self.box, found.box, strict=True))
            a, b, c, d = (v + weight * (f - v) for v, f in zip(velocity, fresh, strict=True))
            velocity = (a, b, c, d)
        return Track(self.id, found.box, found.score, now_s, velocity, self.times + 1)


@dataclass(frozen=True, slots=True)
class Tracks:
    """All that goes on, and the number that the next new one gets."""

    going: tuple[Track, ...] = ()
    next_id: int = 1
    begun: bool = False

    def people(self, now_s: float) -> tuple[Person, ...]:
        """Who was seen at that time; a track counts from its second detection on, or from the first frame."""
        seen = (track for track in self.going if track.seen_s == now_s and track.times > 1)
        return tuple(Person(track.id, track.box, track.score) for track in seen)


def step(
    tracks: Tracks, found: Sequence[Detection], now_s: float, settings: TrackSettings = TrackSettings()
) -> Tracks:
    """The tracks after the detections of one moment (s), which is later than the one before."""
    sure = [one for one in found if one.score >= settings.sure]
    faint = [one for one in found if settings.faint <= one.score < settings.sure]
    settled = [track for track in tracks.going if track.times > 1]
    fresh = [track for track in tracks.going if track.times == 1]
    going: list[Track] = []

    pairs, settled, sure = _matched(settled, sure, now_s, settings.overlap)
    going += pairs
    recent = [track for track in settled if track.seen_s == _newest(tracks)]  # lost ones wait for a sure box
    pairs, recent, _ = _matched(recent, faint, now_s, settings.faint_overlap)
    going += pairs
    pairs, _, sure = _matched(fresh, sure, now_s, settings.fresh_overlap)  # those left are forgotten
    going += pairs

    again = {track.id for track in going}
    going += [t for t in settled if t.id not in again and now_s - t.seen_s <= settings.lost_s]
    number = tracks.next_id
    for one in sure:
        if one.score >= settings.begin:
            times = 1 if tracks.begun else 2  # of the first moment all count at once
            going.append(Track(number, one.box, one.score, now_s, times=times))
            number += 1
    kept = sorted(going, key=lambda track: (track.seen_s, track.id))[-MOST_TRACKS:]
    return Tracks(tuple(sorted(kept, key=lambda track: track.id)), number, begun=True)


def _newest(tracks: Tracks) -> float:
    return max((track.seen_s for track in tracks.going), default=0.0)


def _matched(
    tracks: list[Track], found: list[Detection], now_s: float, least: float
) -> tuple[list[Track], list[Track], list[Detection]]:
    """Pairs as tracks gone on, and the tracks and detections that are left."""
    if not tracks or not found:
        return [], tracks, found
    shared = overlaps([track.expected(now_s) for track in tracks], [one.box for one in found])
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for place in np.argsort(-shared, axis=None, kind="stable"):
        row, column = divmod(int(place), len(found))
        if shared[row, column] < least:
            break
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return (
        [tracks[row].after(found[column], now_s) for row, column in pairs.items()],
        [track for row, track in enumerate(tracks) if row not in pairs],
        [one for column, one in enumerate(found) if column not in taken],
    )
