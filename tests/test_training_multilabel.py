"""Many labels at once in training and measuring: losses, windows of Charades, what scores are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures_bundle import CLASSES, tiny_slow
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.layers import SlimLinear
from a3d_edge.models.network import class_logits
from a3d_edge.models.slow import Slow, SlowDescription
from a3d_edge.models.widths import Run
from a3d_edge.training.augmentation import drawn_indices
from a3d_edge.training.batches import Batches
from a3d_edge.training.clips import Clip
from a3d_edge.training.decode import DecodedClip, FrameCache
from a3d_edge.training.distillation import backward
from a3d_edge.training.evaluation import Scores, WindowSet, by_configuration, evaluate
from a3d_edge.training.measure import Measuring
from a3d_edge.training.reliability import measured_fields
from a3d_edge.training.reliability_sets import calibration_error, fitted_temperature, scaled
from a3d_edge.training.windows import charades_views
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

STUDENT = Configuration(0.5, 24, 2)
PLAIN = Preprocessing()


@pytest.fixture
def network(tiny_description: SlowDescription, lively: Callable[..., Slow]) -> Slow:
    """A lively network of many labels, in training mode."""
    return lively(tiny_description.model_copy(update={"task": "multilabel"})).train()


def kl_of_two(p: Tensor, q: Tensor) -> Tensor:
    """Of outcomes that are true with probability p, to those with q."""
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()


def test_a_step_loses_binary_entropy_and_binary_divergence(network: Slow) -> None:
    """By their definitions, means over clips and classes; the teacher takes no gradient."""
    torch.manual_seed(4)
    clips, labels = torch.randn(5, 3, 4, 32, 32), (torch.rand(5, 3) < 0.5).float()
    losses = backward(network, clips, labels, [STUDENT], 0.1)
    got = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad(set_to_none=True)
    full = network.run(clips, Run())
    smooth = labels * 0.9 + 0.05
    p = full.sigmoid()
    entropy = -(smooth * p.log() + (1 - smooth) * (1 - p).log()).mean()
    student = network.run(network.fit(clips, STUDENT), Run(STUDENT.width)).sigmoid()
    divergence = kl_of_two(p.detach(), student).mean()
    (entropy + divergence).backward()
    assert losses.cross_entropy == pytest.approx(entropy.item(), rel=1e-5)
    assert losses.distillation == pytest.approx(divergence.item(), rel=1e-4)
    assert losses.accuracy == pytest.approx(((p > 0.5) == (labels > 0.5)).float().mean().item())
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad, rtol=2e-3, atol=1e-5)


def test_a_student_that_agrees_loses_nothing(network: Slow) -> None:
    """The divergence is the cross entropy less the teacher's own."""
    from a3d_edge.training.distillation import BINARY

    logits = torch.tensor([[3.0, -2.0, 0.0], [40.0, -40.0, 1.0]])
    assert BINARY.from_teacher(logits, logits).item() == pytest.approx(0.0, abs=1e-6)
    assert BINARY.from_teacher(-logits, logits).item() > 1


def test_windows_of_a_head_average_sigmoid_scores() -> None:
    """As PySlowFast's head tests Charades; one window gives just its own logits."""
    torch.manual_seed(0)
    linear = SlimLinear(6, 4)
    linear.weight.data.normal_(std=2.0)
    pooled = torch.randn(2, 6, 5)
    by_window = torch.stack([linear(pooled[:, :, i], Run()) for i in range(5)], dim=1)
    many = class_logits(pooled, linear, Run(), "softmax_windows", "multilabel")
    torch.testing.assert_close(many.sigmoid(), by_window.sigmoid().mean(dim=1), rtol=1e-5, atol=1e-6)
    one = class_logits(pooled[:, :, :1], linear, Run(), "softmax_windows", "multilabel")
    torch.testing.assert_close(one, by_window[:, 0], rtol=1e-5, atol=1e-5)


def decoded(frames: int, rate: float) -> DecodedClip:
    return DecodedClip(np.zeros((frames, 8, 12, 3), np.uint8), np.arange(frames) / rate)


