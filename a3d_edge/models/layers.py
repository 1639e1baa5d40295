"""Slimmable layers: one set of weights, run at any width, over a batch of clips or over one clip's frames.

Every layer works on two layouts, told apart by rank, so a network is written once:

- rank 5, ``(N, C, T, H, W)``: a batch of clips, for training;
- rank 4, ``(T, C, H, W)``: the frames of one clip, for export. A temporal convolution becomes one 1×1
  convolution over the channel-concatenated previous, this and next frame (zeros at the ends), which is
  exact and much quicker in ONNX Runtime than a rank-5 graph (DESIGN §4).

Width is an argument of the call, never a state of the module: nothing has to be put back afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Run", "SlimBatchNorm", "SlimConv", "SlimLinear", "max_pool_2d", "md8"]


def md8(channels: float) -> int:
    """Nearest multiple of 8, at least 8: the rounding under which the paper's tables come out exactly."""
    return max(8, int(channels + 4) // 8 * 8)


@dataclass(frozen=True, slots=True)
class Run:
    """How one forward pass runs: the width factor γw, and whose batch-norm statistics it uses.

    ``statistics`` is a configuration's name, or None for the checkpoint's own; ``collect`` makes every
    batch norm add its batch to `SlimBatchNorm.collected` (calibration).
    """

    width: float = 1.0
    statistics: str | None = None
    collect: bool = False


class SlimConv(nn.Module):
    """Convolution without bias whose first ``md8(out·γw)`` filters over the first input channels run.

    Kernel is (kt, kh, kw), stride is spatial, padding keeps the size. Takes ``(N, C, T, H, W)`` or
    ``(T, C, H, W)``.
    Source: paper §3.1 (sub-networks share the first part of each layer's parameters).
    """

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride, self.outputs = kernel, stride, outputs
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, run: Run) -> Tensor:
        weight: Tensor = self.weight
        outputs, inputs = md8(self.outputs * run.width), x.shape[1]
        if weight.shape[:2] != (outputs, inputs):
            weight = weight[:outputs, :inputs]
        kt, kh, kw = self.kernel
        if x.dim() == 5:
            stride = (1, self.stride, self.stride)
            return F.conv3d(x, weight, stride=stride, padding=(kt // 2, kh // 2, kw // 2))
        if kt == 1:
            return F.conv2d(x, weight[:, :, 0], stride=self.stride, padding=(kh // 2, kw // 2))
        return _temporal_as_spatial(x, weight)


def _temporal_as_spatial(x: Tensor, weight: Tensor) -> Tensor:
    """A kt×1×1 convolution over ``(T, C, H, W)`` as one 1×1 convolution over neighbouring frames."""
    outputs, inputs, kt = weight.shape[:3]
    zero = torch.zeros_like(x[:1])
    half = kt // 2
    before = [torch.cat([zero] * k + [x[:-k]]) for k in range(half, 0, -1)]
    after = [torch.cat([x[k:]] + [zero] * k) for k in range(1, half + 1)]
    neighbours = torch.cat([*before, x, *after], dim=1)
    flat = weight[:, :, :, 0, 0].permute(0, 2, 1).reshape(outputs, kt * inputs, 1, 1)
    return F.conv2d(neighbours, flat)


class SlimBatchNorm(nn.Module):
    """Batch norm with one set of affine parameters, sliced, and statistics per configuration.

    In training mode it normalises by its own batch, whatever the width. In eval mode it uses the statistics
    named by the run, or ``running_mean``/``running_var`` (full width, kept while training at full width).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.calibrated: dict[str, tuple[Tensor, Tensor]] = {}
        self.collected: Moments | None = None

    def forward(self, x: Tensor, run: Run) -> Tensor:
        channels = x.shape[1]
        weight, bias = _first(self.weight, channels), _first(self.bias, channels)
        if run.collect:
            self.collected = (self.collected or Moments.none(channels)).add(x)
            return F.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)
        if self.training:
            own = run.width == 1.0  # a random width may round to as many channels
            mean, var = (self.running_mean, self.running_var) if own else (None, None)
            return F.batch_norm(
                x, mean, var, weight, bias, training=True, momentum=self.momentum, eps=self.eps
            )
        mean, var = self.statistics(run.statistics, channels)
        return F.batch_norm(x, mean.to(x), var.to(x), weight, bias, training=False, eps=self.eps)

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
    """Linear classifier over the first input features, all classes: ``(N, C) -> (N, classes)``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs).normal_(std=0.01))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, run: Run) -> Tensor:
        features = x.shape[1]
        weight = self.weight if self.weight.shape[1] == features else self.weight[:, :features]
        return F.linear(x, weight, self.bias)


def max_pool_2d(x: Tensor) -> Tensor:
    """1×3×3 max-pooling with spatial stride 2, either layout."""
    if x.dim() == 5:
        return F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    return F.max_pool2d(x, 3, 2, 1)


def _first(vector: Tensor, channels: int) -> Tensor:
    return vector if vector.shape[0] == channels else vector[:channels]
