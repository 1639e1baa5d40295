"""Slimmable layers: one set of weights, run at any width, over a batch of clips or over one clip's frames.

Every layer works on two layouts, told apart by rank, so a network is written once:

- rank 5, ``(N, C, T, H, W)``: a batch of clips, for training;
- rank 4, ``(T, C, H, W)``: the frames of one clip, for export. A kt×1×1 convolution becomes a kt×1 one over
  ``(H, C, T, W)``, any other temporal one a convolution over the channel-concatenated neighbouring frames.
  Both are exact, and in ONNX Runtime much quicker than a rank-5 graph (docs/architecture.md).

Width is an argument of the call, never a state of the module: nothing has to be put back afterwards.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from a3d_edge.models.batch_norm import SlimBatchNorm
from a3d_edge.models.convolutions import (
    by_pictures,
    depthwise_over_time,
    in_bfloat16_on_cpu,
    in_float32,
    time_as_channels,
    time_as_rows,
)
from a3d_edge.models.widths import Run, channels_at, first

__all__ = [
    "ConvNorm",
    "PlainConv",
    "SlimConv",
    "SlimLinear",
    "max_pool_2d",
]


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
        bias = None if self.bias is None else first(self.bias, outputs)
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
        weight = first(self.weight, outputs)
        if self.depthwise or inputs == weight.shape[1]:
            return weight
        if not self.tail:
            return weight[:, :inputs]
        return torch.cat([weight[:, : inputs - self.tail], weight[:, -self.tail :]], dim=1)


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
