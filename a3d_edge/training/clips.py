"""Which clips there are, from lists or class folders; split by fold, never across a group; a fair share."""

from __future__ import annotations

import os
import random
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from a3d_edge.errors import DataWarning, SourceError, UsageError
from a3d_edge.labels import label_of, look_alikes
from a3d_edge.training.lists.class_folders import split_clips_in
from a3d_edge.training.lists.files import find_clip
from a3d_edge.training.lists.reading import rows_of
from a3d_edge.training.lists.row import ListRow
from a3d_edge.training.lists.seconds import seconds_of, split_of

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


DRAWN = re.compile(r"drawn:(\w+):(\d{1,9})")
"""What stands for the path of a clip that is drawn: its set, and its seed."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled clip: a file, or a rendered one (``path`` None) drawn from ``seed``.

    ``drawn``: the set of `a3d_edge.demo.rendered.SETS` that a rendered one's label is of.
    ``start`` and ``end``: the seconds of the file that it is; None where the file begins and ends. ``split``:
    ``train``, ``val``, ``test`` or nothing. ``where``: how messages call the place that listed it.
    """

    label: str
    path: Path | None
    group: str = ""
    fold: int | None = None
    seed: int = 0
    start: float | None = None
    end: float | None = None
    split: str = ""
    where: str = field(default="", compare=False)
    drawn: str = "interactions"

    @property
    def part(self) -> str:
        """Which part of its file it is, as a fragment of a URL (``#t=1.5,3.0``); nothing for the whole."""
        if self.start is None and self.end is None:
            return ""
        start = "" if self.start is None else self.start
        return f"#t={start}" if self.end is None else f"#t={start},{self.end}"

    @property
    def name(self) -> str:
        """Its file, or what a list calls one that is drawn."""
        return f"drawn:{self.drawn}:{self.seed}" if self.path is None else str(self.path)

    @property
    def belongs_to(self) -> str:
        """What must stay on one side of a split: its group, else its file."""
        if self.group:
            return f"group {self.group}"
        return f"rendered {self.label} {self.seed}" if self.path is None else os.path.realpath(self.path)


Data = Sequence[str | Path | Clip]
"""Where clips are: lists, class folders, or the clips themselves."""


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
    """Clips of CSV files (columns path, label[, start, end, group, fold, split]; times in seconds, paths
    relative to the CSV, ``drawn:SET:SEED`` is drawn), of what other tools write (`a3d_edge.training.lists`),
    or of class folders, which may lie in ``train``, ``val`` and ``test``.

    Labels are spelled as `label_of` does. Warns with `DataWarning` of clips listed twice, labels that look
    alike, and what is not used. Raises `SourceError` that names the file and line.
    """
    clips: list[Clip] = []
    for place in places:
        if place.is_dir():
            clips += [Clip(label, file, split=split) for split, label, file in split_clips_in(place)]
        else:
            clips += _listed(place)
    if not clips:
        raise SourceError(
            "the data lists hold no clip; name a CSV with path,label or a folder of class folders"
        )
    _check_repeated(clips)
    for group in look_alikes(clip.label for clip in clips):
        _warn(f"the labels {', '.join(repr(label) for label in group)} look alike, but are different classes")
    return clips


def _listed(place: Path) -> list[Clip]:
    rows = list(rows_of(place))
    found = [clip for row in rows if (clip := _clip(place, row)) is not None]
    if len(found) < len(rows):
        missing = f"{len(rows) - len(found)} of {len(rows)} clips are not there"
        if not found:
            raise SourceError(f"{place}: {missing}; put them below {place.parent}")
        _warn(f"{place}: {missing}, and left out")
    return found


