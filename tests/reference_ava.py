"""PySlowFast's network for AVA in plain ``nn.Conv3d``, and its head with RoIAlign in loops.

Written from the published definitions and from nothing of ours, as `reference_networks` is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from reference_networks import Plan, PySlowFast
from torch import Tensor, nn

Array = NDArray[np.float64]


def for_ava(plan: Plan) -> PySlowFast:
    """PySlowFast's network with ``SPATIAL_STRIDES`` 1, ``SPATIAL_DILATIONS`` 2 in res5, and lively norms."""
    torch.manual_seed(0)
    model = dilated(PySlowFast(plan)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            for tensor, low in ((module.weight, 0.5), (module.bias, -0.2), (module.running_mean, -0.2)):
                assert tensor is not None
                tensor.data.uniform_(low, low + 0.6)
            assert module.running_var is not None
            module.running_var.uniform_(0.5, 1.5)
    return model


def dilated(model: PySlowFast) -> PySlowFast:
    """Its res5 keeps res4's positions."""
    for block in model.s5.children():
        b: Any = block.branch2.b
        b.stride, b.dilation, b.padding = (1, 1, 1), (1, 2, 2), (0, 2, 2)
        if hasattr(block, "branch1"):
            block.branch1.stride = (1, 1, 1)
    return model


def narrowed(model: PySlowFast, base: int) -> PySlowFast:
    """A Slow of so many channels after the stem that has the first part of every tensor of a wider one."""
    plan = model.plan
    narrow = dilated(PySlowFast(Plan(plan.blocks, base, plan.classes, plan.frames))).eval()
    wide = model.state_dict()
    narrow.load_state_dict(
        {
            name: wide[name][tuple(slice(n) for n in tensor.shape)]
            for name, tensor in narrow.state_dict().items()
        }
    )
    return narrow


def scored(model: PySlowFast, clips: Sequence[Tensor], boxes: Tensor, owners: Sequence[int]) -> Tensor:
    """Its logits ``(K, classes)``: mean over time, RoIAlign, maximum, projection."""
    joined = []
    for features in model.features(clips):
        means = features.mean(dim=2).double().numpy()
        bins = [by_definition(means[o], box) for o, box in zip(owners, boxes.double().numpy(), strict=True)]
        joined.append(np.stack(bins).max(axis=(2, 3)))
    pooled = torch.from_numpy(np.concatenate(joined, axis=1)).float()
    logits: Tensor = model.head.projection(pooled)
    return logits


def some_people(side: int) -> tuple[Tensor, list[int]]:
    """Boxes ``(6, 4)`` and which of two clips each is in: all, of one pixel, at the borders, within."""
    shares = [[0.41, 0.0, 0.42, 1.0], [0.0, 0.3125, 0.2, 1.0], [0.14, 0.075, 0.635, 0.925]]
    odd = [[0, 0, side, side], [0, 0, 1, 1], [side - 1, side - 1, side, side]]
    boxes = torch.cat([torch.tensor(odd, dtype=torch.float32), torch.tensor(shares) * side])
    boxes[3, 2] = boxes[3, 0] + 1
    return boxes, [0, 1, 0, 1, 1, 0]


def by_definition(features: Array, box: Array, scale: float = 1 / 16, bins: int = 7) -> Array:
    """RoIAlign of one box ``(4,)`` over ``(C, h, w)``, sample by sample (aligned, adaptive sampling)."""
    channels = len(features)
    x1, y1, x2, y2 = box * scale - 0.5
    high, wide = (y2 - y1) / bins, (x2 - x1) / bins
    down, across = math.ceil(high), math.ceil(wide)
    out = np.zeros((channels, bins, bins))
    for i in range(bins):
        for j in range(bins):
            for a in range(down):
                for b in range(across):
                    y, x = y1 + (i + (a + 0.5) / down) * high, x1 + (j + (b + 0.5) / across) * wide
                    out[:, i, j] += bilinear(features, y, x)
            out[:, i, j] /= max(down * across, 1)
    return out


def bilinear(features: Array, y: float, x: float) -> Array:
    """The features at a place; the border's up to one position outside, and 0 beyond."""
    channels, height, width = features.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(channels)
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    low, right = min(top + 1, height - 1), min(left + 1, width - 1)
    fy, fx = y - top, x - left
    return np.asarray(
        (1 - fy) * ((1 - fx) * features[:, top, left] + fx * features[:, top, right])
        + fy * ((1 - fx) * features[:, low, left] + fx * features[:, low, right])
    )
