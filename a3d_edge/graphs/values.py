"""What is known of a value before anything runs: its type, its shape, and the numbers of small integers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

__all__ = [
    "END",
    "KERNEL",
    "NUMBERS",
    "Known",
    "RefusedError",
    "axis_of",
    "bounded",
    "broadcast",
    "integers",
    "sizes",
]

END = (1 << 63) - 1
"""What a slice's end is where nothing is cut off."""
LARGEST = 1 << 40
"""Integers of a graph are places, sizes and counts; their sums and products are then far from any limit."""
KERNEL = 64
"""Side of a convolution's or pooling's kernel, its stride and its padding, at the most."""
NUMBERS = 4096
"""Integers of one value."""


class RefusedError(Exception):
    """Why a graph is none that an export writes, in a few words."""


class Known(NamedTuple):
    """A value: ``numbers`` of integers, in order; ``stored`` if it depends on stored tensors alone."""

    type: int
    shape: tuple[int, ...]
    numbers: tuple[int, ...] | None = None
    stored: bool = False

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)


def integers(value: Known | None) -> tuple[int, ...]:
    """The numbers of an integer value. Raises `RefusedError` where there are none to be known."""
    if value is None or value.numbers is None:
        raise RefusedError("a shape or place in it is not fixed")
    return value.numbers


def bounded(numbers: Sequence[int]) -> tuple[int, ...]:
    """Raises `RefusedError` for numbers that are no places, sizes or counts, or too many."""
    if len(numbers) > NUMBERS or any(abs(one) > LARGEST and one != END for one in numbers):
        raise RefusedError("integers in it are too large, or too many")
    return tuple(numbers)


def axis_of(axis: int, rank: int) -> int:
    """Counted from the beginning. Raises `RefusedError` where there is no such axis."""
    if not -rank <= axis < rank:
        raise RefusedError(f"axis {axis} of a value with {rank}")
    return axis % rank


def broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of both together. Raises `RefusedError` where they do not fit."""
    if one == other:
        return one
    rank = max(len(one), len(other))
    padded = [(1,) * (rank - len(shape)) + shape for shape in (one, other)]
    found = []
    for a, b in zip(*padded, strict=True):
        if a != b and 1 not in (a, b):
            raise RefusedError(f"shapes {one} and {other} do not fit")
        found.append(max(a, b))
    return tuple(found)


def sizes(value: Known | None) -> tuple[int, ...]:
    """A shape that is computed. Raises `RefusedError` for one that no value has."""
    shape = integers(value)
    if not 1 <= len(shape) <= 6 or any(size < 1 for size in shape):
        raise RefusedError(f"a value of shape {shape[:6]}")
    return shape
