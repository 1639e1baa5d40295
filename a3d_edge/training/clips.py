"""Which clips there are, from CSV lists or class folders; split by group, never across one; a fair share."""

from __future__ import annotations

import os
import random
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from a3d_edge.errors import DataWarning, SourceError, UsageError
from a3d_edge.labels import look_alikes
from a3d_edge.training.class_folders import clips_in
from a3d_edge.training.csv_lists import ListRow, is_file, read_rows

__all__ = [
    "Clip",
    "Data",
    "check_labels",
    "class_of",
    "clips_of",
    "list_clips",
    "paths_of",
    "rendered_clips",
    "split_fold",
    "spread",
]


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled clip: a file, or a rendered one (``path`` None) drawn from ``seed``."""

    label: str
    path: Path | None
    group: str = ""
    fold: int | None = None
    seed: int = 0
    split: str = ""

    @property
    def belongs_to(self) -> str:
        """What must stay on one side of a split: its group, else its file."""
        if self.group:
            return f"group {self.group}"
        return f"rendered {self.label} {self.seed}" if self.path is None else os.path.realpath(self.path)


Data = Sequence[str | Path | Clip]
"""Where clips are: CSV lists, class folders, or the clips themselves."""


def clips_of(data: Data, fold: int | None = None, *, held_out: bool = False) -> list[Clip]:
    """The clips of lists and folders, and those given themselves; of a fold, one of its two sides.

    Raises what `list_clips` and `split_fold` raise.
    """
    given = [one for one in data if isinstance(one, Clip)]
    places = [Path(one) for one in data if not isinstance(one, Clip)]
    clips = [*(list_clips(places) if places or not given else []), *given]
    return clips if fold is None else split_fold(clips, fold)[held_out]


def paths_of(data: Data) -> list[Path]:
    """The files and folders that ``data`` is read from."""
    paths = [one.path if isinstance(one, Clip) else Path(one) for one in data]
    return [path for path in paths if path is not None]


def list_clips(places: Iterable[Path]) -> list[Clip]:
    """Clips of CSV files (columns path, label[, group, fold]; paths relative to the CSV) or class folders.

    Labels are spelled as `label_of` does. Warns with `DataWarning` of clips listed twice, labels that look
    alike, and what is not used. Raises `SourceError` that names the file and line.
    """
    clips: list[Clip] = []
    for place in places:
        if place.is_dir():
            clips += [Clip(label, file) for label, file in clips_in(place)]
        else:
            clips += [_clip(place, row) for row in read_rows(place)]
    if not clips:
        raise SourceError(
            "the data lists hold no clip; name a CSV with path,label or a folder of class folders"
        )
    _check_repeated(clips)
    for group in look_alikes(clip.label for clip in clips):
        _warn(f"the labels {', '.join(repr(label) for label in group)} look alike, but are different classes")
    return clips


def _clip(place: Path, row: ListRow) -> Clip:
    cells, where = row.cells, f"{place}:{row.line}"
    if not cells["path"] or not cells["label"]:
        raise SourceError(f"{where}: path or label is empty")
    fold = cells.get("fold", "").removesuffix(".0")  # a table with gaps is saved with decimals
    if fold and not (fold.isascii() and fold.isdigit()):
        raise SourceError(f"{where}: fold '{fold}' is not a number")
    file = _file(place.parent, cells["path"])
    if file is None:
        raise SourceError(f"{where}: no such clip {place.parent / cells['path']}")
    return Clip(cells["label"], file, cells["group"], int(fold) if fold else None)


def _file(folder: Path, name: str) -> Path | None:
    """The file that is meant: a list and a disk may write the same accents in different ways."""
    spelled = (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    return next((folder / each for each in spelled if is_file(folder / each)), None)


def _check_repeated(clips: Sequence[Clip]) -> None:
    """Warn of clips that are there twice. Raises `SourceError` for one that has two labels."""
    first: dict[str, Clip] = {}
    twice: list[Clip] = []
    for clip in clips:
        before = first.setdefault(os.path.realpath(str(clip.path)), clip)
        if before is clip:
            continue
        if before.label != clip.label:
            raise SourceError(
                f"{clip.path}: is listed as '{before.label}' and as '{clip.label}'; a clip has one label: "
                "correct the list, or cut the clip in two"
            )
        twice.append(clip)
    if twice:
        more = f" and {len(twice) - 1} more are" if len(twice) > 1 else " is"
        _warn(f"{twice[0].path}{more} listed more than once, and will be used as often")


def _warn(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=3)


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


def check_labels(clips: Iterable[Clip], classes: Sequence[str]) -> None:
    """Raise `UsageError` when a clip has a label that the network does not know."""
    unknown = sorted({clip.label for clip in clips} - set(classes))
    if unknown:
        raise UsageError(
            f"the data has the label {', '.join(unknown)}; the network knows {', '.join(classes)}"
        )


def spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    """About ``count`` clips, at most an equal share of every class, the same ones every time.

    Equal shares, because batch-norm statistics follow the mix of classes: with the 67 quiet clips of ``none``
    among 71 of six actions, the same network named 12 instead of 16 of 19 held-out actions.
    """
    by_label: dict[str, list[Clip]] = {}
    for clip in clips:
        by_label.setdefault(clip.label, []).append(clip)
    share = -(-count // max(1, len(by_label)))
    decks = [random.Random(0).sample(group, min(share, len(group))) for _, group in sorted(by_label.items())]
    rounds = max((len(deck) for deck in decks), default=0)
    return [deck[i] for i in range(rounds) for deck in decks if i < len(deck)][:count]


def rendered_clips(labels: Sequence[str], each: int, first_seed: int = 1000) -> list[Clip]:
    """``each`` rendered clips of every label that can be drawn, of consecutive seeds."""
    from a3d_edge.demo.rendered import CLASSES

    return [
        Clip(label, None, seed=first_seed + i) for label in labels if label in CLASSES for i in range(each)
    ]
