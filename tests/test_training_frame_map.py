"""Frame mAP by hand, by a second implementation in loops, and the rules of AVA's evaluation one by one."""

from __future__ import annotations

import numpy as np
import pytest

from a3d_edge.training.frame_map import Labelled, average_precision, frame_map, overlaps

ONE = (0.1, 0.1, 0.5, 0.5)
FAR = (0.6, 0.6, 0.9, 0.9)
NEAR = (0.1, 0.1, 0.5, 0.45)  # overlaps ONE by 0.875


def labelled(*rows: tuple[tuple[float, float, float, float], int, float]) -> Labelled:
    """Boxes, classes and scores of a frame."""
    boxes = np.array([row[0] for row in rows], float).reshape(-1, 4)
    return Labelled(boxes, np.array([row[1] for row in rows], int), np.array([row[2] for row in rows], float))


def by_loops(
    truth: dict[str, Labelled], found: dict[str, Labelled], classes: list[int]
) -> tuple[float, dict[int, float]]:
    """The definition once more, box by box: no array but for the ranking of all scores."""
    result = {}
    for one in classes:
        count = sum(int(c) == one for frame in truth.values() for c in frame.classes)
        if not count:
            continue
        scores, right = [], []
        for name, frame in found.items():
            true = [b for b, c in zip(*truth[name][:2], strict=True) if c == one] if name in truth else []
            taken = [False] * len(true)
            for box, c, score in zip(*frame, strict=True):
                if c != one or not (box[0] < box[2] and box[1] < box[3]):
                    continue
                best, at = -1.0, -1
                for place, other in enumerate(true):
                    wide = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
                    high = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
                    both = high * wide
                    union = (
                        (box[3] - box[1]) * (box[2] - box[0])
                        + (other[3] - other[1]) * (other[2] - other[0])
                        - both
                    )
                    if both / union > best:
                        best, at = both / union, place
                hit = best >= 0.5 and not taken[at]
                if hit:
                    taken[at] = True
                scores.append(score)
                right.append(hit)
        order = np.argsort(np.array(scores))[::-1] if scores else []
        hits, points = 0, [(0.0, 0.0)]
        for place, i in enumerate(order, start=1):
            hits += right[i]
            points.append((hits / count, hits / place))
        area = 0.0
        for i in range(1, len(points)):
            area += (points[i][0] - points[i - 1][0]) * max(p for _, p in points[i:])
        result[one] = area
    return float(np.mean(list(result.values()))), result


def test_a_case_by_hand() -> None:
    """Two true boxes of class 1: found at 0.9, a false alarm at 0.8, found at 0.7: ½·1 + ½·⅔ = 5/6. Class 2
    is never found: 0. Class 3 is nowhere true, and no part of the mean."""
    truth = {"a": labelled((ONE, 1, 1), (FAR, 1, 1)), "b": labelled((ONE, 2, 1))}
    found = {"a": labelled((ONE, 1, 0.9), (FAR, 1, 0.7)), "b": labelled((ONE, 1, 0.8), (ONE, 3, 0.9))}
    got = frame_map(truth, found, [1, 2, 3])
    assert got.by_class == {1: pytest.approx(5 / 6), 2: 0.0}
    assert got.mean == pytest.approx(5 / 12)


def test_a_true_box_is_found_once_and_by_who_stands_first() -> None:
    """Of two on the same box the first in the frame is right, whatever the scores (the files' order)."""
    truth = {"a": labelled((ONE, 1, 1))}
    assert frame_map(truth, {"a": labelled((ONE, 1, 0.9), (NEAR, 1, 0.8))}, [1]).mean == 1.0
    assert frame_map(truth, {"a": labelled((NEAR, 1, 0.8), (ONE, 1, 0.9))}, [1]).mean == 0.5


def test_a_detection_looks_at_its_best_box_alone() -> None:
    """Also where the second best overlaps enough and is free."""
    truth = {"a": labelled((ONE, 1, 1), (NEAR, 1, 1))}
    assert frame_map(truth, {"a": labelled((ONE, 1, 0.9), (ONE, 1, 0.8))}, [1]).mean == 0.5


def test_half_an_overlap_is_enough() -> None:
    """IoU ≥ 0.5, not above it."""
    half, less = (0.0, 0.0, 1.0, 0.5), (0.0, 0.0, 1.0, 0.4999)
    truth = {"a": labelled(((0.0, 0.0, 1.0, 1.0), 1, 1))}
    assert overlaps(np.array([half]), truth["a"].boxes).tolist() == [[0.5]]
    assert frame_map(truth, {"a": labelled((half, 1, 0.9))}, [1]).mean == 1.0
    assert frame_map(truth, {"a": labelled((less, 1, 0.9))}, [1]).mean == 0.0


def test_what_is_no_box_or_in_no_frame() -> None:
    """Without extent it is dropped; where nothing is true it is a false alarm; other classes do not count."""
    truth = {"a": labelled((ONE, 1, 1), (ONE, 9, 1))}
    flat = (0.3, 0.3, 0.3, 0.5)
    assert frame_map(truth, {"a": labelled((flat, 1, 0.99), (ONE, 1, 0.9))}, [1]).mean == 1.0
    assert frame_map(truth, {"z": labelled((ONE, 1, 0.99)), "a": labelled((ONE, 1, 0.9))}, [1]).mean == 0.5
    assert frame_map(truth, {"a": labelled((ONE, 9, 0.9))}, [1]).by_class == {1: 0.0}
    assert np.isnan(frame_map({}, {"a": labelled((ONE, 1, 0.9))}, [1]).mean)
    assert np.isnan(frame_map({"a": labelled()}, {}, [1, 2]).mean)


def test_of_equal_scores_the_later_one_ranks_first() -> None:
    """As the reversed argsort of the official code."""
    scores = np.array([0.5, 0.5])
    assert average_precision(scores, np.array([True, False]), 1) == 0.5
    assert average_precision(scores, np.array([False, True]), 1) == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_a_second_implementation_agrees(seed: int) -> None:
    """Random frames with ties, empty frames and classes, boxes on true ones and beside them: to 1e-12."""
    rng = np.random.default_rng(seed)
    truth, found = {}, {}
    for name in [f"v,{n:04d}" for n in rng.permutation(40)]:
        boxes = np.sort(rng.uniform(0, 1, (rng.integers(0, 5), 2, 2)), axis=1).reshape(-1, 4)
        if rng.random() < 0.8:
            truth[name] = Labelled(boxes, rng.integers(1, 6, len(boxes)), np.ones(len(boxes)))
        some = np.concatenate([boxes + rng.normal(0, 0.03, boxes.shape), rng.uniform(0, 1, (3, 4))]).repeat(
            2, axis=0
        )
        scores = np.round(rng.uniform(0, 1, len(some)), 1)  # many are equal
        found[name] = Labelled(some, rng.integers(1, 8, len(some)), scores)
    classes = [1, 2, 3, 4, 5, 6, 7]
    mean, by_class = by_loops(truth, found, classes)
    got = frame_map(truth, found, classes)
    assert got.mean == pytest.approx(mean, abs=1e-12)
    assert got.by_class == pytest.approx(by_class, abs=1e-12)
