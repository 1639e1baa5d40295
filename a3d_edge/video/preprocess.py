"""What the network eats: one sampled frame (and its companions) becomes one ``(3, S, S)`` float32 picture.

Nothing here depends on the other frames of a window, so that the frame stage can be reused between windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.errors import BundleError, SourceError

__all__ = ["MOTION_OFFSETS", "Preprocessing", "Roi", "motion_channels", "preprocess", "visible_roi"]

Image = NDArray[np.uint8]
Picture = NDArray[np.float32]

MOTION_STD = 0.1  # a grey difference of 10 % of full scale counts as 1: the size of clothes against ground
GREY_STD = 0.225
MOTION_OFFSETS = (0, 2, 6)
"""Differences to 67 and 200 ms earlier: a strike takes 200 to 300 ms, a step or a hug's approach longer."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How frames become input; a part of a bundle's manifest.

    - ``input``: ``rgb`` (RGB/255, minus ``mean``, over ``std``; the paper's), or ``motion``: grey differences
      to the frames ``offsets`` earlier, and mean-removed grey.
    - ``aspect``: the centre part of at most ``aspect`` × the short side is shown, letterboxed into S×S;
      1.0 is the plain resize and centre crop.
    - ``offsets``: model frames before the sampled one that are eaten with it; ``(0,)`` is the frame alone.
    """

    input: Literal["rgb", "motion"] = "rgb"
    aspect: float = 1.0
    offsets: tuple[int, ...] = (0,)
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)

    def __post_init__(self) -> None:
        if self.input not in ("rgb", "motion"):
            raise BundleError(f"preprocessing.input '{self.input}' is neither rgb nor motion")
        wanted = 1 if self.input == "rgb" else 3
        if len(self.offsets) != wanted or self.offsets[0] != 0 or min(self.offsets) < 0:
            raise BundleError(f"preprocessing.offsets {self.offsets} does not suit input '{self.input}'")
        if not self.aspect >= 1.0:
            raise BundleError(f"preprocessing.aspect {self.aspect} is below 1")
        if len(self.mean) != 3 or len(self.std) != 3 or not min(self.std) > 0.0:
            raise BundleError(
                f"preprocessing.mean {self.mean} or std {self.std}: three numbers each, std above 0"
            )


@dataclass(frozen=True, slots=True)
class Roi:
    """The visible part of a frame, pixels: left, top, width, height."""

    left: int
    top: int
    width: int
    height: int


def visible_roi(height: int, width: int, aspect: float, place: float = 0.5) -> Roi:
    """The part of a ``height × width`` frame that is shown, its long side at most ``aspect`` × the short one.

    ``place`` along the long side: 0 the left or top part, 0.5 the centre (the runtime's), 1 the right or
    bottom part.
    """
    longest = max(1, round(min(height, width) * aspect))
    w, h = min(width, longest), min(height, longest)
    return Roi(int((width - w) * place), int((height - h) * place), w, h)


def preprocess(images: Sequence[Image], size: int, spec: Preprocessing, place: float = 0.5) -> Picture:
    """``(3, S, S)`` float32 from the BGR frames ``(H, W, 3)`` of one sample, one per offset.

    ``place`` as in `visible_roi`. Raises `SourceError` when a frame has no pixels.
    """
    if any(min(image.shape[:2]) < 1 for image in images):
        raise SourceError("a frame has no pixels")
    if spec.input == "rgb":
        fitted, box = _fit(images[0], size, spec.aspect, place)
        return _rgb(fitted, box, spec)
    greys, boxes = [], []
    for image in images:
        fitted, box = _fit(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size, spec.aspect, place)
        boxes.append(box)
        greys.append(fitted)
    return motion_channels(greys, boxes[0])


def motion_channels(greys: Sequence[Any], box: Roi) -> Picture:
    """Two grey differences to earlier frames, and mean-removed grey: ``(3, S, S)``; zero outside ``box``."""
    now, earlier, earliest = (grey.astype(np.float32) * (1.0 / 255.0) for grey in greys)
    inside = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    out = np.zeros((3, *now.shape), np.float32)
    out[0][inside] = (now - earlier)[inside] * (1.0 / MOTION_STD)
    out[1][inside] = (now - earliest)[inside] * (1.0 / MOTION_STD)
    out[2][inside] = (now[inside] - now[inside].mean()) * (1.0 / GREY_STD)
    return out


def _rgb(fitted: Any, box: Roi, spec: Preprocessing) -> Picture:
    picture = fitted[..., ::-1].astype(np.float32) * (1.0 / 255.0)
    normalised = (picture - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    out = np.zeros((3, *fitted.shape[:2]), np.float32)
    inside = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    for channel in range(3):
        out[channel][inside] = normalised[..., channel][inside]
    return out


def _fit(image: Any, size: int, aspect: float, place: float) -> tuple[Any, Roi]:
    """The visible part, scaled so that its long side fills ``size``, centred."""
    height, width = image.shape[:2]
    roi = visible_roi(height, width, aspect, place)
    part = image[roi.top : roi.top + roi.height, roi.left : roi.left + roi.width]
    scale = size / max(roi.width, roi.height)
    w, h = max(1, round(roi.width * scale)), max(1, round(roi.height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(part, (w, h), interpolation=method)
    if (w, h) == (size, size):
        return resized, Roi(0, 0, size, size)
    canvas = np.zeros((size, size, *image.shape[2:]), np.uint8)
    box = Roi((size - w) // 2, (size - h) // 2, w, h)
    canvas[box.top : box.top + h, box.left : box.left + w] = resized
    return canvas, box
