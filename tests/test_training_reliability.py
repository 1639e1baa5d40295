"""How far scores can be relied on: against closed forms and cases worked by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("av")

from a3d_edge.training.evaluation import Scores
from a3d_edge.training.reliability import (
    calibration_error,
    fitted_temperature,
    helpful_temperature,
    measured_fields,
    scaled,
    thresholds,
    wilson_interval,
)


def softmax(logits: Any) -> NDArray[np.float64]:
    raised = np.exp(np.asarray(logits, float))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def one_window(scores: Any) -> NDArray[np.float32]:
    """Scores (clips, classes) as those of clips of one window each."""
    return np.asarray(scores, np.float32)[:, None, :]


def of_two(margin: float, right: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Clips of two classes in turn, all named with one margin of logits, ``right`` of every ten rightly."""
    truth = np.arange(count) % 2
    named = np.where(np.arange(count) // 2 % 10 < right, truth, 1 - truth)
    return one_window(softmax([[margin * (1 - name), margin * name] for name in named])), truth


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (28, 29, 0.8282, 0.9939),
    ],
)
def test_the_interval_is_wilson_s(right: int, count: int, low: float, high: float) -> None:
    """As published (Newcombe, Statistics in Medicine 17, 1998, table I, method 3), and the same mirrored."""
    assert wilson_interval(right, count) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


def test_the_ends_of_the_interval_are_where_the_score_test_rejects() -> None:
    """What defines it: (p̂ − p)² = z²·p(1−p)/n at both."""
    for end in wilson_interval(52, 72):
        assert (52 / 72 - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / 72, rel=1e-5)


