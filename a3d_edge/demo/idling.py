"""What people before a camera do that is no gesture: stand, scratch, fold their arms, stretch, walk past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from a3d_edge.demo.moves import Act, Actor, Keys, Rng, add, body, drift, ramp, reseed
from a3d_edge.demo.signs import RELAXED, Held, Vector, face_camera, signal, steady
from a3d_edge.demo.skeleton import Array, Script

__all__ = ["none"]

_Place = tuple[Vector, Vector, Vector, float]
"""Where a hand goes: at, fingers, palm, elbow's flare; see `Held`."""

_ONE: dict[str, _Place] = {
    "scratch the head": ((0.15, 0.55, 0.02), (0.0, 0.6, -0.8), (-0.2, -0.6, -0.7), 0.9),
    "touch the face": ((0.3, 0.15, -0.3), (-0.3, 0.8, -0.4), (-1.0, 0.0, -0.2), 0.2),
    "hold the neck": ((-0.1, 0.3, -0.1), (-0.6, -0.1, -0.8), (0.4, 0.2, -0.7), 0.8),
    "drink": ((0.35, 0.15, -0.25), (0.0, 0.3, -1.0), (-0.8, 0.0, -0.3), 0.4),
    "telephone": ((0.1, 0.25, 0.05), (0.1, 1.0, -0.3), (0.0, 0.0, -1.0), 0.3),
    "look at the wrist": ((0.4, -0.3, -0.5), (0.0, 0.05, -1.0), (-0.6, -0.7, 0.0), 0.3),
    "tug at the clothes": ((0.2, -0.5, -0.25), (0.1, -0.7, -0.6), (-1.0, 0.0, 0.0), 0.2),
    "scratch the other arm": ((0.3, -0.55, -0.55), (0.1, 0.0, -1.0), (-0.7, 0.0, -0.5), 0.2),
    "hand in the pocket": ((0.1, -0.78, 0.0), (0.2, -1.0, 0.0), (0.0, 0.0, -1.0), 0.3),
}
_BOTH: dict[str, _Place] = {
    "fold the arms": ((0.3, -0.5, -0.6), (0.0, 0.15, -1.0), (-0.8, -0.4, 0.0), 0.2),
    "hands on the hips": ((0.0, -0.72, 0.12), (0.5, -0.5, -0.7), (-0.2, -0.3, -1.0), 1.0),
    "hands behind the head": ((-0.1, 0.45, -0.1), (-0.4, 0.3, -0.9), (0.8, 0.0, -0.4), 1.0),
    "stretch": ((0.1, 0.9, 0.15), (0.0, 1.0, -0.3), (0.6, 0.5, 0.0), 0.4),
    "clasp the hands": ((0.35, -0.62, -0.32), (0.3, -0.2, -0.9), (-0.8, 0.3, 0.0), 0.1),
    "rub the face": ((0.35, 0.2, -0.25), (-0.1, 1.0, -0.2), (-1.0, 0.0, 0.0), 0.3),
    "hands behind the back": ((-0.25, -0.75, -0.2), (-0.2, -0.5, -0.8), (-0.8, 0.0, 0.0), 0.4),
}


def none(rng: Rng) -> Act:
    """Half the time somebody just stands; else a movement that says nothing, or somebody passes."""
    kinds = ("stand", "one", "both", "aimless", "bend", "past")
    kind = str(rng.choice(kinds, p=[0.38, 0.22, 0.2, 0.08, 0.05, 0.07]))
    noise, length = reseed(rng), float(rng.uniform(1.8, 3.4))

    def perform(clock: Array) -> list[Actor]:
        again = np.random.default_rng(noise)
        script = _MOVES[kind](face_camera(clock, again), clock, again, length)
        return [(script, body(again))]

    return Act(length, (0.0, length), perform)


def _stands(script: Script, clock: Array, rng: Rng, length: float) -> Script:
    """At times shifting its weight or looking about."""
    shift, look = float(rng.choice([0.0, 0.0, 0.05])), float(rng.choice([0.0, 0.0, 0.7]))
    return add(script, x=drift(clock, rng, shift, 3.0), turn=drift(clock, rng, look, 3.0))


