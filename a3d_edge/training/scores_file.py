"""The scores of a measurement in a file, written clip by clip, so that a killed run can be continued.

JSON Lines: a header that says what is measured, then one line per clip with its scores, of each window or
put together (``summed``; of many labels that is the highest of each class), in full precision. Of several
processes each writes a part of its own, ``FILE.rank<k>``; at the end they become FILE. A line that was cut
off by a kill is dropped, and its clip measured again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.files import write_atomically
from a3d_edge.json_text import json_object
from a3d_edge.training.evaluation import ClipScores

__all__ = ["ScoresFile"]

FORMAT, SCHEMA = "a3d-edge scores", 1


@dataclass(frozen=True, slots=True)
class ScoresFile:
    """Where the scores of a measurement are kept.

    ``header`` says in plain JSON values what is measured: a file with another one is refused. ``shape`` is
    (clips, configurations, classes).
    """

    path: Path
    header: Mapping[str, Any]
    shape: tuple[int, int, int]

    def read(self) -> dict[int, ClipScores]:
        """The scores that are there already, by clip, of all processes that wrote any.

        Raises `UsageError` for a file of another measurement, or that is no scores file.
        """
        found: dict[int, ClipScores] = {}
        for part in (self.path, *self._parts()):
            found |= self._read(part)
        return found

    @contextmanager
    def appending(self, rank: int | None = None) -> Iterator[Callable[[int, ClipScores], None]]:
        """A function that adds one clip's scores; each is with the system before it returns.

        ``rank``: of several processes, each of which writes a part of its own; None where there is one.
        Raises `ResourceError` when the disk is full or not writable.
        """
        path = self._part(rank)
        if not path.exists() or not path.stat().st_size:
            write_atomically(path, lambda temporary: _write(temporary, [self._first_line()]))
        with path.open("r+b", buffering=0) as file:
            _cut_torn_line(file)
            yield lambda clip, scores: _append(file, path, _line(clip, scores))

    def finish(self, found: Mapping[int, ClipScores]) -> None:
        """Put the scores of all processes into one file, in clip order, and remove the parts."""
        parts = self._parts()
        if parts:
            lines = (_line(clip, found[clip]) for clip in sorted(found))
            write_atomically(
                self.path, lambda temporary: _write(temporary, chain([self._first_line()], lines))
            )
        for part in parts:
            part.unlink()

    def _part(self, rank: int | None) -> Path:
        return self.path if rank is None else self.path.with_name(f"{self.path.name}.rank{rank}")

    def _parts(self) -> list[Path]:
        name = re.compile(re.escape(self.path.name) + r"\.rank\d+")
        folder = self.path.parent
        return sorted(p for p in folder.iterdir() if name.fullmatch(p.name)) if folder.is_dir() else []

    def _first_line(self) -> str:
        return json.dumps({"format": FORMAT, "schema": SCHEMA, **self.header}) + "\n"

    def _read(self, path: Path) -> dict[int, ClipScores]:
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"`scores` {path}: cannot be read ({error.strerror}); name a file") from error
        if lines == [b""]:
            return {}
        self._check_header(path, lines[0] if len(lines) > 1 else b"")
        numbered = enumerate(lines[1:-1], start=2)  # what follows the last line's end was cut off
        return dict(self._entry(path, number, line) for number, line in numbered)

    def _check_header(self, path: Path, line: bytes) -> None:
        header = _parsed(line)
        if header is None or header.pop("format", None) != FORMAT or header.pop("schema", None) != SCHEMA:
            raise UsageError(f"`scores` {path}: is not a scores file of this version; name another file")
        other = [key for key in {**self.header, **header} if header.get(key) != self.header.get(key)]
        if other:
            there, here = (json.dumps(values.get(other[0])) for values in (header, self.header))
            raise UsageError(
                f"`scores` {path}: holds another measurement, it differs in {', '.join(other)} "
                f"({other[0]} is {_short(there)} there, {_short(here)} now); name another file, or delete it"
            )

    def _entry(self, path: Path, number: int, line: bytes) -> tuple[int, ClipScores]:
        clips, *shape = self.shape
        entry = _parsed(line) or {}
        try:
            clip, scores = entry["clip"], _scores(entry)
            around = (scores.shape[0], scores.shape[-1])  # there may be windows between
            if not (isinstance(clip, int) and 0 <= clip < clips and around == tuple(shape)):
                raise ValueError("not of this measurement")
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"`scores` {path}:{number}: is not the scores of a clip; delete the line, or the file"
            ) from error
        return clip, scores


def _line(clip: int, scores: ClipScores) -> str:
    return json.dumps({"clip": clip, "windows" if scores.ndim == 3 else "summed": scores.tolist()}) + "\n"


def _scores(entry: Mapping[str, Any]) -> ClipScores:
    """What a line holds. Raises `KeyError` or `ValueError` when it is none."""
    apart = "windows" in entry
    scores: ClipScores
    if apart:
        scores = np.array(entry["windows"], dtype=np.float32)
    else:
        scores = np.array(entry["summed"], dtype=np.float64)
    if scores.ndim != (3 if apart else 2):
        raise ValueError("not of this measurement")
    return scores


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)


def _append(file: FileIO, path: Path, line: str) -> None:
    rest = line.encode()
    try:
        while rest:  # a nearly full disk takes a part
            rest = rest[file.write(rest) :]
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResourceError(f"`scores` {path}: {reason}; make room and run again, it continues") from error


def _cut_torn_line(file: FileIO) -> None:
    file.truncate(file.read().rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        return json_object(line)
    except ValueError:
        return None


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