def test_the_calibration_error_of_a_case_worked_by_hand() -> None:
    """Two windows at 0.9 of which one is right, one at 0.6 that is right; 2/3 is the upper end of a bin."""
    windows = one_window([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    truth = np.array([0, 1, 1])
    expected = (2 * abs(0.5 - 0.9) + 1 * abs(1 - 0.6)) / 3
    assert calibration_error(windows, truth) == pytest.approx(expected, abs=1e-6)
    together = np.array([[[2 / 3, 1 / 3], [0.65, 0.35]]])  # of one clip; both in (9/15, 10/15]
    assert calibration_error(together, np.array([1])) == pytest.approx((2 / 3 + 0.65) / 2, abs=1e-6)
    apart = np.array([[[0.67, 0.33], [0.65, 0.35]]])
    assert calibration_error(apart, np.array([0])) == pytest.approx((0.33 + 0.35) / 2, abs=1e-6)


def test_scores_that_are_as_often_right_as_they_say_have_no_error() -> None:
    """Of eight tenths, eight in ten."""
    windows, truth = of_two(math.log(4), 8, 40)
    assert calibration_error(windows, truth) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("margin", "right"), [(4.0, 7), (1.0, 9), (6.0, 6)])
def test_the_temperature_is_that_of_the_closed_form(margin: float, right: int) -> None:
    """Where margins are alike: what makes the score the share that is right, margin / logit(share)."""
    windows, truth = of_two(margin, right, 40)
    expected = margin / math.log(right / (10 - right))
    assert fitted_temperature(windows, truth) == pytest.approx(min(10.0, expected), rel=1e-3)
    assert scaled(windows, expected).max(axis=-1) == pytest.approx(np.full((40, 1), right / 10), rel=1e-4)


def test_the_temperature_has_bounds() -> None:
    """All right: the surer the better; no better than chance: the less sure."""
    assert fitted_temperature(*of_two(1.0, 10, 40)) == pytest.approx(0.1, rel=1e-3)
    assert fitted_temperature(*of_two(1.0, 5, 40)) == pytest.approx(10.0, rel=1e-3)


def test_scaling_is_the_softmax_of_logits_over_the_temperature() -> None:
    """Whatever was added to all logits; at 1 nothing changes, and a score of zero stays a number."""
    logits = np.random.default_rng(0).normal(0, 3, (5, 2, 4))
    np.testing.assert_allclose(scaled(softmax(logits), 2.5), softmax(logits / 2.5), rtol=1e-9)
    given = one_window(softmax(logits[:, 0]))
    np.testing.assert_array_equal(scaled(given, 1.0), given)
    assert scaled(np.array([1.0, 0.0]), 2.0) == pytest.approx([1.0, 0.0], abs=1e-12)


def test_a_temperature_is_kept_only_if_it_helps_on_other_clips() -> None:
    """Overconfident scores: yes. Right ones: what the halves differ by chance is no reason. Few clips: no."""
    windows, truth = of_two(4.0, 7, 80)
    assert helpful_temperature(windows, truth) == pytest.approx(4 / math.log(7 / 3), rel=1e-3)
    assert helpful_temperature(windows[:18], truth[:18]) is None
    first = np.array([name == 0 for name in range(2) for _ in range(20)])  # which clips the halves deal out
    odd = np.tile([True, False], 20)
    true = np.where(first, 0, 1)
    sure_on_odd = np.where(odd[:, None], [[0.0, 4.0]], [[4.0, 0.0]])  # odd clips wrong, even ones right …
    logits = np.where(first[:, None], sure_on_odd, sure_on_odd[:, ::-1])
    assert (
        helpful_temperature(one_window(softmax(logits)), true) is None
    )  # … each half would mislead the other


def test_a_threshold_keeps_out_all_but_one_in_twenty_of_others() -> None:
    """It is the lowest that does; a class's own clips do not move it."""
    others = np.linspace(0.01, 0.80, 40)
    own = np.full(10, 0.7)
    score = np.concatenate([own, others])
    windows = one_window(np.stack([score, 1 - score], axis=1))
    truth = np.array([0] * 10 + [1] * 40)
    found = thresholds(windows, truth, ("hug", "none"))
    exceeding = (others > found["hug"]).sum()
    assert exceeding == 2
    assert found["hug"] == pytest.approx(sorted(others)[-3], abs=2e-6)
    assert found["none"] == 0.5  # of others there are ten


def test_with_few_clips_of_a_class_the_threshold_is_one_half() -> None:
    """Clips count, not windows; and a class that does not occur has one too."""
    rng = np.random.default_rng(1)
    windows = softmax(rng.normal(0, 1, (44, 4, 3)))
    truth = np.array([0] * 4 + [1] * 40)
    assert thresholds(windows, truth, ("hug", "none", "point")) == {"hug": 0.5, "none": 0.5, "point": 0.5}
    truth[4] = 0
    assert thresholds(windows, truth, ("hug", "none", "point"))["hug"] != 0.5


def test_a_row_says_it_all() -> None:
    """Accuracy, interval and recall of clips; the rest of windows, at the temperature."""
    windows, truth = of_two(4.0, 7, 80)
    found = measured_fields(Scores(windows.sum(axis=1, dtype=float), truth, windows), ("hug", "none"))
    assert (found["accuracy"], found["clips"], found["recall"]) == (0.7, 80, {"hug": 0.7, "none": 0.7})
    assert found["accuracy_interval"] == pytest.approx(wilson_interval(56, 80), abs=1e-6)
    assert found["temperature"] == pytest.approx(4 / math.log(7 / 3), rel=1e-3)
    assert found["calibration_error"] == pytest.approx(0, abs=1e-4)
    assert found["thresholds"] == {"hug": pytest.approx(0.7, abs=1e-4), "none": pytest.approx(0.7, abs=1e-4)}


def test_of_sums_over_windows_a_row_says_less() -> None:
    """Nothing that is about one prediction; and of scores that are no numbers."""
    summed, truth = np.array([[3.0, 1.0], [3.0, 1.0]]), np.array([0, 1])
    found = measured_fields(Scores(summed, truth), ("hug", "none"))
    lost = np.full((2, 4, 2), np.nan, np.float32)
    assert measured_fields(Scores(summed, truth, lost), ("hug", "none")) == found
    assert found == {
        "accuracy": 0.5,
        "clips": 2,
        "accuracy_interval": tuple(round(end, 6) for end in wilson_interval(1, 2)),
        "recall": {"hug": 1.0, "none": 0.0},
    }
