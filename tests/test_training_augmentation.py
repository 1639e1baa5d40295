"""Augmented windows: one look a window, a function of the generator alone, also of odd clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from a3d_edge.training.augmentation import augmented_window, drawn_indices, may_mirror
from a3d_edge.training.decode import DecodedClip, decode
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

SAMPLING = Sampling(frames=4, stride=2)
TWO = Sampling(frames=2, stride=8, alpha=4, fast_size=24)
RGB = Preprocessing(aspect=1.5)
MOTION = Preprocessing("motion", 1.5, (0, 2, 6))
CHANGES = Preprocessing("change", 1.5, (0, 2, 4, 8))
LOCAL = Preprocessing("local", 1.5, (0, 2, 4, 8))


@pytest.mark.parametrize("spec", [RGB, MOTION, LOCAL])
def test_an_augmented_window_depends_on_the_generator_alone(
    real_clip: DecodedClip, spec: Preprocessing
) -> None:
    """Same generator, same window bit for bit; another, another window; the clip is not changed."""
    before = np.array(real_clip.frames[3])
    windows = [
        augmented_window(real_clip, 32, SAMPLING, spec, np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(windows[0], windows[1])
    assert (windows[0] != windows[2]).any()
    assert (windows[0].shape, windows[0].dtype) == ((3, 4, 32, 32), np.float32)
    assert all(np.isfinite(window).all() for window in windows)
    np.testing.assert_array_equal(real_clip.frames[3], before)


@pytest.mark.parametrize("spec", [RGB, MOTION, LOCAL])
def test_one_look_holds_for_the_whole_window(spec: Preprocessing) -> None:
    """Geometry and light are drawn once: a scene that stands still stays still, and shows no motion."""
    frame = np.random.default_rng(0).integers(0, 256, (1, 40, 56, 3), dtype=np.uint8)
    still = DecodedClip(np.repeat(frame, 20, axis=0), np.arange(20) / 30)
    (window,) = augmented_window(still, 32, SAMPLING, spec, np.random.default_rng(3))
    if spec.input == "rgb":
        for place in (1, 2, 3):
            np.testing.assert_array_equal(window[:, place], window[:, 0])
    else:
        assert float(np.abs(window[:2]).max()) < 0.5  # only sensor noise, of at most 1 % of full scale


def test_augmentation_stays_near_the_plain_window(real_clip: DecodedClip) -> None:
    """The square is still there, bright on dark, in nearly every draw: augmentation never loses the scene."""
    found = 0
    for seed in range(20):
        (window,) = augmented_window(real_clip, 32, SAMPLING, Preprocessing(), np.random.default_rng(seed))
        found += float(window[0].max() - np.median(window[0])) > 1.0
    assert found >= 18


def test_a_texture_too_fine_for_the_input_is_averaged_as_the_runtime_does() -> None:
    """A fine chequerboard that moves is grey to the runtime; picked pixels of it would flicker."""
    board = (np.indices((160, 160)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    clip = DecodedClip(np.stack([np.roll(board, n, axis=1) for n in range(20)]), np.arange(20) / 30)
    for seed in range(6):
        (window,) = augmented_window(clip, 32, SAMPLING, CHANGES, np.random.default_rng(seed))
        assert float(np.quantile(window, 0.9)) < 1.0


@pytest.mark.parametrize("spec", [MOTION, CHANGES])
def test_the_other_side_is_shown_only_where_it_may_be(spec: Preprocessing) -> None:
    """A patch that grows on the left of the scene: mirrored in half of the draws, or never."""
    frames = np.zeros((20, 48, 48, 3), np.uint8)
    for number in range(20):
        frames[number, 16:32, 4 : 6 + number // 2] = 255
    clip, right = DecodedClip(frames, np.arange(20) / 30), {True: 0, False: 0}
    for mirror in right:
        for seed in range(24):
            rng = np.random.default_rng(seed)
            (window,) = augmented_window(clip, 32, SAMPLING, spec, rng, mirror=mirror)
            energy = np.abs(window[:2]).sum(axis=(0, 1, 2))
            right[mirror] += bool(energy[18:].sum() > energy[:14].sum())
    assert 6 <= right[True] <= 18
    assert right[False] == 0


@pytest.mark.parametrize(
    ("classes", "may"),
    [
        (("kick", "punch", "none"), True),
        (("stop", "left"), False),
        (("Turn_Right", "stop"), False),
        (("swipe-left-fast", "stop"), False),
        (("turn clockwise", "stop"), False),
        (("forehand", "serve"), False),
        (("bright", "leftover"), True),
    ],
)
def test_classes_that_name_a_side_are_never_mirrored(classes: tuple[str, ...], may: bool) -> None:
    """Words are told apart: *bright* names no side."""
    assert may_mirror(classes) is may


def test_change_is_three_differences_without_sign(real_clip: DecodedClip) -> None:
    """Without augmentation's noise a still scene would be empty; with it, it holds nothing but the noise."""
    still = DecodedClip(np.repeat(np.asarray(real_clip.frames[0])[None], 60, axis=0), np.arange(60) / 30)
    (window,) = augmented_window(still, 32, SAMPLING, CHANGES, np.random.default_rng(3))
    assert float(np.abs(window).max()) < 0.5
    (moving,) = augmented_window(real_clip, 32, SAMPLING, CHANGES, np.random.default_rng(3))
    assert all(float(channel.max()) > 1.0 and float(channel.min()) >= 0.0 for channel in moving)


