"""Paired differences: their intervals against closed forms."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks" / "evidence"
WIDE = 2 * 1.959964  # of a normal interval of 95 %, in standard deviations


@pytest.fixture
def paired(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("_paired")


def test_of_one_seed_the_interval_is_that_of_a_mean(paired: Any) -> None:
    """Population standard deviation over the root of the clips, both ends alike."""
    values = (np.random.default_rng(1).uniform(size=(1, 900)) < 0.7).astype(float)
    found = paired.mean_of(values)
    spread = values.std() / 30
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(WIDE * spread, rel=0.06)
    assert found.high - found.mean == pytest.approx(found.mean - found.low, rel=0.15)


def test_seeds_and_clips_both_count(paired: Any) -> None:
    """Var = Var(seed means)/S + Var(clip means)/N + Var(rest)/(S·N), of independent draws of both."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(6, 1)) * 0.3 + rng.normal(size=(1, 400)) + rng.normal(size=(6, 400))
    by_seed, by_clip = values.mean(axis=1), values.mean(axis=0)
    rest = values - by_seed[:, None] - by_clip[None] + values.mean()
    variance = by_seed.var() / 6 + by_clip.var() / 400 + rest.var() / 2400
    found = paired.mean_of(values)
    assert found.high - found.low == pytest.approx(WIDE * variance**0.5, rel=0.08)
    assert (found.seeds, found.clips) == (6, 400)


def test_pairs_are_surer_than_two_means(paired: Any) -> None:
    """Clips that are hard for both cancel out."""
    rng = np.random.default_rng(3)
    hard = rng.uniform(size=(1, 2000))
    theirs = (hard < 0.6).astype(float)
    ours = (hard < 0.62).astype(float)
    found = paired.difference(ours, theirs)
    assert found.mean == pytest.approx((ours - theirs).mean())
    assert 0 < found.low < found.mean < found.high
    alone = paired.mean_of(ours)
    assert found.high - found.low < 0.5 * (alone.high - alone.low)
    with pytest.raises(ValueError, match="not of the same seeds and clips"):
        paired.difference(ours, theirs[:, 1:])


def test_what_belongs_together_is_drawn_together(paired: Any) -> None:
    """Ten copies of each clip tell no more than one; groups of other sizes keep the mean."""
    values = np.random.default_rng(4).normal(size=(1, 50))
    single = paired.mean_of(values)
    copies = paired.mean_of(np.repeat(values, 10, axis=1), np.repeat(np.arange(50), 10))
    assert copies.high - copies.low == pytest.approx(single.high - single.low, rel=0.08)
    uneven = paired.mean_of(np.array([[1.0, 1.0, 1.0, 0.0]]), np.array([0, 0, 0, 1]))
    assert (uneven.mean, uneven.low, uneven.high) == (0.75, 0.0, 1.0)


def test_words(paired: Any) -> None:
    """Points, and per cent."""
    found = paired.Interval(0.0131, 0.002, 0.0239, 3, 4000)
    assert str(found) == "+1.3 (+0.2 to +2.4)"
    assert found.share == "1.3 % (0.2 to 2.4)"
