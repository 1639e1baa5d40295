"""From a decoded clip to network input: one window as the runtime would see it, or augmented to train."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.training.decode import DecodedClip
from a3d_edge.video.preprocess import GREY_STD, MOTION_STD, Preprocessing, preprocess, visible_roi
from a3d_edge.video.sampler import TIE_S, Sampling, window_instants

__all__ = ["Window", "augmented_window", "plain_window", "window_starts_of"]

Window = NDArray[np.float32]  # (3, T, S, S)

SPEED = (0.8, 1.25)  # people act slower and faster than those of a small training set
SCALE = (0.8, 1.25)
SHIFT = 0.10  # of the input side
ROTATION = 6.0  # degrees
STRETCH = 0.10  # of the aspect ratio: viewpoints differ
GAIN = (0.6, 1.5)


def window_starts_of(clip: DecodedClip, sampling: Sampling, views: int) -> list[int]:
    """Start instants of ``views`` windows spread evenly over the clip; fewer when they would coincide."""
    last = max(0, math.floor(clip.duration * sampling.rate + 0.5) - (sampling.frames - 1) * sampling.stride)
    return sorted(
        {
            round(last * (i + 0.5) / views) if views == 1 else round(last * i / (views - 1))
            for i in range(views)
        }
    )


def plain_window(clip: DecodedClip, start: int, size: int, sampling: Sampling, spec: Preprocessing) -> Window:
    """The window that starts at instant ``start``, exactly as the runtime prepares it: ``(3, T, S, S)``."""
    pictures = []
    for instant in window_instants(sampling, start):
        seconds = np.array([max(0, instant - offset) for offset in spec.offsets]) / sampling.rate
        # As the sampler: frames that are equally near but for rounding tie, and the earlier one answers.
        chosen = clip.at(seconds - TIE_S / 2)
        pictures.append(preprocess([clip.frames[i] for i in chosen], size, spec))
    return np.stack(pictures, axis=1)


def augmented_window(
    clip: DecodedClip, size: int, sampling: Sampling, spec: Preprocessing, rng: np.random.Generator
) -> Window:
    """A random window at a random speed, place, scale, side and light: ``(3, T, S, S)``."""
    speed = rng.uniform(*SPEED)
    span = (sampling.frames - 1) * sampling.stride / sampling.rate * speed
    start = rng.uniform(0.0, max(0.0, clip.duration - span))
    instants = np.array(window_instants(sampling, 0))[:, None] - np.array(spec.offsets)[None, :]
    indices = clip.at(np.maximum(0.0, start + instants.ravel() * speed / sampling.rate)).reshape(
        instants.shape
    )
    look = _Look.draw(clip.frames.shape[1:3], size, spec, rng)
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
