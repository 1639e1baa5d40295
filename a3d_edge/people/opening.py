"""What ``people`` names: a file or pipe of boxes, a broker, a detector's description, or the built-in one.

boxes.jsonl, a named pipe      lines of boxes                (`a3d_edge.people.feed_line`)
mqtt://host/topic              messages of the same, or Frigate's events
detector.toml, detector.onnx   a detector of one's own       (`a3d_edge.people.description`)
hog                            OpenCV's people detector: weak
"""

from __future__ import annotations

from pathlib import Path

from a3d_edge.bundle import Bundle
from a3d_edge.errors import UsageError
from a3d_edge.people.feed_file import BoxesFile, BoxesPipe, is_pipe
from a3d_edge.people.protocols import Detector, Feed
from a3d_edge.people.watch import PeopleWatch
from a3d_edge.shown import shown
from a3d_edge.task import BOXES
from a3d_edge.video.addresses import is_url, resolved, shown_word

__all__ = ["open_people", "watch_people"]

LONGEST_S = 10.0
BUILT_IN = ("hog", "built-in")
LINES = (".jsonl", ".ndjson")
DETECTORS = (".toml", ".json", ".onnx")


def open_people(word: str | Path, threads: int | None = None) -> Detector | Feed:
    """Open what a word names. ``threads``: of a detector's network.

    Raises `UsageError` for what cannot be meant, `SourceError`, `ResourceError` for what cannot be opened.
    """
    named = resolved(str(word), "people")
    if is_url(named):
        from a3d_edge.people.feed_mqtt import BoxesByMqtt

        return BoxesByMqtt(named)
    if named in BUILT_IN:
        from a3d_edge.people.hog import HogDetector

        return HogDetector()
    path = Path(named)
    if is_pipe(path):
        return BoxesPipe(path)
    if path.suffix.lower() in LINES:
        return BoxesFile(path)
    if path.suffix.lower() in DETECTORS:
        from a3d_edge.people.onnx_detector import OnnxDetector

        return OnnxDetector(path, threads)
    raise UsageError(
        f"`people` {shown(shown_word(str(word)))}: is no source of boxes; name a file of boxes (.jsonl), "
        "a named pipe, mqtt://host/topic, a detector's description (.toml) or .onnx, or hog"
    )


def watch_people(
    bundle: Bundle,
    people: Detector | Feed | str | Path | None,
    *,
    every_s: float | None = None,
    hop: int | None = None,
    threads: int | None = None,
) -> PeopleWatch | None:
    """The watch over a source of people for a bundle's windows, or None. ``every_s``: seconds between two
    detections, a hop if not given. Raises as `open_people`, and `UsageError` where a bundle does not fit."""
    check_people(bundle, people is not None)
    if people is None:
        return None
    hop_s = (bundle.sampling.stride if hop is None else hop) / bundle.sampling.rate
    if every_s is not None and not 0 < every_s <= LONGEST_S:
        raise UsageError(f"`people_every` {every_s:g}: is to be above 0 seconds, and at most {LONGEST_S:g}")
    source = open_people(people, threads) if isinstance(people, (str, Path)) else people
    return PeopleWatch(source, period_s=every_s or hop_s, span_s=bundle.sampling.span_s)


def check_people(bundle: Bundle, given: bool) -> None:
    """Raise `UsageError` where a bundle asks for people and none are given, or takes none and some are."""
    if bundle.task == BOXES and not given:
        raise UsageError(
            f"{bundle.path}: this bundle answers for each person in a box; say with `people` where they are: "
            "boxes.jsonl, mqtt://host/topic, detector.toml, or hog"
        )
    if bundle.task != BOXES and given:
        raise UsageError(
            f"`people`: {bundle.path} answers for the whole picture (task {bundle.task}); leave it out, or "
            "take a bundle of the task boxes"
        )
    if given and bundle.preprocessing.view != "whole":
        raise UsageError(f"{bundle.path}: looks at parts of the picture, and people are found in all of it")