@pytest.mark.parametrize("quickest", [1.25, 2.0])
def test_windows_are_shown_at_up_to_so_many_times_their_speed(quickest: float) -> None:
    """Of 200 draws the slowest is near 0.8, the quickest near the most, and none beyond."""
    clip = DecodedClip(np.zeros((300, 8, 8, 3), np.uint8), np.arange(300) / 30)
    spans = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        frames = drawn_indices(clip, Sampling(frames=8, stride=8), RGB, rng, quickest=quickest)[:, 0]
        spans.append((frames[-1] - frames[0]) / 56)
    assert 0.78 <= min(spans) <= 0.84
    assert 0.95 * quickest <= max(spans) <= quickest + 0.02


def test_local_change_is_measured_against_the_light() -> None:
    """Light that comes and goes shows nothing (but where the picture ends); what moves shows all the same."""
    frames = [np.full((64, 64, 3), 60 + 15 * (number % 3), np.uint8) for number in range(30)]
    lit = DecodedClip(frames, np.arange(30) / 30)
    (window,) = augmented_window(lit, 32, SAMPLING, LOCAL, np.random.default_rng(3), mirror=False)
    assert not window[..., 8:24, 8:24].any()
    for number, frame in enumerate(frames):
        frame[:, :20] = np.uint8(8 * number)
    (moving,) = augmented_window(lit, 32, SAMPLING, LOCAL, np.random.default_rng(3), mirror=False)
    assert moving[:, :, 8:24, 2:6].any(axis=(1, 2, 3)).all()
    assert not moving[..., 8:24, 16:24].any()


def test_windows_of_a_very_short_clip_can_be_augmented(clip_list: Path) -> None:
    """One frame is enough for a window, of either input."""
    clip = decode(clip_list.parent / "down" / "1.mp4", 40)
    single = DecodedClip([clip.frames[0]], clip.times[:1])
    for spec in (RGB, MOTION, LOCAL):
        assert np.isfinite(augmented_window(single, 32, SAMPLING, spec, np.random.default_rng(0))[0]).all()


@pytest.mark.parametrize("spec", [RGB, MOTION, LOCAL])
def test_one_augmented_look_holds_for_both_pathways(real_clip: DecodedClip, spec: Preprocessing) -> None:
    """The slow pathway's pictures are every 4th of the fast one's, noise included; one draw, one pair."""
    slow, fast = augmented_window(real_clip, 32, TWO, spec, np.random.default_rng(5))
    assert (slow.shape, fast.shape) == ((3, 2, 32, 32), (3, 8, 32, 32))
    np.testing.assert_array_equal(slow, fast[:, ::4])
    again = augmented_window(real_clip, 32, TWO, spec, np.random.default_rng(5))
    np.testing.assert_array_equal(again[1], fast)


@pytest.mark.parametrize("spec", [RGB, MOTION, LOCAL])
def test_no_window_is_drawn_across_a_cut(spec: Preprocessing) -> None:
    """Dark, then bright: a window that held the cut would show both, or a picture's worth of motion."""
    frames = [np.full((40, 56, 3), level, np.uint8) for level in (40, 200) for _ in range(20)]
    clip = DecodedClip(frames, np.arange(40) / 30, np.repeat([0, 1], 20))
    for seed in range(30):
        (window,) = augmented_window(clip, 32, SAMPLING, spec, np.random.default_rng(seed))
        if spec.input == "rgb":
            assert float(np.ptp(window[0, :, 16, 16])) == 0.0
        else:
            assert float(np.abs(window[:2]).max()) < 0.5


@pytest.mark.parametrize("spec", [RGB, MOTION, LOCAL])
def test_pictures_that_change_size_keep_their_place_in_the_window(spec: Preprocessing) -> None:
    """The same scene in another size: every picture of the window is the same, but for the resampling."""
    sizes = [(40, 56) if number % 2 else (80, 112) for number in range(20)]
    frames = []
    for height, width in sizes:
        frame = np.full((height, width, 3), 60, np.uint8)
        frame[: height // 2] = 200
        frames.append(frame)
    clip = DecodedClip(frames, np.arange(20) / 30)
    (window,) = augmented_window(clip, 32, SAMPLING, spec, np.random.default_rng(1))
    assert window.shape == (3, 4, 32, 32)
    if spec.input == "rgb":
        assert float(np.abs(window[:, 1:] - window[:, :1]).mean()) < 0.1
