"""The configuration ranges a network is trained over (paper §4)."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.levels import Levels

if TYPE_CHECKING:
    from a3d_edge.models.network import NetworkDescription

__all__ = ["RANGES", "Range", "candidates", "find_range"]


@dataclass(frozen=True, slots=True)
class Range:
    """A dynamic budget range, relative to the network's own size (S of γs=1) and window (T of γt=1).

    ``widths`` are the table's; training draws γw uniformly from [min(widths), 1]. ``sizes`` and ``frames``
    are written for a network of size 224 and 8 frames, as the paper prints them, and scaled to others.
    ``largest`` is the size the largest configuration is tested at.
    """

    name: str
    widths: tuple[float, ...]
    sizes: tuple[int, ...]
    frames: tuple[int, ...]
    largest: int = 256

    def grid(self, size: int, frames: int) -> list[Configuration]:
        """Every table configuration of a network of that size and window, dearest size first."""
        full = Configuration(1.0, round(self.largest * size / 224), frames)
        rest = [
            Configuration(width, s, t)
            for s in reversed(self.scaled_sizes(size))
            for t in reversed(self.scaled_frames(frames))
            for width in reversed(self.widths)
        ]
        return [full, *(c for c in rest if c != full)]

    def scaled_sizes(self, size: int) -> list[int]:
        """Input sides in pixels for a network whose γs=1 is ``size``."""
        return [round(s * size / 224) for s in self.sizes]

    def scaled_frames(self, frames: int) -> list[int]:
        """Frame counts for a network whose γt=1 is ``frames``; duplicates of short windows dropped.

        Halves round up: γt = 0.63 of SlowFast's 4 frames is 3 (paper, Table 14).
        """
        return sorted({max(1, math.floor(t * frames / 8 + 0.5)) for t in self.frames})

    def levels(self, size: int, frames: int) -> Levels:
        """The values below full that batch norms can switch with, of a network of that size and window."""
        return Levels(
            full_size=size,
            full_frames=frames,
            widths=tuple(one for one in self.widths if one < 1),
            sizes=tuple(one for one in self.scaled_sizes(size) if one < size),
            frames=tuple(one for one in self.scaled_frames(frames) if one < frames),
        )

    @property
    def smallest_width(self) -> float:
        """The lower end of γw."""
        return min(self.widths)

    def draw(
        self, size: int, frames: int, rng: random.Random, random_widths: int = 1
    ) -> tuple[Configuration, ...]:
        """The sub-networks of one training step: minimum width, and so many random widths (paper §3.1: one),
        each at a random size and number of frames."""
        sizes, counts = self.scaled_sizes(size), self.scaled_frames(frames)
        drawn = [Configuration(self.smallest_width, rng.choice(sizes), rng.choice(counts))]
        for _ in range(random_widths):
            width = rng.uniform(self.smallest_width, 1.0)
            drawn.append(Configuration(width, rng.choice(sizes), rng.choice(counts)))
        return tuple(drawn)

    def draw_full(self, size: int, frames: int, rng: random.Random) -> Configuration:
        """Full width at a random size and number of frames: a step of multi-resolution training (Table 7)."""
        return Configuration(1.0, rng.choice(self.scaled_sizes(size)), rng.choice(self.scaled_frames(frames)))


RANGES = {
    "0.016": Range("0.016", (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (128, 160, 192, 224), (2, 4, 6, 8)),
    "0.06": Range("0.06", (0.63, 0.73, 0.83, 0.93, 1.0), (142, 178, 224), (3, 5, 8)),
    "0.06-no-frames": Range("0.06-no-frames", (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (112, 149, 187, 224), (8,)),
}
"""``0.06-no-frames`` gives up no frames, and so goes to half of width and size to be as wide (Table 6; of
the sizes the paper tells the ends, and those between are evenly spaced)."""


def find_range(name: str) -> Range:
    """A range by its name. Raises `UsageError` that lists them."""
    if name not in RANGES:
        raise UsageError(f"unknown `range_name` '{name}'; there are {', '.join(RANGES)}")
    return RANGES[name]


def candidates(within: Range, description: NetworkDescription, count: int = 12) -> list[Configuration]:
    """So many configurations of a network's grid, in its order, that stand for all; all if it has fewer.

    First the largest and the smallest; then full size, and from there to the end of each dimension alone;
    then half-way down all dimensions together, and each alone (that is 10); then, until there are enough,
    what costs most differently from all before, on a logarithmic scale. Raises `UsageError` for fewer than 2.
    """
    if count < 2:
        raise UsageError(
            f"{count} candidates are too few: the largest and the smallest are always among them"
        )
    grid = within.grid(description.size, description.frames)
    chosen = set(grid[:1])
    for one in (*_along(grid[1:]), *_between(grid)):
        if len(chosen) >= count:
            break
        chosen.add(one)
    return [one for one in grid if one in chosen]


def _along(grid: list[Configuration]) -> Iterator[Configuration]:
    """The smallest of a grid, and what lies on the lines to it and along its dimensions."""
    levels = [
        sorted(values, reverse=True)
        for values in ({c.width for c in grid}, {c.size for c in grid}, {c.frames for c in grid})
    ]
    alone, together = ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (1, 1, 1)

    def at(share: float, down: tuple[int, ...]) -> Configuration:
        places = [math.floor(share * d * (len(of) - 1) + 0.5) for d, of in zip(down, levels, strict=True)]
        width, size, frames = (of[place] for place, of in zip(places, levels, strict=True))
        return Configuration(width, int(size), int(frames))

    yield at(1.0, together)
    yield at(0.0, together)
    yield from (at(1.0, one) for one in alone)
    yield at(0.5, together)
    yield from (at(0.5, one) for one in alone)


def _between(grid: list[Configuration]) -> Iterator[Configuration]:
    """The whole grid, each time what is farthest in cost from all that came before."""
    prices = {c: math.log(c.width**2 * c.size**2 * c.frames) for c in grid}
    before = set(_along(grid[1:]))
    while left := [c for c in grid if c not in before]:
        found = max(left, key=lambda c: min(abs(prices[c] - prices[other]) for other in before))
        before.add(found)
        yield found
