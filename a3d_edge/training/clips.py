"""Which clips there are: read from CSV lists or class folders, split by group, never across one."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from a3d_edge.errors import SourceError, UsageError

__all__ = ["Clip", "class_of", "list_clips", "rendered_clips", "split_fold"]

VIDEO_SUFFIXES = {".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg"}


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled clip: a file, or a rendered one (``path`` None) drawn from ``seed``."""

    label: str
    path: Path | None
    group: str = ""
    fold: int | None = None
    seed: int = 0


def list_clips(places: Iterable[Path]) -> list[Clip]:
    """Clips of CSV files (columns path, label[, group, fold]; paths relative to the CSV) or class folders.

    Raises `SourceError` that names the file, line and column.
    """
    clips: list[Clip] = []
    for place in places:
        clips += _from_folders(place) if place.is_dir() else _from_csv(place)
    if not clips:
        raise SourceError(
            "the data lists hold no clip; name a CSV with path,label or a folder of class folders"
        )
    return clips


def _from_csv(path: Path) -> list[Clip]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"path", "label"} - set(reader.fieldnames or ())
            if missing:
                raise SourceError(f"{path}: the first line lacks the column {', '.join(sorted(missing))}")
            return [_row(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot read the list of clips ({error})") from error


def _row(path: Path, line: int, row: dict[str, str]) -> Clip:
    file = path.parent / (row["path"] or "")
    if not row["path"] or not row["label"]:
        raise SourceError(f"{path}:{line}: path or label is empty")
    if not file.is_file():
        raise SourceError(f"{path}:{line}: no such clip {file}")
    fold = (row.get("fold") or "").strip()
    if fold and not (fold.isascii() and fold.isdigit()):
        raise SourceError(f"{path}:{line}: fold '{fold}' is not a number")
    return Clip(row["label"], file, row.get("group") or "", int(fold) if fold else None)


def _from_folders(root: Path) -> list[Clip]:
    return [
        Clip(folder.name, file)
        for folder in sorted(p for p in root.iterdir() if p.is_dir())
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in VIDEO_SUFFIXES
    ]


def class_of(clip: Clip, classes: Sequence[str]) -> int:
    """Index of a clip's class. Raises `UsageError` that names the clip and the classes there are."""
    if clip.label not in classes:
        known = ", ".join(classes)
        raise UsageError(f"{clip.path or 'rendered clip'}: class '{clip.label}' is not one of {known}")
    return classes.index(clip.label)


def split_fold(clips: Sequence[Clip], fold: int) -> tuple[list[Clip], list[Clip]]:
    """(training, held-out) clips: a group of which any clip lies in the fold is held out whole.

    Raises `UsageError` when the fold is empty or nothing is left to train on.
    """
    groups = {clip.group for clip in clips if clip.fold == fold and clip.group}
    held = [clip for clip in clips if clip.fold == fold or clip.group in groups]
    rest = [clip for clip in clips if not (clip.fold == fold or clip.group in groups)]
    if not held or not rest:
        known = sorted({clip.fold for clip in clips if clip.fold is not None})
        raise UsageError(f"fold {fold} leaves no clip on one side; the lists have folds {known}")
    return rest, held


def rendered_clips(labels: Sequence[str], each: int, first_seed: int = 1000) -> list[Clip]:
    """``each`` rendered clips of every label that can be drawn, of consecutive seeds."""
    from a3d_edge.rendered import CLASSES

    return [
        Clip(label, None, seed=first_seed + i) for label in labels if label in CLASSES for i in range(each)
    ]
