"""Windows begin where something moves: clips that stand still but for a part."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.training.activity import activity, busy_start
from a3d_edge.training.augmentation import augmented_window
from a3d_edge.training.decode import DecodedClip, Stretch
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

RATE, SECONDS, BEGINS, ENDS = 20, 10, 7.0, 8.0


@pytest.fixture(scope="module")
def clip() -> DecodedClip:
    """Ten seconds of a noisy room whose light goes up, and a square that moves from the 7th to the 8th."""
    rng = np.random.default_rng(0)
    scene = rng.integers(60, 120, (60, 80, 1)).repeat(3, axis=2)
    frames = []
    for number in range(RATE * SECONDS):
        frame = scene + rng.integers(-2, 3, (60, 80, 1)) + number // 20
        place = int(np.clip((number / RATE - BEGINS) / (ENDS - BEGINS), 0.0, 1.0) * 60)
        frame[20:36, place : place + 16] = 220
        frames.append(frame.astype(np.uint8))
    return DecodedClip(np.stack(frames), np.arange(RATE * SECONDS) / RATE)


def test_activity_is_where_something_moves(clip: DecodedClip) -> None:
    """Neither noise nor light counts: nearly all of it lies in the second that shows the square move."""
    moved = activity(clip)
    assert moved.shape == clip.times.shape
    assert moved[0] == 0.0
    assert (np.diff(moved) >= 0).all()
    before, after = (moved[clip.at(np.array([at]))[0]] for at in (BEGINS - 0.1, ENDS + 0.2))
    assert before < 0.02 * moved[-1]
    assert after > 0.98 * moved[-1]


@pytest.mark.parametrize("block", [1, 7, 200])
def test_a_clip_is_looked_at_in_blocks(
    clip: DecodedClip, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long, it takes the memory of one; what is found is the same to the bit."""
    whole = activity(clip)
    monkeypatch.setattr("a3d_edge.training.activity.BLOCK", block)
    assert np.array_equal(activity(clip), whole)


def starts_of(moved: NDArray[np.float64], stretch: Stretch, span_s: float) -> NDArray[np.float64]:
    return np.array([busy_start(moved, stretch, span_s, np.random.default_rng(n)) for n in range(60)])


def test_windows_are_drawn_where_something_moves(clip: DecodedClip) -> None:
    """Nearly every window of two seconds shows it, wherever in the window it is; by chance one in three."""
    (stretch,) = clip.stretches(1.0)
    starts = starts_of(activity(clip), stretch, 2.0)
    assert ((starts < ENDS) & (starts + 2.0 > BEGINS)).mean() > 0.9
    assert np.ptp(starts[(starts > BEGINS - 2) & (starts < ENDS)]) > 0.8
    assert (starts.min(), starts.max()) >= (0.0, 0.0)
    assert starts.max() <= stretch.duration - 2.0


def test_a_still_clip_is_drawn_from_end_to_end() -> None:
    """Nothing tells its windows apart."""
    still = DecodedClip(np.full((200, 30, 40, 3), 90, np.uint8), np.arange(200) / RATE)
    starts = starts_of(activity(still), still.stretches(1.0)[0], 2.0)
    assert starts.min() < 1.0
    assert starts.max() > 7.0


def test_a_clip_shorter_than_the_window_is_begun_at_its_beginning(clip: DecodedClip) -> None:
    """As without the rule."""
    (stretch,) = clip.stretches(1.0)
    assert busy_start(activity(clip), stretch, 30.0, np.random.default_rng(0)) == 0.0


def test_the_second_stretch_is_drawn_by_its_own_activity(clip: DecodedClip) -> None:
    """After a cut at 5 s the square moves in the third second of what follows."""
    takes = (clip.times >= 5.0).astype(np.intp)
    cut = DecodedClip(clip.frames, clip.times, takes)
    _, second = cut.stretches(1.0)
    starts = starts_of(activity(cut), second, 1.0)
    assert ((starts < ENDS - 5.0) & (starts + 1.0 > BEGINS - 5.0)).mean() > 0.9


def test_augmented_windows_show_the_action(clip: DecodedClip) -> None:
    """The differences of the windows drawn so hold the square's motion; of those drawn anywhere, few do."""
    spec, sampling, moved = Preprocessing("motion", 1.0, (0, 4, 8)), Sampling(4, 8), activity(clip)

    def shown(given: NDArray[np.float64] | None) -> int:
        windows = (
            augmented_window(clip, 32, sampling, spec, np.random.default_rng(n), moved=given)[0]
            for n in range(24)
        )
        return sum(bool(np.abs(window[1]).max() > 2.0) for window in windows)

    assert shown(moved) >= 21
    assert shown(None) <= 14
