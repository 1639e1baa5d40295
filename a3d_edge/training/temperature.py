"""What is fitted and counted alike for scores of one class and of many: binned errors, and a temperature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.training.thresholds import FEW_OF_OTHERS

__all__ = ["best_temperature", "binned_error", "helpful_on_others"]

BINS = 15
COLDEST, HOTTEST, HALVINGS = 0.1, 10.0, 30


def binned_error(scores: NDArray[Any], right: NDArray[Any]) -> float:
    """The mean over all of |share that is right − mean score| of their bin, one of 15 of equal width.

    ``scores`` ``(n,)`` in [0, 1], and whether each was right.
    """
    places = np.clip(np.ceil(scores * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = [abs(float((right[places == b] - scores[places == b]).sum())) for b in range(BINS)]
    return sum(gaps) / len(scores)


def best_temperature(slope: Callable[[float], float]) -> float:
    """The T in [0.1, 10] of the lowest loss, by halving its ``slope`` by 1/T, in which it is convex."""
    low, high = math.log(1 / HOTTEST), math.log(1 / COLDEST)  # of log 1/T
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(math.exp(middle)) > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def helpful_on_others(
    windows: NDArray[Any],
    truth: NDArray[Any],
    halves: NDArray[np.bool_],
    fitted: Callable[[NDArray[Any], NDArray[Any]], float],
    loss: Callable[[NDArray[Any], NDArray[Any], float], float],
) -> float | None:
    """The temperature ``fitted`` to all clips, if one that is fitted to either half betters the other's loss.

    None otherwise, and of few clips, which it would only follow.
    """
    if len(truth) < FEW_OF_OTHERS:
        return None
    better = 0.0
    for one, other in ((halves, ~halves), (~halves, halves)):
        temperature = fitted(windows[one], truth[one])
        plain, tried = (loss(windows[other], truth[other], t) for t in (1.0, temperature))
        better += plain - tried
    return round(fitted(windows, truth), 4) if better > 0 else None
