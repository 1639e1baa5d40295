"""What figures are painted with: shapes in one colour at a depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a3d_edge.demo.skeleton import Array

__all__ = ["Colour", "Part", "Picture", "times"]

Picture = NDArray[np.uint8]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """One shape of a figure: the hull of circles (k, 2) with radii (k,), ordered by depth."""

    depth: float
    colour: Colour
    centres: Array
    radii: Array
    shaded: bool = True


def times(colour: Colour, factor: float) -> Colour:
    """A colour made lighter or darker."""
    return min(colour[0] * factor, 255.0), min(colour[1] * factor, 255.0), min(colour[2] * factor, 255.0)
