"""The same of many labels: how far scores that stand each for itself can be relied on.

scores of clips  ─ average precision a class, and its mean
scores of windows ─ temperature ─ calibration error, threshold a class     (single windows: what run predicts)

Every pair of a window and a class is one decision. A window's truth is its clip's: of a long clip some
windows may show less, so these figures are of clips about as long as a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.training.average_precision import average_precisions
from a3d_edge.training.temperature import best_temperature, binned_error, helpful_on_others
from a3d_edge.training.thresholds import thresholds_of

__all__ = ["calibration_error", "fitted_temperature", "helpful_temperature", "scaled", "set_fields"]

Array = NDArray[np.float64]

LEAST_SCORE, HIGHEST_SCORE = 1e-30, 1.0 - 2.0**-25
"""What a score that has become 0 or 1 in single precision is taken for: it has a logit."""


def set_fields(
    summed: Array, truth: NDArray[np.bool_], windows: NDArray[Any] | None, classes: Sequence[str]
) -> dict[str, Any]:
    """What a `Row` says of its quality, by field. ``summed``, ``truth`` ``(clips, classes)``; ``windows``
    ``(clips, windows, classes)``, without which there are no temperature, calibration error nor thresholds.

    Raises what `average_precisions` raises.
    """
    by_class = average_precisions(summed, truth, classes)
    found: dict[str, Any] = {
        "mean_average_precision": round(float(np.mean(list(by_class.values()))), 6),
        "clips": len(truth),
        "average_precision": {name: round(value, 6) for name, value in by_class.items()},
    }
    if windows is None:
        return found
    temperature = helpful_temperature(windows, truth)
    warm = scaled(windows, temperature or 1.0)
    return {
        **found,
        "temperature": temperature,
        "calibration_error": round(calibration_error(warm, truth), 6),
        "thresholds": thresholds_of(warm, truth, classes),
    }


def scaled(scores: NDArray[Any], temperature: float) -> Array:
    """Sigmoid scores as they are of logits over the temperature."""
    given = np.asarray(scores, np.float64)
    return given if temperature == 1.0 else _sigmoid(_logits(given) / temperature)


def calibration_error(windows: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """The expected calibration error of windows ``(clips, windows, classes)``, of all their classes.

    Decisions fall by their score into 15 bins of equal width, [0, 1/15], (1/15, 2/15] …; it is the mean over
    all of |share that is true − mean score| of their bin.
    """
    flat, true = _flat(windows, truth)
    return binned_error(flat, true)


def fitted_temperature(windows: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """The T in [0.1, 10] at which the binary cross entropy of all decisions is lowest, logits being over T.

    It is convex in 1/T: its slope, the mean of (score − truth)·logit, is brought to zero by halving.
    """
    flat, true = _flat(windows, truth)
    logits = _logits(flat)
    return best_temperature(lambda colder: float(((_sigmoid(logits * colder) - true) * logits).mean()))


def helpful_temperature(windows: NDArray[Any], truth: NDArray[np.bool_]) -> float | None:
    """The fitted temperature if it helps on clips that it was not fitted on; else None, which is 1.

    As of one class: fitted on every second clip, it must better the others' likelihood, and the other way
    round.
    """
    return helpful_on_others(windows, truth, np.arange(len(truth)) % 2 == 0, fitted_temperature, _loss)


def _flat(windows: NDArray[Any], truth: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Every decision by itself, with its truth of 0 or 1."""
    flat = np.asarray(windows, np.float64)
    return flat.ravel(), np.broadcast_to(truth[:, None, :], flat.shape).astype(np.float64).ravel()


def _loss(windows: NDArray[Any], truth: NDArray[np.bool_], temperature: float) -> float:
    flat, true = _flat(scaled(windows, temperature), truth)
    kept = np.clip(flat, LEAST_SCORE, HIGHEST_SCORE)
    return -float((true * np.log(kept) + (1 - true) * np.log1p(-kept)).sum())


def _logits(scores: NDArray[Any]) -> Array:
    kept = np.clip(np.asarray(scores, np.float64), LEAST_SCORE, HIGHEST_SCORE)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _sigmoid(logits: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))
