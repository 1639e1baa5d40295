"""How far a configuration's scores can be relied on, found on validation clips: the fields of a table's row.

scores of clips  ─ accuracy, its interval, recall a class
scores of windows ─ temperature ─ calibration error, threshold a class     (single windows: what run predicts)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.training.evaluation import Scores
from a3d_edge.training.reliability_sets import set_fields
from a3d_edge.training.temperature import best_temperature, binned_error, helpful_on_others
from a3d_edge.training.thresholds import thresholds_of

__all__ = [
    "accuracy_interval",
    "calibration_error",
    "fitted_temperature",
    "helpful_temperature",
    "measured_fields",
    "scaled",
    "thresholds",
    "wilson_interval",
]

Array = NDArray[np.float64]

Z_95 = 1.959963984540054
"""Of 95 % of a normal distribution, how many standard deviations they lie within."""

LEAST_SCORE = 1e-30
"""What a score that has become zero in single precision is taken for: it has a logarithm."""


def measured_fields(scores: Scores, classes: Sequence[str]) -> dict[str, Any]:
    """What a `Row` says of its accuracy, by field.

    Temperature, calibration error and thresholds are of single windows, each of which is a prediction of
    `run`; where only sums over windows are known, or scores are no numbers, a row has none. Of many labels
    `a3d_edge.training.reliability_sets` says what there is.
    """
    if scores.is_multilabel:
        return set_fields(scores.summed, scores.truth.astype(bool), scores.windows, classes)
    counts = scores.per_class(classes)
    found: dict[str, Any] = {
        "accuracy": round(scores.accuracy, 6),
        "clips": len(scores.truth),
        "accuracy_interval": accuracy_interval(scores),
        "recall": {name: round(named / there, 6) for name, (named, there) in counts.items()},
    }
    if scores.windows is None or not np.isfinite(scores.windows).all():  # a network that has come to grief
        return found
    temperature = helpful_temperature(scores.windows, scores.truth)
    windows = scaled(scores.windows, temperature or 1.0)
    return {
        **found,
        "temperature": temperature,
        "calibration_error": round(calibration_error(windows, scores.truth), 6),
        "thresholds": thresholds(windows, scores.truth, classes),
    }


def accuracy_interval(scores: Scores) -> tuple[float, float]:
    """The 95 % interval of confidence of the accuracy on these clips, to six places."""
    clips = len(scores.truth)
    low, high = wilson_interval(round(scores.accuracy * clips), clips)
    return round(low, 6), round(high, 6)


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of confidence of a share, ``right`` of ``count`` (Wilson, 1927).

    (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n): within [0, 1], and of some width when all are right.
    """
    share, z2 = right / count, Z_95 * Z_95
    middle = share + z2 / (2 * count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    low, high = ((middle + end) / (1 + z2 / count) for end in (-half, half))
    return max(0.0, low), min(1.0, high)


def scaled(scores: NDArray[Any], temperature: float) -> Array:
    """Softmax scores ``(…, classes)`` as they are of logits over the temperature: p^(1/T), summing to one."""
    given = np.asarray(scores, np.float64)
    return given if temperature == 1.0 else _softmax(_logs(given) / temperature)


def calibration_error(windows: NDArray[Any], truth: NDArray[np.intp]) -> float:
    """The expected calibration error of windows ``(clips, windows, classes)`` of clips of these classes.

    Windows fall by their highest score into 15 bins of equal width, (0, 1/15], (1/15, 2/15] …; it is the mean
    over all windows of |share that is named right − mean highest score| of their bin.
    """
    flat, true = _flat(windows, truth)
    highest, right = flat.max(axis=1), flat.argmax(axis=1) == true
    return binned_error(highest, right)


def fitted_temperature(windows: NDArray[Any], truth: NDArray[np.intp]) -> float:
    """The T in [0.1, 10] at which the windows' negative log-likelihood is lowest, logits being over T.

    It is convex in 1/T: its slope, the mean over windows of Σ score·logit − logit of the truth, is brought to
    zero by halving.
    """
    flat, true = _flat(windows, truth)
    logits = _logs(flat)
    wanted = logits[np.arange(len(true)), true].mean()
    return best_temperature(lambda colder: (_softmax(logits * colder) * logits).sum(axis=1).mean() - wanted)


def helpful_temperature(windows: NDArray[Any], truth: NDArray[np.intp]) -> float | None:
    """The fitted temperature if it helps on clips that it was not fitted on; else None, which is 1.

    The clips of every class are dealt into two halves; a temperature is fitted on each, and the likelihood of
    the other under it must be higher than without. Fitted on few clips, it would only follow them.
    """
    return helpful_on_others(windows, truth, _halves(truth), fitted_temperature, _loss)


def thresholds(windows: NDArray[Any], truth: NDArray[np.intp], classes: Sequence[str]) -> dict[str, float]:
    """`thresholds_of` clips that are each of one class."""
    return thresholds_of(windows, truth[:, None] == np.arange(len(classes)), classes)


def _flat(windows: NDArray[Any], truth: NDArray[np.intp]) -> tuple[Array, NDArray[np.intp]]:
    """Every window by itself, with its clip's class."""
    clips, each, classes = windows.shape
    return np.asarray(windows, np.float64).reshape(clips * each, classes), np.repeat(truth, each)


def _halves(truth: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Every second clip of each class."""
    first = np.zeros(len(truth), bool)
    for one in np.unique(truth):
        first[np.flatnonzero(truth == one)[::2]] = True
    return first


def _loss(windows: NDArray[Any], truth: NDArray[np.intp], temperature: float) -> float:
    """Summed negative log-likelihood."""
    flat, true = _flat(scaled(windows, temperature), truth)
    return -float(_logs(flat[np.arange(len(true)), true]).sum())


def _logs(scores: NDArray[Any]) -> Array:
    return np.log(np.maximum(np.asarray(scores, np.float64), LEAST_SCORE))


def _softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))
