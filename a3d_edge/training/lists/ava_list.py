"""AVA as a list of clips: one of every key frame, with the people in it.

    boxes.csv ─ key frames, less those excluded ─ actions named by the label map ─ pictures or video ─► rows

What belongs to a CSV of boxes is found beside it, as the data set and PySlowFast lay it out:

    annotations/ava_train_v2.2.csv
    annotations/ava_action_list_v2.2_for_activitynet_2019.pbtxt   or the only one there; 60 classes before 80
    annotations/ava_train_excluded_timestamps_v2.2.csv
    frame_lists/train.csv, frames/VIDEO/…jpg                      or videos/VIDEO.mp4, here or one folder up

Pictures of a list are 30 a second, the first of them at second 900 of the film (PySlowFast cuts 900 to 1800
out); and so are videos of 901 s that were cut so. Actions that the label map lacks are left out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.errors import DataWarning, SourceError
from a3d_edge.labels import SEPARATOR
from a3d_edge.training.lists.ava import (
    BoxRow,
    read_boxes,
    read_exclusions,
    read_frame_list,
    read_label_map,
    recognised,
)
from a3d_edge.training.lists.files import files_below
from a3d_edge.training.lists.person import Box, Person
from a3d_edge.training.lists.pictures import PictureList
from a3d_edge.training.lists.row import ListRow

__all__ = ["FILM_BEGINS_S", "named_some", "read_rows", "recognised"]

FILM_BEGINS_S = 900
"""The second of the film that pictures and cut videos begin at."""
SIDE = re.compile(r"train|val|test", re.IGNORECASE)

Find = Callable[[str], "tuple[Path, PictureList | None] | None"]


def read_rows(boxes: Path) -> Iterator[ListRow]:
    """A row of every key frame of a CSV of boxes. Warns with `DataWarning` of what is left out.

    Raises `SourceError` for what `read_boxes` and its like refuse, a label map that does not fit, more people
    in a key frame than a network takes, and where there are no pictures.
    """
    names = read_label_map(_label_map(boxes))
    excluded = _excluded(boxes)
    rows = [row for row in read_boxes(boxes) if row.frame not in excluded]
    _check_actions(boxes, rows, names)
    find, missing, found_any = _finder(boxes), set[str](), False
    for (video, second), people in _key_frames(rows, names).items():
        found = find(video)
        if found is None:
            missing.add(video)
            continue
        path, pictures = found
        labels = sorted({label for person in people for label in person.labels})
        if len(people) > MOST_PEOPLE:
            raise SourceError(f"{boxes}: {video},{second:04d} has {len(people)} boxes; at most {MOST_PEOPLE}")
        found_any = True
        cells = {"path": str(path), "label": SEPARATOR.join(labels), "group": video}
        where = f"{boxes}: {video},{second:04d}"
        yield ListRow(
            where, cells, many=True, key=float(second - FILM_BEGINS_S), people=people,
            frame=f"{video},{second:04d}", pictures=pictures,
        )  # fmt: skip
    if not found_any:
        raise SourceError(
            f"{boxes}: none of its videos is there; put frame_lists and frames, or videos, there"
        )
    if missing:
        _warn(f"{boxes}: {len(missing)} videos are not there, and left out")


def named_some(names: Iterable[str]) -> str:
    """The first two of some names, for a message."""
    ordered = sorted(names)
    return ", ".join(name[:40] for name in ordered[:2]) + (", …" if len(ordered) > 2 else "") or "none"


def _key_frames(rows: Iterable[BoxRow], names: dict[int, str]) -> dict[tuple[str, int], tuple[Person, ...]]:
    """Who is in each key frame: one person a box, with all that it does there."""
    found: dict[tuple[str, int], dict[Box, list[str]]] = {}
    for row in rows:
        acts = found.setdefault((row.video, row.second), {}).setdefault(row.box, [])
        if row.action in names:
            acts.append(names[row.action])
    return {
        key: tuple(Person(box, tuple(dict.fromkeys(acts))) for box, acts in people.items())
        for key, people in found.items()
    }


def _check_actions(boxes: Path, rows: Sequence[BoxRow], names: dict[int, str]) -> None:
    """Warn of actions that the map lacks. Raises `SourceError` where it is of other labels."""
    numbers = {row.action for row in rows if row.action is not None}
    lacking = sorted(numbers - set(names))
    if numbers and not numbers & set(names):
        raise SourceError(
            f"{boxes}: the label map {_label_map(boxes).name} does not fit: it has none of the actions "
            f"{named_some(str(number) for number in lacking)}; put the one of this list beside it"
        )
    if lacking:
        count = sum(row.action in lacking for row in rows)
        _warn(f"{boxes}: {count} labels of {len(lacking)} actions that the label map lacks are left out")


def _label_map(boxes: Path) -> Path:
    """The label map beside a list: that of the classes which are tested, or the only one."""
    there = sorted(boxes.parent.glob("*.pbtxt*"))
    tested = [path for path in there if "activitynet" in path.name]
    if len(tested) == 1:
        return tested[0]
    if len(there) != 1:
        named = f"{len(there)} label maps" if there else "no label map"
        raise SourceError(f"{boxes}: {named} (*.pbtxt) beside it; put the one that is meant there alone")
    return there[0]


def _excluded(boxes: Path) -> frozenset[str]:
    """Key frames that the list of the same side excludes, if it is there."""
    side = SIDE.search(boxes.stem)
    for path in sorted(boxes.parent.glob("*excluded_timestamps*.csv")):
        other = SIDE.search(path.stem)
        if (side and side[0].lower()) == (other and other[0].lower()):
            return read_exclusions(path)
    return frozenset()


def _finder(boxes: Path) -> Find:
    """What finds a video's pictures, or its file."""
    side = SIDE.search(boxes.stem)
    for folder in (boxes.parent, boxes.parent.parent):
        listed = folder / "frame_lists" / f"{side[0].lower() if side else 'frames'}.csv"
        if listed.is_file():
            return _in_pictures(read_frame_list(listed), folder / "frames")
    for folder in (boxes.parent / "videos", boxes.parent.parent / "videos", boxes.parent):
        if folder.is_dir() and (files := files_below(folder)):
            return lambda video: (files[video], None) if video in files else None
    return lambda video: None


def _in_pictures(lists: object, frames: Path) -> Find:
    assert isinstance(lists, dict)
    made: dict[str, PictureList] = {}

    def find(video: str) -> tuple[Path, PictureList | None] | None:
        if video not in lists:
            return None
        pictures = made.setdefault(video, PictureList(frames, lists[video]))
        return frames / video, pictures

    return find


def _warn(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=3)
