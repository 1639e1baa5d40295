"""One picture of a stream, with the time it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frame"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture.

    ``index``: its place in the source, increasing (with holes where a picture could not be read or a live
    source was not read in time). ``time_s``: seconds since the source's first frame, strictly increasing.
    ``image``: (H, W, 3) BGR uint8, shared and not to be written to. ``captured_s``: ``time.monotonic()`` when
    it was read. ``truth``: what the demo source is acting out; None everywhere else. ``take``: frames of one
    take go on from each other; another number is a cut, or a camera that was away.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]
    captured_s: float
    truth: str | None = None
    take: int = 0
