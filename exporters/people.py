"""Boxes to prove an export with, where clips have none: people who move from window to window."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from a3d_edge.models.boxed import BoxedClips

__all__ = ["with_moving_boxes"]

PEOPLE = 4
"""In each window, beside the odd ones."""
ODD = ((0.0, 0.0, 1.0, 1.0), (0.0, 0.25, 0.125, 1.0), (0.75, 0.0, 1.0, 0.375))
"""Shares of the picture: all of it, and what touches two of its borders; of each window the next one."""


def with_moving_boxes(clips: Tensor | Sequence[Tensor], seed: int = 0) -> BoxedClips:
    """The same clips with boxes in each, of pixels: some who wander, one at the borders, one of a pixel.

    The same for any size of the same clips, but for the pixel.
    """
    first = clips if isinstance(clips, Tensor) else clips[0]
    count, side = first.shape[0], int(first.shape[-1])
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    centres, ways = drawn(PEOPLE, 2), 0.3 * (drawn(PEOPLE, 2) - 0.5)
    halves, boxes, owners = 0.05 + 0.2 * drawn(PEOPLE, 2), [], []
    for number in range(count):
        at = 0.1 + 0.8 * (1 - (1 - (centres + number * ways) % 2).abs())  # back from where they would leave
        moving = torch.cat([at - halves, at + halves], dim=1).clamp(0.0, 1.0) * side
        odd = torch.tensor([ODD[number % len(ODD)]]) * side
        x, y = (float(place) for place in (drawn(2) * (side - 1)).floor())
        here = torch.cat([moving, odd, torch.tensor([[x, y, x + 1, y + 1]])])
        boxes.append(here)
        owners += [number] * len(here)
    return BoxedClips.of(clips, torch.cat(boxes), torch.tensor(owners))
