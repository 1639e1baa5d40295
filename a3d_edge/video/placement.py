"""Where boxes of a frame lie in what the network sees of it: cut out, scaled and centred as the frame is."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from a3d_edge.video.preprocess import Preprocessing, place_of, shown_roi
from a3d_edge.video.region import Region

__all__ = ["PlacedBoxes", "placed_boxes"]


class PlacedBoxes(NamedTuple):
    """Boxes ``(K', 4)`` float32 in pixels of the input, cut to what is shown there, and which of those given
    they are, ``(K',)``: a box of which less than a pixel is shown is left out."""

    boxes: NDArray[np.float32]
    kept: NDArray[np.intp]


def placed_boxes(
    boxes: Any, height: int, width: int, size: int, spec: Preprocessing, region: Region | None = None
) -> PlacedBoxes:
    """Boxes ``(K, 4)``, x1, y1, x2, y2 in pixels of a ``height × width`` frame, in its picture of a side.

    ``region``: the part of it that is shown, as in `shown_roi`. What is not finite is left out.
    """
    given = np.asarray(boxes, np.float64).reshape(-1, 4)
    roi = shown_roi(height, width, spec.aspect, region)
    there = place_of(roi, size)
    scale = np.array([there.width / roi.width, there.height / roi.height] * 2)
    moved = (given - np.array([roi.left, roi.top] * 2)) * scale + np.array([there.left, there.top] * 2)
    low = np.array([there.left, there.top] * 2)
    cut = moved.clip(low, low + np.array([there.width, there.height] * 2))
    sides, given_on = _sides(cut), cut.astype(np.float32)  # what is 1e-9 wide has no width there
    seen = (_sides(given_on) > 0) & (sides >= np.minimum(1.0, _sides(moved)))
    kept = np.flatnonzero(np.isfinite(given).all(axis=1) & seen)
    return PlacedBoxes(given_on[kept], kept)


def _sides(boxes: NDArray[Any]) -> NDArray[Any]:
    """The shorter side of each."""
    found: NDArray[Any] = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return found
