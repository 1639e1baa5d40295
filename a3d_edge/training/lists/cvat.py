"""Exports of CVAT (XML): tracks and tags of a video, as parts of it.

'CVAT for video': every run of frames in which a track is inside the picture is a part with its label.
'CVAT for images' of a video: every run of frames with the same tag is one. Frames count from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from a3d_edge.errors import SourceError
from a3d_edge.training.lists.files import moved_clip, rate_of
from a3d_edge.training.lists.row import ListRow

__all__ = ["read_rows"]


def read_rows(path: Path, root: Element) -> Iterator[ListRow]:
    """A row for every part, in order. Raises `SourceError` where the video is not named, or not there."""
    sources, step = _sources(root), _step(root)
    found = [*_tracks(path, root, step), *_tags(path, root, step)]
    if not found:
        raise SourceError(
            f"{path}: has neither tracks nor tags of a video; export it from CVAT as 'CVAT for video 1.1'"
        )
    clips: dict[str, Path] = {}
    for where, task, label, first, last in found:
        if task not in clips:
            clips[task] = _clip(path, where, sources, task)
        rate = rate_of(clips[task])
        times = {"start": str(first / rate), "end": str((last + 1) / rate)}
        yield ListRow(where, {"path": str(clips[task]), "label": label, **times})


def _sources(root: Element) -> dict[str, str]:
    """The video of every task; under no name that of the only one."""
    found = {
        task.findtext("id", ""): source
        for kind in ("task", "job")
        for task in root.iter(kind)
        if (source := task.findtext("source") or "")
    }
    beside = root.findtext("meta/source") or ""
    only = beside or (next(iter(found.values())) if len(found) == 1 else "")
    return {**found, "": only}


def _step(root: Element) -> int:
    """How many frames of the video are between two that were annotated."""
    rule = next((filtered.text or "" for filtered in root.iter("frame_filter")), "")
    number = rule.replace(" ", "").partition("step=")[2]
    return int(number) if number.isdigit() and int(number) > 0 else 1


def _tracks(path: Path, root: Element, step: int) -> Iterator[tuple[str, str, str, int, int]]:
    """(where, task, label, first frame, last frame) of what tracks show."""
    for track in root.iter("track"):
        where = f"{path}: track {track.get('id', '?')}"
        seen = (shape for shape in track if "frame" in shape.attrib and shape.get("outside") != "1")
        frames = sorted({_frame(where, shape) for shape in seen})
        for first, last in _runs(frames, step):
            yield where, track.get("task_id", ""), track.get("label", ""), first, last


def _tags(path: Path, root: Element, step: int) -> Iterator[tuple[str, str, str, int, int]]:
    frames: dict[tuple[str, str], set[int]] = {}
    for image in root.iter("image"):
        for tag in image.iter("tag"):
            key = image.get("task_id", ""), tag.get("label", "")
            frames.setdefault(key, set()).add(_frame(f"{path}: image", image))
    for (task, label), there in frames.items():
        for first, last in _runs(sorted(there), step):
            yield f"{path}: tag '{label}' at frame {first}", task, label, first, last


def _frame(where: str, element: Element) -> int:
    text = element.get("frame") or element.get("id") or ""
    if not text.isdigit():
        raise SourceError(f"{where}: frame '{text}' is no number")
    return int(text)


def _runs(frames: list[int], step: int) -> Iterator[tuple[int, int]]:
    """(first, last) of frames that go on from each other."""
    first = 0
    for place in range(1, len(frames) + 1):
        if place == len(frames) or frames[place] - frames[place - 1] > step:
            yield frames[first], frames[place - 1]
            first = place


def _clip(path: Path, where: str, sources: dict[str, str], task: str) -> Path:
    name = sources.get(task) or sources[""]
    if not name:
        raise SourceError(f"{where}: does not say of which video it is; export it as 'CVAT for video 1.1'")
    clip = moved_clip(path, name)
    if clip is None:
        raise SourceError(f"{where}: no such clip {name}; put it beside the export")
    return clip.absolute()
