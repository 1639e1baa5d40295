"""Augmented windows of a clip, for training: another speed, place, scale and light each time.

Mirrored only where a mirrored action is still the same one (`may_mirror`).
A window is one array per pathway: ``[(3, T, S, S)]``, or ``[slow, fast]`` for two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.training.activity import busy_start
from a3d_edge.training.decode import DecodedClip, Image, Stretch
from a3d_edge.training.windows import Window, long_enough, region_of
from a3d_edge.video.grey import grey_of
from a3d_edge.video.preprocess import (
    EVERY,
    FLOOR,
    GREY_STD,
    MOTION_STD,
    InputKind,
    Preprocessing,
    Roi,
    shown_roi,
)
from a3d_edge.video.region import Region
from a3d_edge.video.sampler import Sampling, window_instants

__all__ = [
    "QUICKEST",
    "AugmentedWindow",
    "augmented_people",
    "augmented_window",
    "drawn_indices",
    "may_mirror",
    "shown_window",
]

SLOWEST, QUICKEST = 0.8, 1.25  # people act slower and faster than those of a small training set
SCALE = (0.8, 1.25)
SHIFT = 0.10  # of the input side
ROTATION = 6.0  # degrees
STRETCH = 0.10  # of the aspect ratio: viewpoints differ
GAIN = (0.6, 1.5)


SIDES = re.compile(
    r"(?<![a-z])(left|right|forehand|backhand|clockwise|counterclockwise|anticlockwise)(?![a-z])"
)


def may_mirror(classes: Iterable[str]) -> bool:
    """Whether no class names a side or a sense of turning, which a mirror would make another class."""
    return not any(SIDES.search(name.lower()) for name in classes)


class AugmentedWindow(NamedTuple):
    """A window of every pathway, and boxes ``(K, 4)`` in its pixels."""

    pathways: list[Window]
    boxes: NDArray[np.float64]


NOBODY = np.zeros((0, 4))


def augmented_window(
    clip: DecodedClip,
    size: int,
    sampling: Sampling,
    spec: Preprocessing,
    rng: np.random.Generator,
    *,
    mirror: bool = True,
    moved: NDArray[np.float64] | None = None,
) -> list[Window]:
    """A random window at a random speed, place, scale and light: one look for all its pictures.

    ``mirror``: half of them show the other side; ``moved``, the clip's `activity`: they rather show where
    something moves. ``[(3, T, S, S)]``, or ``[(3, T, S, S), (3, T·α, S, S)]``
    for two pathways: the slow one's pictures are every α-th of the fast one's.
    """
    indices = drawn_indices(clip, sampling, spec, rng, moved)
    return shown_window(clip, indices, size, sampling, spec, rng, mirror=mirror)


def drawn_indices(
    clip: DecodedClip,
    sampling: Sampling,
    spec: Preprocessing,
    rng: np.random.Generator,
    moved: NDArray[np.float64] | None = None,
    quickest: float = QUICKEST,
) -> NDArray[np.intp]:
    """Which frames of a clip a window at a random speed and place looks at ``(samples, offsets)``; see
    `augmented_window`. ``quickest``: at up to so many times its speed."""
    speed = rng.uniform(SLOWEST, quickest)
    span = (sampling.samples - 1) * sampling.spacing / sampling.rate * speed
    stretch = _drawn(clip, sampling, rng)
    if moved is None:
        start = rng.uniform(0.0, max(0.0, stretch.duration - span))
    else:
        start = busy_start(moved, stretch, span, rng)
    return _indices(stretch, start, speed, sampling, spec)


def _indices(
    stretch: Stretch, start: float, speed: float, sampling: Sampling, spec: Preprocessing
) -> NDArray[np.intp]:
    """Those of the window that starts at a second of a stretch, at so many times its speed."""
    instants = np.array(window_instants(sampling, 0))[:, None] - np.array(spec.offsets)[None, :]
    return stretch.at(np.maximum(0.0, start + instants * speed / sampling.rate))


def shown_window(
    clip: DecodedClip,
    indices: NDArray[np.intp],
    size: int,
    sampling: Sampling,
    spec: Preprocessing,
    rng: np.random.Generator,
    *,
    mirror: bool = True,
) -> list[Window]:
    """The window of some frames at a random scale and light; see `augmented_window`."""
    return _shown(clip, indices, size, sampling, spec, rng, mirror, NOBODY).pathways


def augmented_people(
    clip: DecodedClip,
    size: int,
    sampling: Sampling,
    spec: Preprocessing,
    rng: np.random.Generator,
    about: float,
    boxes: NDArray[np.float64],
    *,
    mirror: bool = True,
) -> AugmentedWindow:
    """`augmented_window` about a second, with the boxes ``(K, 4)`` of people in it, in shares of the picture:
    they come back in pixels of the input, each about what it held."""
    speed = rng.uniform(SLOWEST, QUICKEST)
    start = about - sampling.frames * sampling.stride / 2 / sampling.rate * speed
    indices = _indices(Stretch(0, clip.times), start, speed, sampling, spec)
    return _shown(clip, indices, size, sampling, spec, rng, mirror, boxes)


def _shown(
    clip: DecodedClip, indices: NDArray[np.intp], size: int, sampling: Sampling, spec: Preprocessing,
    rng: np.random.Generator, mirror: bool, boxes: NDArray[np.float64],
) -> AugmentedWindow:  # fmt: skip
    """The window of some frames and the boxes in it, under one look."""
    shown = {int(i): clip.frames[int(i)] for i in np.unique(indices)}
    look = _Look.draw(size, spec, region_of(clip, indices, spec, shown), rng, mirror)
    pictures = _augmented(shown, indices, look, spec)
    height, width = shown[int(indices[0, 0])].shape[:2]
    moved = look.boxes(boxes * np.array([width, height] * 2), height, width)
    windows = [pictures] if sampling.alpha == 1 else [pictures[:, :: sampling.alpha], pictures]
    return AugmentedWindow(windows, moved)


def _drawn(clip: DecodedClip, sampling: Sampling, rng: np.random.Generator) -> Stretch:
    """One of the stretches that hold a window, by its share of their seconds."""
    there = long_enough(clip, sampling)
    if len(there) == 1:
        return there[0]
    seconds = np.array([stretch.duration for stretch in there])
    return there[rng.choice(len(there), p=seconds / seconds.sum())]


def _augmented(
    shown: Mapping[int, Image], indices: NDArray[np.intp], look: _Look, spec: Preprocessing
) -> Window:
    shapes = {image.shape: image for image in shown.values()}
    inside = {shape: look.inside(image) for shape, image in shapes.items()}
    if spec.input == "rgb":
        images, lit = [shown[int(i)] for i in indices[:, 0]], look.lit(spec)
        out = np.empty((3, len(images), look.size, look.size), np.float32)
        for place, image in enumerate(images):
            look.rgb(image, inside[image.shape], lit, out[:, place])
        return out
    greys = {i: look.grey(image) for i, image in shown.items()}
    rows = [[int(i) for i in row] for row in indices]
    return np.stack(
        [look.motion([greys[i] for i in row], inside[shown[row[0]].shape]) for row in rows], axis=1
    )


_Place = tuple[tuple[int, int] | None, NDArray[np.float32]]
"""The sides that a picture is first made smaller to, if it is, and the affine map from there to the input."""


@dataclass(frozen=True, slots=True)
class _Pose:
    """Where the input's square lies on a picture: the runtime's fit, scaled, turned, shifted, mirrored."""

    scale: float
    stretch: float
    angle: float
    mirror: float
    shift: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, mirror: bool) -> _Pose:
        return cls(
            scale=rng.uniform(*SCALE),
            stretch=rng.uniform(1 - STRETCH, 1 + STRETCH),
            angle=math.radians(rng.uniform(-ROTATION, ROTATION)),
            mirror=rng.choice([-1.0, 1.0]) if mirror else 1.0,
            shift=0.5 + rng.uniform(-SHIFT, SHIFT, 2),
        )

    def matrix(self, roi: Roi, size: int) -> NDArray[np.float32]:
        """Affine map from the pixels of a picture, of which ``roi`` is shown, to those of the input."""
        scale = size / max(roi.width, roi.height) * self.scale
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        linear = scale * np.array(
            [[cos * self.stretch * self.mirror, -sin], [sin * self.stretch * self.mirror, cos]]
        )
        centre = np.array([roi.left + roi.width / 2, roi.top + roi.height / 2])
        return np.column_stack([linear, size * self.shift - linear @ centre]).astype(np.float32)


def _beyond_usual(difference: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How much more than is usual in the picture, and than noise, each pixel's grey in [0, 1] differs."""
    some = difference[::EVERY, ::EVERY][inside[::EVERY, ::EVERY]]
    usual = np.median(some) if some.size else np.float32(0.0)
    beyond: NDArray[np.float32] = np.abs(difference - usual) - np.float32(FLOOR / 255)
    return np.maximum(beyond, np.float32(0.0))


