"""Pictures of nothing at a clip's ends: editors leave black there, and a label is not true of it.

To draw windows where much moves would even prefer them: nothing moves as much as a picture that goes dark.
They are told by their take, so that the places of all pictures stay what they are in the file.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["BLANK", "is_blank", "marked", "takes_of"]

BLANK = -1
"""The take of pictures that are left out."""
GRID = (40, 30)
DARK, LIGHT = 24, 231
NEAR, SHARE = 16, 0.97
"""Grey levels about the median within which so many cells lie: a watermark may be there, a lit window not."""


def is_blank(image: NDArray[np.uint8]) -> bool:
    """Whether a picture ``(H, W, 3)`` BGR or ``(H, W)`` grey is all dark or all light."""
    small = cv2.resize(image, GRID, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY) if small.ndim == 3 else small
    middle = float(np.median(grey))
    if DARK < middle < LIGHT:
        return False
    return float((np.abs(grey.astype(np.float32) - middle) <= NEAR).mean()) >= SHARE


def marked(image: NDArray[np.uint8], take: int) -> int:
    """What is kept as a picture's take: of a blank one below 0."""
    return BLANK - take if is_blank(image) else take


def takes_of(kept: NDArray[np.intp]) -> NDArray[np.intp]:
    """The takes ``(N,)`` of `marked` ones: `BLANK` at the ends, if anything is lit; else as they were."""
    lit = np.flatnonzero(kept >= 0)
    takes = np.where(kept >= 0, kept, BLANK - kept)
    if len(lit):
        takes[: lit[0]] = takes[lit[-1] + 1 :] = BLANK
    return takes
