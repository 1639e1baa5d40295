"""Which clips there are, from lists or class folders; split by fold, never across a group; a fair share."""

from __future__ import annotations

import os
import random
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from a3d_edge.errors import DataWarning, SourceError, UsageError
from a3d_edge.labels import SEPARATOR, joined_labels, label_of, look_alikes
from a3d_edge.task import BOXES, SINGLE, Task, is_multilabel
from a3d_edge.training.clip import Clip
from a3d_edge.training.drawn import (
    PEOPLE,
    check_drawn,
    crowd_clip,
    people_clip,
    people_row,
    rendered_clips,
)
from a3d_edge.training.lists.class_folders import split_clips_in
from a3d_edge.training.lists.files import find_clip
from a3d_edge.training.lists.reading import rows_of
from a3d_edge.training.lists.row import ListRow
from a3d_edge.training.lists.seconds import seconds_of, split_of

__all__ = [
    "Clip",
    "Data",
    "LabelSetError",
    "check_labels",
    "class_of",
    "classes_in",
    "clips_of",
    "crowd_clip",
    "list_clips",
    "paths_of",
    "people_clip",
    "rendered_clips",
    "split_fold",
    "spread",
]


ONE_LABEL = "a clip has one label: correct the list, cut the clip in two, or name its parts by start and end"
DRAWN = re.compile(r"drawn:(\w+):(\d{1,9})")
"""What stands for the path of a clip that is drawn: its set, and its seed."""


Data = Sequence[str | Path | Clip]
"""Where clips are: lists, class folders, or the clips themselves."""


class LabelSetError(SourceError):
    """A list of sets of labels, or of people in boxes, where every clip is to be of one class."""


def clips_of(
    data: Data, fold: int | None = None, *, held_out: bool = False, task: Task = SINGLE
) -> list[Clip]:
    """The clips of lists and folders, and those given themselves; of a fold, one of its two sides.

    ``task``: as in `list_clips`. Raises what `list_clips` and `split_fold` raise.
    """
    given = [one for one in data if isinstance(one, Clip)]
    places = [Path(one) for one in data if not isinstance(one, Clip)]
    clips = [*(list_clips(places, task) if places or not given else []), *given]
    return clips if fold is None else split_fold(clips, fold)[held_out]


def paths_of(data: Data) -> list[Path]:
    """The files and folders that ``data`` is read from."""
    paths = [one.path if isinstance(one, Clip) else Path(one) for one in data]
    return [path for path in paths if path is not None]


def list_clips(places: Iterable[Path], task: Task = SINGLE) -> list[Clip]:
    """Clips of CSV files (columns path, label[, start, end, group, fold, split]; times in seconds, paths
    relative to the CSV, ``drawn:SET:SEED`` is drawn), of what other tools write (`a3d_edge.training.lists`),
    or of class folders, which may lie in ``train``, ``val`` and ``test``.

    Labels are spelled as `label_of` does. Of many labels (``task``) a cell holds a set of them,
    ``hug;wave``, or nothing where none of the classes is seen. Warns with `DataWarning` of clips listed
    twice, labels that look alike, and what is not used. Raises `SourceError` that names the file and line.
    """
    clips: list[Clip] = []
    for place in places:
        if place.is_dir():
            many = is_multilabel(task)
            clips += [
                Clip(label, file, split=split, many=many) for split, label, file in split_clips_in(place)
            ]
        else:
            clips += _listed(place, task)
    if not clips:
        raise SourceError(
            "the data lists hold no clip; name a CSV with path,label or a folder of class folders"
        )
    _check_repeated(clips)
    for group in look_alikes(label for clip in clips for label in clip.labels):
        _warn(f"the labels {', '.join(repr(label) for label in group)} look alike, but are different classes")
    return clips


def _listed(place: Path, task: Task) -> list[Clip]:
    rows = list(rows_of(place))
    found = [clip for row in rows if (clip := _clip(place, row, is_multilabel(task))) is not None]
    if len(found) < len(rows):
        missing = f"{len(rows) - len(found)} of {len(rows)} clips are not there"
        if not found:
            raise SourceError(f"{place}: {missing}; put them below {place.parent}")
        _warn(f"{place}: {missing}, and left out")
    return found


