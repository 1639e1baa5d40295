"""From a decoded clip to network input: windows as the runtime sees them, or as the paper tests.

A window is one array per pathway: ``[(3, T, S, S)]``, or ``[slow, fast]`` for two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.training.decode import DecodedClip, Stretch
from a3d_edge.video.preprocess import Preprocessing, preprocess
from a3d_edge.video.region import Region, moving_region, thumbnail
from a3d_edge.video.sampler import TIE_S, Sampling, pathways, window_instants

__all__ = [
    "CHARADES_VIEWS",
    "PAPER_VIEWS",
    "Protocol",
    "View",
    "Window",
    "charades_views",
    "frame_rate",
    "long_enough",
    "paper_views",
    "plain_window",
    "region_of",
    "runtime_view",
    "runtime_views",
    "view_window",
    "window_starts_of",
]

Window = NDArray[np.float32]  # (3, T, S, S)
Protocol = Literal["runtime", "paper", "charades"]

PAPER_VIEWS = {1: (1, (0.5,)), 10: (10, (0.5,)), 30: (10, (0.0, 0.5, 1.0))}
"""Views of the paper's protocol: how many starts in time, and which places of the picture at each."""
CHARADES_VIEWS = (10, 30)
"""Those of them that Charades is tested with, from a clip's first frame to its last."""

ROUNDED_S = 1e-3  # some containers keep whole milliseconds
ROUNDED_INDEX = 1e-6  # a frame index that is whole but for the rounding of floats


@dataclass(frozen=True, slots=True)
class View:
    """Which frames of a decoded clip one window shows, and where.

    ``frames``: indices ``(samples, offsets)`` of every sampled instant and of the frames eaten with it;
    ``slow``: which of the samples the slow pathway takes; ``place``: as in `visible_roi`.
    """

    frames: NDArray[np.intp]
    slow: tuple[int, ...]
    place: float = 0.5


def window_starts_of(clip: DecodedClip | Stretch, sampling: Sampling, views: int) -> list[int]:
    """Start instants of ``views`` windows spread evenly over the clip; fewer when they would coincide."""
    return _spread(_last_start(clip, sampling), views)


def _last_start(clip: DecodedClip | Stretch, sampling: Sampling) -> int:
    instants = math.floor(clip.duration * sampling.rate + 0.5)
    return max(0, instants - (sampling.samples - 1) * sampling.spacing)


def _spread(last: int, views: int) -> list[int]:
    """Evenly spaced numbers from 0 to ``last``; of a single one the middle."""
    if views == 1:
        return [round(last * 0.5)]
    return sorted({round(last * i / (views - 1)) for i in range(views)})


def runtime_views(clip: DecodedClip, sampling: Sampling, spec: Preprocessing, views: int) -> list[View]:
    """Windows that the runtime would see, spread evenly over the clip; none looks across a cut."""
    starts = [
        (stretch, start)
        for stretch in long_enough(clip, sampling)
        for start in range(_last_start(stretch, sampling) + 1)
    ]
    return [runtime_view(*starts[place], sampling, spec) for place in _spread(len(starts) - 1, views)]


def long_enough(clip: DecodedClip, sampling: Sampling) -> list[Stretch]:
    """The stretches that hold a window; where none does, the longest, whose last picture is held."""
    stretches = clip.stretches(sampling.span_s)
    window_s = ((sampling.samples - 1) * sampling.spacing - 0.5) / sampling.rate
    return [one for one in stretches if one.duration >= window_s] or [_longest(stretches)]


def _longest(stretches: list[Stretch]) -> Stretch:
    return max(stretches, key=lambda stretch: stretch.duration)


def runtime_view(clip: DecodedClip | Stretch, start: int, sampling: Sampling, spec: Preprocessing) -> View:
    """The window that starts at instant ``start``, as the runtime would see it."""
    instants = np.array(window_instants(sampling, start))[:, None] - np.array(spec.offsets)[None, :]
    seconds = np.maximum(0, instants) / sampling.rate
    # As the sampler: frames that are equally near but for rounding tie, and the earlier one answers.
    return View(clip.at(seconds - TIE_S / 2), tuple(range(0, sampling.samples, sampling.alpha)))


