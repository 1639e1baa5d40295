"""What is odd about people in boxes: rows, key frames, and what a detector found of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a3d_edge.errors import SourceError
from a3d_edge.people.box import overlaps
from a3d_edge.training.clip import Clip
from a3d_edge.training.data_findings import SHOWN, ClipFacts, Finding, names_of, some_of
from a3d_edge.training.frame_map import IOU
from a3d_edge.training.lists.ava import faulty_rows, read_boxes, recognised
from a3d_edge.training.lists.ava_list import named_some
from a3d_edge.training.lists.files import text_of
from a3d_edge.training.people import boxes_of, people_in
from a3d_edge.training.proposals import PROPOSAL_SCORE, with_proposals

__all__ = ["People", "odd_key_frames", "odd_proposals", "people_counts", "require_rows"]


@dataclass(frozen=True, slots=True)
class People:
    """How many there are, how many of them do none of the classes, and how many do each."""

    count: int
    idle: int
    by_class: Mapping[str, int]


def people_counts(clips: Sequence[Clip]) -> People:
    """Of all key frames. Raises `UsageError` for a clip whose list tells of no boxes."""
    people = [person for clip in clips for person in people_in(clip)]
    counts: dict[str, int] = {}
    for person in people:
        for label in person.labels:
            counts[label] = counts.get(label, 0) + 1
    return People(len(people), sum(not person.labels for person in people), dict(sorted(counts.items())))


def require_rows(place: Path) -> None:
    """Raise `SourceError` that counts the rows of an AVA list that cannot be used, and names the first."""
    if place.is_dir() or not recognised(text_of(place)):
        return
    if bad := faulty_rows(place):
        raise SourceError(_rows(place, bad))


def odd_key_frames(clips: Sequence[Clip], facts: Sequence[ClipFacts]) -> Iterator[Finding]:
    """Moments at which there is no picture: the nearest one is held."""
    outside = [
        clip
        for clip, one in zip(clips, facts, strict=True)
        if clip.key is not None and not 0.0 <= clip.key <= one.seconds
    ]
    if outside:
        yield Finding(
            "key",
            f"{len(outside)} key frames lie outside their videos ({some_of(outside)}); pictures and cut "
            "videos begin at second 900",
            names_of(outside),
        )


def odd_proposals(clips: Sequence[Clip], path: Path, least: float = PROPOSAL_SCORE) -> Iterator[Finding]:
    """What a detector's CSV lacks of these clips, or has that cannot be used."""
    try:
        bad = faulty_rows(path, scored=True)
        if bad:
            yield Finding("proposals", _rows(path, bad))
            return
        found = with_proposals(clips, path, least)
        videos = {row.video for row in read_boxes(path, scored=True)}
    except SourceError as error:
        yield Finding("proposals", str(error))
        return
    wanted = {clip.frame.partition(",")[0] for clip in clips}
    if lacking := wanted - videos:
        which = named_some(lacking)
        yield Finding(
            "proposals", f"{path}: has no boxes of {len(lacking)} of {len(wanted)} videos ({which})"
        )
    bare = [clip for clip in found if not clip.proposals]
    if bare:
        yield Finding(
            "proposals",
            f"{path}: {len(bare)} of {len(found)} key frames have no box of {least:g} or more "
            f"({some_of(bare)}); nobody is found there",
            names_of(bare),
        )
    people, missed = 0, []
    for clip in found:
        true, boxes = boxes_of(people_in(clip)), boxes_of(clip.proposals or ())
        people += len(true)
        alone = len(true) if not len(boxes) else int((overlaps(true, boxes).max(axis=1) < IOU).sum())
        missed += [clip] * alone
    if missed:
        yield Finding(
            "proposals",
            f"{path}: no box of {least:g} or more overlaps {len(missed)} of {people} people by {IOU:g} or "
            "more: whatever they do counts as missed",
            tuple(dict.fromkeys(names_of(missed))),
        )


def _rows(path: Path, bad: Sequence[str]) -> str:
    if len(bad) == 1:
        return bad[0]
    more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return f"{path}: {len(bad)} rows cannot be used: {'; '.join(bad[:SHOWN])}{more}"
