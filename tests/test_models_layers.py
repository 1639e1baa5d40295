"""Slimmable layers: rounding, shared weights, the two layouts, batch norm's modes, exact moments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from a3d_edge.models.batch_norm import Moments, SlimBatchNorm
from a3d_edge.models.convolutions import by_pictures
from a3d_edge.models.layers import ConvNorm, SlimConv, SlimLinear, max_pool_2d
from a3d_edge.models.slow import Slow
from a3d_edge.models.widths import Run, md8


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


Kernel = tuple[int, int, int]
TEMPORAL = [(5, 1, 1), (7, 1, 1), (5, 7, 7), (3, 3, 3), (7, 3, 1)]


def equals_conv3d(conv: SlimConv, x: Tensor, run: Run, **plain: object) -> None:
    """``conv`` of the frames ``x`` (T, C, H, W) is PyTorch's conv3d of the clip, in both layouts."""
    outputs, inputs = conv.channels_at(run.width), 1 if conv.depthwise else x.shape[1]
    weight = conv.weight[:outputs, :inputs]
    bias = None if conv.bias is None else conv.bias[:outputs]
    padding = tuple(k // 2 for k in conv.kernel)
    clip = x.transpose(0, 1).unsqueeze(0)
    expected = F.conv3d(clip, weight, bias, padding=padding, **plain)  # type: ignore[arg-type]
    torch.testing.assert_close(conv(clip, run), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(conv(x, run), expected[0].transpose(0, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 3, 6])
@pytest.mark.parametrize("kernel", TEMPORAL, ids=str)
def test_any_temporal_kernel_is_a_convolution_of_neighbouring_frames(frames: int, kernel: Kernel) -> None:
    """Kernels of 3, 5 and 7 frames, also where the window is shorter than the kernel's reach."""
    torch.manual_seed(1)
    conv = SlimConv(16, 16, kernel, 2, bias=True)
    torch.nn.init.normal_(conv.bias)
    equals_conv3d(conv, torch.randn(frames, 16, 9, 8), Run(0.5), stride=(1, 2, 2))
    equals_conv3d(conv, torch.randn(frames, 8, 9, 8), Run(), stride=(1, 2, 2))


@pytest.mark.parametrize(
    ("kernel", "step"), [(7, 4), (5, 8), (3, 4), (5, 4), (3, 2), (1, 8), (15, 8)], ids=str
)
@pytest.mark.parametrize("windows", [1, 2, 3])
def test_a_convolution_can_stride_over_time(kernel: int, step: int, windows: int) -> None:
    """By α, T / α frames come out; 7 with α = 4 and 5 with α = 8 are the published lateral convolutions."""
    torch.manual_seed(1)
    conv = SlimConv(8, 16, (kernel, 1, 1), temporal_stride=step, whole=True)
    x = torch.randn(windows * step, 8, 5, 4)
    assert len(conv(x, Run(0.5))) == windows
    equals_conv3d(conv, x, Run(0.5), stride=(step, 1, 1))
    alone = SlimConv(8, 8, (kernel, 3, 3), 2, temporal_stride=step, depthwise=True)
    equals_conv3d(alone, x, Run(), stride=(step, 2, 2), groups=8)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 3, 5])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (5, 3, 3), (5, 1, 1), (7, 3, 3), (1, 3, 3)], ids=str)
@pytest.mark.parametrize("bias", [False, True])
def test_a_depth_wise_kernel_has_an_exact_rank_4_form(
    kernel: Kernel, frames: int, stride: int, bias: bool
) -> None:
    """Whole and narrow, with spatial stride, it equals PyTorch's grouped conv3d."""
    torch.manual_seed(1)
    conv = SlimConv(24, 24, kernel, stride, depthwise=True, bias=bias)
    if conv.bias is not None:
        torch.nn.init.normal_(conv.bias)
    for width, channels in ((1.0, 24), (0.63, 16)):
        x = torch.randn(frames, channels, 7, 6)
        equals_conv3d(conv, x, Run(width), stride=(1, stride, stride), groups=channels)


def by_column(conv: SlimConv, scale: Tensor) -> None:
    """Every filter of a 1×1×1 convolution weighs input channel i by ``scale[i]``."""
    with torch.no_grad():
        conv.weight.copy_(scale.view(1, -1, 1, 1, 1).expand_as(conv.weight))


def test_the_last_inputs_always_meet_the_filters_last_columns() -> None:
    """Adaptive fusion by hand: 16 slow and 4 Fast channels whole, 8 and 4 at half width (paper Fig. 3)."""
    conv = SlimConv(20, 8, (1, 1, 1), tail=4)
    by_column(conv, torch.tensor([1.0] * 8 + [100.0] * 8 + [10_000.0] * 4))
    whole, narrow = torch.ones(1, 20, 1, 1, 1), torch.ones(1, 12, 1, 1, 1)
    assert conv(whole, Run()).flatten().tolist() == [8 + 800 + 40_000] * 8
    assert conv(narrow, Run(0.5)).flatten().tolist() == [8 + 40_000] * 8
    assert conv(narrow[:, :, 0], Run(0.5)).flatten().tolist() == [8 + 40_000] * 8  # rank 4
    each = torch.zeros(1, 12, 1, 1, 1)
    each[0, 8] = 1.0  # the first Fast channel, wherever it stands
    by_column(conv, torch.arange(20.0))
    assert conv(each, Run(0.5)).flatten().tolist() == [16.0] * 8