def _clip(place: Path, row: ListRow, many: bool) -> Clip | None:
    """A row's clip; None for one that is not there and need not be. ``many``: its label is a set."""
    cells, where = row.cells, row.where
    label = _label(where, cells["label"], many, row)
    drawn = DRAWN.fullmatch(cells["path"])
    if drawn is not None and drawn[1] == PEOPLE and not many:
        raise LabelSetError(
            f"{where}: {cells['path']} is of people in boxes; who does what is learnt with `task` {BOXES}"
        )
    if not cells["path"] or not (label or many):
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
    if drawn is not None:
        check_drawn(where, drawn[1], label, start, end)
        if drawn[1] == PEOPLE:
            return replace(people_row(where, label, int(drawn[2]), many), group=group, split=split)
        number = int(fold) if fold else None
        return Clip(
            label, None, group, number, int(drawn[2]), split=split, where=where, drawn=drawn[1], many=many
        )
    there = find_clip(place.parent, cells["path"])
    file = Path(cells["path"]) if row.pictures is not None else there
    if file is None:
        if row.needed:
            raise SourceError(f"{where}: no such clip {place.parent / cells['path']}")
        return None
    number = int(fold) if fold else None
    return Clip(
        label,
        file,
        group,
        number,
        0,
        start,
        end,
        split,
        where,
        many=many,
        acts=row.acts,
        key=row.key,
        people=row.people,
        frame=row.frame,
        pictures=row.pictures,
    )


def _label(where: str, cell: str, many: bool, row: ListRow) -> str:
    """A label as it is spelled; of a set of them, all. ``row.many``: it is one, if of a single label."""
    if many:
        try:
            return joined_labels(cell.split(SEPARATOR)) if cell.strip() else ""
        except ValueError as error:
            raise SourceError(f"{where}: {error}") from error
    if row.many or SEPARATOR in cell:
        what, needed = ("is a set of labels; several at once", "multilabel")
        if row.key is not None:
            what, needed = ("is what people in boxes do; who does what", BOXES)
        raise LabelSetError(f"{where}: '{cell[:60]}' {what} are learnt with `task` {needed}")
    return label_of(cell)


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
                f"{clip.path}{clip.part}: is listed as '{before.label}' and as '{clip.label}'; "
                + ("write all labels of a clip into one row, as 'hug;wave'" if clip.many else ONE_LABEL)
            )
        twice.append(clip)
    if twice:
        more = f" and {len(twice) - 1} more are" if len(twice) > 1 else " is"
        _warn(f"{twice[0].name}{twice[0].part}{more} listed more than once, and will be used as often")


def _warn(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=3)


def class_of(clip: Clip, classes: Sequence[str]) -> int:
    """Index of a clip's class. Raises `UsageError` that names the clip and the classes there are."""
    if clip.many:
        raise UsageError(f"{clip.name}: has a set of labels; the network has one, of `task` {SINGLE}")
    if clip.label not in classes:
        known = ", ".join(classes)
        raise UsageError(f"{clip.name}: class '{clip.label}' is not one of {known}")
    return classes.index(clip.label)


def classes_in(clip: Clip, classes: Sequence[str]) -> list[bool]:
    """Which of the classes are true of a clip, in order. Raises `UsageError` for a label that is none."""
    check_labels([clip], classes)
    return [name in clip.labels for name in classes]


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
    unknown = sorted({label for clip in clips for label in clip.labels} - set(classes))
    if unknown:
        raise UsageError(
            f"the data has the label {', '.join(unknown)}; the network knows {', '.join(classes)}"
        )


def spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    """About ``count`` clips, at most an equal share of every class, the same ones every time; of clips with
    sets of labels any.

    Equal shares, because batch-norm statistics follow the mix of classes: with the 67 quiet clips of ``none``
    among 71 of six actions, the same network named 12 instead of 16 of 19 held-out actions.
    """
    if any(clip.many for clip in clips):  # hardly two have the same set
        return random.Random(0).sample(clips, min(count, len(clips)))
    by_label: dict[str, list[Clip]] = {}
    for clip in clips:
        by_label.setdefault(clip.label, []).append(clip)
    share = -(-count // max(1, len(by_label)))
    decks = [random.Random(0).sample(group, min(share, len(group))) for _, group in sorted(by_label.items())]
    rounds = max((len(deck) for deck in decks), default=0)
    return [deck[i] for i in range(rounds) for deck in decks if i < len(deck)][:count]
