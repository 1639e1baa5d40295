"""Frame mAP: how well it is told who does what where, frame by frame (AVA; Gu et al. 2018; PASCAL VOC's way).

    frame: true boxes, each of a class ─┐   of each class, in every frame: a detection whose best true box
    detections: box, class, score ──────┘   overlaps by IoU ≥ 0.5, and is not taken yet, is right
                                            ─ precision, made to fall with recall ─ its area ─ mean of classes

The rules are those of AVA's official evaluation (``PascalDetectionEvaluator``, as PySlowFast has it), to the
order of equals, so that its figures come out:

- a detection looks at its best true box alone; where an earlier one has taken that, it is wrong;
- earlier is who stands earlier in the frame, whatever the scores: the official files are read in their order;
- over all frames detections are ranked by `numpy.argsort` of their scores, in the order of the frames;
- a detection without extent is dropped; one in a frame without true boxes is wrong;
- a class that is nowhere true is no part of the mean; one that is never detected counts 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from a3d_edge.people.box import overlaps

__all__ = ["FrameMap", "Labelled", "average_precision", "frame_map", "overlaps"]

Array = NDArray[np.float64]
IOU = 0.5


class Labelled(NamedTuple):
    """Boxes of one frame ``(n, 4)``, x1, y1, x2, y2, the class of each ``(n,)``, and its score ``(n,)``."""

    boxes: Array
    classes: NDArray[np.intp]
    scores: Array


@dataclass(frozen=True, slots=True)
class FrameMap:
    """Average precision of every class that is true somewhere, and their mean (not a number without any)."""

    mean: float
    by_class: Mapping[int, float]


def frame_map(
    truth: Mapping[str, Labelled],
    found: Mapping[str, Labelled],
    classes: Collection[int],
    iou: float = IOU,
) -> FrameMap:
    """Frame mAP of what was ``found`` in frames by their names; only these ``classes`` count.

    Raises nothing: of arrays that do not fit each other NumPy complains.
    """
    wanted = sorted(set(classes))
    counts = dict.fromkeys(wanted, 0)
    for frame in truth.values():
        for one, count in zip(*np.unique(frame.classes, return_counts=True), strict=True):
            if int(one) in counts:
                counts[int(one)] += int(count)
    scores: dict[int, list[Array]] = {one: [] for one in wanted}
    right: dict[int, list[NDArray[np.bool_]]] = {one: [] for one in wanted}
    for name, frame in found.items():
        boxes = frame.boxes
        valid = (boxes[:, 1] < boxes[:, 3]) & (boxes[:, 0] < boxes[:, 2])
        there = truth.get(name)
        for one in np.unique(frame.classes[valid]).tolist():
            if one not in counts:
                continue
            mine = valid & (frame.classes == one)
            true = np.zeros((0, 4)) if there is None else there.boxes[there.classes == one]
            scores[one].append(frame.scores[mine])
            right[one].append(_right(boxes[mine], true, iou))
    by_class = {
        one: average_precision(_joined(scores[one], float), _joined(right[one], bool), counts[one])
        for one in wanted
        if counts[one]
    }
    mean = float(np.mean(list(by_class.values()))) if by_class else float("nan")
    return FrameMap(mean, by_class)


def _right(boxes: Array, true: Array, iou: float) -> NDArray[np.bool_]:
    """Which of a frame's detections of one class are right, in their order."""
    found = np.zeros(len(boxes), bool)
    if not len(true):
        return found
    overlap = overlaps(boxes, true)
    best, taken = overlap.argmax(axis=1), np.zeros(len(true), bool)
    for place, at in enumerate(best):
        if overlap[place, at] >= iou and not taken[at]:
            found[place] = taken[at] = True
    return found


def average_precision(scores: Array, right: NDArray[np.bool_], count: int) -> float:
    """The area below precision over recall, precision made to fall: 0 without any detection.

    ``count``: true boxes, above 0. Where scores are equal, the one that came later ranks first.
    """
    if not len(scores):
        return 0.0
    ranked = right[np.argsort(scores)[::-1]]
    hits = np.cumsum(ranked)
    precision = hits / np.arange(1, len(ranked) + 1)
    recall = np.concatenate([[0.0], hits / count, [1.0]])
    falling = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    rises = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(((recall[rises] - recall[rises - 1]) * falling[rises]).sum())


def _joined(parts: list[NDArray[np.generic]] | list[Array] | list[NDArray[np.bool_]], kind: type) -> NDArray:  # type: ignore[type-arg]
    return np.concatenate(parts) if parts else np.zeros(0, kind)
