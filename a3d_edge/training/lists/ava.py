"""The files of AVA, v2.1 and v2.2, as the data set and PySlowFast have them.

    ava_train_v2.2.csv            VIDEO,0902,x1,y1,x2,y2,ACTION,PERSON    a row a box and action, in shares
    a detector's CSV              VIDEO,0902,x1,y1,x2,y2,ACTION,SCORE     ACTION may be empty, or -1
    ava_action_list_*.pbtxt       the actions' numbers and names, of all 80 or of the 60 that are tested
    ava_*_excluded_timestamps_*   VIDEO,0903: what is not to be used
    frame_lists/train.csv         original_vido_id video_id frame_id path labels: every picture, 30 a second

Every error names the file and the line.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from a3d_edge.errors import SourceError
from a3d_edge.labels import label_of
from a3d_edge.training.lists.files import text_of
from a3d_edge.training.lists.person import Box

__all__ = [
    "BoxRow",
    "faulty_rows",
    "frame_name",
    "read_boxes",
    "read_exclusions",
    "read_frame_list",
    "read_label_map",
    "read_results",
    "recognised",
]

ROW = re.compile(r"[^,\s]+,\d{1,6}(,[^,]*){4},(-?\d+)?(,[^,]*)?\s*")
NAME = re.compile(r'name:\s*"([^"\n]*)"')
NUMBER = re.compile(r"\b(?:label_)?id:\s*(\d{1,6})\b")
BLOCK = re.compile(r"(?:item|label)\s*\{([^{}]*)\}")
MOST_CLASSES = 20_000
OUTSIDE = 1e-3
"""Coordinates are rounded to three places: so far beyond the picture is at its border."""


@dataclass(frozen=True, slots=True)
class BoxRow:
    """A row: whose key frame (`frame_name`), where, which action (None: not told), and its last column."""

    where: str
    video: str
    second: int
    box: Box
    action: int | None
    score: float

    @property
    def frame(self) -> str:
        """The key frame's name."""
        return frame_name(self.video, self.second)


def frame_name(video: str, second: int) -> str:
    """A key frame as the official evaluation names it: ``VIDEO,0902``."""
    return f"{video},{second:04d}"


def recognised(text: str) -> bool:
    """Whether the first line is a row of boxes: there is no header."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return ROW.fullmatch(first) is not None


def read_boxes(path: Path, *, scored: bool = False) -> Iterator[BoxRow]:
    """The rows of a CSV of boxes; ``scored``: a detector's, whose last column is a score.

    Raises `SourceError` for a row of another kind, a box that is not in the picture, or a score that is none.
    """
    for where, cells in _rows(path):
        yield _box_row(where, cells, scored)


def faulty_rows(path: Path, *, scored: bool = False) -> list[str]:
    """What `read_boxes` would refuse, each row's in one line, all of the file. Raises `SourceError`."""
    found = []
    for where, cells in _rows(path):
        try:
            _box_row(where, cells, scored)
        except SourceError as error:
            found.append(str(error))
    return found


def _box_row(where: str, cells: list[str], scored: bool) -> BoxRow:
    if len(cells) not in (7, 8) or not cells[0]:
        raise SourceError(f"{where}: has {len(cells)} cells; AVA's are video,second,x1,y1,x2,y2,action,…")
    second, action = _whole(where, "second", cells[1]), _action(where, cells[6])
    score = _number(where, "score", cells[7] if len(cells) == 8 else "") if scored else 1.0
    if not 0.0 <= score <= 1.0:
        raise SourceError(f"{where}: the score {score:g} is outside [0, 1]")
    return BoxRow(where, cells[0], second, _box(where, cells[2:6]), action, score)


