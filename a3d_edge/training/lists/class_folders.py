"""Class folders: a folder whose sub-folders are classes, with the clips of each inside.

Above them may be ``train``, ``val`` and ``test``, which are the split. What a system or a program left there
is no clip and no class: hidden files and folders, AppleDouble halves (``._a.mp4``), thumbnails. What looks
like classes at two levels is refused.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from a3d_edge.errors import DataWarning, SourceError
from a3d_edge.labels import label_of
from a3d_edge.training.lists.seconds import SPLITS, split_of

__all__ = ["VIDEO_SUFFIXES", "split_clips_in"]

VIDEO_SUFFIXES = frozenset(
    (
        ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".vob",
        ".wmv", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".gif",
    )
)  # fmt: skip
LITTER = frozenset(
    ("__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found")
)
LISTS = frozenset((".csv", ".tsv", ".json", ".xml", ".txt"))
SHOWN = 3  # names in a message


def split_clips_in(root: Path) -> list[tuple[str, str, Path]]:
    """(split, label, file) of every clip: of a folder of class folders, or of such folders by split.

    Warns and raises as `clips_in`.
    """
    try:
        parts = [folder for folder in _folders(root) if folder.name.casefold() in SPLITS]
        by_split = any(_holds_clip(sub) for part in parts for sub in _folders(part))
        others = [folder for folder in _folders(root) if folder not in parts and _holds_clip(folder)]
    except OSError as error:
        raise SourceError(f"{error.filename or root}: cannot be read ({error.strerror})") from error
    if not by_split:
        return [("", label, clip) for label, clip in clips_in(root)]
    if others:
        raise SourceError(
            f"{root}: has {_few(parts)} and beside them {_few(others)}; put every class folder into one of "
            "train, val, test, or none"
        )
    return [(split_of(part.name), label, clip) for part in parts for label, clip in clips_in(part)]


def clips_in(root: Path) -> list[tuple[str, Path]]:
    """(label, file) of every clip, folders and files in order. Warns with `DataWarning` of what is left out.

    Raises `SourceError` for classes at two levels, clips without class folders, or a folder that cannot be
    read or has no name to show.
    """
    try:
        found = {folder: _clips(folder) for folder in _folders(root)}
        if nested := [folder for folder in found if any(_holds_clip(sub) for sub in _folders(folder))]:
            raise SourceError(
                f"{nested[0]}: has folders with clips itself, so it is no class; name it with `data` if its "
                f"folders are the classes, or put all clips of a class into one folder{_or_list(root)}"
            )
        loose = _clips(root)
    except OSError as error:
        raise SourceError(f"{error.filename or root}: cannot be read ({error.strerror})") from error
    if loose and not any(found.values()):
        raise SourceError(
            f"{root}: holds clips ({_few(loose)}), but no class folders; put the clips of each class into a "
            f"folder of its name{_or_list(root)}"
        )
    if sum(map(bool, found.values())) == 1 and (instead := _or_list(root)):
        _warn(f"{root}: has one class folder; put another beside it{instead}")
    if loose:
        _warn(f"{root}: clips beside the class folders are left out ({_few(loose)})")
    if empty := [folder for folder, clips in found.items() if not clips]:
        _warn(f"{root}: no clip is in {_few(empty)}, so that is no class")
    return [(_label(folder), clip) for folder, clips in found.items() for clip in clips]


def _or_list(root: Path) -> str:
    """Advice, where a list lies in the folder that was named."""
    lists = [path for path in _seen(root) if path.suffix.lower() in LISTS and path.is_file()]
    return f", or name the list in it ({_few(lists)})" if lists else ""


def _folders(folder: Path) -> list[Path]:
    return [path for path in _seen(folder) if path.is_dir()]


def _clips(folder: Path) -> list[Path]:
    return [path for path in _seen(folder) if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]


def _seen(folder: Path) -> Iterator[Path]:
    """What is in a folder, in order, without what a person did not put there."""
    return (p for p in sorted(folder.iterdir()) if p.name[0] != "." and p.name.casefold() not in LITTER)


def _holds_clip(folder: Path) -> bool:
    """Whether there is a clip in a folder, however deep."""
    return any(_clips(Path(place)) for place, _, _ in os.walk(folder))


def _label(folder: Path) -> str:
    label = label_of(folder.name)
    try:
        label.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(folder).decode(errors="replace")
        raise SourceError(f"{shown}: the folder's name is not UTF-8; rename it, it is the label") from error
    if not label:
        raise SourceError(
            f"{str(folder)!r}: the folder's name has nothing to show; rename it, it is the label"
        )
    return label


def _few(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(path.name for path in paths[:SHOWN]) + more


def _warn(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=3)
