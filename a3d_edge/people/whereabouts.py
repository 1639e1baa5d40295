"""Where each person was, a few seconds back: a window asks about its middle frame, which is past.

Between two sightings of a person the box is interpolated, over a moment in which they were missed too; before
the first and after the last it is held for a while, unless that moment was looked at without him.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from a3d_edge.people.box import Box, Identity, Person

__all__ = ["HELD_S", "MOST_KEPT", "Whereabouts"]

HELD_S = 0.5
"""How long a box is held beyond a sighting: half a second of walking is about half a person's width."""

MOST_KEPT = 4096
"""Sightings that are kept of all people together, at the most; the oldest go first."""


class Whereabouts:
    """``span_s``: how far back it may be asked. ``held_s``: how long a box holds without another sighting."""

    def __init__(self, span_s: float, held_s: float = HELD_S) -> None:
        self._span_s, self._held_s = span_s + held_s, held_s
        self._seen: list[tuple[float, tuple[Person, ...]]] = []  # by time

    def see(self, time_s: float, people: Iterable[Person]) -> None:
        """Who is where at a time of the source; a second telling of one time takes the first's place."""
        place = bisect_left(self._seen, time_s, key=lambda one: one[0])
        replaces = place < len(self._seen) and self._seen[place][0] == time_s
        self._seen[place : place + replaces] = [(time_s, tuple(people))]
        newest_s = self._seen[-1][0]
        while len(self._seen) > MOST_KEPT or self._seen[0][0] < newest_s - self._span_s:
            del self._seen[0]

    def at(self, time_s: float) -> tuple[Person, ...]:
        """Who was where at a time: seen before and after it, or not long before or after."""
        place = bisect_left(self._seen, time_s, key=lambda one: one[0])
        earlier, later = self._seen[:place][::-1], self._seen[place:]
        before, after = self._near(earlier, time_s), self._near(later, time_s)
        found = []
        for who in {**before, **after}:
            if who in before and who in after:
                found.append(_between(before[who], after[who], time_s))
            elif who in before and _is_in(who, earlier[0][1]):
                found.append(before[who][1])
            elif who in after and _is_in(who, later[0][1]):
                found.append(after[who][1])
        return tuple(found)

    def latest(self) -> dict[Identity, Box]:
        """The boxes of the newest sighting."""
        return {person.id: person.box for person in self._seen[-1][1]} if self._seen else {}

    def forget(self) -> None:
        """What was seen is of another take."""
        self._seen.clear()

    def _near(
        self, seen: Iterable[tuple[float, tuple[Person, ...]]], time_s: float
    ) -> dict[Identity, tuple[float, Person]]:
        """Of each person the sighting nearest to a time, on one side of it."""
        found: dict[Identity, tuple[float, Person]] = {}
        for at_s, people in seen:
            if abs(at_s - time_s) > self._held_s:
                break
            for person in people:
                found.setdefault(person.id, (at_s, person))
        return found


def _is_in(who: Identity, people: tuple[Person, ...]) -> bool:
    return any(person.id == who for person in people)


def _between(before: tuple[float, Person], after: tuple[float, Person], time_s: float) -> Person:
    (from_s, first), (to_s, last) = before, after
    part = (time_s - from_s) / (to_s - from_s)
    x1, y1, x2, y2 = (a + part * (b - a) for a, b in zip(first.box, last.box, strict=True))
    return Person(first.id, (x1, y1, x2, y2), last.score if part > 0.5 else first.score)
