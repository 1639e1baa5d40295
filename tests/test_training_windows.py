"""Windows of decoded clips: plain ones are what the runtime sees, augmented ones follow a generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.training.clips import Clip
from a3d_edge.training.decode import DecodedClip, FrameCache, decode
from a3d_edge.training.windows import augmented_window, plain_window, window_starts_of
from a3d_edge.video.frame import Frame
from a3d_edge.video.preprocess import Preprocessing, preprocess
from a3d_edge.video.sampler import Sampler, Sampling, window_instants

SAMPLING = Sampling(frames=4, stride=2)
RGB = Preprocessing(aspect=1.5)
MOTION = Preprocessing("motion", 1.5, (0, 2, 6))


def noise_clip(count: int, rate: float, seed: int = 0) -> DecodedClip:
    """Frames that all differ, so that any wrong choice of frame shows."""
    frames = np.random.default_rng(seed).integers(0, 256, (count, 40, 56, 3), dtype=np.uint8)
    return DecodedClip(frames, np.arange(count) / rate)


@pytest.fixture
def real_clip(clip_list: Path, frame_cache: FrameCache) -> DecodedClip:
    """A square that moves right, through the cache."""
    return frame_cache.get(Clip("right", clip_list.parent / "right" / "0.mp4"))


@pytest.mark.parametrize(
    ("count", "views", "starts"),
    [
        (24, 1, [8]),  # instants 0…23, a window spans 7: starts 0…17
        (24, 2, [0, 17]),
        (24, 3, [0, 8, 17]),
        (8, 4, [0, 1]),
        (7, 3, [0]),
        (2, 3, [0]),
        (1, 2, [0]),
    ],
)
def test_views_are_spread_evenly_over_the_clip(count: int, views: int, starts: list[int]) -> None:
    """First and last included; fewer when they would coincide; a clip shorter than a window has one."""
    assert window_starts_of(noise_clip(count, 30.0), SAMPLING, views) == starts


def test_the_last_view_ends_at_the_last_frame() -> None:
    """Whatever the clip's rate."""
    for rate in (12.5, 25.0, 30.0, 50.0):
        clip = noise_clip(60, rate)
        last = window_starts_of(clip, SAMPLING, 5)[-1] + 6
        assert abs(last / 30 - clip.duration) <= 0.5 / 30 + 1e-9


@pytest.mark.parametrize("spec", [RGB, MOTION])
def test_a_plain_window_is_the_runtime_s_preprocessing(spec: Preprocessing) -> None:
    """At 30 fps: instants start, +2, +4, +6, each with its offsets, clamped at the first frame."""
    clip = noise_clip(24, 30.0)
    window = plain_window(clip, 3, 32, SAMPLING, spec)
    assert (window.shape, window.dtype) == ((3, 4, 32, 32), np.float32)
    for place, instant in enumerate((3, 5, 7, 9)):
        images = [clip.frames[max(0, instant - offset)] for offset in spec.offsets]
        np.testing.assert_array_equal(window[:, place], preprocess(images, 32, spec))


def runtime_s(clip: DecodedClip, spec: Preprocessing) -> Callable[[int], NDArray[np.float32]]:
    """A window by its start, its frames chosen by the runtime's sampler."""
    sampler, samples = Sampler(SAMPLING, 1, spec.offsets), []
    for index, time in enumerate(clip.times):
        samples += sampler.push(Frame(index, float(time), clip.frames[index], 0.0))
    samples += sampler.finish()
    images = {sample.instant: [frame.image for frame in sample.frames] for sample in samples}

    def window(start: int) -> NDArray[np.float32]:
        return np.stack([preprocess(images[i], 16, spec) for i in window_instants(SAMPLING, start)], axis=1)

    return window


