"""The head for boxes: what each person of a window does (paper §4.1, AVA; SlowFast's RoI head).

    res5, stride 1, dilation 2   (N, C, T, h, w) ─ mean of T ─ RoIAlign 7×7 ─ maximum ─ linear ─ (K, classes)
    boxes                        (K, 4) ──────────────────────────┘

RoIAlign (He et al. 2017) as detectron2's with ``aligned=True`` and ``sampling_ratio=0``, which PySlowFast
uses: continuous coordinates (a pixel's centre is at half), and ceil(side / 7) bilinear samples a bin and
axis. A bilinear sample is a product of one weight per row and one per column, and so is a bin's mean of
samples on a grid: a box is two small matrices, its bins ``rows · features · columnsᵀ``. No loop over boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from a3d_edge.models.boxed import Boxes

__all__ = ["BINS", "SCALE", "region_features", "roi_align"]

BINS = 7
"""Bins along either axis."""
SCALE = 1 / 16
"""Positions a pixel: res5 keeps res4's."""


def region_features(features: Sequence[Tensor], boxes: Boxes) -> Tensor:
    """What each box is recognised by, ``(K, C)``: of every pathway's last features, in either layout.

    Each is ``(N, C, T, h, w)``, or ``(T, C, h, w)`` of one clip.
    """
    means = [x.mean(dim=2) if x.dim() == 5 else x.mean(dim=0, keepdim=True) for x in features]
    aligned = [
        roi_align(x, coordinates, boxes.owners)
        for x, coordinates in zip(means, boxes.by_pathway, strict=True)
    ]
    maxima = [x.amax(dim=(2, 3)) for x in aligned]
    return maxima[0] if len(maxima) == 1 else torch.cat(maxima, dim=1)


def roi_align(features: Tensor, boxes: Tensor, owners: Tensor | None = None) -> Tensor:
    """Bins ``(K, C, 7, 7)`` of boxes ``(K, 4)``, x1, y1, x2, y2 in the input's pixels.

    ``features``: ``(N, C, h, w)``, a sixteenth of the input's side; ``owners``: whose features each box is
    cut from, ``(K,)``; None if there are those of one clip. What lies outside the features counts as their
    border up to one position, and as 0 beyond.
    """
    if owners is not None:
        return _align(features[owners], boxes)
    if torch.is_grad_enabled():
        return _align(features.expand(len(boxes), -1, -1, -1), boxes)
    found: Tensor = _roi_align(features, boxes)  # what is exported is recorded without gradients
    return found


def _align(features: Tensor, boxes: Tensor) -> Tensor:
    """Of features ``(K, C, h, w)``, one for each box."""
    height, width = features.shape[2:]
    placed = boxes.to(torch.promote_types(features.dtype, torch.float32)) * SCALE - 0.5
    columns = _weights(placed[:, 0], placed[:, 2], width).to(features.dtype)
    rows = _weights(placed[:, 1], placed[:, 3], height).to(features.dtype)
    by_row = torch.einsum("kih,kchw->kciw", rows, features)
    return torch.einsum("kciw,kjw->kcij", by_row, columns)


def _weights(start: Tensor, end: Tensor, length: int) -> Tensor:
    """How much each of ``length`` positions is of every bin between two places: ``(K, 7, length)``."""
    bin_side = (end - start) / BINS
    counts = torch.ceil(bin_side).clamp_min(0.0)
    most = int(counts.max().item()) if len(counts) else 0
    if most == 0:  # no box, or none with any extent: there is nothing to sample
        return start.new_zeros(len(start), BINS, length)
    sample = torch.arange(most, device=start.device, dtype=start.dtype)
    bins = torch.arange(BINS, device=start.device, dtype=start.dtype)
    within = (sample + 0.5) / counts.clamp_min(1.0)[:, None]  # (K, most), of a bin
    steps = bins[None, :, None] + within[:, None, :]
    places = start[:, None, None] + steps * bin_side[:, None, None]
    counted = (sample < counts[:, None])[:, None, :] & (places >= -1.0) & (places <= length)
    clipped = places.clamp(0.0, length - 1.0)
    positions = torch.arange(length, device=start.device, dtype=start.dtype)
    hats = (1.0 - (clipped[..., None] - positions).abs()).clamp_min(0.0)
    return (hats * counted[..., None]).sum(dim=2) / counts.clamp_min(1.0)[:, None, None]


@torch.library.custom_op("a3d_edge::roi_align", mutates_args=())
def _roi_align(features: Tensor, boxes: Tensor) -> Tensor:
    return _align(features.expand(boxes.shape[0], -1, -1, -1), boxes)


@_roi_align.register_fake
def _(features: Tensor, boxes: Tensor) -> Tensor:
    return features.new_empty(boxes.shape[0], features.shape[1], BINS, BINS)
