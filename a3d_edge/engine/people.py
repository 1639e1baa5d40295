"""Boxes of people as a loaded network takes them: checked, and no more than its graphs are bounded to.

Boxes are ``(K, 4)`` float32 of x1, y1, x2, y2 in pixels of the network's input, the square of side S: 0 is
its left or top edge, S its right or bottom one. `a3d_edge.video.placement` brings those of a frame there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.errors import UsageError

__all__ = ["MOST_PEOPLE", "boxes_of_pathways", "checked_boxes", "probe_boxes", "several_boxes"]

MOST_PEOPLE = 64
"""Boxes of one window at the most: what the graphs of a bundle are checked to take."""

Boxes = NDArray[np.float32]


def checked_boxes(boxes: Any, size: int) -> Boxes:
    """Boxes ``(K, 4)`` cut to the input of side ``size``, K from 0 to `MOST_PEOPLE`.

    Raises `UsageError` for another shape, more of them, a coordinate that is not finite, and a box that has
    no extent or lies outside.
    """
    given = np.asarray(boxes, np.float32)
    if given.size == 0:
        return np.zeros((0, 4), np.float32)
    if given.ndim != 2 or given.shape[1] != 4:
        raise UsageError(f"boxes must be (K, 4) of x1, y1, x2, y2; these are {given.shape}")
    if len(given) > MOST_PEOPLE:
        raise UsageError(f"{len(given)} boxes in one window; give at most {MOST_PEOPLE}")
    if not np.isfinite(given).all():
        place = int(np.flatnonzero(~np.isfinite(given).all(axis=1))[0])
        raise UsageError(f"box {place} has a coordinate that is not finite; leave such boxes out")
    cut = given.clip(0.0, size)
    bad = (cut[:, 0] >= cut[:, 2]) | (cut[:, 1] >= cut[:, 3])
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        shown = ", ".join(f"{value:g}" for value in given[place])
        raise UsageError(
            f"box {place} ({shown}) has no part in the picture of {size}×{size}; leave such boxes out"
        )
    return np.ascontiguousarray(cut)


def boxes_of_pathways(boxes: Boxes, sizes: tuple[int, ...]) -> dict[str, Boxes]:
    """Boxes by the names that graphs have for them: in pixels of every pathway's pictures, the first's given.

    ``boxes`` of the first, ``fast_boxes`` of the second.
    """
    names = ("boxes", "fast_boxes")[: len(sizes)]
    return {
        name: boxes if size == sizes[0] else boxes * np.float32(size / sizes[0])
        for name, size in zip(names, sizes, strict=True)
    }


def several_boxes(size: int) -> Boxes:
    """Boxes ``(5, 4)`` to compare engines with: the probe's, all, two at the borders, one of a pixel."""
    shares = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.25, 0.125, 1.0], [0.75, 0.0, 1.0, 0.375]]
    pixel = [[size // 2, size // 3, size // 2 + 1, size // 3 + 1]]
    return np.concatenate(
        [probe_boxes(size), np.array(shares, np.float32) * size, np.array(pixel, np.float32)]
    )


def probe_boxes(size: int) -> Boxes:
    """The one box of the probe input, ``(1, 4)``: not square, and not in the middle."""
    return np.array([[0.125, 0.0625, 0.625, 0.9375]], np.float32) * np.float32(size)
