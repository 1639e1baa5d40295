"""Class activation: the parts add up to the logit, and are what the head makes of each position."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from fixtures_bundle import CONFIGURATIONS, calibrated_checkpoint

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.activation import class_activation
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription
from a3d_edge.models.widths import Run
from a3d_edge.models.x3d import X3DDescription

if TYPE_CHECKING:
    from a3d_edge.models.network import SlimNetwork

Lively = Callable[..., Any]


@pytest.fixture(scope="module")
def calibrated() -> SlimNetwork:
    """A tiny Slow network whose configurations all have statistics of their own."""
    return calibrated_checkpoint().model


def window(frames: int, size: int, seed: int = 3) -> Any:
    """One window ``(1, 3, T, S, S)`` of noise."""
    return torch.randn(1, 3, frames, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_the_parts_add_up_to_the_logit(calibrated: SlimNetwork, configuration: Configuration) -> None:
    """Mean contribution and the head's own bias are the logit that the network gives."""
    clips = window(4, configuration.size)
    with torch.inference_mode():
        logits = calibrated(clips, configuration)[0]
    for label in range(3):
        found = class_activation(calibrated, clips, configuration, label)
        assert found.frames.shape[0] == configuration.frames
        assert found.fast == 0.0
        assert found.logit == pytest.approx(float(logits[label]), abs=1e-5)
        assert found.bias == pytest.approx(calibrated.head.bias[label].item(), abs=1e-5)
        assert found.frames.mean() + found.bias == pytest.approx(found.logit, abs=1e-9)
        assert found.shares.sum() + found.bias == pytest.approx(found.logit, abs=1e-9)
        assert found.scores == pytest.approx(logits.softmax(0).numpy(), abs=1e-5)


def test_it_is_the_heads_weights_times_the_last_features(calibrated: SlimNetwork) -> None:
    """As Zhou et al. define it: for a narrow network the weights of the channels that run."""
    configuration = Configuration.parse("w0.50-s32-t2")
    clips = window(4, 32)
    with torch.inference_mode():
        (features,) = calibrated.features(clips[:, :, [0, 2]], Run(0.5, str(configuration)))
    weights = calibrated.head.weight.detach()[1, : features.shape[1]]
    by_hand = torch.einsum("c,cthw->thw", weights, features[0])
    found = class_activation(calibrated, clips, configuration, 1)
    assert found.frames == pytest.approx(by_hand.numpy(), abs=1e-5)


def test_two_pathways_are_told_apart(lively: Lively) -> None:
    """The slow pathway's positions, what the Fast pathway adds, and the bias: together the logit."""
    model = lively(
        SlowFastDescription(
            name="tiny", blocks=(1, 1, 1, 1), base_width=8, alpha=4, beta_inv=2, frames=2, stride=4,
            classes=3, size=32, fusion_kernel=3, dropout=0.0,
        )
    )  # fmt: skip
    configuration = Configuration(0.5, 40, 1)
    slow, fast = window(2, 40), window(8, 40, seed=4)
    found = class_activation(model, [slow, fast], configuration, 2)
    with torch.inference_mode():
        features = model.features([slow[:, :, :1], fast], Run(0.5, str(configuration)))
        logits = model([slow, fast], configuration)[0]
    weights = model.head.weight.detach()[2]
    own = torch.einsum("c,cthw->thw", weights[: features[0].shape[1]], features[0][0])
    other = weights[-features[1].shape[1] :] @ features[1][0].mean(dim=(1, 2, 3))
    assert found.frames == pytest.approx(own.numpy(), abs=1e-4)
    assert found.fast == pytest.approx(float(other), abs=1e-4)
    assert found.bias == pytest.approx(model.head.bias[2].item(), abs=1e-4)
    assert found.frames.mean() + found.fast + found.bias == pytest.approx(float(logits[2]), abs=1e-4)


def large(head: str) -> SlowDescription:
    """A tiny network with an imported head; at 256² it pools four windows of 7×7 out of 8×8 positions."""
    return SlowDescription(
        name="tiny", blocks=(1, 1, 1, 1), base_width=8, classes=3, frames=1, dropout=0.0, head=head
    )


def test_a_head_of_windows_counts_inner_positions_more(lively: Lively) -> None:
    """A position in all four windows weighs four times one in a corner, and the bias stays the head's own."""
    model, configuration = lively(large("windows")), Configuration(1.0, 256, 1)
    clips = window(1, 256)
    found = class_activation(model, clips, configuration, 0)
    with torch.inference_mode():
        (features,) = model.features(clips, Run())
    side = np.array([1, 2, 2, 2, 2, 2, 2, 1])
    windows = np.outer(side, side)
    plain = torch.einsum("c,chw->hw", model.head.weight.detach()[0], features[0, :, 0]).numpy()
    assert found.frames[0] == pytest.approx(plain * windows * 64 / (4 * 49), abs=1e-4)
    assert found.bias == pytest.approx(model.head.bias[0].item(), abs=1e-4)


def test_a_head_of_averaged_scores_still_adds_up(lively: Lively) -> None:
    """Its logit is no sum over positions: what the linear part leaves over is in the bias."""
    model, configuration = lively(large("softmax_windows")), Configuration(1.0, 256, 1)
    clips = window(1, 256)
    found = class_activation(model, clips, configuration, 0)
    with torch.inference_mode():
        logits = model(clips, configuration)[0]
    assert found.frames.mean() + found.bias == pytest.approx(float(logits[0]), abs=1e-4)
    assert found.scores == pytest.approx(logits.softmax(0).numpy(), abs=1e-5)


def test_it_leaves_the_network_as_it_was(calibrated: SlimNetwork) -> None:
    """No gradient stays behind; and whoever calls it may be in inference mode."""
    configuration, clips = Configuration.parse("w0.50-s32-t4"), window(4, 32)
    found = class_activation(calibrated, clips, configuration, 0)
    with torch.inference_mode():
        again = class_activation(calibrated, clips, configuration, 0)
    assert np.array_equal(found.frames, again.frames)
    assert all(parameter.grad is None for parameter in calibrated.parameters())


def test_one_window_at_a_time(calibrated: SlimNetwork) -> None:
    """A batch is refused in one line."""
    two = torch.cat([window(4, 32), window(4, 32)])
    with pytest.raises(UsageError, match=r"^class activation looks at one window at a time; got 2$"):
        class_activation(calibrated, two, CONFIGURATIONS[1], 0)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_class_the_network_lacks(calibrated: SlimNetwork, label: int) -> None:
    """Refused, negative numbers too."""
    with pytest.raises(UsageError, match=f"^class {label} is not one of the network's 3; count from 0$"):
        class_activation(calibrated, window(4, 32), CONFIGURATIONS[1], label)


def test_a_network_with_a_layer_between_pooling_and_classifier() -> None:
    """X3D's extra layer has no bias, so that its contributions and the head's bias still sum to the logit."""
    torch.manual_seed(0)
    model = (
        X3DDescription(
            name="tiny", blocks=(1, 1, 1, 1), base_width=8, features=16, classes=3, size=64, frames=4
        )
        .build()
        .eval()
    )
    model.head.weight.data.normal_(std=0.3)
    model.head.bias.data.uniform_(-1, 1)
    found = class_activation(model, window(4, 64), Configuration(0.5, 64, 2), 1)
    assert found.frames.shape == (2, 2, 2)
    assert found.bias == pytest.approx(float(model.head.bias[1].detach()), abs=1e-5)
    assert found.frames.mean() + found.bias == pytest.approx(found.logit, abs=1e-5)