@pytest.mark.parametrize(("frames", "rate", "stride"), [(600, 24.0, 10), (600, 30.0, 8), (40, 24.0, 10)])
def test_charades_views_are_pyslowfast_s(frames: int, rate: float, stride: int) -> None:
    """Ten starts from the first frame to the last, three places each; a window beyond the end holds it."""
    sampling = Sampling(8, stride, 30.0)
    views = charades_views(decoded(frames, rate), sampling, PLAIN, 30)
    apart = {24.0: 8, 30.0: 8}[rate]  # what PySlowFast calls the sampling rate, of the frames as they are
    length = (8 - 1) * apart + 1
    gap = max(frames - length, 0) / (10 - 1)
    assert len(views) == 30
    for number, view in enumerate(views):
        start = round(gap * (number // 3))
        wanted = [max(min(start + i * apart, frames - 1), 0) for i in range(8)]
        assert view.frames[:, 0].tolist() == wanted
        assert view.place == (0.0, 0.5, 1.0)[number % 3]
        assert view.slow == tuple(range(8))
    assert [v.place for v in charades_views(decoded(frames, rate), sampling, PLAIN, 10)] == [0.5] * 10
    with pytest.raises(UsageError, match="`views` 4: Charades is tested with 10 or 30"):
        charades_views(decoded(frames, rate), sampling, PLAIN, 4)


def test_the_protocol_must_fit(tmp_path: Path) -> None:
    """It is asked for by name, and has 10 or 30 views."""
    assert Measuring(views=30, protocol="charades").views_in_words == "30 views (charades)"
    with pytest.raises(UsageError, match="`views` 4: Charades is tested"):
        _ = Measuring(protocol="charades").chosen_protocol


def test_windows_learn_what_they_show(clip_list: Path, frame_cache: FrameCache) -> None:
    """Where it is known when each label is seen, a window's are those of its own seconds."""
    path = clip_list.parent / "right" / "0.mp4"
    acts = (("right", 0.0, 0.2), ("down", 0.6, 9.0))
    clip = Clip("down;right", path, many=True, acts=acts)
    sampling = Sampling(2, 2, 30.0)
    batches = Batches(
        [clip] * 24, CLASSES, frame_cache, 32, sampling, PLAIN, 24, 3, mirror=False, task="multilabel"
    )
    _, labels = batches.make(0, 0)
    assert labels.shape == (24, 3)
    expected = []
    for position in range(24):
        rng = np.random.default_rng([3, 0, position, 1])
        whole = frame_cache.get(clip)
        seconds = whole.times[drawn_indices(whole, sampling, PLAIN, rng)[:, 0]]
        expected.append([float(seconds.min() <= 0.2), float(seconds.max() >= 0.6), 0.0])
    assert labels.tolist() == expected
    assert len({tuple(row) for row in expected}) > 1
    whole_clip = replace(batches, clips=[replace(clip, acts=())] * 24).make(0, 0)[1]
    assert whole_clip.tolist() == [[1.0, 1.0, 0.0]] * 24


def test_balanced_draws_take_every_class_and_none(frame_cache: FrameCache) -> None:
    """Clips of several classes stand in for each; those of no class are a share of their own."""
    labels = ["right"] * 30 + ["down;right"] * 3 + [""] * 3
    clips = [Clip(label, None, seed=i, many=True) for i, label in enumerate(labels)]
    batches = Batches(
        clips, CLASSES, frame_cache, 32, Sampling(2, 2, 30.0), PLAIN, 12, 0, balanced=True, task="multilabel"
    )
    drawn = [clips[i].labels for i in batches.order(0)]
    assert len(drawn) == 36
    assert sum("down" in one for one in drawn) >= 12
    assert sum(not one for one in drawn) == 12


def test_scores_of_a_clip_are_the_highest_of_its_windows(
    tiny_description: SlowDescription, lively: Callable[..., Slow], clip_list: Path, frame_cache: FrameCache
) -> None:
    """Sigmoids of the same logits as ever, window by window; put together by their maximum."""
    model = lively(tiny_description)
    many = lively(tiny_description.model_copy(update={"task": "multilabel"}))
    configuration = Configuration(1.0, 32, 4)
    clips = [Clip(name, clip_list.parent / name / "0.mp4", many=True) for name in CLASSES]
    windows = WindowSet(clips, frame_cache, tiny_description.sampling, PLAIN, 3, task="multilabel")
    scores = evaluate(many, [configuration], windows, CLASSES)[configuration]
    assert scores.windows is not None
    logits = torch.cat([model(x, configuration) for _, x in windows.at_size(32)])
    apart = scores.windows.reshape(-1, 3)
    np.testing.assert_allclose(apart, logits.sigmoid().detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(scores.summed, scores.windows.max(axis=1), atol=1e-7)
    assert scores.truth.tolist() == np.eye(3).tolist()
    assert scores.is_multilabel
    paper = evaluate(many, [configuration], replace(windows, views=10, protocol="paper"), CLASSES)
    assert paper[configuration].windows is None
    assert paper[configuration].summed.max() <= 1.0


def many_scores(seed: int = 0, hot: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Windows (200, 2, 3) whose truth is drawn by their own scores, then sharpened; and that truth."""
    rng = np.random.default_rng(seed)
    logits = np.repeat(rng.normal(0.0, 2.0, (200, 1, 3)), 2, axis=1)
    truth = (rng.random((200, 3)) < 1 / (1 + np.exp(-logits[:, 0]))).astype(np.intp)
    return 1 / (1 + np.exp(-logits * hot)), truth


def binary_entropy(windows: np.ndarray, truth: np.ndarray) -> float:
    """Of windows (N, 2, 3), each of which is to tell what its clip is."""
    true = torch.tensor(np.repeat(truth[:, None], 2, 1) * 1.0)
    return F.binary_cross_entropy(torch.tensor(windows), true).item()


def test_a_temperature_cools_what_is_too_sure() -> None:
    """Logits made three times too large are brought back; the error of calibration falls."""
    windows, truth = many_scores(hot=3.0)
    found = fitted_temperature(windows, truth.astype(bool))
    assert 2.3 < found < 3.9
    cooled = scaled(windows, found)
    assert calibration_error(cooled, truth) < calibration_error(windows, truth) - 0.02
    assert binary_entropy(cooled, truth) < binary_entropy(scaled(windows, found * 1.2), truth)
    assert binary_entropy(cooled, truth) < binary_entropy(scaled(windows, found / 1.2), truth)


def test_calibration_error_by_hand() -> None:
    """Two decisions of 0.6, one of them true, two of 0.1 that are not: (2·0.1 + 2·0.1) / 4."""
    windows = np.array([[[0.6, 0.1]], [[0.6, 0.1]]])
    assert calibration_error(windows, np.array([[1, 0], [0, 0]])) == pytest.approx(0.1)


def test_a_row_s_fields_of_many_labels() -> None:
    """Mean and classes, thresholds that let 5 % of others pass, a temperature where it helps; no accuracy."""
    windows, truth = many_scores(hot=3.0)
    scores = Scores(windows.max(axis=1), truth, windows.astype(np.float32))
    fields = measured_fields(scores, CLASSES)
    assert set(fields) == {
        "mean_average_precision", "average_precision", "clips", "temperature", "calibration_error",
        "thresholds",
    }  # fmt: skip
    assert fields["mean_average_precision"] == pytest.approx(scores.quality, abs=1e-6)
    assert fields["temperature"] == pytest.approx(3.0, rel=0.3)
    warm = scaled(windows, fields["temperature"])
    for place, name in enumerate(CLASSES):
        others = warm[truth[:, place] == 0][..., place]
        assert 0.03 <= (others > fields["thresholds"][name]).mean() <= 0.05
    only_sums = measured_fields(Scores(windows.max(axis=1), truth), CLASSES)
    assert set(only_sums) == {"mean_average_precision", "average_precision", "clips"}


def test_windows_are_put_together_by_the_highest() -> None:
    """Of files of scores too: single windows and what was put together before."""
    apart = np.array([[[0.2, 0.9], [0.4, 0.1]]], np.float32)  # one configuration, two windows
    together = np.array([[0.3, 0.7]])
    truth = np.array([[0, 1], [1, 0]])
    found = by_configuration([STUDENT], {0: apart, 1: together}, truth)[STUDENT]
    np.testing.assert_allclose(found.summed, [[0.4, 0.9], [0.3, 0.7]], atol=1e-7)


def test_the_task_is_in_the_description_and_left_out_where_it_is_one_class() -> None:
    """So that checkpoints and manifests of one class are what they were."""
    plain = tiny_slow()
    assert "task" not in plain.model_dump(mode="json")
    many = plain.model_copy(update={"task": "multilabel"})
    assert many.model_dump(mode="json")["task"] == "multilabel"
    assert type(plain).model_validate(plain.model_dump()) == plain
