"""The score above which a class counts as seen, the same share of false alarms at all configurations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FALLBACK", "FEW", "FEW_OF_OTHERS", "thresholds_of"]

FALSE_ALARMS = 0.05
FALLBACK = 0.5
FEW, FEW_OF_OTHERS = 5, 20
"""With fewer clips of a class, or of all others (one in twenty of whom may be a false alarm), no threshold is
found; with fewer than the latter in all, no temperature."""


def thresholds_of(windows: NDArray[Any], true: NDArray[np.bool_], classes: Sequence[str]) -> dict[str, float]:
    """The score that every class's label must exceed at this configuration to count as seen.

    ``windows`` are scores ``(clips, windows, classes)``, ``true`` which classes are true of a clip ``(clips,
    classes)``. The lowest one that at most 5 % of the windows of other clips exceed with their score of this
    class: the share of false alarms is alike at all configurations, whose scores may not be. 0.5 where there
    are fewer than 5 clips of the class, or fewer than 20 of others.
    """
    found = {}
    for index, name in enumerate(classes):
        own = true[:, index]
        if own.sum() < FEW or (~own).sum() < FEW_OF_OTHERS:
            found[name] = FALLBACK
            continue
        others = np.sort(windows[~own][..., index], axis=None)[::-1]
        # Rounded up, so that it still keeps them out.
        found[name] = min(1.0, math.ceil(others[int(FALSE_ALARMS * len(others))] * 1e6) / 1e6)
    return found
