"""Windows of decoded clips: plain ones are what the runtime sees, augmented ones follow a generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.errors import UsageError
from a3d_edge.training.decode import DecodedClip
from a3d_edge.training.windows import (
    View,
    frame_rate,
    paper_views,
    plain_window,
    runtime_views,
    view_window,
    window_starts_of,
)
from a3d_edge.video.frame import Frame
from a3d_edge.video.preprocess import Preprocessing, preprocess
from a3d_edge.video.sampler import Sampler, Sampling, window_instants

SAMPLING = Sampling(frames=4, stride=2)
TWO = Sampling(frames=2, stride=8, alpha=4, fast_size=24)
RGB = Preprocessing(aspect=1.5)
MOTION = Preprocessing("motion", 1.5, (0, 2, 6))


def noise_clip(count: int, rate: float, seed: int = 0) -> DecodedClip:
    """Frames that all differ, so that any wrong choice of frame shows."""
    frames = np.random.default_rng(seed).integers(0, 256, (count, 40, 56, 3), dtype=np.uint8)
    return DecodedClip(frames, np.arange(count) / rate)


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
    (window,) = plain_window(clip, 3, 32, SAMPLING, spec)
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
        (window,) = plain_window(clip, start, 16, SAMPLING, spec)
        np.testing.assert_array_equal(window, runtime(start), f"start {start}")


def test_times_rounded_by_a_container_make_no_difference() -> None:
    """A 15 fps clip whose times are whole microseconds, as some containers keep them."""
    clip = noise_clip(30, 15.0)
    rounded = DecodedClip(clip.frames, np.round(clip.times, 6))
    runtime = runtime_s(rounded, RGB)
    for start in range(int(clip.duration * 30 + 1e-6) - 5):
        (expected,) = plain_window(clip, start, 16, SAMPLING, RGB)
        np.testing.assert_array_equal(plain_window(rounded, start, 16, SAMPLING, RGB)[0], expected)
        np.testing.assert_array_equal(runtime(start), expected)


def test_a_short_clip_holds_its_last_frame() -> None:
    """Instants beyond the end see the last frame."""
    clip = noise_clip(3, 30.0)
    (window,) = plain_window(clip, 0, 32, SAMPLING, RGB)
    for place in (1, 2, 3):
        np.testing.assert_array_equal(window[:, place], preprocess([clip.frames[2]], 32, RGB))


# Two pathways


@pytest.mark.parametrize("spec", [RGB, MOTION])
@pytest.mark.parametrize(("size", "fast_size"), [(16, 24), (32, 32)])
def test_two_pathways_see_the_same_window(spec: Preprocessing, size: int, fast_size: int) -> None:
    """Fast: start, +2, … +14 at its own side, or the slow one's where that is larger; slow: +0, +8."""
    clip = noise_clip(30, 30.0)
    slow, fast = plain_window(clip, 7, size, TWO, spec)
    assert (slow.shape, fast.shape) == ((3, 2, size, size), (3, 8, fast_size, fast_size))
    for place in range(8):
        images = [clip.frames[max(0, 7 + 2 * place - offset)] for offset in spec.offsets]
        np.testing.assert_array_equal(fast[:, place], preprocess(images, fast_size, spec))
        if place % 4 == 0:
            np.testing.assert_array_equal(slow[:, place // 4], preprocess(images, size, spec))


def test_views_of_two_pathways_end_with_the_clip() -> None:
    """A window's last look is Fast's, 14 instants after its start: of 30 frames starts 0…15."""
    assert window_starts_of(noise_clip(30, 30.0), TWO, 2) == [0, 15]


# The paper's protocol


def first_frames(views: list[View]) -> list[list[int]]:
    """The sampled frames of every view, without those eaten with them."""
    return [view.frames[:, 0].tolist() for view in views]


def test_one_view_is_the_centre() -> None:
    """100 frames at 30 fps: a window of 8×8 spans 64 and leaves 36, so it begins at 18; 63 / 7 = 9 apart."""
    views = paper_views(noise_clip(100, 30.0), Sampling(8, 8), RGB, 1)
    assert first_frames(views) == [[18, 27, 36, 45, 54, 63, 72, 81]]
    assert views[0].place == 0.5


def test_ten_views_begin_at_tenths_of_what_is_left_over() -> None:
    """0, 3.6, 7.2 … 32.4, floored after spreading: floor(3.6 + 9 i) and so on, as PySlowFast's test does."""
    frames = first_frames(paper_views(noise_clip(100, 30.0), Sampling(8, 8), RGB, 10))
    assert frames[0] == [0, 9, 18, 27, 36, 45, 54, 63]
    assert frames[1] == [3, 12, 21, 30, 39, 48, 57, 66]
    assert frames[2] == [7, 16, 25, 34, 43, 52, 61, 70]
    assert frames[9] == [32, 41, 50, 59, 68, 77, 86, 95]
    assert [row[0] for row in frames] == [0, 3, 7, 10, 14, 18, 21, 25, 28, 32]


def test_a_window_spans_the_same_time_at_any_rate() -> None:
    """At 15 fps 32 frames, 31/7 = 4.43 apart; at 25 fps 53.33, 52.33/7 = 7.48 apart."""
    slow = paper_views(noise_clip(32, 15.0), Sampling(8, 8), RGB, 10)
    assert first_frames(slow) == [[0, 4, 8, 13, 17, 22, 26, 31]] * 10
    at_25 = paper_views(noise_clip(90, 25.0), Sampling(8, 8), RGB, 10)
    assert first_frames(at_25)[0] == [0, 7, 14, 22, 29, 37, 44, 52]
    assert first_frames(at_25)[9] == [33, 40, 47, 55, 62, 70, 77, 85]  # 0.9 · 36.67 = 33.0


def test_a_clip_shorter_than_a_window_holds_its_last_frame() -> None:
    """20 frames of a span of 64: indices beyond the end are the last; all ten starts coincide."""
    frames = first_frames(paper_views(noise_clip(20, 30.0), Sampling(8, 8), RGB, 10))
    assert frames == [[0, 9, 18, 19, 19, 19, 19, 19]] * 10
    assert first_frames(paper_views(noise_clip(1, 30.0), Sampling(8, 8), RGB, 1)) == [[0] * 8]


def test_the_slow_pathway_picks_among_the_fast_one_s_frames() -> None:
    """4×16 with α=8: Fast at floor(63 i / 31); slow at its 0th, 10th, 20th and 31st, as PySlowFast packs."""
    (view,) = paper_views(noise_clip(64, 30.0), Sampling(4, 16, alpha=8, fast_size=24), RGB, 1)
    fast = view.frames[:, 0]
    assert fast.tolist() == [63 * i // 31 for i in range(32)]
    assert view.slow == (0, 10, 20, 31)
    assert fast[list(view.slow)].tolist() == [0, 20, 40, 63]
    (view,) = paper_views(noise_clip(64, 30.0), Sampling(8, 8, alpha=4, fast_size=24), RGB, 1)
    assert view.slow == (0, 4, 8, 13, 17, 22, 26, 31)


def test_motion_looks_back_by_model_frames() -> None:
    """At 60 fps, 2 and 6 model frames are 4 and 12 frames; clamped at the first."""
    (view,) = paper_views(noise_clip(32, 60.0), SAMPLING, MOTION, 1)
    assert view.frames.tolist() == [[8, 4, 0], [13, 9, 1], [18, 14, 6], [23, 19, 11]]


def test_thirty_views_are_ten_starts_of_three_places() -> None:
    """Each start left, centre and right."""
    thirty = paper_views(noise_clip(100, 30.0), Sampling(8, 8), RGB, 30)
    ten = paper_views(noise_clip(100, 30.0), Sampling(8, 8), RGB, 10)
    assert [view.place for view in thirty] == [0.0, 0.5, 1.0] * 10
    for place in range(3):
        assert first_frames(thirty[place::3]) == first_frames(ten)


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize(("place", "first"), [(0.0, 0), (0.5, 8), (1.0, 16)])
@pytest.mark.parametrize("kind", ["rgb", "motion"])
def test_a_place_is_left_centre_or_right(tall: bool, place: float, first: int, kind: str) -> None:
    """Of 48 columns (or rows), each of its own brightness, an input of 32×32 shows 32 from 0, 8 or 16."""
    columns = np.broadcast_to(np.arange(48, dtype=np.uint8)[None, :, None], (32, 48, 3))
    image = columns.transpose(1, 0, 2) if tall else columns
    clip = DecodedClip(np.ascontiguousarray(image[None]), np.zeros(1))
    spec = Preprocessing() if kind == "rgb" else Preprocessing("motion", 1.0, (0, 2, 6))
    view = View(np.zeros((4, len(spec.offsets)), np.intp), (0, 1, 2, 3), place)
    (window,) = view_window(clip, view, 32, SAMPLING, spec)
    shown = np.arange(first, first + 32) / 255
    if kind == "rgb":
        picture, expected = window[0, 3], (shown - 0.45) / 0.225
    else:
        picture, expected = window[2, 3], (shown - shown.mean()) / 0.225
        assert not window[:2].any()
    np.testing.assert_allclose(
        picture,
        np.broadcast_to(expected, (32, 32)).T if tall else np.broadcast_to(expected, (32, 32)),
        atol=1e-5,
    )


def test_the_centre_of_the_paper_is_the_runtime_s_picture() -> None:
    """Same frames, same pictures: only which frames a window has differs between the protocols."""
    clip = noise_clip(8, 30.0)
    view = runtime_views(clip, SAMPLING, MOTION, 1)[0]
    np.testing.assert_array_equal(
        view_window(clip, View(view.frames, view.slow, 0.5), 16, SAMPLING, MOTION)[0],
        plain_window(clip, window_starts_of(clip, SAMPLING, 1)[0], 16, SAMPLING, MOTION)[0],
    )


@pytest.mark.parametrize("views", [2, 3, 4, 29])
def test_the_paper_has_1_10_or_30_views(views: int) -> None:
    """Others are refused, in one line."""
    with pytest.raises(UsageError, match=f"`views` {views}: the paper's protocol has 1, 10 or 30"):
        paper_views(noise_clip(20, 30.0), SAMPLING, RGB, views)


@pytest.mark.parametrize("rate", [10.0, 12.5, 23.976, 25.0, 29.97, 30.0, 59.94, 60.0])
@pytest.mark.parametrize("digits", [15, 6, 3])
def test_the_frame_rate_is_that_of_the_container(rate: float, digits: int) -> None:
    """Also where times are rounded to whole milliseconds; a whole rate comes out whole."""
    times = np.round(np.arange(round(10 * rate)) / rate, digits)
    found = frame_rate(DecodedClip(np.zeros((len(times), 2, 2, 3), np.uint8), times), 30.0)
    assert found == (rate if rate.is_integer() else pytest.approx(rate, rel=2e-4))


def test_a_single_frame_has_the_network_s_rate() -> None:
    """There is no interval to tell."""
    assert frame_rate(noise_clip(1, 25.0), 30.0) == 30.0


# Cuts


def test_views_are_spread_over_what_goes_on_and_never_across_a_cut() -> None:
    """Two takes and a gap longer than a window: starts in all three parts, each window inside its own."""
    times = np.concatenate([np.arange(20), 20 + np.arange(20), 90 + np.arange(20)]) / 30
    frames = noise_clip(60, 30.0).frames
    clip = DecodedClip(frames, times, np.repeat([0, 1, 1], 20))
    views = runtime_views(clip, SAMPLING, MOTION, 9)
    parts = [set((view.frames // 20).ravel().tolist()) for view in views]
    assert all(len(part) == 1 for part in parts)
    assert set.union(*parts) == {0, 1, 2}
    assert (views[0].frames.min(), views[-1].frames.max()) == (0, 59)


def test_a_stretch_shorter_than_a_window_is_left_out_where_another_holds_one() -> None:
    """As the runtime, which answers no window that a cut ends; where none is long enough, the longest."""
    clip = DecodedClip(noise_clip(14, 30.0).frames, np.arange(14) / 30, np.repeat([0, 1], [4, 10]))
    assert {int(view.frames.min()) // 4 for view in runtime_views(clip, SAMPLING, RGB, 5)} == {1}
    short = DecodedClip(noise_clip(7, 30.0).frames, np.arange(7) / 30, np.repeat([0, 1], [3, 4]))
    (view,) = runtime_views(short, SAMPLING, RGB, 5)
    assert view.frames[:, 0].tolist() == [3, 5, 6, 6]


def test_the_papers_views_look_at_the_longest_stretch() -> None:
    """Its protocol knows of no cuts: every frame of every view is of the second take."""
    clip = DecodedClip(noise_clip(100, 30.0).frames, np.arange(100) / 30, np.repeat([0, 1], [30, 70]))
    views = paper_views(clip, Sampling(8, 8), RGB, 10)
    assert min(int(view.frames.min()) for view in views) == 30
    assert max(int(view.frames.max()) for view in views) <= 99