@pytest.mark.parametrize("rate", [10.0, 12.5, 15.0, 20.0, 23.976, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0])
@pytest.mark.parametrize("spec", [RGB, MOTION])
def test_a_plain_window_equals_the_runtime_s_at_any_rate(rate: float, spec: Preprocessing) -> None:
    """Frame for frame what the sampler delivers, ties between two frames included, up to 60 fps."""
    clip = noise_clip(round(rate), rate)
    runtime = runtime_s(clip, spec)
    for start in range(int(clip.duration * 30 + 1e-6) - 5):
        window = plain_window(clip, start, 16, SAMPLING, spec)
        np.testing.assert_array_equal(window, runtime(start), f"start {start}")


def test_times_rounded_by_a_container_make_no_difference() -> None:
    """A 15 fps clip whose times are whole microseconds, as some containers keep them."""
    clip = noise_clip(30, 15.0)
    rounded = DecodedClip(clip.frames, np.round(clip.times, 6))
    runtime = runtime_s(rounded, RGB)
    for start in range(int(clip.duration * 30 + 1e-6) - 5):
        expected = plain_window(clip, start, 16, SAMPLING, RGB)
        np.testing.assert_array_equal(plain_window(rounded, start, 16, SAMPLING, RGB), expected)
        np.testing.assert_array_equal(runtime(start), expected)


def test_a_short_clip_holds_its_last_frame() -> None:
    """Instants beyond the end see the last frame."""
    clip = noise_clip(3, 30.0)
    window = plain_window(clip, 0, 32, SAMPLING, RGB)
    for place in (1, 2, 3):
        np.testing.assert_array_equal(window[:, place], preprocess([clip.frames[2]], 32, RGB))


@pytest.mark.parametrize("spec", [RGB, MOTION])
def test_an_augmented_window_depends_on_the_generator_alone(
    real_clip: DecodedClip, spec: Preprocessing
) -> None:
    """Same generator, same window bit for bit; another, another window; the clip is not changed."""
    before = np.array(real_clip.frames)
    windows = [
        augmented_window(real_clip, 32, SAMPLING, spec, np.random.default_rng(seed)) for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(windows[0], windows[1])
    assert (windows[0] != windows[2]).any()
    assert (windows[0].shape, windows[0].dtype) == ((3, 4, 32, 32), np.float32)
    assert all(np.isfinite(window).all() for window in windows)
    np.testing.assert_array_equal(real_clip.frames, before)


@pytest.mark.parametrize("spec", [RGB, MOTION])
def test_one_look_holds_for_the_whole_window(spec: Preprocessing) -> None:
    """Geometry and light are drawn once: a scene that stands still stays still, and shows no motion."""
    clip = noise_clip(1, 30.0)
    still = DecodedClip(np.repeat(clip.frames, 20, axis=0), np.arange(20) / 30)
    window = augmented_window(still, 32, SAMPLING, spec, np.random.default_rng(3))
    if spec.input == "rgb":
        for place in (1, 2, 3):
            np.testing.assert_array_equal(window[:, place], window[:, 0])
    else:
        assert float(np.abs(window[:2]).max()) < 0.5  # only sensor noise, of at most 1 % of full scale


def test_augmentation_stays_near_the_plain_window(real_clip: DecodedClip) -> None:
    """The square is still there, bright on dark, in nearly every draw: augmentation never loses the scene."""
    found = 0
    for seed in range(20):
        window = augmented_window(real_clip, 32, SAMPLING, Preprocessing(), np.random.default_rng(seed))
        found += float(window[0].max() - np.median(window[0])) > 1.0
    assert found >= 18


def test_windows_of_a_very_short_clip_can_be_augmented(clip_list: Path) -> None:
    """One frame is enough for a window, of either input."""
    clip = decode(clip_list.parent / "down" / "1.mp4", 40)
    single = DecodedClip(clip.frames[:1], clip.times[:1])
    for spec in (RGB, MOTION):
        assert np.isfinite(augmented_window(single, 32, SAMPLING, spec, np.random.default_rng(0))).all()
