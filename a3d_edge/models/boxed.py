"""Clips and the boxes of the people in them: what a network with a head for boxes takes.

Boxes are ``(K, 4)`` of x1, y1, x2, y2 in pixels of the input at the size that it has there, 0 at the left and
top edge: so they are scaled with it, to every γs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from a3d_edge.errors import UsageError

__all__ = ["BoxedClips", "Boxes", "unboxed"]


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of a batch, ``(K, 4)`` for each pathway, in pixels of its pictures.

    ``owners``: which clip each is in, ``(K,)``; None where there is but one clip.
    """

    by_pathway: tuple[Tensor, ...]
    owners: Tensor | None = None

    @classmethod
    def none(cls, like: Sequence[Tensor]) -> Boxes:
        """No box in as many pathways."""
        return cls(tuple(x.new_zeros(0, 4) for x in like), torch.zeros(0, dtype=torch.long))

    def to(self, device: torch.device) -> Boxes:
        """The same on a device."""
        owners = None if self.owners is None else self.owners.to(device)
        return Boxes(tuple(boxes.to(device) for boxes in self.by_pathway), owners)

    def of_clip(self, number: int) -> Tensor:
        """Which boxes are in a clip, ``(K,)`` booleans."""
        count = len(self.by_pathway[0])
        return torch.ones(count, dtype=torch.bool) if self.owners is None else self.owners == number

    def check(self) -> None:
        """Raise `UsageError` unless they are ``(K, 4)`` of finite numbers."""
        for boxes in self.by_pathway:
            if boxes.dim() != 2 or boxes.shape[1] != 4:
                raise UsageError(f"boxes must be (K, 4) of x1, y1, x2, y2; these are {tuple(boxes.shape)}")
            if boxes.device.type != "meta" and not bool(torch.isfinite(boxes).all()):
                raise UsageError("a box has a coordinate that is not finite; leave such boxes out")


@dataclass(frozen=True, slots=True)
class BoxedClips:
    """Clips, ``(N, 3, T, S, S)`` or ``[slow, fast]``, and the boxes in them."""

    clips: Tensor | Sequence[Tensor]
    boxes: Boxes

    @classmethod
    def of(cls, clips: Tensor | Sequence[Tensor], boxes: Tensor, owners: Tensor | None = None) -> BoxedClips:
        """``boxes`` ``(K, 4)`` in pixels of the (slow) clips."""
        sides = _sides(clips)
        return cls(clips, Boxes(tuple(boxes * (side / sides[0]) for side in sides), owners))

    def fitted(self, clips: Tensor | Sequence[Tensor] | BoxedClips) -> BoxedClips:
        """The same boxes in the same clips, made larger or smaller."""
        assert not isinstance(clips, BoxedClips)
        before, after = _sides(self.clips), _sides(clips)
        scaled = tuple(
            boxes if new == old else boxes * (new / old)
            for boxes, old, new in zip(self.boxes.by_pathway, before, after, strict=True)
        )
        return BoxedClips(clips, Boxes(scaled, self.boxes.owners))

    def first(self, count: int) -> BoxedClips:
        """The first so many clips, and their boxes."""
        x = self.clips
        clips = x[:count] if isinstance(x, Tensor) else [each[:count] for each in x]
        owners = self.boxes.owners
        if owners is None:
            return BoxedClips(clips, self.boxes)
        there = owners < count
        return BoxedClips(clips, Boxes(tuple(b[there] for b in self.boxes.by_pathway), owners[there]))


def unboxed(x: Tensor | Sequence[Tensor] | BoxedClips) -> tuple[Tensor | Sequence[Tensor], Boxes | None]:
    """The clips, and the boxes if there are any."""
    return (x.clips, x.boxes) if isinstance(x, BoxedClips) else (x, None)


def _sides(clips: Tensor | Sequence[Tensor]) -> list[int]:
    """The side S of every pathway's pictures."""
    given = [clips] if isinstance(clips, Tensor) else clips
    return [int(x.shape[-1]) for x in given]
