"""Frame mAP of files as AVA's challenge takes them: what is true, and what was found.

Both are CSVs of ``VIDEO,SECOND,x1,y1,x2,y2,ACTION[,SCORE]``. Two programs measure them, and differ where a
true box is found twice, and where much is found:

    official     AVA's own script: of a frame the 50 best count, the best first
    pyslowfast   all count, in the order of the file (the paper's figures are measured so)
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from a3d_edge.errors import UsageError
from a3d_edge.training.frame_map import FrameMap, Labelled, frame_map
from a3d_edge.training.lists.ava import read_exclusions, read_label_map, read_results

__all__ = ["Rules", "frame_map_of_files"]

Rules = Literal["official", "pyslowfast"]
MOST = 50
"""Detections of a frame, of all classes together."""

_Entry = tuple[float, int, float, float, float, float]  # score, action, y1, x1, y2, x2: the script's order


def frame_map_of_files(
    truth: Path, found: Path, label_map: Path, exclusions: Path | None = None, rules: Rules = "official"
) -> FrameMap:
    """Frame mAP at an overlap of 0.5, by the numbers of ``label_map``'s classes (AVA; Gu et al. 2018).

    ``exclusions``: a CSV of ``VIDEO,SECOND`` that do not count. Raises `SourceError` for a file that cannot
    be read, `UsageError` for other rules.
    """
    if rules not in ("official", "pyslowfast"):
        raise UsageError(f"unknown `rules` '{rules}'; there are official and pyslowfast")
    classes = read_label_map(label_map)
    left_out = frozenset() if exclusions is None else read_exclusions(exclusions)
    official = rules == "official"

    def frames(path: Path, most: int) -> Mapping[str, Labelled]:
        entries: dict[str, list[_Entry]] = {}
        for frame, action, score, (x1, y1, x2, y2) in read_results(path):
            if action in classes and frame not in left_out:
                _keep(entries.setdefault(frame, []), (score, action, y1, x1, y2, x2), most, heap=official)
        if official:  # equals stay as they lie in the heap
            entries = {frame: sorted(those, key=lambda entry: -entry[0]) for frame, those in entries.items()}
        return {frame: _labelled(those) for frame, those in entries.items()}

    return frame_map(frames(truth, 0), frames(found, MOST if official else 0), classes)


def _keep(there: list[_Entry], entry: _Entry, most: int, *, heap: bool) -> None:
    """Add an entry to those of its frame; of more than ``most`` (0: any number) the lowest makes room."""
    if not heap:
        there.append(entry)
    elif most < 1 or len(there) < most:
        heapq.heappush(there, entry)
    elif entry[0] > there[0][0]:
        heapq.heapreplace(there, entry)


def _labelled(entries: Iterable[_Entry]) -> Labelled:
    rows = list(entries)
    boxes = np.array([(x1, y1, x2, y2) for _, _, y1, x1, y2, x2 in rows], np.float64).reshape(-1, 4)
    return Labelled(
        boxes, np.array([row[1] for row in rows], np.intp), np.array([row[0] for row in rows], np.float64)
    )
