"""A detector's raw outputs as boxes and scores of people: pure functions on arrays, shapes checked first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.errors import SourceError
from a3d_edge.people.box import suppressed
from a3d_edge.people.description import DetectorDescription

__all__ = ["MOST_ROWS", "Found", "decoded", "grid"]

Array = NDArray[Any]
Found = tuple[Array, Array]
"""Boxes ``(N, 4)``, x1, y1, x2, y2 in parts of the input's width and height, and scores ``(N,)``."""

STRIDES = (8, 16, 32)
MOST_ROWS = 200_000
MOST_CANDIDATES = 1000
LARGEST_SIDE = 20.0
"""Logarithm of a box's side in cells: beyond it, it overflows."""


def decoded(
    outputs: Mapping[str, Array], spec: DetectorDescription, width: int, height: int, name: str
) -> Found:
    """People among the outputs for an input of ``width × height``, above the score, overlaps suppressed, the
    highest score first. Raises `SourceError` for an output of another shape, or one that is not finite."""
    if spec.kind == "yolox":
        boxes, scores = _yolox(outputs, spec, width, height, name)
    else:
        boxes, scores = _detr(outputs, spec, name)
    likely = np.flatnonzero(scores >= spec.score)
    likely = likely[np.argsort(-scores[likely], kind="stable")][:MOST_CANDIDATES]
    boxes, scores = boxes[likely], scores[likely]
    kept = suppressed(boxes, scores, spec.overlap if spec.overlap is not None else 1.0)
    return boxes[kept], scores[kept]


def grid(width: int, height: int) -> tuple[Array, Array]:
    """Corners ``(N, 2)`` and strides ``(N, 1)`` of YOLOX's cells, as its rows are ordered."""
    corners, strides = [], []
    for stride in STRIDES:
        down, across = np.mgrid[0 : height // stride, 0 : width // stride]
        corners.append(np.stack([across.ravel(), down.ravel()], axis=1))
        strides.append(np.full((across.size, 1), stride))
    return np.concatenate(corners), np.concatenate(strides)


def _yolox(
    outputs: Mapping[str, Array], spec: DetectorDescription, width: int, height: int, name: str
) -> Found:
    first = next(iter(outputs.values()))
    corners, strides = grid(width, height)
    rows = "N" if spec.decoded else str(len(corners))
    least = 6 + spec.person
    fine = first.ndim == 3 and first.shape[0] == 1 and least <= first.shape[2] and first.shape[1] <= MOST_ROWS
    if not fine or (not spec.decoded and first.shape[1] != len(corners)):
        raise SourceError(
            f"{name}: its output is {first.shape}, and yolox for {width}×{height} gives (1, {rows}, 5 + "
            f"classes), of which person is {spec.person}; another kind, size, or decoded = true?"
        )
    read = first[0][:, [0, 1, 2, 3, 4, 5 + spec.person]]  # of the other classes nothing is asked
    _require_finite(read, name)
    found = read.astype(np.float64)
    centre, sides = found[:, :2], found[:, 2:4]
    if not spec.decoded:
        centre = (centre + corners) * strides
        sides = np.exp(sides.clip(max=LARGEST_SIDE)) * strides
    whole = np.array([width, height] * 2, np.float64)
    return _corners(centre, sides) / whole, found[:, 4] * found[:, 5]


def _detr(outputs: Mapping[str, Array], spec: DetectorDescription, name: str) -> Found:
    boxes, logits = outputs[spec.boxes], outputs[spec.logits]
    alike = boxes.ndim == logits.ndim == 3 and boxes.shape[:2] == logits.shape[:2]
    if not alike or boxes.shape[0] != 1 or boxes.shape[2] != 4 or boxes.shape[1] > MOST_ROWS:
        raise SourceError(
            f"{name}: its outputs are {boxes.shape} and {logits.shape}, and detr gives (1, Q, 4) and "
            "(1, Q, classes)"
        )
    if logits.shape[2] <= spec.person:
        raise SourceError(f"{name}: has {logits.shape[2]} classes, and person is to be {spec.person}")
    _require_finite(boxes, name)
    _require_finite(logits, name)
    raw = logits[0].astype(np.float64)
    if spec.activation == "softmax":
        raised = np.exp(raw - raw.max(axis=1, keepdims=True))
        scores = raised[:, spec.person] / raised.sum(axis=1)
    else:
        scores = 1.0 / (1.0 + np.exp(-raw[:, spec.person].clip(-500, 500)))
    found = boxes[0].astype(np.float64)
    return _corners(found[:, :2], found[:, 2:]), scores


def _corners(centre: Array, sides: Array) -> Array:
    return np.concatenate([centre - sides / 2, centre + sides / 2], axis=1)


def _require_finite(values: Array, name: str) -> None:
    if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
        raise SourceError(
            f"{name}: gives values that are not finite numbers; is its input described rightly?"
        )
