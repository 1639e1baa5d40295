"""A list of clips as people save it, taken apart: encoding, delimiter, names of columns, rows.

    bytes ─ text_of ─ lines ─ the header that has path and label ─ rows by column name, with their line

What was meant is read (a byte order mark, UTF-16, semicolons or tabs, ``Path`` for ``path``, blank lines);
what could be meant in two ways is refused with the file, the line and what to write.
"""

from __future__ import annotations

import codecs
import csv
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a3d_edge.errors import DataWarning, SourceError
from a3d_edge.labels import label_of

__all__ = ["COLUMNS", "ListRow", "is_file", "read_rows"]

COLUMNS = ("path", "label", "group", "fold")
NEEDED = frozenset(("path", "label"))
DELIMITERS = ",;\t|"
ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
TIMES = frozenset(
    (
        "start", "end", "begin", "stop", "from", "to", "t0", "t1", "tstart", "tend", "onset", "offset",
        "duration", "segment", "times", "timestamp",
    )
)  # fmt: skip
"""Words that name a part of a clip, alone or joined: ``time_start``, ``end_s``, ``Start Time``."""


@dataclass(frozen=True, slots=True)
class ListRow:
    """One clip of a list: the cells by column, stripped, and the line as an editor counts it."""

    line: int
    cells: Mapping[str, str]


def read_rows(path: Path) -> Iterator[ListRow]:
    """The rows of a list. Warns with `DataWarning` of columns that nobody uses.

    Raises `SourceError` that names the file, and the line where there is one.
    """
    text = text_of(path)
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
                yield ListRow(line, _by_column(path, line, columns, stripped))
    except csv.Error as error:
        raise SourceError(f"{path}:{reader.line_num}: cannot be read as CSV ({error})") from error
    if columns is None:
        raise SourceError(f"{path}: the first line lacks the column label, path")


def text_of(path: Path) -> str:
    """A list's text. Raises `SourceError` that says what the file is where it is no text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot read the list of clips ({error.strerror or error})") from error
    encoding = next((name for mark, name in ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in content:
            raise _no_text(path, content) from error
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{path}:{line}: cannot read the list of clips, it is no {encoding.upper()}; save it as UTF-8"
        ) from error
    if "\0" in text:
        raise _no_text(path, content)
    return text


def is_file(path: Path) -> bool:
    """Whether a file is there; no for what can be no file's name, such as a cell of a thousand letters."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _no_text(path: Path, content: bytes) -> SourceError:
    what = "a spreadsheet or another archive; save it as CSV" if content.startswith(b"PK") else (
        "no text; name a CSV with the columns path,label, or a folder of class folders"
    )  # fmt: skip
    return SourceError(f"{path}: cannot read the list of clips, it is {what}")


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
    known = [name if name in COLUMNS else cell for name, cell in zip(names, header, strict=True)]
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


def _is_time(column: str) -> bool:
    words = column.casefold().replace("-", " ").replace("_", " ").split()
    return bool(TIMES & set(words))


def _by_column(path: Path, line: int, columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if any(cells[len(columns) :]):
        raise SourceError(
            f"{path}:{line}: has {len(cells)} cells, the first line {len(columns)}; put quotes around what "
            "holds the delimiter"
        )
    filled = [*cells, *[""] * (len(columns) - len(cells))]
    found = {name: cell for name, cell in zip(columns, filled, strict=False) if name in COLUMNS}
    return {**found, "label": label_of(found["label"]), "group": label_of(found.get("group", ""))}
