"""The clips that a network knows least, with pictures: labels that are wrong are among them, as a rule."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from a3d_edge.configuration import Configuration
from a3d_edge.errors import SourceError
from a3d_edge.training.clips import Clip
from a3d_edge.training.inputs import frame_cache
from a3d_edge.training.measure import Accuracies

__all__ = ["WORST", "WorstClip", "worst_clips"]

WORST = 10
PICTURES, HEIGHT = 4, 90
"""Of each clip, evenly spread; pixels high."""


@dataclass(frozen=True, slots=True)
class WorstClip:
    """A clip, what it was taken for, the share of its score that its own class got, and its pictures."""

    name: str
    truth: str
    predicted: str
    score: float
    jpeg: str  # base64


def worst_clips(
    found: Accuracies, clips: Sequence[Clip], configuration: Configuration, cache: str | Path | None
) -> list[WorstClip]:
    """The clips that were named wrong, the least score for their own class first; at most `WORST`.

    ``clips``: those that were measured, in order. One that cannot be read any more is left out.
    """
    scores, classes = found.scores[configuration], found.checkpoint.classes
    if len(scores.truth) != len(clips):  # some could not be read: which, the scores do not say
        return []
    shares = scores.summed / scores.summed.sum(axis=1, keepdims=True)
    own = shares[np.arange(len(clips)), scores.truth]
    wrong = np.flatnonzero(shares.argmax(axis=1) != scores.truth)
    frames = frame_cache(found.checkpoint, cache)
    shown = []
    for number in sorted(map(int, wrong), key=lambda one: float(own[one]))[:WORST]:
        try:
            decoded = frames.get(clips[number])
        except SourceError:
            continue
        places = np.linspace(0, len(decoded.times) - 1, PICTURES).round().astype(int)
        strip = np.hstack([_small(decoded.frames[int(place)]) for place in places])
        name = clips[number].path
        shown.append(
            WorstClip(
                name.name if name else "drawn",
                classes[scores.truth[number]],
                classes[int(shares[number].argmax())],
                float(own[number]),
                _jpeg(strip),
            )
        )
    return shown


def _small(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return np.asarray(cv2.resize(np.asarray(image), (max(1, round(width * HEIGHT / height)), HEIGHT)))


def _jpeg(image: np.ndarray) -> str:
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return base64.b64encode(content.tobytes()).decode()
