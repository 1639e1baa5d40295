"""Slimmable layers: rounding, shared weights, the two layouts, batch norm's modes, exact moments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from a3d_edge.models.layers import Moments, Run, SlimBatchNorm, SlimConv, SlimLinear, max_pool_2d, md8
from a3d_edge.models.slow import Slow


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [
        (0.1, 8),
        (8, 8),
        (11.9, 8),
        (12, 16),
        (12.1, 16),
        (20, 24),
        (28, 32),
        (40.3, 40),
        (44.8, 48),
        (64, 64),
        (1290, 1288),
    ],
)
def test_channels_are_rounded_to_the_nearest_multiple_of_8(channels: float, rounded: int) -> None:
    """At least 8; a tie goes up."""
    assert md8(channels) == rounded


@pytest.mark.parametrize("width", [0.5, 0.63, 0.75, 0.93, 1.0])
def test_a_convolution_runs_its_first_filters_on_the_first_channels(width: float) -> None:
    """At any width the output is that of PyTorch's convolution with the first part of the one weight."""
    torch.manual_seed(0)
    conv = SlimConv(24, 40, (3, 1, 1), stride=1)
    inputs, outputs = md8(24 * width), md8(40 * width)
    x = torch.randn(2, inputs, 4, 6, 6)
    expected = F.conv3d(x, conv.weight[:outputs, :inputs], padding=(1, 0, 0))
    torch.testing.assert_close(conv(x, Run(width)), expected)
    assert sum(p.numel() for p in conv.parameters()) == 24 * 40 * 3


def test_widths_share_weights() -> None:
    """A weight of the shared part changes every width's output; one of the rest, only the full width's."""
    conv = SlimConv(16, 32, (1, 3, 3))
    narrow, full = torch.randn(1, 8, 2, 4, 4), torch.randn(1, 16, 2, 4, 4)
    before = conv(narrow, Run(0.5)).detach(), conv(full, Run()).detach()
    with torch.no_grad():
        conv.weight[20, 12] += 1.0  # outside the narrow part
    assert torch.equal(conv(narrow, Run(0.5)), before[0])
    assert not torch.equal(conv(full, Run()), before[1])
    with torch.no_grad():
        conv.weight[3, 3] += 1.0
    assert not torch.equal(conv(narrow, Run(0.5)), before[0])


def test_a_linear_layer_uses_its_first_inputs_and_all_classes() -> None:
    """The number of classes never shrinks."""
    layer = SlimLinear(32, 5)
    x = torch.randn(3, 16)
    torch.testing.assert_close(layer(x, Run(0.5)), F.linear(x, layer.weight[:, :16], layer.bias))


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize(
    ("kernel", "stride"), [((1, 7, 7), 2), ((3, 1, 1), 1), ((1, 1, 1), 1), ((1, 1, 1), 2), ((1, 3, 3), 2)]
)
def test_both_layouts_compute_the_same(frames: int, kernel: tuple[int, int, int], stride: int) -> None:
    """(1, C, T, H, W) and (T, C, H, W): temporal kernels see neighbouring frames, zeros at the ends."""
    torch.manual_seed(1)
    conv = SlimConv(8, 16, kernel, stride)
    x = torch.randn(frames, 8, 9, 9)
    rank5 = conv(x.transpose(0, 1).unsqueeze(0), Run(0.75))
    torch.testing.assert_close(conv(x, Run(0.75)), rank5[0].transpose(0, 1), rtol=1e-5, atol=1e-5)


def test_a_temporal_convolution_sees_the_previous_this_and_the_next_frame() -> None:
    """By hand: kernel (1, 10, 100) over frames 1, 2, 3 gives previous + 10·this + 100·next."""
    conv = SlimConv(8, 8, (3, 1, 1))
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, 0, :, 0, 0] = torch.tensor([1.0, 10.0, 100.0])
    x = torch.zeros(3, 8, 1, 1)
    x[:, 0, 0, 0] = torch.tensor([1.0, 2.0, 3.0])
    assert conv(x, Run())[:, 0, 0, 0].tolist() == [210.0, 321.0, 32.0]


def test_max_pooling_is_the_same_in_both_layouts() -> None:
    """1×3×3, stride 2, no frame looks at another."""
    x = torch.randn(3, 4, 9, 9)
    rank5 = max_pool_2d(x.transpose(0, 1).unsqueeze(0))
    assert torch.equal(max_pool_2d(x), rank5[0].transpose(0, 1))
    assert max_pool_2d(x).shape == (3, 4, 5, 5)


@pytest.mark.parametrize("width", [0.5, 0.63, 0.75, 0.9, 1.0])
@pytest.mark.parametrize(("size", "frames"), [(32, 4), (37, 1), (48, 3), (71, 2)])
def test_rank_4_stages_equal_rank_5(tiny_network: Slow, width: float, size: int, frames: int) -> None:
    """Frame stage, clip stage and logits of one clip, with every weight alive: relative error below 1e-5."""
    pictures, run = torch.randn(frames, 3, size, size), Run(width)
    with torch.inference_mode():
        rank5 = tiny_network.frame_stage(pictures.transpose(0, 1).unsqueeze(0), run)
        rank4 = tiny_network.frame_stage(pictures, run)
        assert _relative(rank4, rank5[0].transpose(0, 1)) < 1e-5
        assert rank4.shape[2:] == rank5.shape[3:]
        logits = tiny_network.clip_stage(rank4, run)
        assert logits.shape == (1, 3)
        assert _relative(logits, tiny_network.clip_stage(rank5, run)) < 1e-5