@dataclass(frozen=True, slots=True)
class _Look:
    """One draw of geometry and light, the same for every frame of a window."""

    size: int
    aspect: float
    region: Region | None
    pose: _Pose
    gains: NDArray[np.float32]  # one per channel; a negative one swaps light and dark (motion only)
    grey_gain: float
    kind: InputKind
    noise: float
    rng: np.random.Generator
    places: dict[tuple[int, int], _Place] = field(default_factory=dict)  # of each shape of picture

    @classmethod
    def draw(
        cls, size: int, spec: Preprocessing, region: Region | None, rng: np.random.Generator, mirror: bool
    ) -> _Look:
        pose = _Pose.draw(rng, mirror)
        gains = rng.uniform(*GAIN) * rng.uniform(0.9, 1.1, 3)
        polarity = rng.choice([-1.0, 1.0])
        # Appearance is what a network of few training scenes learns by heart: at times take it away.
        grey_gain = 0.0 if rng.random() < 0.3 else float(polarity)
        signed = (gains * (polarity if spec.input == "motion" else 1.0)).astype(np.float32)
        noise = rng.uniform(0.0, 0.01)
        return cls(size, spec.aspect, region, pose, signed, grey_gain, spec.input, noise, rng)

    def boxes(self, boxes: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
        """Boxes ``(K, 4)`` of a ``height × width`` picture about what they hold in the input."""
        matrix = self.pose.matrix(shown_roi(height, width, self.aspect, self.region), self.size)
        corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        moved = corners @ matrix[:, :2].T.astype(np.float64) + matrix[:, 2]
        return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)

    def inside(self, image: Image) -> NDArray[np.bool_]:
        """Where the input shows the picture, ``(S, S)``."""
        return np.asarray(self._warped(np.ones(image.shape[:2], np.float32)) > 0.5)

    def grey(self, image: Image) -> NDArray[np.float32]:
        """Warped grey in [0, 1], ``(S, S)``."""
        return self._warped(grey_of(image)) * np.float32(1 / 255)

    def motion(self, greys: list[NDArray[np.float32]], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
        """As `a3d_edge.video.preprocess.picture_of`, under this look."""
        now, *before = greys
        gain = self.gains[0]
        out = np.empty((3, self.size, self.size), np.float32)
        for channel, earlier in zip(out, before, strict=False):
            difference = now - earlier
            if self.kind == "local":
                difference = _beyond_usual(difference, inside)
            np.multiply(difference, gain / MOTION_STD, out=channel)
        if self.kind != "motion":
            return np.abs(out) * inside
        out[2] = (now - now[inside].mean()) * (abs(gain) * self.grey_gain / GREY_STD)
        out += self.rng.normal(0.0, self.noise / MOTION_STD, out.shape).astype(np.float32)
        return out * inside

    def lit(self, spec: Preprocessing) -> NDArray[np.float32]:
        """What each of the 256 values of a warped picture becomes, ``(256, 3)`` of BGR."""
        values = np.arange(256, dtype=np.float32)[:, None] / 255
        lit = np.clip(values * self.gains, 0.0, 1.0)
        normalised = (lit - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        return np.ascontiguousarray(normalised[:, ::-1], np.float32)

    def rgb(
        self, image: Image, inside: NDArray[np.bool_], lit: NDArray[np.float32], out: NDArray[np.float32]
    ) -> None:
        """Warped, normalised RGB into ``out (3, S, S)``."""
        looked_up = cv2.LUT(self._warped_bytes(np.asarray(image)), lit[None])
        for channel in range(3):
            np.multiply(looked_up[..., 2 - channel], inside, out=out[channel])

    def _warped(self, image: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(self._warped_bytes(image), np.float32)

    def _warped_bytes(self, image: NDArray[Any]) -> NDArray[Any]:
        """Of the type that the picture has. One that is larger than the input shows it is first made smaller
        by the means of areas, as the runtime does: a warp alone takes every second or third pixel, edges
        flicker, and running never sees that motion."""
        height, width = image.shape[:2]
        if (height, width) not in self.places:
            self.places[height, width] = self._place(height, width)
        sides, matrix = self.places[height, width]
        small = image if sides is None else cv2.resize(image, sides, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.warpAffine(small, matrix, (self.size, self.size)))

    def _place(self, height: int, width: int) -> _Place:
        roi = shown_roi(height, width, self.aspect, self.region)
        factor = self.size / max(roi.width, roi.height) * self.pose.scale
        if factor >= 1.0:
            return None, self.pose.matrix(roi, self.size)
        wide, high = max(1, round(width * factor)), max(1, round(height * factor))
        small = shown_roi(high, wide, self.aspect, self.region)
        return (wide, high), self.pose.matrix(small, self.size)
