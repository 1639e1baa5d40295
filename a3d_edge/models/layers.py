"""Slimmable layers: one set of weights, run at any width, over a batch of clips or over one clip's frames.

Every layer works on two layouts, told apart by rank, so a network is written once:

- rank 5, ``(N, C, T, H, W)``: a batch of clips, for training;
- rank 4, ``(T, C, H, W)``: the frames of one clip, for export. A kt×1×1 convolution becomes a kt×1 one over
  ``(H, C, T, W)``, any other temporal one a convolution over the channel-concatenated neighbouring frames.
  Both are exact, and in ONNX Runtime much quicker than a rank-5 graph (docs/architecture.md).

Width is an argument of the call, never a state of the module: nothing has to be put back afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from a3d_edge.models.convolutions import (
    by_pictures,
    depthwise_over_time,
    in_bfloat16_on_cpu,
    in_float32,
    time_as_channels,
    time_as_rows,
)

__all__ = [
    "ConvNorm",
    "PlainConv",
    "Run",
    "SlimBatchNorm",
    "SlimConv",
    "SlimLinear",
    "channels_at",
    "max_pool_2d",
    "md8",
]


def md8(channels: float) -> int:
    """Nearest multiple of 8, at least 8: the rounding under which the paper's tables come out exactly."""
    return max(8, int(channels + 4) // 8 * 8)


def channels_at(channels: int, width: float) -> int:
    """Of a layer with so many channels, how many run at a width factor: all at 1.0, whatever their number
    (X3D's are no multiples of 8), below it md8, and never more than there are."""
    return channels if width == 1.0 else min(channels, md8(channels * width))


@dataclass(frozen=True, slots=True)
class Run:
    """How one forward pass runs: the width factor γw, and whose batch-norm statistics it uses.

    ``statistics`` is a configuration's name, or None for the checkpoint's own; ``collect`` makes every
    batch norm add its batch to what it has `SlimBatchNorm.collected` under that name (calibration).
    """

    width: float = 1.0
    statistics: str | None = None
    collect: bool = False


class SlimConv(nn.Module):
    """Convolution whose first `channels_at` γw filters over the first input channels run.

    Kernel is (kt, kh, kw), padding keeps the size, ``stride`` is spatial, ``temporal_stride`` for lateral
    connections. Takes ``(N, C, T, H, W)`` or ``(T, C, H, W)``. Source: paper §3.1 (sub-networks share the
    first part of each layer's parameters).

    - ``whole``: all filters run at any width (the Fast pathway, paper §3.2).
    - ``tail``: so many last input channels belong to the Fast pathway and are always the filters' last ones,
      whatever the width of those before them (adaptive fusion, paper Fig. 3).
    - ``depthwise``: each channel has a filter of its own (X3D).
    - ``dilation``: in space, of kernels that look at one frame: as many positions from one tap to the next.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int, int],
        stride: int = 1,
        *,
        temporal_stride: int = 1,
        tail: int = 0,
        whole: bool = False,
        depthwise: bool = False,
        bias: bool = False,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.outputs, self.dilation = kernel, stride, outputs, dilation
        self.temporal_stride, self.tail, self.whole, self.depthwise = temporal_stride, tail, whole, depthwise
        self.weight = nn.Parameter(torch.empty(outputs, 1 if depthwise else inputs, *kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def channels_at(self, width: float) -> int:
        """Output channels at a width factor."""
        return self.outputs if self.whole else channels_at(self.outputs, width)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        inputs = x.shape[1]
        outputs = inputs if self.depthwise else self.channels_at(run.width)
        weight = self._weight(outputs, inputs)
        bias = None if self.bias is None else _first(self.bias, outputs)
        kt, kh, kw = self.kernel
        groups, apart = outputs if self.depthwise else 1, self.dilation
        padding = (kh // 2 * apart, kw // 2 * apart)
        if x.dim() == 5:
            stride = (self.temporal_stride, self.stride, self.stride)
            around = (kt // 2, *padding)
            rest = (stride, around, (1, apart, apart), groups)
            if not in_bfloat16_on_cpu(x):
                return F.conv3d(x, weight, bias, *rest)
            if self.depthwise:
                return in_float32(x, weight, bias, *rest)
            return by_pictures(x, weight, bias, stride, around, apart)
        if kt == 1 and self.temporal_stride == 1:
            return F.conv2d(x, weight[:, :, 0], bias, self.stride, padding, apart, groups)
        if self.depthwise:
            return depthwise_over_time(x, weight, bias, self.stride, padding, self.temporal_stride)
        if (kh, kw, self.stride) == (1, 1, 1):
            return time_as_rows(x, weight, bias, self.temporal_stride)
        return time_as_channels(x, weight, bias, self.stride, padding, self.temporal_stride)

    def _weight(self, outputs: int, inputs: int) -> Tensor:
        weight = _first(self.weight, outputs)
        if self.depthwise or inputs == weight.shape[1]:
            return weight
        if not self.tail:
            return weight[:, :inputs]
        return torch.cat([weight[:, : inputs - self.tail], weight[:, -self.tail :]], dim=1)


class SlimBatchNorm(nn.Module):
    """Batch norm with one set of affine parameters, sliced, and statistics per configuration.

    In training mode it normalises by its own batch, whatever the width. In eval mode it uses the statistics
    named by the run, or ``running_mean``/``running_var`` (full width, kept while training at full width).
    ``whole``: it follows a convolution that runs whole at any width.

    ``tuned``: of a configuration, by how much its affine parameters differ from the shared ones, as a
    logarithm that stretches what is normalised and a shift of it, each (channels,)
    (`a3d_edge.training.tuning`). They apply where a batch's own statistics do; those that are kept have them
    folded in, so that whatever runs the network needs to know of nothing but statistics.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, channels: int, *, whole: bool = False, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__()
        self.whole, self.eps, self.momentum = whole, eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.calibrated: dict[str, tuple[Tensor, Tensor]] = {}
        self.tuned: dict[str, tuple[Tensor, Tensor]] = {}
        self.collected: dict[str | None, Moments] = {}

    def forward(self, x: Tensor, run: Run) -> Tensor:
        channels = x.shape[1]
        weight, bias = _first(self.weight, channels), _first(self.bias, channels)
        if run.collect:
            before = self.collected.get(run.statistics) or Moments.none(channels)
            self.collected[run.statistics] = before.add(x)
            weight, bias = self._tuned(run.statistics, weight, bias)
            return F.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)
        if self.training:
            # a random width may round to as many channels, and a named configuration is no full network
            own = run.width == 1.0 and run.statistics is None
            weight, bias = self._tuned(run.statistics, weight, bias)
            if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
                return self._normalised_together(x, weight, bias, own=own)
            mean, var = (self.running_mean, self.running_var) if own else (None, None)
            return F.batch_norm(
                x, mean, var, weight, bias, training=True, momentum=self.momentum, eps=self.eps
            )
        mean, var = self.statistics(run.statistics, channels)
        return F.batch_norm(x, mean.to(x), var.to(x), weight, bias, training=False, eps=self.eps)

    def _normalised_together(self, x: Tensor, weight: Tensor, bias: Tensor, *, own: bool) -> Tensor:
        """By the batch of all processes that train together, so that they are as one; the gradient too."""
        from torch.distributed.nn.functional import all_reduce  # not there where `dist` is not

        dims = [d for d in range(x.dim()) if d != 1]
        shape = [1, -1, *[1] * (x.dim() - 2)]
        values = x.float()
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean: Tensor = all_reduce(values.sum(dims)) / count  # type: ignore[no-untyped-call]
        centred = values - mean.view(shape)
        var: Tensor = all_reduce((centred * centred).sum(dims)) / count  # type: ignore[no-untyped-call]
        if own:
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * (count / max(1, count - 1)), self.momentum)
        scale = (weight * torch.rsqrt(var + self.eps)).view(shape)
        return (centred * scale + bias.view(shape)).to(x.dtype)

    def _tuned(self, name: str | None, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        if name is None or name not in self.tuned:
            return weight, bias
        stretch, shift = (each.to(weight.device) for each in self.tuned[name])
        return weight * stretch.exp(), bias + weight * shift

    def calibrate(self, name: str, moments: Moments) -> None:
        """Keep a configuration's statistics, and in them what was tuned of it.

        With weight γ and bias β, γ·eᵃ·(x − μ)/σ + β + γ·b is γ·(x − μ′)/σ′ + β where σ′ = σ·e⁻ᵃ and
        μ′ = μ − b·σ′.
        """
        mean, variance = moments.mean_and_variance()
        if name in self.tuned:
            stretch, shift = (each.detach().cpu() for each in self.tuned[name])
            scale = torch.sqrt(variance + self.eps) * torch.exp(-stretch)
            mean, variance = mean - shift * scale, (scale**2 - self.eps).clamp_min(0.0)
        self.calibrated[name] = (mean, variance)

    def channels_at(self, width: float) -> int:
        """Channels at a width factor."""
        return len(self.weight) if self.whole else channels_at(len(self.weight), width)

    def statistics(self, name: str | None, channels: int) -> tuple[Tensor, Tensor]:
        """Mean and variance, each (channels,), of a calibrated configuration, else the checkpoint's own."""
        if name is not None and name in self.calibrated:
            return self.calibrated[name]
        return _first(self.running_mean, channels), _first(self.running_var, channels)


@dataclass(frozen=True, slots=True)
class Moments:
    """Exact running sums of a batch norm's input, per channel, in double precision."""

    count: int
    total: Tensor
    squares: Tensor

    @classmethod
    def none(cls, channels: int) -> Moments:
        """Nothing seen yet."""
        zero = torch.zeros(channels, dtype=torch.float64)
        return cls(0, zero, zero)

    def add(self, x: Tensor) -> Moments:
        """With one more batch ``(N, C, …)``. The batch's mean is split off first: no cancellation."""
        dims = [d for d in range(x.dim()) if d != 1]
        count = x.numel() // x.shape[1]
        variance, mean = torch.var_mean(x.detach(), dim=dims, correction=0)
        mean64, variance64 = mean.double().cpu(), variance.double().cpu()
        return Moments(
            self.count + count,
            self.total + count * mean64,
            self.squares + count * (variance64 + mean64**2),
        )

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        """Mean and population variance over everything seen, float32."""
        mean = self.total / self.count
        return mean.float(), (self.squares / self.count - mean**2).clamp_min(0.0).float()


class SlimLinear(nn.Module):
    """Linear classifier over the first input features, all classes: ``(N, C) -> (N, classes)``.

    ``tail``: so many last features are the Fast pathway's and always meet their own weights.
    """

    def __init__(self, inputs: int, outputs: int, *, tail: int = 0) -> None:
        super().__init__()
        self.tail = tail
        self.weight = nn.Parameter(torch.empty(outputs, inputs).normal_(std=0.01))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, run: Run) -> Tensor:
        features, weight = x.shape[1], self.weight
        if weight.shape[1] == features:
            return F.linear(x, weight, self.bias)
        narrow = weight[:, : features - self.tail]
        if self.tail:
            narrow = torch.cat([narrow, weight[:, -self.tail :]], dim=1)
        return F.linear(x, narrow, self.bias)


class ConvNorm(nn.Module):
    """Convolution and its batch norm. ``options`` are those of `SlimConv`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int = 1, **options: Any
    ) -> None:
        super().__init__()
        self.conv = SlimConv(inputs, outputs, kernel, stride, **options)
        self.norm = SlimBatchNorm(outputs, whole=self.conv.whole)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        normed: Tensor = self.norm(self.conv(x, run), run)
        return normed


class PlainConv(nn.Module):
    """Convolution where others of its kind have a batch norm; its tensor is named as theirs."""

    def __init__(self, *shape: Any, **options: Any) -> None:
        super().__init__()
        self.conv = SlimConv(*shape, **options)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        found: Tensor = self.conv(x, run)
        return found


def max_pool_2d(x: Tensor) -> Tensor:
    """1×3×3 max-pooling with spatial stride 2, either layout."""
    if x.dim() == 5:
        return F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    return F.max_pool2d(x, 3, 2, 1)


def _first(vector: Tensor, channels: int) -> Tensor:
    return vector if vector.shape[0] == channels else vector[:channels]
