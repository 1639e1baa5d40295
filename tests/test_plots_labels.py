"""Where texts go beside points: geometry by hand, and no overlap however crowded."""

from __future__ import annotations

import itertools
import random

import pytest

from a3d_edge.plots.labels import MARKER, Box, Segment, crosses, overlap, place

BOUNDS = Box(0, 0, 600, 400)
SIZE = (70.0, 12.0)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (((0, 15), (30, 15)), True),
        (((12, 12), (14, 14)), True),
        (((0, 0), (9, 20)), False),
        (((0, 25), (25, 0)), True),
        (((0, 12), (9, 12)), False),
        (((15, 0), (15, 9)), False),
        (((20, 0), (20, 30)), False),
    ],
)
def test_lines_and_boxes(segment: Segment, expected: bool) -> None:
    """Through it, inside it, past a corner, across a corner, short of it on either axis, along its edge."""
    box = Box(10, 10, 20, 20)
    assert crosses(segment, box) is expected
    assert crosses((segment[1], segment[0]), box) is expected


def test_boxes_that_touch_do_not_overlap() -> None:
    """Only a shared area counts."""
    box = Box(0, 0, 10, 10)
    assert not overlap(box, Box(10, 0, 20, 10))
    assert overlap(box, Box(9, 9, 20, 20))
    assert overlap(box, Box(2, 2, 3, 3))


def test_a_lone_text_is_near_its_point_and_off_its_line() -> None:
    """Not on the marker, not on the line that runs through."""
    line = ((0.0, 200.0), (600.0, 200.0))
    (box,) = place([(300, 200)], [SIZE], BOUNDS, [line])
    assert box is not None
    x, y = box.nearest((300, 200))
    assert MARKER <= abs(x - 300) + abs(y - 200) < 15
    assert not crosses(line, box)


def test_texts_stay_within_bounds() -> None:
    """At corners, too."""
    corners = [(1.0, 1.0), (599.0, 1.0), (1.0, 399.0), (599.0, 399.0)]
    assert all(box is not None and box.inside(BOUNDS) for box in place(corners, [SIZE] * 4, BOUNDS))


@pytest.mark.parametrize("seed", range(3))
def test_no_two_texts_overlap_however_crowded(seed: int) -> None:
    """Nor a text and what is taken; those that find no room are left out, and most find it."""
    rng = random.Random(seed)
    points = [(rng.gauss(300, 60), rng.gauss(200, 30)) for _ in range(14)]
    taken = [Box(280, 0, 300, 150)]
    boxes = [box for box in place(points, [SIZE] * 14, BOUNDS, (), taken) if box is not None]
    assert len(boxes) >= 12
    assert not any(overlap(one, other) for one, other in itertools.combinations([*boxes, *taken], 2))


def test_without_room_there_is_no_text() -> None:
    """Rather than one upon another."""
    places = place([(30, 10), (31, 10), (32, 10)], [SIZE] * 3, Box(0, 0, 80, 40))
    assert sum(box is not None for box in places) < 3


def test_a_text_makes_room_for_one_that_has_less_choice() -> None:
    """Two points at the mouth of a corridor: both find places, and neither on a wall."""
    wall = [((0.0, 215.0), (280.0, 215.0)), ((0.0, 185.0), (280.0, 185.0))]
    first, second = place([(280, 200), (290, 200)], [SIZE] * 2, BOUNDS, wall)
    assert first is not None
    assert second is not None
    assert not overlap(first, second)
    assert not any(crosses(line, box) for line in wall for box in (first, second))
