"""Clips as networks of the task ``boxes`` see them: one window about a moment, and who is where in it then.

    clip ─ its key moment ─ window, the moment in its middle ─┐
         └ its people, boxes in shares of the picture ────────┴─ boxes in the input

As PySlowFast has AVA: the window of T·τ frames begins half of them before the key frame, so that this is its
picture number T/2; what a box says of other moments is not known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from a3d_edge.errors import UsageError
from a3d_edge.training.augmentation import augmented_people
from a3d_edge.training.clips import Clip
from a3d_edge.training.decode import DecodedClip
from a3d_edge.training.films import people_of
from a3d_edge.training.lists.person import Person
from a3d_edge.training.windows import View, Window, runtime_view, view_window
from a3d_edge.video.placement import PlacedBoxes, placed_boxes
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

__all__ = [
    "asked_of",
    "boxes_of",
    "key_moment",
    "key_view",
    "key_window",
    "people_in",
    "sets_of",
    "training_window",
]

Boxes = NDArray[np.float64]

SEEN = 0.3
"""Of a box, to be learned from."""


def people_in(clip: Clip) -> tuple[Person, ...]:
    """Who is there at the clip's key moment; of a drawn clip it is known exactly.

    Raises `UsageError` for a clip of which it is not known.
    """
    if clip.people or clip.key is not None:
        return clip.people
    if clip.path is None:
        return people_of(clip)
    raise UsageError(f"{clip.name}: its list tells of no boxes; the task boxes needs those of people")


def asked_of(clip: Clip) -> tuple[Person, ...]:
    """Those a network is asked about: what a detector found, where that is given, else who is there."""
    return people_in(clip) if clip.proposals is None else clip.proposals


def key_moment(clip: Clip, decoded: DecodedClip) -> float:
    """Seconds from the first frame of its pictures to the key frame: the middle, unless it is told."""
    return decoded.duration / 2 if clip.key is None else clip.key


def key_view(clip: Clip, decoded: DecodedClip, sampling: Sampling, spec: Preprocessing) -> View:
    """The window about a clip's key moment; before its beginning and after its end pictures are held."""
    middle = round(key_moment(clip, decoded) * sampling.rate)
    return runtime_view(decoded, middle - sampling.frames * sampling.stride // 2, sampling, spec)


def boxes_of(people: Sequence[Person]) -> Boxes:
    """Boxes ``(K, 4)`` in shares of the picture."""
    return np.array([person.box for person in people], np.float64).reshape(-1, 4)


def sets_of(people: Sequence[Person], classes: Sequence[str]) -> NDArray[np.float32]:
    """What each does, ``(K, classes)`` of 0 and 1. Raises `UsageError` for a label that is no class."""
    if unknown := sorted({label for person in people for label in person.labels} - set(classes)):
        raise UsageError(f"somebody has the label {unknown[0]}; the network knows {', '.join(classes)}")
    rows = [[name in person.labels for name in classes] for person in people]
    return np.array(rows, np.float32).reshape(-1, len(classes))


def key_window(
    clip: Clip, decoded: DecodedClip, size: int, sampling: Sampling, spec: Preprocessing, people: Boxes
) -> tuple[list[Window], PlacedBoxes]:
    """A clip's window about its key moment as run prepares it, and boxes (shares of the picture) in it."""
    view = key_view(clip, decoded, sampling, spec)
    height, width = decoded.frames[int(view.frames[0, 0])].shape[:2]
    windows = view_window(decoded, view, size, sampling, spec)
    return windows, placed_boxes(people * np.array([width, height] * 2), height, width, size, spec)


def training_window(
    clip: Clip, decoded: DecodedClip, size: int, sampling: Sampling, spec: Preprocessing,
    rng: np.random.Generator, classes: Sequence[str], *, mirror: bool = True,
) -> tuple[list[Window], Boxes, NDArray[np.float32]]:  # fmt: skip
    """A clip's window under a random look, the boxes ``(K, 4)`` of people in its pixels, and what they do.

    Who is hardly seen under that look is left out; where all are, the plain window is taken.
    """
    people = people_in(clip)
    shares, sets = boxes_of(people), sets_of(people, classes)
    found = augmented_people(
        decoded, size, sampling, spec, rng, key_moment(clip, decoded), shares, mirror=mirror
    )
    cut = found.boxes.clip(0.0, size)
    seen = np.prod(cut[:, 2:] - cut[:, :2], axis=1)
    whole = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
    kept = seen > SEEN * whole
    if kept.any() or not people:
        return found.pathways, cut[kept], sets[kept]
    windows, placed = key_window(clip, decoded, size, sampling, spec, shares)
    return windows, placed.boxes.astype(np.float64), sets[placed.kept]
