"""What all families share: bringing clips to a configuration, pooling, and what the head makes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from a3d_edge.errors import UsageError
from a3d_edge.models.layers import SlimLinear
from a3d_edge.models.network import class_logits, fit_pathway, pool
from a3d_edge.models.widths import Run

HEADS = ("global", "windows", "softmax_windows")


@pytest.fixture
def clips() -> Tensor:
    torch.manual_seed(3)
    return torch.randn(2, 3, 4, 32, 32)


@pytest.fixture
def linear() -> SlimLinear:
    """16 slow and 4 Fast features to 5 classes, confident enough for softmax to bend."""
    torch.manual_seed(4)
    layer = SlimLinear(20, 5, tail=4)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    return layer


def features(height: int, width: int | None = None, channels: int = 16) -> tuple[Tensor, Tensor]:
    """Last features of two pathways: (2, 16, 3, h, w) and (2, 4, 6, h, w)."""
    torch.manual_seed(5)
    w = width or height
    return torch.randn(2, channels, 3, height, w) * 2, torch.randn(2, 4, 6, height, w) * 2


def logits_by_window(both: tuple[Tensor, Tensor], linear: SlimLinear) -> Tensor:
    """(N, windows, classes) by loops: every 7×7 window over all frames, then the linear layer."""
    h, w = both[0].shape[3:]
    rows = []
    for i in range(max(1, h - 6)):
        for j in range(max(1, w - 6)):
            means = [x[..., i : i + 7, j : j + 7].mean(dim=(2, 3, 4)) for x in both]
            rows.append(F.linear(torch.cat(means, dim=1), linear.weight, linear.bias))
    return torch.stack(rows, dim=1)


def logits_of(both: tuple[Tensor, ...], linear: SlimLinear, head: str, width: float = 1.0) -> Tensor:
    return class_logits(pool(both, head), linear, Run(width), head)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [3, 7, 8])
def test_the_global_head_averages_everything(size: int, linear: SlimLinear) -> None:
    """Time and all positions of each pathway by itself, joined slow first."""
    both = features(size)
    assert pool(both, "global").shape == (2, 20, 1)
    expected = F.linear(torch.cat([x.mean(dim=(2, 3, 4)) for x in both], 1), linear.weight, linear.bias)
    torch.testing.assert_close(logits_of(both, linear, "global"), expected)


@pytest.mark.parametrize(("height", "width", "windows"), [(8, 8, 4), (9, 7, 3), (10, 12, 24)])
def test_the_windows_head_averages_the_windows_logits(
    height: int, width: int, windows: int, linear: SlimLinear
) -> None:
    """At 256² the features are 8×8: four windows, as pytorchvideo pools."""
    both = features(height, width)
    assert pool(both, "windows").shape == (2, 20, windows)
    expected = logits_by_window(both, linear)
    assert expected.shape[1] == windows
    torch.testing.assert_close(logits_of(both, linear, "windows"), expected.mean(dim=1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 7), (10, 12)])
def test_the_softmax_head_s_scores_are_the_mean_of_the_windows_scores(
    height: int, width: int, linear: SlimLinear
) -> None:
    """Softmax of the logits is PySlowFast's mean of softmaxes, and not the softmax of the mean logits."""
    both = features(height, width)
    scores = logits_of(both, linear, "softmax_windows").softmax(dim=1)
    expected = logits_by_window(both, linear)
    torch.testing.assert_close(scores, expected.softmax(dim=2).mean(dim=1), rtol=1e-5, atol=1e-7)
    assert not torch.allclose(scores, expected.mean(dim=1).softmax(dim=1), rtol=1e-2)


def test_a_very_sure_softmax_head_stays_finite(linear: SlimLinear) -> None:
    """Scores that round to 0 still have a logit: nothing is minus infinity."""
    both = tuple(x * 500 for x in features(8))
    logits, scores = logits_of(both, linear, "softmax_windows"), logits_by_window(both, linear).softmax(dim=2)
    assert (scores.mean(dim=1) == 0).any()
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits.softmax(dim=1), scores.mean(dim=1), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("height", "width"), [(7, 7), (5, 5), (4, 6), (1, 1)])
def test_one_window_gives_its_own_logits(head: str, height: int, width: int, linear: SlimLinear) -> None:
    """7×7 features, or fewer as of 142² (5×5): then all heads are the same."""
    both = features(height, width)
    expected = logits_by_window(both, linear)[:, 0]
    torch.testing.assert_close(logits_of(both, linear, head), expected, rtol=1e-6, atol=2e-6)


def test_windows_that_agree_give_their_own_logits(linear: SlimLinear) -> None:
    """Also the softmax head: the same features everywhere are no weaker an answer than once."""
    one = features(1)
    everywhere = tuple(x.expand(*x.shape[:3], 9, 9) for x in one)
    expected = logits_of(one, linear, "global")
    for head in HEADS:
        torch.testing.assert_close(logits_of(everywhere, linear, head), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size", [4, 7, 9])
def test_pooling_is_the_same_in_both_layouts(head: str, size: int, linear: SlimLinear) -> None:
    """(1, C, T, h, w) and (T, C, h, w)."""
    rank5 = tuple(x[:1] for x in features(size))
    rank4 = tuple(x[0].transpose(0, 1) for x in rank5)
    with torch.no_grad():
        expected = logits_of(rank5, linear, head)
        assert expected.shape == (1, 5)
        torch.testing.assert_close(logits_of(rank4, linear, head), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_a_narrow_slow_pathway_keeps_the_fast_one_s_weights(head: str, linear: SlimLinear) -> None:
    """8 of 16 slow features: their first columns, and the last four for Fast, at every window."""
    slow, fast = features(8)
    zeroed = torch.cat([slow[:, :8], torch.zeros_like(slow[:, 8:])], dim=1)
    narrow = logits_of((slow[:, :8], fast), linear, head, 0.5)
    torch.testing.assert_close(narrow, logits_of((zeroed, fast), linear, head), rtol=1e-5, atol=1e-5)


def test_a_clip_that_fits_is_used_as_it_is(clips: Tensor) -> None:
    """No copy, so that what the exporter and the runtime prepare is exactly what the network eats."""
    assert fit_pathway(clips, 4, 32) is clips


def test_frames_are_picked_and_each_is_resized_alone(clips: Tensor) -> None:
    """Frames 0 and 2 of 4; each as PyTorch's anti-aliased bilinear resize of that picture."""
    fitted = fit_pathway(clips, 2, 20)
    assert fitted.shape == (2, 3, 2, 20, 20)
    for place, frame in enumerate((0, 2)):
        alone = F.interpolate(clips[:, :, frame], size=(20, 20), mode="bilinear", antialias=True)
        torch.testing.assert_close(fitted[:, :, place], alone)
    even = fit_pathway(torch.full((1, 3, 2, 32, 32), 0.7), 2, 17)
    np.testing.assert_allclose(even, 0.7, rtol=1e-6)


def test_a_clip_is_never_made_longer(clips: Tensor) -> None:
    """Frames are picked, never invented."""
    with pytest.raises(UsageError, match="6 frames cannot be picked from a window of 4"):
        fit_pathway(clips, 6, 32)
