"""The part of a window's pictures where something moves: what a network that follows motion is shown.

A person who signals at six metres fills a third of the picture's height, and a tenth of its pixels. What
moves is found on small grey pictures of the window's own frames: it is the same for every configuration, and
in training and running.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.video.grey import is_grey
from a3d_edge.video.opencv import cv2

__all__ = ["FRAMINGS", "Region", "moving_region", "thumbnail"]

Thumbnail = NDArray[np.uint8]  # (h, w), grey

LONG_SIDE = 80
STILL = 0.02
"""Mean change of a picture (grey levels beyond the noise) in which nothing moves."""
TAIL = 0.03
"""Share of the motion that may lie beyond each edge."""
LEAST = 0.25
"""Of the short side: fewer pixels hold no detail."""
LADDER = 1.15
"""Sides are steps of this, and centres of an eighth of the side: much the same motion is the same region, and
features that are there can be used again."""
PLACES = 8


@dataclass(frozen=True, slots=True)
class Framing:
    """How closely a view frames what moves.

    - ``noise``: grey levels that cameras and compression change by themselves, beyond what all do;
    - ``most``: a pixel counts no more than so many, whatever its contrast;
    - ``power``: 1 counts every pixel that moves by how much it changes, 2 by the square of it;
    - ``margin``: side of the region by that of what moves.
    """

    noise: float
    most: float
    power: int
    margin: float


FRAMINGS: Mapping[str, Framing] = {
    "moving": Framing(noise=3.0, most=20.0, power=1, margin=1.35),
    "close": Framing(noise=6.0, most=80.0, power=2, margin=1.5),
}
"""By `Preprocessing.view`. ``moving``: a person who stands still sways by more than the noise, so it is the
person who is shown, not the arm alone. ``close``: an arm that is raised outweighs a body that sways, and is
shown larger, with what is next to it."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a picture of any size: left, top, width and height, as shares of the picture's."""

    left: float
    top: float
    width: float
    height: float


def thumbnail(image: NDArray[np.uint8]) -> Thumbnail:
    """A small grey picture of a BGR frame ``(H, W, 3)``: noise averages out, an arm at 6 m does not."""
    height, width = image.shape[:2]
    scale = LONG_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    flat = image[..., 0] if is_grey(image) else image
    small: Any = cv2.resize(flat, size, interpolation=cv2.INTER_AREA)
    grey: Thumbnail = small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    return grey


def moving_region(thumbnails: Sequence[Thumbnail], view: str = "moving") -> Region | None:
    """Where the pictures of a window differ; None: nowhere, or all over, and the usual part is shown.

    ``view``: of `FRAMINGS`.
    """
    framing = FRAMINGS[view]
    change = _change(thumbnails, framing)
    if float(change.mean()) < STILL:
        return None
    height, width = change.shape
    weight = change**framing.power
    (left, right), (top, bottom) = (_middle(weight.sum(axis=axis)) for axis in (0, 1))
    short = min(height, width)
    wanted = framing.margin * max(right - left, bottom - top)
    if wanted >= short * LADDER:
        return None
    steps = math.floor(math.log(short * LADDER / max(wanted, LEAST * short), LADDER))
    side = short * LADDER / LADDER**steps
    return _placed((left + right) / 2, (top + bottom) / 2, side, width, height)


def _change(thumbnails: Sequence[Thumbnail], framing: Framing) -> NDArray[np.float32]:
    """By how much each pixel varies over the window, ``(h, w)``, less what all do (light), less noise."""
    shape = thumbnails[0].shape
    stack = np.stack([one if one.shape == shape else cv2.resize(one, shape[::-1]) for one in thumbnails])
    varied = (stack.max(axis=0) - stack.min(axis=0)).astype(np.float32)
    beyond: NDArray[np.float32] = np.clip(varied - np.median(varied) - framing.noise, 0.0, framing.most)
    return beyond


def _middle(along: NDArray[np.float32]) -> tuple[int, int]:
    """From where to where the motion lies but for its tails, cells."""
    share = np.cumsum(along) / float(along.sum())
    first, last = int(np.searchsorted(share, TAIL)), int(np.searchsorted(share, 1 - TAIL))
    return first, min(last + 1, len(along))


def _placed(x: float, y: float, side: float, width: int, height: int) -> Region:
    """A square about a centre, moved and cut to lie within the picture; all lengths in cells."""
    grid = side / PLACES
    spans = []
    for centre, whole in ((x, width), (y, height)):
        length = min(side, float(whole))
        start = min(max(round(centre / grid) * grid - length / 2, 0.0), whole - length)
        spans.append((start / whole, length / whole))
    (left, across), (top, down) = spans
    return Region(left, top, across, down)
