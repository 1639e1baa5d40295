"""Put a short text beside each of many points so that no two texts overlap. Pure geometry, in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "Segment", "crosses", "overlap", "place"]

Point = tuple[float, float]
Segment = tuple[Point, Point]

DIRECTIONS = 24
DISTANCES = (7, 10, 14, 20, 28, 38, 50, 64, 80, 100, 125, 155)
"""Free space between point and text that is tried, nearest first."""

MARKER = 6.0
"""Pixels around a point that its marker covers."""

LINE_CROSSED, MARKER_COVERED, LEADER_ON_LEADER, LEADER_ON_LINE, NEARER_TO_ANOTHER = 150, 200, 80, 12, 15
"""What is avoided at the price of a text this many pixels further away."""

ROUNDS, PUSHES = 2, 10
"""How often every text may move once all have places, and to how many spots that others must leave."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def centre(self) -> Point:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def nearest(self, point: Point) -> Point:
        """The point of the box that is nearest to another."""
        return min(max(point[0], self.left), self.right), min(max(point[1], self.bottom), self.top)

    def inside(self, other: Box) -> bool:
        """Whether all of it lies in another."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.bottom <= self.bottom
            and self.top <= other.top
        )


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share more than an edge."""
    return (
        one.left < other.right
        and other.left < one.right
        and one.bottom < other.top
        and other.bottom < one.top
    )


def crosses(segment: Segment, box: Box) -> bool:
    """Whether a line passes through a box: the line's part within each pair of sides must not be empty."""
    (x, y), (to_x, to_y) = segment
    if (x <= box.left and to_x <= box.left) or (x >= box.right and to_x >= box.right):
        return False  # most are beside or above: quickly said
    if (y <= box.bottom and to_y <= box.bottom) or (y >= box.top and to_y >= box.top):
        return False
    enters, leaves = 0.0, 1.0
    for start, step, low, high in (
        (x, to_x - x, box.left, box.right),
        (y, to_y - y, box.bottom, box.top),
    ):
        if step == 0:
            if not low < start < high:
                return False
            continue
        first, last = sorted(((low - start) / step, (high - start) / step))
        enters, leaves = max(enters, first), min(leaves, last)
    return enters < leaves


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place for a text: its box, the leader to its point, and its cost wherever the other texts are."""

    box: Box
    leader: Segment
    cost: float


Places = dict[int, _Spot]


def place(
    points: Sequence[Point],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    lines: Sequence[Segment] = (),
    taken: Sequence[Box] = (),
) -> list[Box | None]:
    """Where each text (width, height) goes, in the order of ``points``; None where there is no room.

    Texts overlap no other text, no box of ``taken``, no leader (the line from a text to its point) and not
    their own marker, and stay within ``bounds``; ``lines`` and other markers are avoided as far as there is
    room.
    """
    spots = [
        _spots(i, points, size, bounds, lines, taken)
        for i, size in zip(range(len(points)), sizes, strict=True)
    ]
    order = _most_crowded_first(points)
    placed: Places = {}
    for i in order:
        placed = _with_best(i, spots, placed)
    for i in order * ROUNDS:
        placed = _with_best(i, spots, placed)
        least = _total(placed)
        for spot in spots[i][:PUSHES]:
            if i in placed and placed[i].cost <= spot.cost:
                break
            pushed = _pushed(i, spot, spots, placed)
            if _total(pushed) < least:
                placed, least = pushed, _total(pushed)
    return [placed[i].box if i in placed else None for i in range(len(points))]


def _most_crowded_first(points: Sequence[Point]) -> list[int]:
    """Those with the nearest neighbours choose first: the others have room left."""

    def room(i: int) -> float:
        return sum(sorted(math.dist(points[i], other) for other in points)[1:4])

    return sorted(range(len(points)), key=room)


def _spots(
    i: int,
    points: Sequence[Point],
    size: tuple[float, float],
    bounds: Box,
    lines: Sequence[Segment],
    taken: Sequence[Box],
) -> list[_Spot]:
    """Every place for a text that only other texts may forbid, the cheapest first."""
    others = [*points[:i], *points[i + 1 :]]
    found = []
    for box in _around(points[i], size):
        leader = (points[i], box.nearest(points[i]))
        if not box.inside(bounds) or math.dist(*leader) < MARKER:
            continue
        if not any(overlap(box, other) or crosses(leader, other) for other in taken):
            found.append(_Spot(box, leader, _cost(box, leader, lines, others)))
    return sorted(found, key=lambda spot: spot.cost)


def _around(point: Point, size: tuple[float, float]) -> Iterator[Box]:
    """Boxes in all directions from a point, with a growing free space between."""
    for distance in DISTANCES:
        for k in range(DIRECTIONS):
            angle = 2 * math.pi * k / DIRECTIONS
            across, up = math.cos(angle), math.sin(angle)
            # In that direction the box' own edge is this far from its centre.
            reach = min(size[0] / max(2 * abs(across), 1e-9), size[1] / max(2 * abs(up), 1e-9))
            x, y = point[0] + across * (distance + reach), point[1] + up * (distance + reach)
            yield Box(x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)


def _cost(box: Box, leader: Segment, lines: Sequence[Segment], others: Sequence[Point]) -> float:
    away = math.dist(*leader)
    gaps = [math.dist(other, box.nearest(other)) for other in others]
    return (
        away
        + MARKER_COVERED * sum(gap < MARKER for gap in gaps)
        + NEARER_TO_ANOTHER * sum(gap < away for gap in gaps)
        + LINE_CROSSED * sum(crosses(line, box) for line in lines)
        + LEADER_ON_LINE * sum(_meet(leader, line) for line in lines)
    )


def _best(spots: Sequence[_Spot], others: Sequence[_Spot]) -> _Spot | None:
    best, least = None, math.inf
    for spot in spots:
        if spot.cost >= least:
            break
        if any(_collide(spot, other) for other in others):
            continue
        cost = spot.cost + LEADER_ON_LEADER * sum(_meet(spot.leader, other.leader) for other in others)
        if cost < least:
            best, least = spot, cost
    return best


def _with_best(i: int, spots: Sequence[Sequence[_Spot]], placed: Places) -> Places:
    """The same places, with text ``i`` at the best spot that the others leave."""
    others = {j: spot for j, spot in placed.items() if j != i}
    best = _best(spots[i], list(others.values()))
    return others if best is None else {**others, i: best}


def _pushed(i: int, spot: _Spot, spots: Sequence[Sequence[_Spot]], placed: Places) -> Places:
    """The same places, with text ``i`` at a spot, and those that were in its way where they find room."""
    stay = {j: other for j, other in placed.items() if j != i and not _collide(spot, other)}
    result = {**stay, i: spot}
    for j in placed:
        if j not in result:
            result = _with_best(j, spots, result)
    return result


def _total(placed: Places) -> tuple[int, float]:
    """What all places cost; a text more is worth any cost."""
    found = list(placed.values())
    tangled = sum(
        _meet(one.leader, other.leader) for number, one in enumerate(found) for other in found[:number]
    )
    return -len(found), sum(spot.cost for spot in found) + LEADER_ON_LEADER * tangled


def _collide(one: _Spot, other: _Spot) -> bool:
    return overlap(one.box, other.box) or crosses(one.leader, other.box) or crosses(other.leader, one.box)


def _meet(one: Segment, other: Segment) -> bool:
    """Whether two lines cross."""
    (a, b), (c, d) = one, other
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
