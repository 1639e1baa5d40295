"""How wide a network runs: channels by the width factor, and what else one forward pass is told."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Run", "channels_at", "first", "md8"]


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
    batch norm add its batch to what it has `SlimBatchNorm.collected` for this run (calibration).
    ``levels``: by their names, those whose affine parameters apply, of a network that has `Levels`.
    """

    width: float = 1.0
    statistics: str | None = None
    collect: bool = False
    levels: tuple[str, ...] = ()


def first(vector: Tensor, channels: int) -> Tensor:
    """The values of the first so many channels."""
    return vector if vector.shape[0] == channels else vector[:channels]
