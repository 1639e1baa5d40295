"""From a decoded clip to network input: windows as the runtime sees, as the paper tests, or augmented ones.

A window is one array per pathway: ``[(3, T, S, S)]``, or ``[slow, fast]`` for two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.training.decode import DecodedClip
from a3d_edge.video.preprocess import GREY_STD, MOTION_STD, Preprocessing, preprocess, visible_roi
from a3d_edge.video.sampler import TIE_S, Sampling, pathways, window_instants

__all__ = [
    "PAPER_VIEWS",
    "Protocol",
    "View",
    "Window",
    "augmented_window",
    "frame_rate",
    "paper_views",
    "plain_window",
    "runtime_views",
    "view_window",
    "window_starts_of",
]

Window = NDArray[np.float32]  # (3, T, S, S)
Protocol = Literal["runtime", "paper"]

PAPER_VIEWS = {1: (1, (0.5,)), 10: (10, (0.5,)), 30: (10, (0.0, 0.5, 1.0))}
"""Views of the paper's protocol: how many starts in time, and which places of the picture at each."""

ROUNDED_S = 1e-3  # some containers keep whole milliseconds
ROUNDED_INDEX = 1e-6  # a frame index that is whole but for the rounding of floats

SPEED = (0.8, 1.25)  # people act slower and faster than those of a small training set
SCALE = (0.8, 1.25)
SHIFT = 0.10  # of the input side
ROTATION = 6.0  # degrees
STRETCH = 0.10  # of the aspect ratio: viewpoints differ
GAIN = (0.6, 1.5)


@dataclass(frozen=True, slots=True)
class View:
    """Which frames of a decoded clip one window shows, and where.

    ``frames``: indices ``(samples, offsets)`` of every sampled instant and of the frames eaten with it;
    ``slow``: which of the samples the slow pathway takes; ``place``: as in `visible_roi`.
    """

    frames: NDArray[np.intp]
    slow: tuple[int, ...]
    place: float = 0.5


def window_starts_of(clip: DecodedClip, sampling: Sampling, views: int) -> list[int]:
    """Start instants of ``views`` windows spread evenly over the clip; fewer when they would coincide."""
    last = max(0, math.floor(clip.duration * sampling.rate + 0.5) - (sampling.samples - 1) * sampling.spacing)
    return sorted(
        {
            round(last * (i + 0.5) / views) if views == 1 else round(last * i / (views - 1))
            for i in range(views)
        }
    )


def runtime_views(clip: DecodedClip, sampling: Sampling, spec: Preprocessing, views: int) -> list[View]:
    """Windows that the runtime would see, spread evenly over the clip."""
    return [_runtime_view(clip, start, sampling, spec) for start in window_starts_of(clip, sampling, views)]


def _runtime_view(clip: DecodedClip, start: int, sampling: Sampling, spec: Preprocessing) -> View:
    instants = np.array(window_instants(sampling, start))[:, None] - np.array(spec.offsets)[None, :]
    seconds = np.maximum(0, instants) / sampling.rate
    # As the sampler: frames that are equally near but for rounding tie, and the earlier one answers.
    return View(clip.at(seconds - TIE_S / 2), tuple(range(0, sampling.samples, sampling.alpha)))


def paper_views(clip: DecodedClip, sampling: Sampling, spec: Preprocessing, views: int) -> list[View]:
    """The views of the paper's test protocol, which is PySlowFast's (DESIGN §3).

    A window spans T·τ model frames; its T·α frames are at floor of evenly spaced positions from the span's
    first frame to its last, and the slow pathway's at floor of evenly spaced places among those. 10 starts
    are 0, 1/10 … 9/10 of the frames that a window leaves over; a single one leaves half of them, whole
    frames, on its left. Three places are left, centre and right of a wide picture, or top, centre and
    bottom of a tall one. Raises `UsageError` for another number than 1, 10 or 30.
    """
    if views not in PAPER_VIEWS:
        raise UsageError(f"--views {views}: the paper's protocol has 1, 10 or 30; or use --protocol runtime")
    starts, places = PAPER_VIEWS[views]
    slow = tuple(_evenly(sampling.samples, sampling.frames))
    rows = [_paper_frames(clip, start, starts, sampling, spec) for start in range(starts)]
    return [View(frames, slow, place) for frames in rows for place in places]


