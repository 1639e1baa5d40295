"""Clips of a batch mixed with one another, and their labels with them (mixup, Zhang et al. 2018)."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor

from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.network import Clips

__all__ = ["mixed"]


def mixed(clips: Clips, labels: Tensor, classes: int, alpha: float, seed: str) -> tuple[Clips, Tensor]:
    """Each clip ``(N, C, T, H, W)``, of one pathway or of each, as the larger part of itself and the smaller
    part of the one half a batch further; and so its label: ``(N, classes)`` of shares in [0, 1].

    The parts are one draw of Beta(``alpha``, ``alpha``), a function of ``seed``. Processes that share a batch
    mix as one does that has it all, if each has an even number of clips.
    """
    assert not isinstance(clips, BoxedClips)  # `Recipe.check` refuses that
    share = random.Random(seed).betavariate(alpha, alpha)
    share = max(share, 1.0 - share)
    told = labels if labels.dim() == 2 else F.one_hot(labels, classes).float()
    if isinstance(clips, Tensor):
        return _mix(clips, share), _mix(told, share)
    return [_mix(pathway, share) for pathway in clips], _mix(told, share)


def _mix(values: Tensor, share: float) -> Tensor:
    return torch.lerp(values.roll(len(values) // 2, dims=0), values, share)
