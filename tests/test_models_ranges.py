"""Configuration ranges: the paper's grids, scaled to other networks, and the draws of a training step."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from fixtures_bundle import tiny_slow

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.ranges import RANGES, candidates, find_range


def test_the_wide_range_has_the_paper_s_96_configurations_and_the_largest() -> None:
    """6 widths × 4 sizes × 4 frame counts (paper §3), and 256²×8 at full width."""
    grid = RANGES["0.016"].grid(224, 8)
    assert len(grid) == len(set(grid)) == 97
    assert grid[0] == Configuration(1.0, 256, 8)
    assert {c.width for c in grid} == {0.5, 0.6, 0.7, 0.8, 0.9, 1.0}
    assert {c.size for c in grid[1:]} == {128, 160, 192, 224}
    assert {c.frames for c in grid} == {2, 4, 6, 8}


def test_the_narrow_range_is_the_paper_s() -> None:
    """5 widths × 3 sizes × 3 frame counts, and the largest."""
    grid = RANGES["0.06"].grid(224, 8)
    assert len(grid) == 46
    assert {c.width for c in grid} == {0.63, 0.73, 0.83, 0.93, 1.0}
    assert {c.size for c in grid} == {256, 224, 178, 142}
    assert {c.frames for c in grid} == {3, 5, 8}


def test_a_grid_begins_with_the_dearest() -> None:
    """Full width, size and frames first; width changes fastest; the smallest is last."""
    grid = RANGES["0.016"].grid(224, 8)
    assert [str(c) for c in grid[1:4]] == ["w1.00-s224-t8", "w0.90-s224-t8", "w0.80-s224-t8"]
    assert str(grid[-1]) == "w0.50-s128-t2"


def test_sizes_and_frames_scale_with_the_network() -> None:
    """Half the size, half the frames; frame counts that fall together are one."""
    narrow = RANGES["0.06"]
    assert narrow.scaled_sizes(112) == [71, 89, 112]
    assert narrow.scaled_frames(8) == [3, 5, 8]
    assert narrow.scaled_frames(4) == [2, 3, 4]  # of 1.5, 2.5 and 4: as the paper's Table 14
    assert RANGES["0.016"].scaled_frames(2) == [1, 2]
    assert RANGES["0.016"].grid(112, 8)[0] == Configuration(1.0, 128, 8)


@pytest.mark.parametrize("name", ["0.016", "0.06"])
def test_a_step_draws_the_minimum_width_and_a_random_one(name: str) -> None:
    """Widths fill [minimum, 1]; sizes and frames of both come from the range, each drawn alone."""
    budget_range, rng = RANGES[name], random.Random(0)
    pairs = [budget_range.draw(224, 8, rng) for _ in range(400)]
    low = min(budget_range.widths)
    assert {smallest.width for smallest, _ in pairs} == {low}
    widths = [drawn.width for _, drawn in pairs]
    assert low <= min(widths) < low + 0.02
    assert 0.98 < max(widths) <= 1.0
    assert abs(sum(widths) / 400 - (low + 1) / 2) < 0.03
    for place in (0, 1):
        chosen = {(pair[place].size, pair[place].frames) for pair in pairs}
        assert chosen == {(s, t) for s in budget_range.sizes for t in budget_range.frames}
    assert any(a.size != b.size and a.frames != b.frames for a, b in pairs)


def test_a_draw_depends_on_the_generator_alone() -> None:
    """Same seed, same sub-networks."""
    draws = [RANGES["0.016"].draw(112, 8, random.Random("7:3")) for _ in range(2)]
    assert draws[0] == draws[1]
    assert draws[0] != RANGES["0.016"].draw(112, 8, random.Random("7:4"))


def test_an_unknown_range_is_refused_with_those_there_are() -> None:
    """Named by the flag."""
    assert find_range("0.06") is RANGES["0.06"]
    with pytest.raises(UsageError) as caught:
        find_range("0.5")
    assert str(caught.value) == "unknown `range_name` '0.5'; there are 0.016, 0.06, 0.06-no-frames"


def test_twelve_candidates_stand_for_the_wide_range() -> None:
    """Largest and smallest, each dimension alone half-way and to its end, and several together where there
    are gaps in cost; in order."""
    pytest.importorskip("torch")
    found = candidates(RANGES["0.016"], tiny_slow().model_copy(update={"size": 224, "frames": 8}))
    assert [str(c) for c in found] == [
        "w1.00-s256-t8",  # the largest
        "w1.00-s224-t8",  # full size
        "w0.70-s224-t8",  # narrower alone
        "w0.50-s224-t8",
        "w1.00-s224-t4",  # fewer frames alone
        "w1.00-s224-t2",
        "w1.00-s160-t8",  # smaller alone
        "w0.70-s160-t4",  # all together, half-way
        "w0.50-s160-t2",
        "w1.00-s128-t8",
        "w0.80-s128-t2",
        "w0.50-s128-t2",  # the smallest
    ]


@pytest.mark.parametrize("name", ["0.016", "0.06"])
@pytest.mark.parametrize(("size", "frames"), [(224, 8), (112, 4), (32, 1)])
def test_candidates_of_every_count(name: str, size: int, frames: int) -> None:
    """So many, those of a smaller count among them, of the grid and in its order; in the end all of it."""
    pytest.importorskip("torch")
    description = tiny_slow().model_copy(update={"size": size, "frames": frames})
    grid = RANGES[name].grid(size, frames)
    fewer: set[Configuration] = set()
    for count in range(2, len(grid) + 1):
        found = candidates(RANGES[name], description, count)
        assert len(found) == count
        assert fewer < set(found)
        assert [c for c in grid if c in set(found)] == found
        assert {grid[0], grid[-1]} <= set(found)
        fewer = set(found)
    assert candidates(RANGES[name], description, 1000) == grid


def test_more_candidates_fill_the_gaps_in_cost() -> None:
    """No two neighbours of 24 differ by more than a half in what they cost."""
    pytest.importorskip("torch")
    found = candidates(RANGES["0.016"], tiny_slow().model_copy(update={"size": 224, "frames": 8}), 24)
    costs = sorted(c.width**2 * c.size**2 * c.frames for c in found)
    assert max(b / a for a, b in pairwise(costs)) < 1.6


def test_one_candidate_is_refused() -> None:
    """There are always two ends."""
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match="1 candidates are too few: the largest and the smallest are always"):
        candidates(RANGES["0.016"], tiny_slow(), 1)
