"""Exports of FiftyOne: ``samples.json`` of a whole data set, ``labels.json`` of temporal detections.

`TemporalDetections` give parts (``support``: first and last frame, from 1 on; or ``timestamps``), and
`Classification` whole clips. The tags train, validation and test are the split.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from a3d_edge.errors import SourceError
from a3d_edge.training.lists.class_folders import VIDEO_SUFFIXES
from a3d_edge.training.lists.files import find_clip, moved_clip, rate_of
from a3d_edge.training.lists.row import ListRow
from a3d_edge.training.lists.seconds import SPLITS

__all__ = ["read_rows", "recognised"]


def recognised(content: Any) -> bool:
    """Whether it is one of the two."""
    return isinstance(content, dict) and (
        isinstance(content.get("samples"), list)
        or (isinstance(content.get("labels"), dict) and isinstance(content.get("classes"), list))
    )


def read_rows(path: Path, content: Any) -> Iterator[ListRow]:
    """A row for every detection or classification. Raises `SourceError` for a clip that is not there."""
    yield from _samples(path, content["samples"]) if "samples" in content else _labels(path, content)


def _samples(path: Path, samples: list[Any]) -> Iterator[ListRow]:
    for number, sample in enumerate(samples):
        where = f"{path}: sample {number}"
        if not isinstance(sample, dict) or not isinstance(sample.get("filepath"), str):
            raise SourceError(f"{where}: has no filepath; export the data set with its media")
        fields = [value for value in sample.values() if isinstance(value, dict)]
        found = [one for field in fields for one in _labels_of(field)]
        if not found:
            continue
        clip = moved_clip(path, sample["filepath"])
        if clip is None:
            raise SourceError(f"{where}: no such clip {sample['filepath']}; put it into data/ beside it")
        split = next((t for t in sample.get("tags") or [] if str(t).casefold() in SPLITS), "")
        rate = (sample.get("metadata") or {}).get("frame_rate")
        for one in found:
            yield _row(where, clip, str(one.get("label", "")), one, rate, split)


def _labels_of(field: dict[str, Any]) -> list[dict[str, Any]]:
    """The labels in a field of a sample that say what is done, and when."""
    kind = field.get("_cls")
    if kind == "TemporalDetections":
        return [one for one in field.get("detections") or [] if isinstance(one, dict)]
    return [field] if kind in ("TemporalDetection", "Classification") else []


def _labels(path: Path, content: Any) -> Iterator[ListRow]:
    classes = content["classes"]
    for name, found in content["labels"].items():
        where = f"{path}: {name}"
        names = [name, *(f"{name}{suffix}" for suffix in sorted(VIDEO_SUFFIXES))]
        folders = (path.parent / "data", path.parent)
        clips = (find_clip(folder, each) for each in names for folder in folders)
        clip = next((clip for clip in clips if clip is not None), None)
        if clip is None:
            raise SourceError(f"{where}: no such clip; put the clips into data/ beside it")
        for one in found or []:
            label = one.get("label", "")
            known = isinstance(label, int) and 0 <= label < len(classes)
            yield _row(where, clip, str(classes[label] if known else label), one, None, "")


def _row(
    where: str, clip: Path, label: str, found: dict[str, Any], rate: float | None, split: str
) -> ListRow:
    times: dict[str, str] = {}
    if isinstance(pair := found.get("timestamps"), list) and len(pair) == 2:
        times = {"start": str(pair[0]), "end": str(pair[1])}
    elif isinstance(pair := found.get("support"), list) and len(pair) == 2:
        rate = rate or rate_of(clip)
        times = {"start": str((pair[0] - 1) / rate), "end": str(pair[1] / rate)}
    return ListRow(where, {"path": str(clip.absolute()), "label": label, "split": split, **times})
