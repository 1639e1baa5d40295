"""Mean average precision: by hand, by its definition, and with the classes that no clip has."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")

from a3d_edge.errors import A3DEdgeError, UsageError
from a3d_edge.training.average_precision import average_precisions, mean_average_precision


def by_hand(scores: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """Charades_v1_classify.m's: the mean over the clips it is true of of the precision down to each."""
    ranked = true[np.argsort(-scores, kind="stable")]
    found = [ranked[: place + 1].mean() for place in np.flatnonzero(ranked)]
    return float(np.sum(found) / true.sum())


def test_a_case_made_by_hand() -> None:
    """True clips at the ranks 1, 3 and 4 of five: (1/1 + 2/3 + 3/4) / 3. At rank 2 alone: 1/2."""
    scores = np.array([[0.9, 0.2], [0.8, 0.1], [0.7, 0.9], [0.6, 0.8], [0.1, 0.3]])
    truth = np.array([[1, 0], [0, 0], [1, 0], [1, 1], [0, 0]])
    found = average_precisions(scores, truth, ("hug", "wave"))
    assert found == {"hug": pytest.approx(29 / 36, abs=1e-12), "wave": pytest.approx(0.5, abs=1e-12)}
    assert mean_average_precision(scores, truth) == pytest.approx((29 / 36 + 0.5) / 2, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_the_data_set_computes(seed: int) -> None:
    """On random sets of 157 classes, where no scores are equal, to 1e-9; classes nobody has do not count."""
    rng = np.random.default_rng(seed)
    scores, truth = rng.random((60, 157)), rng.random((60, 157)) < 0.03
    there = np.flatnonzero(truth.any(axis=0))
    assert 0 < len(there) < 157
    expected = [by_hand(scores[:, c], truth[:, c]) for c in there]
    found = average_precisions(scores, truth)
    assert list(found) == [str(c) for c in there]
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-9)
    assert mean_average_precision(scores, truth) == pytest.approx(np.mean(expected), abs=1e-9)


def test_it_is_scikit_learn_s_of_the_classes_that_occur() -> None:
    """As PySlowFast's ``get_map`` takes it, equal scores included."""
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(7)
    scores, truth = rng.integers(0, 4, (50, 9)) / 4, rng.random((50, 9)) < 0.3
    truth[:, 4] = False
    there = truth.any(axis=0)
    expected = average_precision_score(truth[:, there], scores[:, there], average="macro")
    assert mean_average_precision(scores, truth) == pytest.approx(expected, abs=1e-12)


def test_equal_scores_are_taken_together() -> None:
    """Their order says nothing: of four that are all alike, one true, the precision is a quarter."""
    truth = np.array([[1], [0], [0], [0]])
    assert mean_average_precision(np.full((4, 1), 0.5), truth) == pytest.approx(0.25)


def test_a_clip_of_no_class_is_one_that_must_rank_low() -> None:
    """It counts: ranked above a true one it costs."""
    truth = np.array([[1], [0]])
    assert mean_average_precision(np.array([[0.9], [0.1]]), truth) == 1.0
    assert mean_average_precision(np.array([[0.1], [0.9]]), truth) == 0.5


def test_what_cannot_be_measured_is_said() -> None:
    """Clips without any label, and a network that has come to grief."""
    with pytest.raises(UsageError, match="no class is true of any clip"):
        mean_average_precision(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(A3DEdgeError, match="scores are no numbers: its training has diverged"):
        mean_average_precision(np.array([[np.nan], [0.1]]), np.array([[1], [0]]))