def paper_views(clip: DecodedClip, sampling: Sampling, spec: Preprocessing, views: int) -> list[View]:
    """The views of the paper's test protocol, which is PySlowFast's.

    A window spans T·τ model frames; its T·α frames are at floor of evenly spaced positions from the span's
    first frame to its last, and the slow pathway's at floor of evenly spaced places among those. 10 starts
    are 0, 1/10 … 9/10 of the frames that a window leaves over; a single one leaves half of them, whole
    frames, on its left. Three places are left, centre and right of a wide picture, or top, centre and
    bottom of a tall one. Raises `UsageError` for another number than 1, 10 or 30.
    """
    if views not in PAPER_VIEWS:
        raise UsageError(f"`views` {views}: the paper's protocol has 1, 10 or 30; or use `protocol` runtime")
    starts, places = PAPER_VIEWS[views]
    slow = tuple(_evenly(sampling.samples, sampling.frames))
    whole = _longest(clip.stretches(sampling.span_s))  # the protocol knows of no cuts
    rows = [_paper_frames(whole, start, starts, sampling, spec) for start in range(starts)]
    return [View(frames, slow, place) for frames in rows for place in places]


def _paper_frames(
    clip: Stretch, start: int, starts: int, sampling: Sampling, spec: Preprocessing
) -> NDArray[np.intp]:
    """Indices ``(samples, offsets)`` of one of the starts."""
    scale = frame_rate(clip, sampling.rate) / sampling.rate
    span = max(1.0, sampling.frames * sampling.stride * scale)
    left_over = max(len(clip.times) - span, 0.0)
    first = math.floor(left_over / 2) if starts == 1 else left_over * start / starts
    positions = np.linspace(first, first + span - 1, sampling.samples)
    wanted = positions[:, None] - np.array(spec.offsets)[None, :] * scale
    return clip.first + np.clip(np.floor(wanted + ROUNDED_INDEX), 0, len(clip.times) - 1).astype(np.intp)


def charades_views(clip: DecodedClip, sampling: Sampling, spec: Preprocessing, views: int) -> list[View]:
    """The views that PySlowFast tests Charades with: 10 starts, of one place of the picture each or of three.

    A window's frames are τ/α apart, in whole frames. The starts are the whole frames nearest to evenly spaced
    places from the clip's first frame to where a window ends with it; a window that is longer than the clip
    holds its last frame. Raises `UsageError` for another number than 10 or 30.
    """
    if views not in CHARADES_VIEWS:
        raise UsageError(f"`views` {views}: Charades is tested with 10 or 30; or use `protocol` runtime")
    starts, places = PAPER_VIEWS[views]
    slow = tuple(_evenly(sampling.samples, sampling.frames))
    whole = _longest(clip.stretches(sampling.span_s))
    apart = max(1, round(sampling.spacing * frame_rate(whole, sampling.rate) / sampling.rate))
    left_over = max(len(whole.times) - ((sampling.samples - 1) * apart + 1), 0)
    found = []
    for start in (round(left_over * place / (starts - 1)) for place in range(starts)):
        positions = start + apart * np.arange(sampling.samples)
        back = np.rint(np.array(spec.offsets) * frame_rate(whole, sampling.rate) / sampling.rate)
        wanted = np.clip(positions[:, None] - back[None, :], 0, len(whole.times) - 1)
        found += [View(whole.first + wanted.astype(np.intp), slow, place) for place in places]
    return found


def _evenly(available: int, count: int) -> list[int]:
    """floor of ``count`` evenly spaced places from the first to the last of ``available``."""
    return [i * (available - 1) // max(1, count - 1) for i in range(count)]


def frame_rate(clip: DecodedClip | Stretch, default: float) -> float:
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
    shown = {int(i): clip.frames[int(i)] for i in np.unique(rows[len(sides) - 1])}
    region = region_of(clip, view.frames, spec, shown)
    return [
        np.stack(
            [preprocess([shown[int(i)] for i in row], side, spec, view.place, region) for row in frames],
            axis=1,
        )
        for frames, side in zip(rows, sides, strict=False)
    ]


def region_of(
    clip: DecodedClip,
    frames: NDArray[np.intp],
    spec: Preprocessing,
    shown: Mapping[int, NDArray[np.uint8]] | None = None,
) -> Region | None:
    """The part that is shown of a window of ``frames``, indices ``(samples, offsets)``; None: the usual.

    ``shown``: pictures of the clip by place that are at hand; others are taken from it.
    """
    if spec.view == "whole":
        return None
    there = shown or {}
    places = [int(i) for i in frames[:, 0]]
    return moving_region([thumbnail(there[i] if i in there else clip.frames[i]) for i in places], spec.view)


def plain_window(
    clip: DecodedClip, start: int, size: int, sampling: Sampling, spec: Preprocessing
) -> list[Window]:
    """The window that starts at instant ``start``, exactly as the runtime prepares it; see `view_window`."""
    return view_window(clip, runtime_view(clip, start, sampling, spec), size, sampling, spec)
