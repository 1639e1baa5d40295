"""From what an actor means to do to where every joint is: steps, reaching, leaning, all moments at once.

World axes in body heights: x to the right, y up, z towards the camera. Sides are 0 = right, 1 = left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE", "Array", "Body", "Joint", "Script", "Signs", "facing", "solve", "trunk_point", "unit"]

Array = NDArray[np.float64]

RATE = 60.0
"""Moments a second at which motion is solved; pictures interpolate between them."""

_UP = np.array([0.0, 1.0, 0.0])
_ANKLE = 0.045
_FARTHEST = 0.25


class Joint(IntEnum):
    """Rows of the solved skeleton; paired joints are right, then left."""

    PELVIS = 0
    NECK = 1
    HEAD = 2
    FACE = 3
    CROWN = 4
    SHOULDER = 5
    ELBOW = 7
    WRIST = 9
    HAND = 11
    HIP = 13
    KNEE = 15
    ANKLE = 17
    TOE = 19
    COUNT = 21


@dataclass(frozen=True)
class Body:
    """Lengths of one person as fractions of a mean height."""

    height: float = 1.0
    thigh: float = 0.245
    shin: float = 0.245
    trunk: float = 0.30
    shoulder: float = 0.105
    hip: float = 0.05
    upper_arm: float = 0.165
    forearm: float = 0.15
    stance: float = 0.06
    step_s: float = 0.34


@dataclass(frozen=True)
class Signs:
    """How hands, elbows and shoulders are held by somebody who signals; N moments, right hand then left.

    ``fingers`` and ``palm`` (N, 2, 3): where they look, as forward, up, outward; ``weight`` (N, 2) in [0, 1]
    draws the hand from hanging loosely to that. ``curl`` (N, 2, 5): thumb to little finger, 0 straight,
    1 closed. ``flare`` (N, 2): 0 the elbow hangs, 1 it is lifted outwards. ``shoulders`` (N,): how far they
    are drawn up, in heights.
    """

    fingers: Array
    palm: Array
    weight: Array
    curl: Array
    flare: Array
    shoulders: Array


@dataclass(frozen=True)
class Script:
    """What one actor does, sampled at `RATE`; N moments.

    Angles in radians, (N,): ``yaw`` (0 faces right), ``lean`` forward, ``side``, ``twist`` (right shoulder
    forward), ``nod`` and ``turn`` of the head. ``x``, ``z``, ``crouch`` in heights, (N,).
    ``hands`` (N, 2, 3): forward, up, outward from the shoulder in arm lengths; ``reach`` (N, 2) in [0, 1]
    draws them to the world points ``goals`` (N, 2, 3). ``lift`` (N, 2) draws a foot off the ground to
    ``feet`` (N, 2, 3): forward, up, outward from the hip. ``signs``: for figures whose hands have fingers.
    """

    x: Array
    z: Array
    yaw: Array
    lean: Array
    side: Array
    twist: Array
    crouch: Array
    nod: Array
    turn: Array
    hands: Array
    reach: Array
    goals: Array
    lift: Array
    feet: Array
    signs: Signs | None = None


def solve(script: Script, body: Body) -> Array:
    """Joint positions (N, `Joint.COUNT`, 3) of a script."""
    forward, right = facing(script.yaw)
    ground = _walk(script, body)
    lifted = _lifted(script, body, ground, forward, right)
    joints = np.zeros((len(script.x), Joint.COUNT, 3))
    joints[:, Joint.PELVIS] = _pelvis(script, body, ground)
    _legs(joints, script, body, lifted, forward, right)
    _trunk(joints, script, body, forward, right)
    _arms(joints, script, body, ground, forward, right)
    return joints


def trunk_point(script: Script, body: Body, height: float, front: float, outward: float = 0.0) -> Array:
    """A point (N, 3) of the trunk, ``height`` above ground when upright; ``outward`` is to its right."""
    forward, right = facing(script.yaw)
    hip = 0.53 * body.height
    along = np.maximum(height * body.height - hip, -0.2)
    point = np.stack([script.x, np.full_like(script.x, hip), script.z], axis=1)
    lean = script.lean[:, None]
    point += along * (np.cos(lean) * _UP + np.sin(lean) * forward)
    shifted: Array = point + front * forward + outward * right
    return shifted


def facing(yaw: Array) -> tuple[Array, Array]:
    """Unit vectors (N, 3) to the front and to the right of somebody turned by ``yaw`` (N,)."""
    zero = np.zeros_like(yaw)
    forward = np.stack([np.cos(yaw), zero, np.sin(yaw)], axis=1)
    right = np.stack([-np.sin(yaw), zero, np.cos(yaw)], axis=1)
    return forward, right


def _homes(script: Script, body: Body) -> Array:
    """Where each foot would stand (N, 2, 2) in x and z."""
    forward, right = facing(script.yaw)
    root = np.stack([script.x, script.z], axis=1)
    side = body.stance * right[:, [0, 2]]
    ahead = 0.025 * forward[:, [0, 2]]
    return np.stack([root + side + ahead, root - side - ahead], axis=1)


def _walk(script: Script, body: Body) -> Array:
    """Ankles (N, 2, 3) that stay planted until the body has left them, then step to where it is going."""
    homes = _homes(script, body)
    count, swing = len(homes), max(6, round(body.step_s * RATE))
    wanted = homes[np.minimum(np.arange(count) + swing + round(0.08 * RATE), count - 1)].tolist()
    planted = [list(homes[0, 0]), list(homes[0, 1])]
    ankles = np.full((count, 2, 3), _ANKLE)
    ankles[:, :, 0], ankles[:, :, 2] = homes[0, :, 0], homes[0, :, 1]
    free_from, last = 0, 0
    while free_from < count:
        now, goals = free_from, wanted[free_from]
        gaps = [math.dist(goals[foot], planted[foot]) for foot in (0, 1)]
        foot = 1 - last if gaps[1 - last] > 0.75 * gaps[last] else last
        if gaps[foot] < 0.05:
            free_from += 1
            continue
        quick = max(6, int(swing * min(1.0, 0.32 / max(gaps[foot], 0.32))))
        _swing(ankles, now, quick, foot, planted[foot], goals[foot])
        planted[foot], last = goals[foot], foot
        free_from = now + quick
    return _dragged(ankles, script)


def _swing(ankles: Array, start: int, swing: int, foot: int, before: list[float], after: list[float]) -> None:
    """Write one step of ``swing`` moments into ``ankles``, and the foot's place from then on."""
    part = np.arange(1, swing + 1) / swing
    ease = part * part * (3 - 2 * part)
    path = np.full((swing, 3), _ANKLE)
    path[:, 1] += min(0.06, 0.015 + 0.15 * math.dist(after, before)) * np.sin(np.pi * part)
    path[:, 0] = before[0] + ease * (after[0] - before[0])
    path[:, 2] = before[1] + ease * (after[1] - before[1])
    room = max(0, min(swing, len(ankles) - start))
    ankles[start : start + room, foot] = path[:room]
    ankles[start + room :, foot] = path[-1]


