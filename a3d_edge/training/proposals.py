"""What a detector found: the boxes that a network is asked about in the place of the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.errors import SourceError
from a3d_edge.training.clip import Clip
from a3d_edge.training.lists.ava import read_boxes
from a3d_edge.training.lists.ava_list import named_some
from a3d_edge.training.lists.person import Box, Person

__all__ = ["PROPOSAL_SCORE", "with_proposals"]

PROPOSAL_SCORE = 0.8
"""Of a detector's boxes those that score so much are looked at, in training and test (SlowFast's)."""


def with_proposals(clips: Sequence[Clip], path: Path, least: float = PROPOSAL_SCORE) -> list[Clip]:
    """The same clips, asked about with the boxes of a detector's CSV that score ``least`` or more.

    A key frame without any is kept: nobody is found there. Raises `SourceError` for a file that is about
    other videos, or has more boxes of a key frame than a network takes.
    """
    found: dict[str, dict[Box, float]] = {}
    videos = set()
    for row in read_boxes(path, scored=True):
        videos.add(row.video)
        if row.score >= least:
            found.setdefault(row.frame, {}).setdefault(row.box, row.score)
    wanted = {clip.frame.partition(",")[0] for clip in clips}
    if not wanted & videos:
        raise SourceError(
            f"{path}: has boxes of other videos ({named_some(videos)}) than the clips ({named_some(wanted)})"
        )
    for frame, boxes in found.items():
        if len(boxes) > MOST_PEOPLE:
            raise SourceError(
                f"{path}: {frame} has {len(boxes)} boxes of {least:g} or more; at most {MOST_PEOPLE}"
            )
    return [
        replace(
            clip, proposals=tuple(Person(box, (), score) for box, score in found.get(clip.frame, {}).items())
        )
        for clip in clips
    ]
