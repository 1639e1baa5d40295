"""Somebody in a box, as lists tell of him."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Box", "Person"]

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in shares of the picture, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Person:
    """A box, and what whoever is in it does: a set of labels, which may be empty. ``score``: a detector's."""

    box: Box
    labels: tuple[str, ...] = ()
    score: float = 1.0