def test_a_layer_that_runs_whole_has_all_channels_at_any_width() -> None:
    """The Fast pathway's convolutions and batch norms; ordinary layers narrow."""
    x = torch.randn(1, 4, 2, 3, 3)
    for whole, channels in ((True, 20), (False, 8)):
        layer = ConvNorm(4, 20, (1, 1, 1), whole=whole).eval()
        assert layer.conv.channels_at(0.5) == layer.norm.channels_at(0.5) == channels
        assert layer(x, Run(0.5)).shape[1] == channels
        assert torch.equal(layer.conv(x, Run(0.5)), layer.conv(x, Run())[:, :channels])
    assert SlimConv(4, 20, (1, 1, 1)).channels_at(1.0) == 20  # md8 below full width alone
    assert SlimConv(4, 20, (1, 1, 1), whole=True).channels_at(1.0) == 20


def test_a_linear_layer_s_last_inputs_meet_its_last_columns() -> None:
    """The head of a SlowFast: 16 slow and 4 Fast features whole, 8 and 4 at half width."""
    layer = SlimLinear(20, 2, tail=4)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0] * 8 + [100.0] * 8 + [10_000.0] * 4).expand(2, 20))
        layer.bias.copy_(torch.tensor([0.0, 1.0]))
    assert layer(torch.ones(1, 20), Run()).tolist() == [[40_808.0, 40_809.0]]
    assert layer(torch.ones(1, 12), Run(0.5)).tolist() == [[40_008.0, 40_009.0]]


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
    assert norm.collected[Run(collect=True)].count == 6 * 2 * 3 * 3


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


@pytest.mark.parametrize(
    ("kernel", "stride", "frames", "side"),
    [((3, 1, 1), 1, 2, 8), ((1, 3, 3), 2, 4, 1), ((3, 3, 3), 2, 4, 1)],
    ids=str,
)
def test_bfloat16_gradients_are_right_where_the_kernel_is_longer_than_the_clip(
    kernel: tuple[int, int, int], stride: int, frames: int, side: int
) -> None:
    """Or wider than its pictures, as in res5 of 16²: its weights' gradient is float32's, time after time.

    A three-dimensional one of oneDNN gives leftovers of the memory in every second case of the first, and a
    two-dimensional one of columns two apart always in the others.
    """
    generator = torch.Generator().manual_seed(0)
    conv = SlimConv(64, 32, kernel, stride)
    for _ in range(12):
        x = torch.randn(4, 64, frames, side, side, generator=generator)
        x = x.contiguous(memory_format=torch.channels_last_3d)
        found = []
        for low in (False, True):
            junk = [torch.full((1 << 15,), 1e30) for _ in range(8)]  # what freed memory then holds
            del junk
            conv.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                y = conv(x, Run())
            y.float().square().mean().backward()
            assert conv.weight.grad is not None
            found.append(conv.weight.grad.clone())
        assert (found[0] - found[1]).abs().max() < 0.05 * found[0].abs().max()


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("kernel", [(1, 1, 1), (1, 3, 3), (3, 1, 1), (5, 3, 3), (1, 7, 7)], ids=str)
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_a_convolution_by_pictures_is_the_one_over_clips(
    kernel: tuple[int, int, int], stride: int, dilation: int, step: int
) -> None:
    """Where bfloat16 takes two-dimensional kernels, they compute what the three-dimensional one does."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, 8, 11, 13, dtype=torch.float64, generator=generator)
    weight = torch.randn(5, 6, *kernel, dtype=torch.float64, generator=generator)
    bias = torch.randn(5, dtype=torch.float64, generator=generator)
    strides, apart = (step, stride, stride), dilation
    padding = (kernel[0] // 2, kernel[1] // 2 * apart, kernel[2] // 2 * apart)
    whole = torch.nn.functional.conv3d(x, weight, bias, strides, padding, (1, apart, apart))
    torch.testing.assert_close(by_pictures(x, weight, bias, strides, padding, apart), whole)


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "stride", "frames", "side", "options"),
    [
        (3, 24, (1, 5, 5), 2, 4, 160, {}),  # three-dimensional, it is wrong on AMX
        (3, 8, (5, 5, 5), 1, 5, 112, {}),  # NaN
        (3, 8, (1, 5, 5), 1, 1, 127, {}),  # ends the process
        (64, 54, (1, 3, 3), 1, 2, 48, {}),
        (54, 64, (1, 1, 1), 1, 6, 55, {}),
        (24, 24, (3, 3, 3), 1, 4, 40, {"depthwise": True}),
    ],
)
def test_bfloat16_gradients_of_large_pictures_are_those_of_float32(
    inputs: int,
    outputs: int,
    kernel: tuple[int, int, int],
    stride: int,
    frames: int,
    side: int,
    options: dict[str, bool],
) -> None:
    """Outputs and the weights' gradients in bfloat16 are float32's within its rounding, on any processor."""
    torch.manual_seed(0)
    conv = SlimConv(inputs, outputs, kernel, stride, **options)
    x = torch.randn(2, inputs, frames, side, side).contiguous(memory_format=torch.channels_last_3d)
    found = []
    for low in (False, True):
        conv.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            y = conv(x, Run()).float()
        y.backward(torch.sin(torch.arange(y.numel(), dtype=torch.float32)).view(y.shape))
        assert conv.weight.grad is not None
        found.append((y.detach(), conv.weight.grad.clone()))
    for exact, rounded in zip(*found, strict=True):
        assert (exact - rounded).norm() < 0.02 * exact.norm()
