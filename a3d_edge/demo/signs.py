"""What gestures are made of: somebody who faces the camera, a hand that comes up, is held, goes down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from a3d_edge.demo.moves import Act, Actor, Keys, Rng, body, drift, hand_moves, ramp, reseed, stand
from a3d_edge.demo.skeleton import Array, Script, Signs

__all__ = [
    "FIST",
    "OPEN",
    "POINTING",
    "RELAXED",
    "THUMB_OUT",
    "Held",
    "Vector",
    "beat",
    "between",
    "face_camera",
    "gesture",
    "main_hand",
    "signal",
    "steady",
]

Vector = tuple[float, float, float]
Curl = tuple[float, float, float, float, float]

OPEN: Curl = (0.15, 0.0, 0.0, 0.0, 0.05)
RELAXED: Curl = (0.4, 0.25, 0.3, 0.35, 0.4)
FIST: Curl = (0.9, 1.0, 1.0, 1.0, 1.0)
POINTING: Curl = (0.9, 0.0, 1.0, 1.0, 1.0)
THUMB_OUT: Curl = (0.0, 1.0, 1.0, 1.0, 1.0)

_LOOSE = np.array((0.45, 0.35, 0.4, 0.45, 0.5))


@dataclass(frozen=True)
class Held:
    """How one hand is held while it is up; N moments.

    ``at`` (N, 3): forward, up, outward from its shoulder in arm lengths. ``fingers``, ``palm`` (N, 3) in the
    same axes. ``flare`` in [0, 1]: how far the elbow is lifted outwards.
    """

    side: int
    at: Array
    fingers: Array
    palm: Array
    curl: Curl
    flare: float = 0.0


def face_camera(clock: Array, rng: Rng) -> Script:
    """Somebody who stands with the front to the camera, hands hanging or, at times, before the body."""
    script = stand(clock, rng, 0.0, np.pi / 2)
    count = len(clock)
    hanging = Signs(
        fingers=np.tile(np.array([0.0, -1.0, 0.0]), (count, 2, 1)),
        palm=np.tile(np.array([0.0, 0.0, -1.0]), (count, 2, 1)),
        weight=np.zeros((count, 2)),
        curl=np.tile(_LOOSE, (count, 2, 1)),
        flare=np.zeros((count, 2)),
        shoulders=np.zeros(count),
    )
    script = replace(script, signs=hanging)
    bent = float(rng.uniform(0.0, 0.18))  # nobody's arms hang quite straight
    script = replace(script, hands=script.hands + np.array([0.5 * bent, bent, 0.0]))
    if rng.uniform() < 0.1:
        clasped = (float(rng.uniform(0.25, 0.4)), float(rng.uniform(-0.85, -0.7)), -0.3)
        hands = np.tile(np.array(clasped), (count, 2, 1)) + 0.1 * (script.hands - script.hands.mean(axis=0))
        script = replace(script, hands=hands)
    return script


def signal(script: Script, clock: Array, keys: Keys, held: Held) -> Script:
    """``script`` with one hand brought up by the weight ``keys`` and held so."""
    signs = script.signs
    assert signs is not None
    share = ramp(clock, keys)
    fingers, palm = signs.fingers.copy(), signs.palm.copy()
    weight, curl, flare = signs.weight.copy(), signs.curl.copy(), signs.flare.copy()
    side = held.side
    fingers[:, side], palm[:, side] = held.fingers, held.palm
    weight[:, side] = share
    curl[:, side] += share[:, None] * (np.array(held.curl) - curl[:, side])
    flare[:, side] = share * held.flare
    script = replace(
        script, signs=replace(signs, fingers=fingers, palm=palm, weight=weight, curl=curl, flare=flare)
    )
    return hand_moves(script, clock, side, keys, held.at)


def steady(clock: Array, rng: Rng, vector: Vector, wobble: float = 0.03) -> Array:
    """A point or direction (N, 3) that is held, not quite still."""
    return np.array(vector) + np.stack([drift(clock, rng, wobble, 1.7) for _ in range(3)], axis=1)


def beat(clock: Array, rng: Rng, period: float, start: float) -> Array:
    """Phase (N,) in radians of a movement that is repeated from ``start`` on, not quite evenly."""
    phase: Array = 2 * np.pi * (clock - start) / period + drift(clock, rng, 0.35, 2.5)
    return phase


def between(share: Array, first: Vector, second: Vector) -> Array:
    """Points (N, 3) from ``first`` (share 0) to ``second`` (share 1)."""
    one, two = np.array(first), np.array(second)
    mixed: Array = one + share[:, None] * (two - one)
    return mixed


def main_hand(rng: Rng) -> int:
    """The hand somebody signals with: mostly the right."""
    return int(rng.uniform() < 0.3)


Hands = Callable[[Array, Rng, float], Sequence[Held]]


def gesture(rng: Rng, hands: Hands, *, shrugs: float = 0.0, tilt: float = 0.0) -> Act:
    """One person brings up the ``hands``, goes on for a while, lets them down.

    ``hands`` (clock, generator, second at which they are up) gives the same for the same generator state.
    ``shrugs``: shoulders drawn up by so much (heights) meanwhile. ``tilt``: of the head, in radians.
    """
    rise, hold, fall = (
        float(rng.uniform(0.3, 0.7)),
        float(rng.uniform(1.6, 4.2)),
        float(rng.uniform(0.35, 0.7)),
    )
    noise = reseed(rng)
    keys: Keys = [(0.0, 0.0), (rise, 1.0), (rise + hold, 1.0), (rise + hold + fall, 0.0)]

    def perform(clock: Array) -> list[Actor]:
        again = np.random.default_rng(noise)
        script = face_camera(clock, again)
        for held in hands(clock, again, rise):
            script = signal(script, clock, keys, held)
        return [(_with_shoulders(script, ramp(clock, keys), shrugs, tilt), body(again))]

    return Act(rise + hold + fall, (0.0, rise + hold), perform)


def _with_shoulders(script: Script, share: Array, shrugs: float, tilt: float) -> Script:
    signs = script.signs
    assert signs is not None
    signs = replace(signs, shoulders=signs.shoulders + shrugs * share)
    return replace(script, signs=signs, side=script.side + tilt * share)
