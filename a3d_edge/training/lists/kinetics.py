"""Lists of Kinetics: ``label,youtube_id,time_start,time_end,split``, and the clips where scripts put them.

A clip is found anywhere below the list's folder, cut out (``ID_000010_000020.mp4``, ``ID_10_20.mp4``) or as
the whole video (``ID.mp4``), of which it is then a part. Those that YouTube has no more are left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from a3d_edge.errors import SourceError
from a3d_edge.training.lists.files import files_below
from a3d_edge.training.lists.row import ListRow

__all__ = ["read_rows", "recognised"]

COLUMNS = ("youtube_id", "time_start", "time_end")


def recognised(text: str) -> bool:
    """Whether the first line has Kinetics' columns."""
    return set(COLUMNS) <= set(_header(text))


def _header(text: str) -> list[str]:
    first = next(iter(text.splitlines()), "")
    return [cell.strip().casefold() for cell in first.lstrip("\ufeff").replace('"', "").split(",")]


def read_rows(path: Path, text: str) -> Iterator[ListRow]:
    """The rows of a list. Raises `SourceError` for one without labels, or with times that are none."""
    header = _header(text)
    if "label" not in header:
        raise SourceError(f"{path}: has no label, as Kinetics' lists of its test set; name another list")
    files = files_below(path.parent)
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader, None)
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
        where = f"{path}:{reader.line_num}"
        yield ListRow(where, _cells(where, row, files), needed=False)


def _cells(where: str, row: dict[str, str], files: dict[str, Path]) -> dict[str, str]:
    name, start, end = (row.get(column, "") for column in COLUMNS)
    shared = {"label": row.get("label", ""), "split": row.get("split", ""), "group": name}
    try:
        first, last = int(float(start)), int(float(end))
    except (ValueError, OverflowError) as error:
        raise SourceError(f"{where}: time_start '{start}' or time_end '{end}' is no number") from error
    for cut in (f"{name}_{first:06d}_{last:06d}", f"{name}_{first}_{last}"):
        if cut in files:
            return {"path": str(files[cut]), **shared}
    if name in files:
        return {"path": str(files[name]), "start": start, "end": end, **shared}
    return {"path": f"{name}_{first:06d}_{last:06d}.mp4", **shared}
