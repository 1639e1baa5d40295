"""What is painted only of a figure seen from near that faces the camera: fingers, eyes, mouth or mask."""

from __future__ import annotations

import numpy as np

from a3d_edge.demo.hands import DIGITS, JOINTS_OF_A_DIGIT
from a3d_edge.demo.skeleton import Array, Joint
from a3d_edge.demo.strokes import Colour, Part, times

__all__ = ["face_parts", "hand_parts"]

_FACING = 0.02
"""How much nearer to the camera the face must be than the head, in heights, to be seen."""


def hand_parts(joints: Array, side: int, skin: Colour, unit: float) -> list[Part]:
    """Palm, fingers and thumb of one hand; ``unit`` is pixels a height there."""
    first = Joint.COUNT + side * DIGITS * JOINTS_OF_A_DIGIT
    digits = joints[first : first + DIGITS * JOINTS_OF_A_DIGIT].reshape(DIGITS, JOINTS_OF_A_DIGIT, -1)
    wrist = joints[Joint.WRIST + side]
    rim = np.stack([wrist, digits[1, 0], digits[4, 0], 0.5 * (wrist + digits[4, 0])])
    parts = [
        Part(float(rim[:, 2].mean()) + 0.004, skin, rim[:, :2], unit * np.array([0.014, 0.009, 0.009, 0.01]))
    ]
    for number, digit in enumerate(digits):
        thick = unit * (
            np.array([0.011, 0.0085, 0.007]) if number == 0 else np.array([0.0075, 0.007, 0.0055])
        )
        depth = float(digit[:, 2].mean()) + 0.004
        for joint in (0, 1):
            rows = slice(joint, joint + 2)
            parts.append(Part(depth + 0.001 * joint, times(skin, 0.97), digit[rows, :2], thick[rows]))
    return parts


def face_parts(joints: Array, hair: Colour, skin: Colour, mask: Colour | None, unit: float) -> list[Part]:
    """Eyes, brows and a mouth or a mask, of a head that looks towards the camera."""
    head, face, crown = joints[Joint.HEAD], joints[Joint.FACE], joints[Joint.CROWN]
    if float(face[2] - head[2]) < _FACING:
        return []
    ahead, up = face[:2] - head[:2], crown[:2] - head[:2]
    across = joints[Joint.SHOULDER + 1, :2] - joints[Joint.SHOULDER, :2]
    across = across / max(float(np.hypot(*across)), 1e-6) * 0.06 * unit
    depth, middle = float(head[2]) + 0.0135, head[:2] + 0.8 * ahead
    parts = []
    for sign in (-1.0, 1.0):
        eye = middle + 0.34 * sign * across + 0.12 * up
        brow = np.stack([eye - 0.16 * across, eye + 0.16 * across]) + 0.17 * up
        parts.append(Part(depth, (25.0, 25.0, 30.0), eye[None], np.array([0.006]) * unit, shaded=False))
        parts.append(Part(depth, times(hair, 0.9), brow, np.full(2, 0.0035) * unit, shaded=False))
    if mask is None:
        lips = np.stack([middle - 0.24 * across, middle + 0.24 * across]) - 0.48 * up
        parts.append(Part(depth, _lips(skin), lips, np.full(2, 0.004) * unit, shaded=False))
        return parts
    cover = np.stack(
        [
            middle - 0.6 * across - 0.15 * up,
            middle + 0.6 * across - 0.15 * up,
            middle + 0.05 * up,
            middle - 0.62 * up,
        ]
    )
    parts.append(Part(depth, mask, cover, np.array([0.008, 0.008, 0.008, 0.016]) * unit))
    return parts


def _lips(skin: Colour) -> Colour:
    return 0.62 * skin[0], 0.6 * skin[1], 0.85 * skin[2]
