"""How a convolution over clips is computed where the plain rank-5 one is not: exact forms of the same sums.

Over one clip's frames, rank 4, for export; and in bfloat16 on processors, whose rank-5 kernels are wrong.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "by_pictures",
    "depthwise_over_time",
    "in_bfloat16_on_cpu",
    "in_float32",
    "time_as_channels",
    "time_as_rows",
]


def in_bfloat16_on_cpu(x: Tensor) -> bool:
    """Whether a convolution of it runs in bfloat16 on a processor."""
    return x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def in_float32(x: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any) -> Tensor:
    """A depth-wise convolution, whose bfloat16 form takes three times as long (torch 2.13, AMX)."""
    with torch.autocast("cpu", enabled=False):
        found: Tensor = F.conv3d(x.float(), weight, bias, *rest)
    return found.to(x.dtype)


def by_pictures(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int, int],
    padding: tuple[int, int, int],
    apart: int,
) -> Tensor:
    """A convolution over ``(N, C, T, H, W)`` by two-dimensional ones alone, views in channel-last memory.

    ``stride`` and ``padding`` are of time, rows and columns, ``apart`` the dilation in space.

    oneDNN's three-dimensional bfloat16 gradients are wrong, NaN, or the end of the process on AMX where
    pictures are large, and without AMX where a kernel is longer than the clip (torch 2.13); its
    two-dimensional ones are right, but where columns of a picture that has one are taken two apart.
    """
    kt, kh, kw = weight.shape[2:]
    if x.shape[-1] == 1 and kw == 2 * padding[2] + 1:  # one column at any stride
        stride = (*stride[:2], 1)
    if (kh, kw, *stride[1:]) == (1, 1, 1, 1):  # pixels in a row, time in the other direction
        found = F.conv2d(x.flatten(3), weight[..., 0], bias, (stride[0], 1), (padding[0], 0))
        return found.view(*found.shape[:3], *x.shape[3:])
    if (kt, stride[0]) != (1, 1):
        x = F.pad(x, (0, 0, 0, 0, padding[0], padding[0]))
        last = x.shape[2] - kt + 1
        x = torch.cat([x[:, :, k : k + last : stride[0]] for k in range(kt)], dim=1)
        weight = weight.transpose(1, 2).flatten(1, 2).unsqueeze(2)
    clips, frames = x.shape[0], x.transpose(1, 2).flatten(0, 1)
    found = F.conv2d(frames, weight[:, :, 0], bias, stride[1:], padding[1:], apart)
    return found.view(clips, -1, *found.shape[1:]).transpose(1, 2)


def time_as_rows(x: Tensor, weight: Tensor, bias: Tensor | None, step: int) -> Tensor:
    """A kt×1×1 convolution over ``(T, C, H, W)`` as a kt×1 one over ``(H, C, T, W)``: time where rows were.

    In channel-last memory either exchange of T and H moves whole rows of W·C numbers.
    """
    rows = x.permute(2, 1, 0, 3)
    found = F.conv2d(rows, weight[..., 0], bias, (step, 1), (weight.shape[2] // 2, 0))
    return found.permute(2, 1, 0, 3)


def time_as_channels(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: tuple[int, int], step: int
) -> Tensor:
    """A kt×kh×kw convolution over ``(T, C, H, W)`` as one kh×kw convolution over neighbouring frames."""
    outputs, inputs, kt = weight.shape[:3]
    neighbours = torch.cat([_shifted(x, k - kt // 2, step) for k in range(kt)], dim=1)
    flat = weight.permute(0, 2, 1, 3, 4).reshape(outputs, kt * inputs, *weight.shape[3:])
    return F.conv2d(neighbours, flat, bias, stride, padding)


def depthwise_over_time(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: tuple[int, int], step: int
) -> Tensor:
    """A depth-wise kt×kh×kw convolution over ``(T, C, H, W)``: one depth-wise kh×kw convolution per time tap,
    each frame by itself, the taps' results shifted in time and added. Exact, for every tap is linear."""
    channels, _, kt = weight.shape[:3]
    taps = [F.conv2d(x, weight[:, :, k], None, stride, padding, groups=channels) for k in range(kt)]
    middle = _shifted(taps[kt // 2], 0, step)
    total = middle if bias is None else middle + bias[:, None, None]
    for k in (k for k in range(kt) if k != kt // 2):
        total = total + _shifted(taps[k], k - kt // 2, step)
    return total


def _shifted(x: Tensor, by: int, step: int = 1) -> Tensor:
    """Frames ``by``, ``by + step``, … of ``(T, C, H, W)``, zeros outside: T / step of them.

    A step is larger than ``by``, and divides T.
    """
    if by == 0:
        return x if step == 1 else x[::step]
    zeros = [torch.zeros_like(x[:1])] * abs(by)
    if step > 1:
        return x[by::step] if by > 0 else torch.cat([zeros[0], x[step + by : by : step]])
    if abs(by) == 1:
        return torch.cat([x[1:], *zeros] if by > 0 else [*zeros, x[:-1]])
    # Also right where there are fewer frames than the shift.
    return torch.cat([x, *zeros])[by:] if by > 0 else torch.cat([*zeros, x])[:by]
