"""How old a picture was when it came."""

from __future__ import annotations

import pytest

from a3d_edge.video.transit import Transit


def test_a_steady_stream_is_as_old_as_it_comes() -> None:
    """Every picture as quick as the one before; without stamps nothing else can be known."""
    transit = Transit()
    assert [transit.captured_s(100.0 + t, 7.0 + t) for t in (0.0, 0.5, 1.0)] == [100.0, 100.5, 101.0]
    assert transit.captured_s(200.0, None) == 200.0


def test_what_was_held_back_counts_from_when_it_should_have_come() -> None:
    """Half a second of pictures at once, after a pause: the oldest of them waited longest."""
    transit = Transit()
    transit.captured_s(100.0, 0.0)
    burst = [transit.captured_s(100.6, position) for position in (0.1, 0.2, 0.6)]
    assert burst == pytest.approx([100.1, 100.2, 100.6])


def test_clocks_that_drift_do_not_add_up() -> None:
    """A camera's clock that runs a thousandth slow: after an hour the age is off by ten seconds' worth."""
    transit = Transit()
    ages = [t * 1.001 - transit.captured_s(t * 1.001, t) for t in (n * 0.5 for n in range(7200))]
    assert max(ages) < 0.0105


def test_an_impossible_wait_is_a_wrong_stamp() -> None:
    """More than five seconds: the arrival counts."""
    transit = Transit()
    transit.captured_s(100.0, 50.0)
    assert transit.captured_s(101.0, 1.0) == 101.0
