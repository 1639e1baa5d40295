"""Grey pictures that pass as BGR ones: three channels of one memory, which nobody has to compute apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from a3d_edge.video.opencv import cv2

__all__ = ["as_bgr", "grey_of", "is_grey"]


def as_bgr(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey picture ``(H, W)`` as a BGR one ``(H, W, 3)`` of equal channels: a view that is read-only."""
    return np.broadcast_to(grey[..., None], (*grey.shape, 3))


def is_grey(image: NDArray[np.uint8]) -> bool:
    """Whether a picture ``(H, W, 3)``, or a part of one, is of `as_bgr`."""
    return image.strides[2] == 0


def grey_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey levels ``(H, W)`` of a BGR picture ``(H, W, 3)``."""
    if is_grey(image):
        return image[..., 0]
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
