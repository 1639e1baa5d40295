"""Accuracy of configurations: clip scores against sums worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.slow import Slow
from a3d_edge.training.clips import Clip, list_clips
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.evaluation import Scores, WindowSet, evaluate
from a3d_edge.training.windows import plain_window, window_starts_of
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

CLASSES = ("right", "down", "still")
CONFIGURATIONS = [Configuration(1.0, 32, 4), Configuration(0.5, 24, 2), Configuration(0.5, 32, 4)]


@pytest.fixture
def windows(clip_list: Path, frame_cache: FrameCache) -> WindowSet:
    """3 views of each of the 12 real clips, in batches of 5."""
    return WindowSet(
        list_clips([clip_list]), frame_cache, Sampling(4, 2), Preprocessing(), views=3, batch_size=5
    )


def test_windows_come_in_clip_order_and_bounded_batches(windows: WindowSet) -> None:
    """36 windows of 12 clips: 7 batches of 5 and one of 1, each window as `plain_window` makes it."""
    batches = list(windows.at_size(24))
    assert [len(owners) for owners, _ in batches] == [5] * 7 + [1]
    owners = np.concatenate([owners for owners, _ in batches])
    assert owners.tolist() == [i for i in range(12) for _ in range(3)]
    together = torch.cat([clips for _, clips in batches])
    assert together.shape == (36, 3, 4, 24, 24)
    decoded = windows.cache.get(windows.clips[1])
    for place, start in enumerate(window_starts_of(decoded, windows.sampling, 3)):
        expected = plain_window(decoded, start, 24, windows.sampling, windows.preprocessing)
        np.testing.assert_array_equal(together[3 + place], expected)


def test_scores_are_sums_of_softmax_over_a_clip_s_views(tiny_network: Slow, windows: WindowSet) -> None:
    """Every configuration's sums equal those of each window run alone, by hand."""
    found = evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES)
    assert list(found) == CONFIGURATIONS
    for configuration in CONFIGURATIONS:
        summed = np.zeros((12, 3))
        for owners, clips in windows.at_size(configuration.size):
            for owner, clip in zip(owners, clips, strict=True):
                with torch.inference_mode():
                    logits = tiny_network(clip.unsqueeze(0), configuration)[0].double().numpy()
                odds = np.exp(logits - logits.max())
                summed[owner] += odds / odds.sum()
        np.testing.assert_allclose(found[configuration].summed, summed, rtol=1e-4)
        assert found[configuration].truth.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        assert found[configuration].accuracy == np.mean(summed.argmax(1) == found[configuration].truth)


def test_accuracy_and_top_k_by_hand() -> None:
    """Clips 0 and 3 are right at once, clip 1 at the second guess, clip 2 at the third."""
    summed = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]])
    scores = Scores(summed, np.array([0, 1, 2, 2]))
    assert scores.accuracy == 0.5
    assert [scores.top(k) for k in (1, 2, 3)] == [0.5, 0.75, 1.0]
    assert scores.per_class(CLASSES) == {"right": (1, 1), "down": (0, 1), "still": (1, 2)}
    assert Scores(summed[:1], np.array([0])).per_class(CLASSES) == {"right": (1, 1)}


def test_the_model_is_left_as_it_was(tiny_network: Slow, windows: WindowSet) -> None:
    """Mode and every tensor, also when a clip cannot be read in the middle."""
    tiny_network.train()
    before = {name: t.clone() for name, t in tiny_network.state_dict().items()}
    evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES)
    broken = WindowSet(
        [*windows.clips, Clip("right", Path("gone.mp4"))],
        windows.cache,
        windows.sampling,
        windows.preprocessing,
    )
    with pytest.raises(Exception, match=r"gone\.mp4"):
        evaluate(tiny_network, CONFIGURATIONS, broken, CLASSES)
    assert tiny_network.training
    assert all(torch.equal(before[name], t) for name, t in tiny_network.state_dict().items())


def test_progress_counts_configurations(tiny_network: Slow, windows: WindowSet) -> None:
    """By size, up to all of them."""
    told: list[tuple[int, int]] = []
    evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (3, 3)]


def test_each_clip_is_decoded_once(tiny_network: Slow, windows: WindowSet, tmp_path: Path) -> None:
    """However many configurations, sizes and views: one entry a clip in the cache, not written again."""
    windows = replace(windows, cache=FrameCache(tmp_path / "cache"))
    evaluate(tiny_network, CONFIGURATIONS[:1], windows, CLASSES)
    stamps = {p: p.stat().st_mtime_ns for p in windows.cache.folder.iterdir()}
    assert len(stamps) == 2 * 12
    evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES)
    assert {p: p.stat().st_mtime_ns for p in windows.cache.folder.iterdir()} == stamps


def test_a_clip_of_an_unknown_class_is_refused(tiny_network: Slow, windows: WindowSet) -> None:
    """Before anything is computed; the message names clip and class."""
    with pytest.raises(UsageError, match="class 'still' is not one of right, down"):
        evaluate(tiny_network, CONFIGURATIONS, windows, ("right", "down"))
