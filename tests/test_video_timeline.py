"""Rising instants and takes from whatever a container says, and which of its stamps to believe."""

from __future__ import annotations

import pytest

from a3d_edge.video.timeline import GAP_S, Stamps, Timeline

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("positions", "times"),
    [
        ([0.0, 0.0, 0.0], [0.0, 0.1, 0.2]),
        ([5.0, 5.04, 5.02, 5.3], [0.0, 0.04, 0.14, 0.3]),
        ([NAN, 0.1, INF], [0.0, 0.1, 0.2]),
        ([0.2, 0.3, 0.0], [0.0, 0.1, 0.2]),
        ([None, None, 3.0, 3.05], [0.0, 0.1, 0.2, 0.25]),
    ],
)
def test_positions_that_do_not_advance_give_way_to_the_rate(
    positions: list[float | None], times: list[float]
) -> None:
    """Time always advances: without a usable position by one interval of the announced rate."""
    timeline = Timeline(rate=10.0)
    assert [timeline.place(p) for p in positions] == pytest.approx(times)
    assert timeline.take == 0


def test_a_restart_goes_on_in_another_take() -> None:
    """The second of two recordings begins at 1.4 s again: one interval later, and from there at its times."""
    timeline = Timeline(rate=10.0)
    placed = [(timeline.place(p), timeline.take) for p in (1.4, 1.5, 9.4, 1.4, 1.6)]
    assert [take for _, take in placed] == [0, 0, 0, 1, 1]
    assert [at for at, _ in placed] == pytest.approx([0.0, 0.1, 8.0, 8.1, 8.3])


def test_a_long_gap_stays_in_time_and_is_another_take() -> None:
    """Where a picture is to be found in the recording does not change; that it does not go on is said."""
    timeline = Timeline(rate=10.0)
    placed = [(timeline.place(p), timeline.take) for p in (0.0, GAP_S, 2 * GAP_S + 1.0, 2 * GAP_S + 1.1)]
    assert [take for _, take in placed] == [0, 0, 1, 1]
    assert [at for at, _ in placed] == pytest.approx([0.0, GAP_S, 2 * GAP_S + 1.0, 2 * GAP_S + 1.1])


def test_presentation_times_are_believed_until_they_go_wrong_more_often() -> None:
    """Frames out of order whose presentation times were guessed: from the first fault on decoding times."""
    stamps = Stamps(0.1)
    pairs = [(1, 2), (4, 3), (3, 4), (5, 5), (7, 6), (6, 7)]
    found = [stamps.position(*pair) for pair in pairs]
    assert found == pytest.approx([0.1, 0.4, 0.4, 0.5, 0.6, 0.7])


def test_stamps_that_are_not_there_leave_the_other_or_none() -> None:
    """No presentation time: decoding time; neither: None."""
    stamps = Stamps(0.1)
    assert [stamps.position(*pair) for pair in ((None, 3), (5, None), (None, None))] == [
        pytest.approx(0.3),
        0.5,
        None,
    ]