def _relative(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def test_no_frame_of_the_frame_stage_looks_at_another(tiny_network: Slow) -> None:
    """Frames encoded one at a time equal frames encoded together; the clip stage does look at neighbours."""
    pictures = torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        together = tiny_network.frame_stage(pictures, Run(0.5))
        apart = torch.cat([tiny_network.frame_stage(p, Run(0.5)) for p in pictures.split(1)])
        torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-6)
        swapped = tiny_network.clip_stage(together.flip(0), Run(0.5))
        assert _relative(swapped, tiny_network.clip_stage(together, Run(0.5))) > 1e-4


@pytest.mark.parametrize("width", [0.5, 0.75])
def test_gradients_reach_only_the_slice(tiny_network: Slow, width: float) -> None:
    """A narrow run's gradient is zero outside the first channels of every layer and alive inside."""
    tiny_network.train()
    x = torch.randn(2, 3, 4, 32, 32)
    tiny_network.run(x, Run(width)).square().sum().backward()
    for name, module in tiny_network.named_modules():
        if isinstance(module, SlimConv):
            gradient = module.weight.grad
            assert gradient is not None
            outputs = md8(module.outputs * width)
            inputs = 3 if name == "stem.conv" else md8(module.weight.shape[1] * width)
            assert not gradient[outputs:].any(), name
            assert not gradient[:, inputs:].any(), name
            assert gradient[:outputs, :inputs].abs().sum() > 0, name
        elif isinstance(module, SlimBatchNorm):
            assert module.weight.grad is not None
            outputs = md8(len(module.weight) * width)
            assert not module.weight.grad[outputs:].any(), name
            assert module.weight.grad[:outputs].any(), name
    head = tiny_network.head.weight.grad
    assert head is not None
    assert not head[:, md8(256 * width) :].any()
    assert head[:, : md8(256 * width)].all(dim=0).any()


def norm_and_input(channels: int = 16) -> tuple[SlimBatchNorm, Tensor]:
    torch.manual_seed(2)
    norm = SlimBatchNorm(16)
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        tensor.uniform_(0.5, 1.5)
    return norm, torch.randn(6, channels, 2, 3, 3) * 3 + 1


@pytest.mark.parametrize("channels", [8, 16])
def test_in_training_batch_norm_uses_its_own_batch(channels: int) -> None:
    """At any width; only the full width moves the running statistics, by momentum 0.1."""
    norm, x = norm_and_input(channels)
    before = norm.running_mean.clone()
    y = norm.train()(x, Run(channels / 16))
    assert torch.allclose(y.mean((0, 2, 3, 4)), norm.bias[:channels], atol=1e-5)
    assert torch.allclose(y.var((0, 2, 3, 4), correction=0), norm.weight[:channels] ** 2, rtol=1e-3)
    moved = 0.9 * before + 0.1 * x.mean((0, 2, 3, 4)) if channels == 16 else before
    torch.testing.assert_close(norm.running_mean, moved)


def test_only_the_full_width_moves_the_running_statistics() -> None:
    """A random width may round to as many channels as there are; its smaller input must not count."""
    norm, x = norm_and_input(16)
    before = norm.running_mean.clone(), norm.running_var.clone()
    norm.train()(x, Run(0.9))  # md8(16 · 0.9) is 16
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_var, before[1])


def test_in_eval_batch_norm_uses_the_statistics_of_the_run() -> None:
    """A calibrated configuration's where the run names one, otherwise the first of the checkpoint's own."""
    norm, x = norm_and_input(8)
    norm.eval()
    mean, var = torch.randn(8), torch.rand(8) + 0.5
    norm.calibrated["w0.50-s32-t4"] = (mean, var)
    weight, bias = norm.weight[:8], norm.bias[:8]
    calibrated = F.batch_norm(x, mean, var, weight, bias, eps=1e-5)
    own = F.batch_norm(x, norm.running_mean[:8], norm.running_var[:8], weight, bias, eps=1e-5)
    assert torch.equal(norm(x, Run(0.5, "w0.50-s32-t4")), calibrated)
    assert torch.equal(norm(x, Run(0.5, "w0.50-s48-t4")), own)
    assert torch.equal(norm(x, Run(0.5)), own)


def test_collecting_normalises_by_the_batch_and_keeps_only_moments() -> None:
    """In eval mode too; neither running nor calibrated statistics change."""
    norm, x = norm_and_input()
    norm.eval()
    before = norm.running_mean.clone(), norm.running_var.clone()
    y = norm(x, Run(collect=True))
    assert torch.allclose(y.mean((0, 2, 3, 4)), norm.bias, atol=1e-5)
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_var, before[1])
    assert norm.calibrated == {}
    assert norm.collected is not None
    assert norm.collected.count == 6 * 2 * 3 * 3


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_moments_are_those_of_all_batches_together(offset: float) -> None:
    """Uneven batches give the mean and population variance of everything, even far from zero."""
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(23, 4, 5, 5)) + offset).astype(np.float32)
    moments = Moments.none(4)
    for part in np.split(values, [1, 9, 16]):
        moments = moments.add(torch.from_numpy(part))
    mean, variance = moments.mean_and_variance()
    exact = values.astype(np.float64).transpose(1, 0, 2, 3).reshape(4, -1)
    np.testing.assert_allclose(mean, exact.mean(axis=1), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axis=1), rtol=1e-4)
    assert (mean.dtype, variance.dtype) == (torch.float32, torch.float32)
