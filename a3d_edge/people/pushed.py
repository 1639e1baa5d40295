"""Boxes that an application gives along with its frames."""

from __future__ import annotations

from collections.abc import Sequence

from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.errors import UsageError
from a3d_edge.people.box import Detection, box_trouble, clipped
from a3d_edge.people.protocols import Sighting
from a3d_edge.video.frame import Frame

__all__ = ["Pushed"]


class Pushed:
    """A feed of one's own process: told of a frame's people just before the frame."""

    name = "the application"

    def __init__(self) -> None:
        self._told: tuple[Detection, ...] | None = None

    def tell(self, people: Sequence[Detection], height: int, width: int) -> None:
        """The people of the next frame, cut to it. Raises `UsageError` for what is no box, or not in it."""
        if len(people) > MOST_PEOPLE:
            raise UsageError(f"`people`: {len(people)} boxes of one frame; give at most {MOST_PEOPLE}")
        found = []
        for place, one in enumerate(people):
            if trouble := box_trouble(one.box, height, width):
                raise UsageError(f"`people`: box {place} {trouble}; leave such boxes out")
            found.append(Detection(clipped(one.box, height, width), one.score, one.id))
        self._told = tuple(found)

    def until(self, frame: Frame) -> Sequence[Sighting]:
        """Nothing where the application was not asked."""
        told, self._told = self._told, None
        return () if told is None else [Sighting(frame.time_s, told)]

    def warnings(self) -> Sequence[str]:
        """None."""
        return ()

    def close(self) -> None:
        """Nothing is held."""
