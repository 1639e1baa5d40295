"""How fresh weights begin where steps are few."""

from __future__ import annotations

import torch

from a3d_edge.models.checkpoint import norms
from a3d_edge.models.network import SlimNetwork

__all__ = ["awaken"]


def awaken(model: SlimNetwork) -> None:
    """Let every block count from the first step: batch norms that begin at 0 begin at 1 instead.

    A block that begins as the identity (the Kinetics recipe) wakes as its last batch norm grows, and AdamW
    moves a weight by no more than the learning rate a step. In the few hundred steps of a small set all 3×3
    and temporal convolutions then hardly count, and what is left are 1×1 ones that look at every 8th pixel.
    """
    with torch.no_grad():
        for norm in norms(model).values():
            if not norm.weight.any():
                norm.weight.fill_(1.0)