def _dragged(ankles: Array, script: Script) -> Array:
    """Feet that a fast body has left too far behind slide after it."""
    root = np.stack([script.x, script.z], axis=1)[:, None]
    away = ankles[:, :, [0, 2]] - root
    distance = np.linalg.norm(away, axis=2, keepdims=True)
    ankles[:, :, [0, 2]] = root + away * np.minimum(1.0, _FARTHEST / np.maximum(distance, 1e-6))
    return ankles


def _pelvis(script: Script, body: Body, ankles: Array) -> Array:
    """Hip centre (N, 3): as high as the planted legs allow, smoothed."""
    leg = 0.992 * (body.thigh + body.shin) * body.height
    away = np.hypot(ankles[:, :, 0] - script.x[:, None], ankles[:, :, 2] - script.z[:, None])
    away = np.minimum(away, 1.3 * _FARTHEST)
    top = np.min(_ANKLE + np.sqrt(leg**2 - away**2), axis=1)
    height = _smooth(top, 0.08) - script.crouch
    return np.stack([script.x, height, script.z], axis=1)


def _smooth(values: Array, width_s: float) -> Array:
    """Moving Gaussian mean along the first axis; ends held."""
    radius = max(1, round(2.5 * width_s * RATE))
    offsets = np.arange(-radius, radius + 1) / (width_s * RATE)
    kernel = np.exp(-0.5 * offsets**2)
    padded = np.pad(values, radius, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def _lifted(script: Script, body: Body, ground: Array, forward: Array, right: Array) -> Array:
    ankles = ground.copy()
    for side, sign in ((0, 1.0), (1, -1.0)):
        hip = np.stack([script.x, np.full_like(script.x, 0.53 * body.height), script.z], axis=1)
        hip += sign * body.hip * right
        offset = script.feet[:, side]
        goal = hip + offset[:, :1] * forward + offset[:, 1:2] * _UP + sign * offset[:, 2:] * right
        weight = script.lift[:, side, None]
        ankles[:, side] += weight * (goal - ankles[:, side])
    return ankles


def _legs(joints: Array, script: Script, body: Body, ankles: Array, forward: Array, right: Array) -> None:
    pelvis = joints[:, Joint.PELVIS]
    for side, sign in ((0, 1.0), (1, -1.0)):
        hip = pelvis + sign * body.hip * right
        pole = forward + 0.25 * sign * right
        knee, ankle = _two_bones(
            hip, ankles[:, side], body.thigh * body.height, body.shin * body.height, pole
        )
        flexed = unit(np.cross(right, unit(ankle - knee)))
        off = np.clip((ankle[:, 1:2] - 0.05) / 0.12, 0.0, 1.0)
        foot = unit(forward * (1 - off) + flexed * off + 0.25 * sign * right)
        joints[:, Joint.HIP + side] = hip
        joints[:, Joint.KNEE + side] = knee
        joints[:, Joint.ANKLE + side] = ankle
        joints[:, Joint.TOE + side] = ankle + 0.105 * foot - (1 - off) * 0.022 * _UP


def _trunk(joints: Array, script: Script, body: Body, forward: Array, right: Array) -> None:
    pelvis = joints[:, Joint.PELVIS]
    lean, side, nod = script.lean[:, None], script.side[:, None], script.nod[:, None]
    up = unit(np.cos(lean) * _UP + np.sin(lean) * forward + np.sin(side) * right)
    length = body.trunk * body.height
    twist = script.twist[:, None]
    across = np.cos(twist) * right + np.sin(twist) * forward
    neck = pelvis + length * up
    tilt = 0.55 * lean + nod
    look, _ = facing(script.yaw + script.turn)
    head_up = unit(np.cos(tilt) * _UP + np.sin(tilt) * forward + 0.6 * np.sin(side) * right)
    head = neck + 0.088 * head_up + 0.012 * look
    joints[:, Joint.NECK] = neck
    joints[:, Joint.HEAD] = head
    joints[:, Joint.FACE] = head + 0.06 * unit(look * np.cos(tilt) - np.sin(tilt) * _UP)
    joints[:, Joint.CROWN] = head + 0.06 * head_up
    for index, sign in ((0, 1.0), (1, -1.0)):
        joints[:, Joint.SHOULDER + index] = neck - 0.035 * up + sign * body.shoulder * across
    if script.signs is not None:
        joints[:, Joint.SHOULDER : Joint.SHOULDER + 2] += (script.signs.shoulders[:, None] * up)[:, None]


def _arms(joints: Array, script: Script, body: Body, ground: Array, forward: Array, right: Array) -> None:
    upper, fore = body.upper_arm * body.height, body.forearm * body.height
    root = np.stack([script.x, np.zeros_like(script.x), script.z], axis=1)
    for side, sign in ((0, 1.0), (1, -1.0)):
        shoulder = joints[:, Joint.SHOULDER + side]
        stride = np.sum((ground[:, 1 - side] - root) * forward, axis=1)
        swing = np.clip(_smooth(stride, 0.06) * 1.3, -0.45, 0.45) * np.clip(
            -script.hands[:, side, 1], 0.0, 1.0
        )
        offset = script.hands[:, side] * (upper + fore)
        offset[:, 0] += swing * (upper + fore)
        free = shoulder + offset[:, :1] * forward + offset[:, 1:2] * _UP + sign * offset[:, 2:] * right
        goal = script.goals[:, side]
        goal = goal - 0.03 * unit(goal - shoulder)
        target = free + script.reach[:, side, None] * (goal - free)
        pole = -0.45 * forward - 1.0 * _UP + 0.35 * sign * right
        if script.signs is not None:
            flare = script.signs.flare[:, side, None]
            pole = (1 - flare) * pole + flare * (sign * right + 0.15 * _UP)
        elbow, wrist = _two_bones(shoulder, target, upper, fore, pole)
        joints[:, Joint.ELBOW + side] = elbow
        joints[:, Joint.WRIST + side] = wrist
        joints[:, Joint.HAND + side] = wrist + 0.045 * unit(wrist - elbow)


def _two_bones(root: Array, target: Array, first: float, second: float, pole: Array) -> tuple[Array, Array]:
    """Middle joint and end (N, 3) of two bones that reach for ``target`` and bend towards ``pole``."""
    gap = target - root
    distance = np.linalg.norm(gap, axis=1, keepdims=True)
    reach = np.clip(distance, 0.25 * (first + second), 0.997 * (first + second))
    along = gap / np.maximum(distance, 1e-6)
    base = (first**2 - second**2 + reach**2) / (2 * reach)
    rise = np.sqrt(np.maximum(first**2 - base**2, 0.0))
    bend = unit(pole - np.sum(pole * along, axis=1, keepdims=True) * along)
    return root + base * along + rise * bend, root + reach * along


def unit(vectors: Array) -> Array:
    """Vectors (..., 3) of length 1."""
    result: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    return result