def _paper_frames(
    clip: DecodedClip, start: int, starts: int, sampling: Sampling, spec: Preprocessing
) -> NDArray[np.intp]:
    """Indices ``(samples, offsets)`` of one of the starts."""
    scale = frame_rate(clip, sampling.rate) / sampling.rate
    span = max(1.0, sampling.frames * sampling.stride * scale)
    left_over = max(len(clip.times) - span, 0.0)
    first = math.floor(left_over / 2) if starts == 1 else left_over * start / starts
    positions = np.linspace(first, first + span - 1, sampling.samples)
    wanted = positions[:, None] - np.array(spec.offsets)[None, :] * scale
    return np.clip(np.floor(wanted + ROUNDED_INDEX), 0, len(clip.times) - 1).astype(np.intp)


def _evenly(available: int, count: int) -> list[int]:
    """floor of ``count`` evenly spaced places from the first to the last of ``available``."""
    return [i * (available - 1) // max(1, count - 1) for i in range(count)]


def frame_rate(clip: DecodedClip, default: float) -> float:
    """Frames a second of a clip, whole where its times fit that; ``default`` for a single frame."""
    intervals = len(clip.times) - 1
    if intervals < 1 or clip.duration <= 0:
        return default
    whole = round(intervals / clip.duration)
    fits = whole > 0 and abs(intervals / whole - clip.duration) <= ROUNDED_S
    return float(whole) if fits else intervals / clip.duration


def view_window(
    clip: DecodedClip, view: View, size: int, sampling: Sampling, spec: Preprocessing
) -> list[Window]:
    """One view, each pathway's pictures prepared at its own side as the runtime prepares them.

    ``[(3, T, S, S)]``, or ``[(3, T, S, S), (3, T·α, F, F)]`` for two pathways.
    """
    sides = [pathway.size for pathway in pathways(sampling, Configuration(1.0, size, sampling.frames))]
    rows = (view.frames[list(view.slow)], view.frames)
    return [
        np.stack(
            [preprocess([clip.frames[i] for i in row], side, spec, view.place) for row in frames], axis=1
        )
        for frames, side in zip(rows, sides, strict=False)
    ]


def plain_window(
    clip: DecodedClip, start: int, size: int, sampling: Sampling, spec: Preprocessing
) -> list[Window]:
    """The window that starts at instant ``start``, exactly as the runtime prepares it; see `view_window`."""
    return view_window(clip, _runtime_view(clip, start, sampling, spec), size, sampling, spec)


def augmented_window(
    clip: DecodedClip, size: int, sampling: Sampling, spec: Preprocessing, rng: np.random.Generator
) -> list[Window]:
    """A random window at a random speed, place, scale, side and light: one look for all its pictures.

    ``[(3, T, S, S)]``, or ``[(3, T, S, S), (3, T·α, S, S)]`` for two pathways: the slow one's pictures are
    every α-th of the fast one's.
    """
    speed = rng.uniform(*SPEED)
    span = (sampling.samples - 1) * sampling.spacing / sampling.rate * speed
    start = rng.uniform(0.0, max(0.0, clip.duration - span))
    instants = np.array(window_instants(sampling, 0))[:, None] - np.array(spec.offsets)[None, :]
    indices = clip.at(np.maximum(0.0, start + instants * speed / sampling.rate))
    look = _Look.draw(clip.frames.shape[1:3], size, spec, rng)
    pictures = _augmented(clip, indices, look, spec)
    return [pictures] if sampling.alpha == 1 else [pictures[:, :: sampling.alpha], pictures]


def _augmented(clip: DecodedClip, indices: NDArray[np.intp], look: _Look, spec: Preprocessing) -> Window:
    if spec.input == "rgb":
        return np.stack([look.rgb(clip.frames[i], spec) for i in indices[:, 0]], axis=1)
    greys = {i: look.grey(clip.frames[i]) for i in np.unique(indices)}
    return np.stack([look.motion([greys[i] for i in row]) for row in indices], axis=1)


@dataclass(frozen=True, slots=True)
class _Look:
    """One draw of geometry and light, the same for every frame of a window."""

    size: int
    matrix: NDArray[np.float32]
    inside: NDArray[np.bool_]
    gains: NDArray[np.float32]  # one per channel; a negative one swaps light and dark (motion only)
    grey_gain: float
    noise: float
    rng: np.random.Generator

    @classmethod
    def draw(cls, shape: Any, size: int, spec: Preprocessing, rng: np.random.Generator) -> _Look:
        height, width = shape
        matrix = _geometry(height, width, size, spec.aspect, rng)
        inside = cv2.warpAffine(np.ones((height, width), np.float32), matrix, (size, size)) > 0.5
        gains = rng.uniform(*GAIN) * rng.uniform(0.9, 1.1, 3)
        polarity = rng.choice([-1.0, 1.0])
        # Appearance is what a network of few training scenes learns by heart: at times take it away.
        grey_gain = 0.0 if rng.random() < 0.3 else float(polarity)
        signed = gains * (polarity if spec.input == "motion" else 1.0)
        return cls(size, matrix, inside, signed.astype(np.float32), grey_gain, rng.uniform(0.0, 0.01), rng)

    def grey(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Warped grey in [0, 1], ``(S, S)``."""
        grey = cv2.cvtColor(np.asarray(image), cv2.COLOR_BGR2GRAY)
        warped = cv2.warpAffine(grey, self.matrix, (self.size, self.size), flags=cv2.INTER_LINEAR)
        return np.asarray(warped, np.float32) * np.float32(1 / 255)

    def motion(self, greys: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """As `a3d_edge.video.preprocess.motion_channels`, under this look."""
        now, earlier, earliest = greys
        gain = self.gains[0]
        out = np.empty((3, self.size, self.size), np.float32)
        out[0] = (now - earlier) * (gain / MOTION_STD)
        out[1] = (now - earliest) * (gain / MOTION_STD)
        out[2] = (now - now[self.inside].mean()) * (abs(gain) * self.grey_gain / GREY_STD)
        out += self.rng.normal(0.0, self.noise / MOTION_STD, out.shape).astype(np.float32)
        return out * self.inside

    def rgb(self, image: NDArray[np.uint8], spec: Preprocessing) -> NDArray[np.float32]:
        """Warped, normalised RGB, ``(3, S, S)``."""
        warped = cv2.warpAffine(np.asarray(image), self.matrix, (self.size, self.size))[..., ::-1]
        lit = np.clip(warped.astype(np.float32) / 255 * self.gains, 0.0, 1.0)
        normalised = (lit - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        return np.asarray((normalised * self.inside[..., None]).transpose(2, 0, 1), np.float32)


def _geometry(
    height: int, width: int, size: int, aspect: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Affine map from frame to input pixels: the runtime's fit, then scaled, turned, shifted, mirrored."""
    roi = visible_roi(height, width, aspect)
    scale = size / max(roi.width, roi.height) * rng.uniform(*SCALE)
    stretch = rng.uniform(1 - STRETCH, 1 + STRETCH)
    angle = math.radians(rng.uniform(-ROTATION, ROTATION))
    mirror = rng.choice([-1.0, 1.0])
    cos, sin = math.cos(angle), math.sin(angle)
    linear = scale * np.array([[cos * stretch * mirror, -sin], [sin * stretch * mirror, cos]])
    centre = np.array([roi.left + roi.width / 2, roi.top + roi.height / 2])
    shift = size * (0.5 + rng.uniform(-SHIFT, SHIFT, 2))
    return np.column_stack([linear, shift - linear @ centre]).astype(np.float32)
