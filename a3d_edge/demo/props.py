"""Things that a hand holds, which differ in what is small: painted at the end of an arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from a3d_edge.demo.skeleton import Array, Joint
from a3d_edge.demo.strokes import Colour, Part, times

__all__ = ["PROPS", "Prop", "prop_parts"]

PROPS = ("disc", "ring", "bar", "fork")
"""A ring is a disc with a dark middle, a fork a bar whose end is parted."""

_DISC, _HOLE, _BAR, _PRONG = 0.045, 0.023, 0.012, 0.01
"""Radii, in heights."""


@dataclass(frozen=True)
class Prop:
    """A thing of `PROPS` in the hand of one side (0 right, 1 left), ``size`` times as large as usual,
    turned by ``angle`` (radians) on the picture."""

    kind: str
    side: int
    colour: Colour
    size: float = 1.0
    angle: float = 0.0


def prop_parts(joints: Array, prop: Prop, unit: float) -> list[Part]:
    """Its shapes; ``unit`` is pixels a height there."""
    hand = joints[Joint.HAND + prop.side]
    depth, at, scale = float(hand[2]) + 0.01, hand[:2], unit * prop.size
    along = scale * np.array([np.sin(prop.angle), -np.cos(prop.angle)])
    if prop.kind in ("disc", "ring"):
        middle = (at + 0.05 * along)[None]
        parts = [Part(depth, prop.colour, middle, np.array([_DISC * scale]))]
        if prop.kind == "ring":
            dark = Part(depth + 0.001, times(prop.colour, 0.2), middle, np.array([_HOLE * scale]))
            parts.append(dark)
        return parts
    across = np.array([-along[1], along[0]])
    fork = at + 0.1 * along if prop.kind == "fork" else at + 0.22 * along
    parts = [Part(depth, prop.colour, np.stack([at, fork]), np.full(2, _BAR * scale))]
    if prop.kind == "fork":
        for way in (-1.0, 1.0):
            prong = np.stack([fork, fork + 0.03 * way * across, fork + 0.12 * along + 0.03 * way * across])
            parts += [
                Part(depth, prop.colour, prong[first : first + 2], np.full(2, _PRONG * scale))
                for first in (0, 1)
            ]
    return parts