def _one(script: Script, clock: Array, rng: Rng, length: float) -> Script:
    return _touch(script, clock, rng, length, _chosen(rng, _ONE), (int(rng.integers(2)),))


def _both(script: Script, clock: Array, rng: Rng, length: float) -> Script:
    return _touch(script, clock, rng, length, _chosen(rng, _BOTH), (0, 1))


def _chosen(rng: Rng, places: dict[str, _Place]) -> _Place:
    return places[str(rng.choice(list(places)))]


def _touch(
    script: Script, clock: Array, rng: Rng, length: float, place: _Place, sides: Sequence[int]
) -> Script:
    at, fingers, palm, flare = place
    rise, fall = float(rng.uniform(0.35, 0.8)), float(rng.uniform(0.4, 0.8))
    keys: Keys = [(0.0, 0.0), (rise, 1.0), (length - 0.2 * fall, 1.0), (length + 0.8 * fall, 0.0)]
    rub = float(rng.choice([0.0, rng.uniform(0.02, 0.06)]))
    period = float(rng.uniform(0.25, 0.6))
    for side in sides:
        apart = 0.06 * (side - 0.5) if len(sides) == 2 else 0.0  # one forearm lies over the other
        where = steady(clock, rng, (at[0] + apart, at[1] - apart, at[2]), 0.02) + rng.normal(0.0, 0.03, 3)
        where[:, 1] += rub * np.sin(2 * np.pi * clock / period)
        held = Held(side, where, steady(clock, rng, fingers), steady(clock, rng, palm), RELAXED, flare)
        script = signal(script, clock, keys, held)
    return script


def _aimless(script: Script, clock: Array, rng: Rng, length: float) -> Script:
    """Hands that swing about somewhere low."""
    for side in (0, 1):
        at = (float(rng.uniform(-0.1, 0.4)), float(rng.uniform(-0.9, -0.6)), float(rng.uniform(-0.2, 0.4)))
        where = np.array(at) + np.stack([drift(clock, rng, 0.15, 1.6) for _ in range(3)], axis=1)
        keys: Keys = [(0.0, 0.0), (0.6, 1.0), (length, 1.0), (length + 0.6, 0.0)]
        fingers, palm = steady(clock, rng, (0.4, -0.8, 0.0), 0.3), steady(clock, rng, (-0.2, 0.0, -1.0), 0.3)
        script = signal(script, clock, keys, Held(side, where, fingers, palm, RELAXED))
    return script


def _bends(script: Script, clock: Array, rng: Rng, length: float) -> Script:
    """Down towards the ground, or to one side, and up again."""
    deep = ramp(clock, [(0.0, 0.0), (0.45 * length, 1.0), (0.55 * length, 1.0), (length, 0.0)])
    if rng.uniform() < 0.5:
        return add(script, side=float(rng.choice([-0.4, 0.4])) * deep)
    far = float(rng.uniform(0.5, 1.1))
    return add(script, lean=far * deep, crouch=0.08 * deep, nod=0.2 * deep)


def _passes(script: Script, clock: Array, rng: Rng, length: float) -> Script:
    """Walks through the picture from side to side, or up to the camera and on."""
    speed = float(rng.uniform(0.45, 0.8)) * float(rng.choice([-1.0, 1.0]))
    way = speed * (clock - 0.5 * length)
    if rng.uniform() < 0.75:
        heading = 0.0 if speed > 0 else np.pi
        return replace(add(script, x=way), yaw=heading + drift(clock, rng, 0.05))
    heading = np.pi / 2 if speed > 0 else -np.pi / 2
    closer = np.clip(0.5 * way, -1.0, 0.35)
    return replace(add(script, z=closer), yaw=heading + drift(clock, rng, 0.05))


_MOVES: dict[str, Callable[[Script, Array, Rng, float], Script]] = {
    "stand": _stands,
    "one": _one,
    "both": _both,
    "aimless": _aimless,
    "bend": _bends,
    "past": _passes,
}
