"""Boxes of people in pixels of a frame, and the plain arithmetic on them.

A box is x1, y1, x2, y2: 0 is the frame's left or top edge, its width or height the right or bottom one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Box",
    "Detection",
    "Identity",
    "Person",
    "box_trouble",
    "clipped",
    "overlaps",
    "suppressed",
]

Box = tuple[float, float, float, float]
Identity = int | str
"""A track's number, or what a feed calls a person."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A person in one frame, as a detector or a feed tells it; ``id`` None where it does not say who."""

    box: Box
    score: float = 1.0
    id: Identity | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is followed: who, where at a certain time, and the score of the latest detection."""

    id: Identity
    box: Box
    score: float


def box_trouble(box: Sequence[float], height: int | None = None, width: int | None = None) -> str | None:
    """What is wrong with a box, in a few words: not finite, no extent, outside the frame; None: nothing."""
    if not all(math.isfinite(value) for value in box):
        return "has a coordinate that is not finite"
    x1, y1, x2, y2 = box
    told = f"({x1:g}, {y1:g}, {x2:g}, {y2:g})"
    if x2 <= x1 or y2 <= y1:
        return f"{told} has no extent; a box is x1, y1, x2, y2 with x1 < x2 and y1 < y2"
    if width is not None and height is not None and (x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height):
        return f"{told} has no part in the picture of {width}×{height}"
    return None


def clipped(box: Box, height: int, width: int) -> Box:
    """A box cut to the frame."""
    x1, y1, x2, y2 = box
    return max(0.0, x1), max(0.0, y1), min(float(width), x2), min(float(height), y2)


def overlaps(first: Any, second: Any) -> NDArray[np.float64]:
    """Intersection over union ``(N, M)`` of boxes ``(N, 4)`` and ``(M, 4)``; 0 where neither has an area."""
    a = np.asarray(first, np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(0).prod(axis=-1)
    whole = _areas(a) + _areas(b) - shared
    found: NDArray[np.float64] = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return found


def suppressed(boxes: NDArray[Any], scores: NDArray[Any], most_overlap: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: which of ``(N, 4)`` stay, the highest score first."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        order = rest[overlaps(boxes[best], boxes[rest])[0] <= most_overlap]
    return np.array(kept, np.intp)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (boxes[..., 2:] - boxes[..., :2]).clip(0).prod(axis=-1)
    return areas
