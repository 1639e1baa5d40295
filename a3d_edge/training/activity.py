"""Where in a clip something moves, so that a window drawn from it shows its action.

A clip's label is true of a part of it; the rest is often standing still, and a window of that teaches the
network to tell people and places apart. Windows are drawn the likelier the more moves in them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.training.decode import DecodedClip, Stretch
from a3d_edge.video.grey import grey_of

__all__ = ["activity", "busy_start"]

GRID = (40, 30)  # pictures are compared so small: noise averages out, an arm at 6 m does not
BACK_S = 0.1
NOISE = 3.0  # grey levels that cameras and compression change by themselves
SHARPNESS = 2.0  # a window with half the motion of the best is drawn a quarter as often
REST = 1e-3  # what a window of nothing keeps
STEP_S = 0.1
BLOCK = 512
"""Pictures in memory at a time, however long a clip is: an hour's would be a gigabyte, small as they are."""


def activity(clip: DecodedClip) -> NDArray[np.float64]:
    """Motion up to each picture of a clip, ``(N,)``, in grey levels × seconds, rising from 0.

    Compared with the picture a tenth of a second before, less what changes everywhere (light, a camera that
    shakes) and less noise.
    """
    before = clip.at(np.maximum(0.0, clip.times - BACK_S))
    blocks = [
        _moving(clip, np.arange(first, first + len(some)), some)
        for first, some in ((first, before[first : first + BLOCK]) for first in range(0, len(before), BLOCK))
    ]
    return np.cumsum(np.concatenate(blocks) * np.diff(clip.times, prepend=clip.times[0]))


def _moving(clip: DecodedClip, now: NDArray[np.intp], before: NDArray[np.intp]) -> NDArray[np.float32]:
    """How much moves in each picture of some, compared with each of others, ``(N,)`` in grey levels."""
    places, where = np.unique(np.concatenate([now, before]), return_inverse=True)
    small = np.stack([_small(clip.frames[int(place)]) for place in places])[where]
    change = np.abs(small[: len(now)] - small[len(now) :])
    change -= np.median(change, axis=(1, 2), keepdims=True)
    return np.asarray(np.maximum(change - NOISE, 0.0).mean(axis=(1, 2)))


def _small(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(grey_of(image), GRID, interpolation=cv2.INTER_AREA), np.float32)


def busy_start(
    moved: NDArray[np.float64], stretch: Stretch, span_s: float, rng: np.random.Generator
) -> float:
    """The start (s) of a window of ``span_s`` within a stretch, the likelier the more moves in it.

    ``moved``: the `activity` of the clip. Where nothing moves all starts are equally likely.
    """
    last = max(0.0, stretch.duration - span_s)
    starts = np.arange(0.0, last + STEP_S / 2, STEP_S)
    shown = moved[stretch.at(starts + span_s)] - moved[stretch.at(starts)]
    weight = (shown / max(float(shown.max()), 1e-9)) ** SHARPNESS + REST
    start = rng.choice(starts, p=weight / weight.sum()) + rng.uniform(-STEP_S / 2, STEP_S / 2)
    return float(np.clip(start, 0.0, last))
