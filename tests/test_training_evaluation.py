"""Accuracy of configurations: clip scores against sums worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from a3d_edge.configuration import Configuration
from a3d_edge.errors import DataWarning, SourceError, UsageError
from a3d_edge.models.network import SlimNetwork
from a3d_edge.models.slow import Slow
from a3d_edge.models.slowfast import SlowFastDescription
from a3d_edge.training import evaluation
from a3d_edge.training.clips import Clip, list_clips
from a3d_edge.training.decode import DecodedClip, FrameCache
from a3d_edge.training.evaluation import Scores, WindowSet, evaluate
from a3d_edge.training.windows import paper_views, plain_window, view_window, window_starts_of
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

CLASSES = ("right", "down", "still")
CONFIGURATIONS = [Configuration(1.0, 32, 4), Configuration(0.5, 24, 2), Configuration(0.5, 32, 4)]


@dataclass
class CountingCache(FrameCache):
    """Clips from memory; every time one is asked for is noted."""

    clips: dict[Clip, DecodedClip]
    asked: list[Clip] = field(default_factory=list)

    def get(self, clip: Clip) -> DecodedClip:
        self.asked.append(clip)
        return self.clips[clip]


def softmax(logits: torch.Tensor) -> np.ndarray:
    """In double precision, of one row of logits."""
    odds = np.exp(logits.double().numpy() - float(logits.max()))
    return odds / odds.sum()


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
        (expected,) = plain_window(decoded, start, 24, windows.sampling, windows.preprocessing)
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
                    logits = tiny_network(clip.unsqueeze(0), configuration)[0]
                summed[owner] += softmax(logits)
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
    with pytest.warns(DataWarning, match=r"gone\.mp4"):
        evaluate(tiny_network, CONFIGURATIONS, broken, CLASSES)
    assert tiny_network.training
    assert all(torch.equal(before[name], t) for name, t in tiny_network.state_dict().items())


def test_progress_counts_clips(tiny_network: Slow, windows: WindowSet) -> None:
    """One after the other, up to all of them."""
    told: list[tuple[int, int]] = []
    evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES, lambda done, total: told.append((done, total)))
    assert told == [(i, 12) for i in range(1, 13)]


def test_each_clip_is_decoded_and_prepared_once(
    tiny_network: Slow, windows: WindowSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many configurations and views: asked for once, in order; a window is prepared once per size."""
    cache = CountingCache({clip: windows.cache.get(clip) for clip in windows.clips})
    prepared: list[int] = []

    def counted(clip: DecodedClip, view: object, size: int, *rest: object) -> object:
        prepared.append(size)
        return view_window(clip, view, size, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "view_window", counted)
    evaluate(tiny_network, CONFIGURATIONS, replace(windows, cache=cache), CLASSES)
    assert cache.asked == list(windows.clips)
    assert prepared == [24, 24, 24, 32, 32, 32] * 12


