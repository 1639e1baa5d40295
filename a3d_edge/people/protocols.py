"""What tells where people are, as `PeopleWatch` asks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from a3d_edge.people.box import Detection
from a3d_edge.video.frame import Frame

__all__ = ["Detector", "Feed", "Sighting"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """The people of one moment of the source, in pixels of its frames; nobody is a sighting too."""

    time_s: float
    people: tuple[Detection, ...]


class Detector(Protocol):
    """Finds people in a picture. Not thread-safe."""

    name: str

    def detect(self, image: NDArray[np.uint8]) -> Sequence[Detection]:
        """People in a frame ``(H, W, 3)`` BGR, the highest score first, cut to it. Raises `A3DEdgeError`."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class Feed(Protocol):
    """Is told by others where people are."""

    name: str

    def until(self, frame: Frame) -> Sequence[Sighting]:
        """What has become known by this frame, in the order of time. Does not wait for a feed that is live.

        Raises `SourceError` for what a file says that cannot be meant.
        """
        ...

    def warnings(self) -> Sequence[str]:
        """What went wrong since this was asked last, and is survived."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...
