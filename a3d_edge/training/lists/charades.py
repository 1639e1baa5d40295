"""Lists of Charades: a row a video, with all its actions and when each is seen.

    id,…,actions,length,…                              Charades_v1_train.csv, Charades_v1_test.csv
    46GP8,…,c092 11.90 21.20;c147 0.00 12.60,24.83,…   class, first and last second

A video is ``ID.mp4`` anywhere below the list's folder; those that are not there are left out, and so are
those without any action: the data set's own evaluation does not count them either (it ranks them last).
"""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from a3d_edge.errors import DataWarning, SourceError
from a3d_edge.labels import SEPARATOR
from a3d_edge.training.lists.files import files_below
from a3d_edge.training.lists.row import ListRow

__all__ = ["CLASSES", "read_rows", "recognised"]

CLASSES: tuple[str, ...] = tuple(f"c{number:03d}" for number in range(157))
"""Every action has a number; a network has all of them, whichever occur in a list."""
COLUMNS = ("id", "actions", "length")
ACTION = re.compile(r"c(\d{1,6}) (\S+) (\S+)")
LONGEST_S, ROUNDED_S = 86_400.0, 1.0


def recognised(text: str) -> bool:
    """Whether the first line has Charades' columns."""
    return set(COLUMNS) <= set(_header(text))


def _header(text: str) -> list[str]:
    first = next(csv.reader([next(iter(text.splitlines()), "")]), [])
    return [cell.strip().lstrip("\ufeff").casefold() for cell in first]


def read_rows(path: Path, text: str) -> Iterator[ListRow]:
    """The rows of a list. Warns with `DataWarning` of videos without actions.

    Raises `SourceError` that names the line for an action that is none, or seconds that are none.
    """
    header, files = _header(text), files_below(path.parent)
    reader, bare = csv.reader(io.StringIO(text, newline="")), 0
    next(reader, None)
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            row, where = dict(zip(header, cells, strict=False)), f"{path}:{reader.line_num}"
            name = row["id"].strip()
            acts = _acts(where, row.get("actions", ""), _length(where, row.get("length", "")))
            if not acts:
                bare += 1
                continue
            label = SEPARATOR.join(sorted({action for action, _, _ in acts}))
            cells_of = {"path": str(files.get(name, f"{name}.mp4")), "label": label, "group": name}
            yield ListRow(where, cells_of, needed=False, acts=acts, many=True)
    except csv.Error as error:
        raise SourceError(f"{path}:{reader.line_num}: cannot be read as CSV ({error})") from error
    if bare:
        warnings.warn(
            f"{path}: {bare} videos without any action are left out, for Charades does not count them",
            DataWarning,
            stacklevel=2,
        )


def _length(where: str, text: str) -> float:
    return LONGEST_S if not text.strip() else _seconds(where, text.strip(), "length")


def _acts(where: str, text: str, length_s: float) -> tuple[tuple[str, float, float], ...]:
    """(class, first second, last second) of every action of a cell."""
    found = []
    for part in (part.strip() for part in text.split(SEPARATOR)):
        if not part:
            continue
        match = ACTION.fullmatch(part)
        if match is None:
            raise SourceError(f"{where}: '{part[:60]}' is no action; Charades writes 'c092 11.90 21.20'")
        if int(match[1]) >= len(CLASSES):
            raise SourceError(
                f"{where}: the action c{match[1]} is none of Charades' {len(CLASSES)}, c000 to c156"
            )
        start, end = (_seconds(where, second, part) for second in (match[2], match[3]))
        if end < start or start > length_s + ROUNDED_S:
            warnings.warn(
                f"{where}: '{part}' is no part of a video of {length_s:g} s; it counts for the video, "
                "not for any window",
                DataWarning,
                stacklevel=2,
            )
        found.append((CLASSES[int(match[1])], start, end))
    return tuple(found)


def _seconds(where: str, text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LONGEST_S:  # not a number compares false
        raise SourceError(f"{where}: '{text[:30]}' is no number of seconds, in '{what[:60]}'")
    return value
