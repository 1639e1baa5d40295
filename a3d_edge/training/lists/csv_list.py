"""A CSV of clips as people save it, taken apart: encoding, delimiter, names of columns, rows.

    text ─ lines ─ the header that has path and label ─ rows by column name, with their line

What was meant is read (semicolons or tabs, ``Path`` for ``path``, ``end_s`` for ``end``, blank lines);
what could be meant in two ways is refused with the file, the line and what to write.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from a3d_edge.errors import DataWarning, SourceError
from a3d_edge.training.lists.files import is_file
from a3d_edge.training.lists.row import ListRow

__all__ = ["COLUMNS", "read_rows"]

COLUMNS = ("path", "label", "start", "end", "group", "fold", "split")
NEEDED = frozenset(("path", "label"))
DELIMITERS = ",;\t|"
SECONDS = frozenset(("s", "sec", "secs", "second", "seconds", "t", "time"))
"""Words beside ``start`` or ``end`` that leave it that column: ``time_start``, ``end_s``, ``Start Time``."""
TIMES = frozenset(
    (
        "start", "end", "begin", "stop", "from", "to", "t0", "t1", "tstart", "tend", "onset", "offset",
        "duration", "segment", "times", "timestamp",
    )
)  # fmt: skip
"""Words that name a part of a clip in a way that could be meant otherwise, such as ``start_frame``."""


def read_rows(path: Path, text: str) -> Iterator[ListRow]:
    """The rows of a list, whose text is given. Warns with `DataWarning` of columns that nobody uses.

    Raises `SourceError` that names the file, and the line where there is one.
    """
    skipped = text.startswith("sep=")  # Excel's own first line
    if skipped:
        text = text.partition("\n")[2]
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    columns: list[str] | None = None
    try:
        for cells in reader:
            stripped, line = [_cell(cell) for cell in cells], reader.line_num + skipped
            if not any(stripped):
                continue
            if columns is None:
                columns = _columns(path, stripped)
                _warn_of_unused(path, columns)
            else:
                yield ListRow(f"{path}:{line}", _by_column(path, line, columns, stripped))
    except csv.Error as error:
        raise SourceError(f"{path}:{reader.line_num}: cannot be read as CSV ({error})") from error
    if columns is None:
        raise SourceError(f"{path}: the first line lacks the column label, path")


def _delimiter(text: str) -> str:
    """The one by which the first line has the columns; a comma where none does."""
    first = next((line for line in text.splitlines() if line.strip(DELIMITERS + " ")), "")
    names = {d: {_name(cell) for cell in next(csv.reader([first], delimiter=d), [])} for d in DELIMITERS}
    return next((d for d in DELIMITERS if names[d] >= NEEDED), ",")


def _name(cell: str) -> str:
    return _cell(cell).casefold()


def _cell(cell: str) -> str:
    """A cell without the white space around it, nor such as cannot be seen there."""
    return cell.strip().strip("\ufeff\u200b").strip()


def _columns(path: Path, header: Sequence[str]) -> list[str]:
    names = [_name(cell) for cell in header]
    known = [_column(name) or cell for name, cell in zip(names, header, strict=True)]
    if missing := sorted(NEEDED - set(known)):
        lacks = f"{path}: the first line lacks the column {', '.join(missing)}"
        words = [*header, *next((cell.split() for cell in header if cell), [])]  # some lists have spaces
        clip = next((word for word in words if word and is_file(path.parent / word)), None)
        if clip is not None:
            raise SourceError(f"{lacks}: it is a clip already ({clip}); put the line 'path,label' above it")
        raise SourceError(lacks)
    if twice := sorted({name for name in known if name in COLUMNS and known.count(name) > 1}):
        raise SourceError(f"{path}: the column {', '.join(twice)} is there twice; keep one of them")
    return known


def _warn_of_unused(path: Path, columns: Sequence[str]) -> None:
    unused = [name for name in columns if name and name not in COLUMNS]
    if not unused:
        return
    whole = "; every clip is used as a whole, not a part of it" if any(map(_is_time, unused)) else ""
    word = "columns" if len(unused) > 1 else "column"
    are = "are" if len(unused) > 1 else "is"
    warnings.warn(
        f"{path}: the {word} {', '.join(unused)} {are} not used (used are {', '.join(COLUMNS)}){whole}",
        DataWarning,
        stacklevel=2,
    )


def _column(name: str) -> str | None:
    """Which of ours a column is, by its name in small letters."""
    if name in COLUMNS:
        return name
    words = set(_words(name)) - SECONDS
    return next((part for part in ("start", "end") if words == {part}), None)


def _is_time(column: str) -> bool:
    return bool(TIMES & set(_words(column.casefold())))


def _words(column: str) -> list[str]:
    return column.replace("-", " ").replace("_", " ").split()


def _by_column(path: Path, line: int, columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if any(cells[len(columns) :]):
        raise SourceError(
            f"{path}:{line}: has {len(cells)} cells, the first line {len(columns)}; put quotes around what "
            "holds the delimiter"
        )
    filled = [*cells, *[""] * (len(columns) - len(cells))]
    return {name: cell for name, cell in zip(columns, filled, strict=False) if name in COLUMNS}