def read_results(path: Path) -> Iterator[tuple[str, int, float, tuple[float, float, float, float]]]:
    """(key frame, action, score, x1 y1 x2 y2) of every row, whatever its box: as AVA's evaluation reads both
    what is true and what was found; a row without a score has 1. Raises `SourceError`."""
    for where, cells in _rows(path):
        if len(cells) not in (7, 8) or not cells[0]:
            raise SourceError(
                f"{where}: has {len(cells)} cells; AVA's are video,second,x1,y1,x2,y2,action,score"
            )
        x1, y1, x2, y2 = (_number(where, "coordinate", cell) for cell in cells[2:6])
        score = _number(where, "score", cells[7]) if len(cells) == 8 else 1.0
        action = _whole(where, "action", cells[6])
        yield frame_name(cells[0], _whole(where, "second", cells[1])), action, score, (x1, y1, x2, y2)


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """(``file:line``, cells) of a CSV without header."""
    reader = csv.reader(io.StringIO(text_of(path), newline=""))
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield f"{path}:{reader.line_num}", [cell.strip() for cell in cells]
    except csv.Error as error:
        raise SourceError(f"{path}:{reader.line_num}: cannot be read as CSV ({error})") from error


def _box(where: str, cells: list[str]) -> Box:
    x1, y1, x2, y2 = (_number(where, "coordinate", cell) for cell in cells)
    if not (-OUTSIDE <= x1 < x2 <= 1 + OUTSIDE and -OUTSIDE <= y1 < y2 <= 1 + OUTSIDE):
        shown = ", ".join(cells)
        raise SourceError(
            f"{where}: the box {shown} is not in the picture; x1 < x2 and y1 < y2 are shares of it, 0 to 1"
        )
    low, high = (max(0.0, x1), max(0.0, y1)), (min(1.0, x2), min(1.0, y2))
    return (*low, *high)


def _number(where: str, what: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SourceError(f"{where}: the {what} '{cell[:20]}' is no number")
    return value


def _whole(where: str, what: str, cell: str) -> int:
    value = _number(where, what, cell)
    if value != int(value) or not 0 <= value < 1e6:
        raise SourceError(f"{where}: the {what} '{cell[:20]}' is no whole number from 0 on")
    return int(value)


def _action(where: str, cell: str) -> int | None:
    """The action's number; None where a detector does not tell it."""
    return None if cell in ("", "-1") else _whole(where, "action", cell)


def read_label_map(path: Path) -> dict[int, str]:
    """Names of the actions by their numbers, ascending. Raises `SourceError`."""
    found: dict[int, str] = {}
    for block in BLOCK.findall(text_of(path)):
        name, number = NAME.search(block), NUMBER.search(block)
        if name is None or number is None or not label_of(name[1]):
            raise SourceError(f"{path}: a label without a name or a number: {' '.join(block.split())[:60]}")
        if int(number[1]) < 1 or int(number[1]) in found:
            raise SourceError(f"{path}: the number {number[1]} is there twice, or is not above 0")
        found[int(number[1])] = label_of(name[1])
    if not found or len(found) > MOST_CLASSES:
        raise SourceError(f'{path}: is no label map; it has blocks of name: "…" and id: N')
    if len(set(found.values())) < len(found):
        raise SourceError(f"{path}: two labels have one name")
    return dict(sorted(found.items()))


def read_exclusions(path: Path) -> frozenset[str]:
    """Names of the key frames that are not to be used. Raises `SourceError`."""
    found = set()
    for where, cells in _rows(path):
        if len(cells) != 2 or not cells[0]:
            raise SourceError(f"{where}: has {len(cells)} cells; excluded are rows of video,second")
        found.add(frame_name(cells[0], _whole(where, "second", cells[1])))
    return frozenset(found)


def read_frame_list(path: Path) -> Mapping[str, tuple[str, ...]]:
    """The pictures of every video, in their order, as the list has their paths. Raises `SourceError`."""
    found: dict[str, list[str]] = {}
    lines = text_of(path).splitlines()
    if not lines or lines[0].split()[:1] != ["original_vido_id"]:
        raise SourceError(f"{path}: is no list of frames; its first line is original_vido_id video_id …")
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split()
        if not cells:
            continue
        if len(cells) not in (4, 5):  # labels are "" there, which some writers leave out
            raise SourceError(f"{path}:{number}: has {len(cells)} cells; a frame has 4 and its labels")
        found.setdefault(cells[0], []).append(cells[3])
    return {video: tuple(pictures) for video, pictures in found.items()}
