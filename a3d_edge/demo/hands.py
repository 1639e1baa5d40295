"""Hands with fingers: from how a hand is held to where each of its joints is."""

from __future__ import annotations

import numpy as np

from a3d_edge.demo.skeleton import Array, Joint, Script, Signs, facing, unit

__all__ = ["DIGITS", "JOINTS_OF_A_DIGIT", "hand_points"]

DIGITS, JOINTS_OF_A_DIGIT = 5, 3

_UP = np.array([0.0, 1.0, 0.0])
_PALM = 0.054
_ASIDE = (0.017, 0.006, -0.006, -0.017)
_LENGTH = (0.044, 0.049, 0.046, 0.036)
_THUMB = 0.05
_BEND = 1.75


def hand_points(script: Script, joints: Array) -> Array:
    """Both hands (N, 30, 3), right then left: thumb to little finger, each from its knuckle to its tip.

    ``script`` must have signs; ``joints`` are those solved for it.
    """
    signs = script.signs
    assert signs is not None
    hands = [_hand(script, signs, joints, side) for side in (0, 1)]
    return np.concatenate(hands, axis=1)


def _hand(script: Script, signs: Signs, joints: Array, side: int) -> Array:
    wrist = joints[:, Joint.WRIST + side]
    along, palm, thumb = _axes(script, signs, unit(wrist - joints[:, Joint.ELBOW + side]), side)
    curl = signs.curl[:, side]
    digits = [_thumb(wrist, along, palm, thumb, curl[:, :1])]
    for index, (aside, length) in enumerate(zip(_ASIDE, _LENGTH, strict=True)):
        closed = curl[:, index + 1 : index + 2]
        knuckle = wrist + _PALM * along + aside * thumb
        straight = unit(along + 7.0 * aside * (1 - closed) * thumb)
        middle = knuckle + 0.5 * length * _turned(straight, palm, _BEND * closed)
        digits.append(
            [knuckle, middle, middle + 0.5 * length * _turned(straight, palm, 1.75 * _BEND * closed)]
        )
    return np.stack([joint for digit in digits for joint in digit], axis=1)


def _thumb(wrist: Array, along: Array, palm: Array, thumb: Array, closed: Array) -> list[Array]:
    base = wrist + 0.016 * along + 0.016 * thumb
    out, folded = unit(thumb + 0.3 * along), unit(0.75 * along + 0.55 * palm - 0.25 * thumb)
    way = unit((1 - closed) * out + closed * folded)
    return [base, base + 0.5 * _THUMB * way, base + _THUMB * way]


def _turned(start: Array, towards: Array, angle: Array) -> Array:
    turned: Array = np.cos(angle) * start + np.sin(angle) * towards
    return turned


def _axes(script: Script, signs: Signs, arm: Array, side: int) -> tuple[Array, Array, Array]:
    """Unit vectors (N, 3) along the fingers, out of the palm, and to the thumb's side."""
    sign = 1.0 if side == 0 else -1.0
    forward, right = facing(script.yaw)
    outward, share = sign * right, signs.weight[:, side, None]

    def placed(held: Array) -> Array:
        world: Array = held[:, :1] * forward + held[:, 1:2] * _UP + held[:, 2:] * outward
        return world

    along = unit(share * unit(placed(signs.fingers[:, side])) + (1 - share) * arm)
    palm = share * unit(placed(signs.palm[:, side])) + (1 - share) * (-outward - 0.4 * forward)
    palm = unit(palm - np.sum(palm * along, axis=1, keepdims=True) * along)
    return along, palm, sign * np.cross(along, palm)