def _clip(place: Path, row: ListRow) -> Clip | None:
    """A row's clip; None for one that is not there and need not be."""
    cells, where = row.cells, row.where
    label = label_of(cells["label"])
    if not cells["path"] or not label:
        raise SourceError(f"{where}: path or label is empty")
    fold = cells.get("fold", "").removesuffix(".0")  # a table with gaps is saved with decimals
    if fold and not (fold.isascii() and fold.isdigit()):
        raise SourceError(f"{where}: fold '{fold}' is not a number")
    try:
        start, end = seconds_of(cells.get("start", "")), seconds_of(cells.get("end", ""))
        split = split_of(cells.get("split", ""))
    except ValueError as error:
        raise SourceError(f"{where}: {error}") from error
    if end is not None and end <= (start or 0.0):
        raise SourceError(f"{where}: ends at {end} s, and starts no earlier ({start or 0.0} s)")
    group = label_of(cells.get("group", ""))
    if (drawn := DRAWN.fullmatch(cells["path"])) is not None:
        _check_drawn(where, drawn[1], label, start, end)
        number = int(fold) if fold else None
        return Clip(label, None, group, number, int(drawn[2]), split=split, where=where, drawn=drawn[1])
    file = find_clip(place.parent, cells["path"])
    if file is None:
        if row.needed:
            raise SourceError(f"{where}: no such clip {place.parent / cells['path']}")
        return None
    return Clip(label, file, group, int(fold) if fold else None, 0, start, end, split, where)


def _check_drawn(where: str, of: str, label: str, start: float | None, end: float | None) -> None:
    from a3d_edge.demo.rendered import SETS

    if of not in SETS:
        raise SourceError(f"{where}: there is no set '{of}' to be drawn; known are {', '.join(SETS)}")
    if label not in SETS[of]:
        raise SourceError(f"{where}: '{label}' cannot be drawn; {of} has {', '.join(SETS[of])}")
    if start is not None or end is not None:
        raise SourceError(f"{where}: a drawn clip has no start nor end; leave them empty")


def _check_repeated(clips: Sequence[Clip]) -> None:
    """Warn of clips that are there twice. Raises `SourceError` for one that has two labels."""
    first: dict[tuple[str, str], Clip] = {}
    twice: list[Clip] = []
    for clip in clips:
        same = f"{clip.name} {clip.label}" if clip.path is None else os.path.realpath(clip.path)
        before = first.setdefault((same, clip.part), clip)
        if before is clip:
            continue
        if before.label != clip.label:
            raise SourceError(
                f"{clip.path}{clip.part}: is listed as '{before.label}' and as '{clip.label}'; a clip has "
                "one label: correct the list, cut the clip in two, or name its parts by start and end"
            )
        twice.append(clip)
    if twice:
        more = f" and {len(twice) - 1} more are" if len(twice) > 1 else " is"
        _warn(f"{twice[0].name}{twice[0].part}{more} listed more than once, and will be used as often")


def _warn(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=3)


def class_of(clip: Clip, classes: Sequence[str]) -> int:
    """Index of a clip's class. Raises `UsageError` that names the clip and the classes there are."""
    if clip.label not in classes:
        known = ", ".join(classes)
        raise UsageError(f"{clip.name}: class '{clip.label}' is not one of {known}")
    return classes.index(clip.label)


def split_fold(clips: Sequence[Clip], fold: int) -> tuple[list[Clip], list[Clip]]:
    """(training, held-out) clips: a group of which any clip lies in the fold is held out whole, and so is a
    file of which any part does.

    Raises `UsageError` when the fold is empty or nothing is left to train on.
    """
    there = {clip.belongs_to for clip in clips if clip.fold == fold}
    held = [clip for clip in clips if clip.belongs_to in there]
    rest = [clip for clip in clips if clip.belongs_to not in there]
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
    """``each`` rendered clips of every label that can be drawn, of consecutive seeds.

    All are of the one set that the ``labels`` mean (`set_of`): its figures act ``none`` too.
    """
    from a3d_edge.demo.rendered import drawn_of, set_of

    known, drawn = drawn_of(labels), set_of(labels)
    return [
        Clip(label, None, seed=first_seed + i, drawn=drawn)
        for label in labels
        if label in known
        for i in range(each)
    ]
