"""One picture of a stream, with the time it belongs to, and what such pictures come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frame", "Source"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture.

    ``index``: its place in the source, increasing (with holes where a picture could not be read or a live
    source was not read in time). ``time_s``: seconds since the source's first frame, strictly increasing.
    ``image``: (H, W, 3) BGR uint8, shared and not to be written to. ``captured_s``: ``time.monotonic()`` when
    it was read; of a live source when it left the network or the driver, as far as that can be known.
    ``truth``: what the demo source is acting out; None everywhere else. ``take``: frames of one take go on
    from each other; another number is a cut, or a camera that was away.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]
    captured_s: float
    truth: str | None = None
    take: int = 0


class Source(Protocol):
    """Frames in order. ``live``: it does not wait for its reader. ``frame_rate``: announced, None if unknown.

    ``unreadable``: pictures that exist but could not be decoded, so far. A source may also have ``missed``,
    pictures that it captured and let go so far, and a method ``health()``: what has changed since it was
    asked last (`a3d_edge.video.health.Health`).
    """

    @property
    def name(self) -> str: ...
    @property
    def live(self) -> bool: ...
    @property
    def frame_rate(self) -> float | None: ...
    @property
    def unreadable(self) -> int: ...

    def read(self) -> Frame | None:
        """The next frame; None at the end and after `close`. Raises `SourceError`."""
        ...

    def close(self) -> None:
        """Let go; ends a wait of `read` in another thread soon. May be called more than once."""
        ...