def test_few_values_are_held_at_once(
    tiny_network: Slow, windows: WindowSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of windows with 3·4·24² values, 2 fit into 2.5 times as many, and of 32² one alone is more: the scores
    are the same."""
    expected = evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES)
    monkeypatch.setattr(evaluation, "HELD_VALUES", int(2.5 * 3 * 4 * 24**2))
    decoded = windows.cache.get(windows.clips[0])
    assert [len(clips) for clips in windows.of_clip(decoded, 24)] == [2, 1]
    assert [len(clips) for clips in windows.of_clip(decoded, 32)] == [1, 1, 1]
    found = evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES)
    for configuration in CONFIGURATIONS:
        np.testing.assert_allclose(found[configuration].summed, expected[configuration].summed, rtol=1e-5)


@pytest.mark.parametrize("views", [1, 10, 30])
def test_the_paper_s_views_are_averaged_one_by_one(
    tiny_network: Slow, windows: WindowSet, views: int
) -> None:
    """The mean of the softmax scores of every view, each run alone; the three places differ."""
    some = replace(windows, clips=windows.clips[3:4], views=views, protocol="paper")
    found = evaluate(tiny_network, CONFIGURATIONS[:2], some, CLASSES)
    for configuration in CONFIGURATIONS[:2]:
        for number, clip in enumerate(some.clips):
            decoded = some.cache.get(clip)
            each = []
            for view in paper_views(decoded, some.sampling, some.preprocessing, views):
                (one,) = view_window(decoded, view, configuration.size, some.sampling, some.preprocessing)
                with torch.inference_mode():
                    each.append(softmax(tiny_network(torch.from_numpy(one)[None], configuration)[0]))
            assert len(each) == views
            assert views < 30 or (each[0] != each[2]).any()
            np.testing.assert_allclose(
                found[configuration].summed[number] / views, np.mean(each, axis=0), rtol=1e-4
            )


def test_two_pathways_are_evaluated(lively: Callable[..., SlimNetwork], windows: WindowSet) -> None:
    """A SlowFast gets [slow, fast], each prepared at its own side; the Fast one stays whole."""
    description = SlowFastDescription(
        name="tiny", blocks=(1, 1, 1, 1), base_width=16, classes=3, size=40, frames=2, stride=8, alpha=4,
        dropout=0.0,
    )  # fmt: skip
    model = lively(description)
    two = replace(windows, sampling=description.sampling, clips=windows.clips[:2], views=2)
    ((owners, clips),) = list(two.at_size(32))
    assert owners.tolist() == [0, 0, 1, 1]
    assert [tuple(pathway.shape) for pathway in clips] == [(4, 3, 2, 32, 32), (4, 3, 8, 40, 40)]
    configuration = Configuration(0.5, 32, 1)
    found = evaluate(model, [configuration], two, CLASSES)[configuration]
    for number in range(2):
        each = [clips[0][2 * number : 2 * number + 2, :, :1], clips[1][2 * number : 2 * number + 2]]
        with torch.inference_mode():
            logits = model(each, configuration)
        np.testing.assert_allclose(found.summed[number], sum(map(softmax, logits)), rtol=1e-4)


def test_top_k_of_fewer_classes_is_everything() -> None:
    """k is clipped to the class count; of equal scores the first class comes first, as in top-1."""
    scores = Scores(np.array([[0.2, 0.4, 0.4], [0.2, 0.4, 0.4]]), np.array([0, 2]))
    assert [scores.top(k) for k in (1, 2, 3, 5)] == [0.0, 0.5, 1.0, 1.0]
    assert scores.top(1) == scores.accuracy


def test_a_clip_of_an_unknown_class_is_refused(tiny_network: Slow, windows: WindowSet) -> None:
    """Before anything is computed; the message names clip and class."""
    with pytest.raises(UsageError, match="class 'still' is not one of right, down"):
        evaluate(tiny_network, CONFIGURATIONS, windows, ("right", "down"))


def test_clips_that_cannot_be_read_are_left_out_and_named(
    tiny_network: Slow, windows: WindowSet, tmp_path: Path
) -> None:
    """Accuracy is of the others, one warning names all that are missing; with none left it is an error."""
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "worse.mp4").write_bytes(b"")
    bad = [Clip("down", tmp_path / "bad.mp4"), Clip("still", tmp_path / "worse.mp4")]
    some = list(windows.clips[:3])
    expected = evaluate(tiny_network, CONFIGURATIONS, replace(windows, clips=some), CLASSES)
    mixed = [bad[0], *some, bad[1]]
    with pytest.warns(DataWarning, match=r"2 of 5 clips are left out: .*bad\.mp4.*; .*worse\.mp4"):
        found = evaluate(tiny_network, CONFIGURATIONS, replace(windows, clips=mixed), CLASSES)
    for configuration in CONFIGURATIONS:
        np.testing.assert_array_equal(found[configuration].summed, expected[configuration].summed)
        np.testing.assert_array_equal(found[configuration].truth, expected[configuration].truth)
    with pytest.raises(SourceError, match="none of the 2 clips can be read"):
        evaluate(tiny_network, CONFIGURATIONS, replace(windows, clips=bad), CLASSES)
