"""Exports of Label Studio (JSON): ranges of a timeline, choices for a whole video, regions in seconds.

A timeline's ranges are frame numbers from 1 on, at the rate that the labelling was set up with (``frameRate``
of its ``Video`` tag): they are read at the clip's own rate, so those two should be the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from a3d_edge.errors import SourceError
from a3d_edge.training.lists.files import moved_clip, rate_of
from a3d_edge.training.lists.row import ListRow

__all__ = ["read_rows", "recognised"]

LABELS = ("timelinelabels", "labels", "choices")


def recognised(content: Any) -> bool:
    """Whether it is a list of tasks with their data and annotations."""
    tasks = content if isinstance(content, list) else [content]
    return bool(tasks) and all(
        isinstance(task, dict) and isinstance(task.get("data"), dict)
        and isinstance(task.get("annotations", task.get("completions")), list)
        for task in tasks
    )  # fmt: skip


def read_rows(path: Path, content: Any) -> Iterator[ListRow]:
    """A row for every labelled range of every task; tasks without labels have none.

    Raises `SourceError` for a task without a video, or a clip that is not there.
    """
    for number, task in enumerate(content if isinstance(content, list) else [content]):
        where = f"{path}: task {task.get('id', number)}"
        results = [
            result
            for annotation in task.get("annotations", task.get("completions", []))
            if isinstance(annotation, dict) and not annotation.get("was_cancelled")
            for result in annotation.get("result") or []
            if isinstance(result, dict) and isinstance(result.get("value"), dict)
        ]
        parts = [part for result in results for part in _parts(result["value"])]
        if not parts:
            continue
        clip = _clip(path, where, task["data"])
        for label, start, end, in_frames in parts:
            yield ListRow(where, {"path": str(clip), "label": label, **_times(clip, start, end, in_frames)})


def _parts(value: dict[str, Any]) -> Iterator[tuple[str, Any, Any, bool]]:
    """(label, start, end, whether those are frames) of one result; None for both: the whole clip."""
    kind = next((kind for kind in LABELS if isinstance(value.get(kind), list)), None)
    if kind is None or "sequence" in value:  # a box that moves says where, not what is done
        return
    ranges = value.get("ranges") or [{"start": value.get("start"), "end": value.get("end")}]
    for label in value[kind]:
        for one in ranges:
            yield str(label), one.get("start"), one.get("end"), "ranges" in value


def _times(clip: Path, start: Any, end: Any, in_frames: bool) -> dict[str, str]:
    if start is None and end is None:
        return {}
    if in_frames and all(isinstance(one, int | float) for one in (start, end)):
        rate = rate_of(clip)
        start, end = max(0.0, start - 1) / rate, end / rate
    return {"start": str(start), "end": str(end)}


def _clip(path: Path, where: str, data: dict[str, Any]) -> Path:
    names = [data[key] for key in sorted(data, key=lambda key: key != "video") if isinstance(data[key], str)]
    found = next((clip for name in names if (clip := moved_clip(path, name)) is not None), None)
    if found is None:
        named = names[0] if names else "no file"
        raise SourceError(f"{where}: no such clip ({named}); put the clips beside the export")
    return found.absolute()
