"""What a network's batch norms can differ by: each width, size and number of frames below the full ones.

Slimmable networks switch batch norms with their widths (Yu et al., 2019). A range has a hundred
configurations, too many to learn a set for each, but few values along each dimension. So what is normalised
is stretched and moved by each value's own parameters, which add up (`SlimBatchNorm.switched`); at full width,
size and frames the shared ones stand alone. All of it is folded into a configuration's statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from a3d_edge.configuration import Configuration

__all__ = ["Levels", "is_switched"]

Widths = Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(max_length=64)]
Counts = Annotated[tuple[Annotated[int, Field(ge=1, le=1 << 20)], ...], Field(max_length=64)]


class Levels(BaseModel):
    """The full size and frames of a network, and the values below full of each dimension."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    full_size: int = Field(ge=1)
    full_frames: int = Field(ge=1)
    widths: Widths = ()
    sizes: Counts = ()
    frames: Counts = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, as a checkpoint's keys have them."""
        widths = [_named("w", 100 * one) for one in self.widths]
        sizes, frames = [_named("s", one) for one in self.sizes], [_named("t", one) for one in self.frames]
        return (*widths, *sizes, *frames)

    def at(self, configuration: Configuration) -> tuple[str, ...]:
        """The names of a configuration's: along each dimension the nearest value, none where that is full."""
        percent = [100 * one for one in self.widths]
        return (
            *_nearest("w", percent, 100, 100 * configuration.width),
            *_nearest("s", self.sizes, self.full_size, configuration.size),
            *_nearest("t", self.frames, self.full_frames, configuration.frames),
        )


def is_switched(name: str) -> bool:
    """Whether a tensor of a network's state is what a batch norm has for a level."""
    return ".switched." in name


def _named(dimension: str, value: float) -> str:
    """A key of a module may hold no dot, so widths are in percent."""
    return f"{dimension}{value:.0f}"


def _nearest(dimension: str, below: Sequence[float], full: float, wanted: float) -> tuple[str, ...]:
    found = min((full, *below), key=lambda value: abs(value - wanted))
    return () if found == full else (_named(dimension, found),)
