"""The plots of the gestures: thirteen signs of the hand to a camera, and everything else as ``none``.

Variants as people differ in them: which hand or both, how high, how wide, how often, how fast. Directions are
the actor's own, so ``left`` goes to the right of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from a3d_edge.demo.idling import none
from a3d_edge.demo.moves import Act, Rng
from a3d_edge.demo.signs import (
    OPEN,
    POINTING,
    RELAXED,
    THUMB_OUT,
    Held,
    Vector,
    beat,
    between,
    gesture,
    main_hand,
    steady,
)
from a3d_edge.demo.skeleton import Array

__all__ = ["GESTURES"]


def _sides(rng: Rng, both: float) -> tuple[int, ...]:
    """One hand, or both with a chance of ``both``."""
    return (0, 1) if rng.uniform() < both else (main_hand(rng),)


def _near(rng: Rng, low: Vector, high: Vector) -> Vector:
    """A point drawn between two corners."""
    x, y, z = (float(rng.uniform(a, b)) for a, b in zip(low, high, strict=True))
    return x, y, z


def attention(rng: Rng) -> Act:
    """An open hand is raised above the head and stays there."""
    side, at = main_hand(rng), _near(rng, (0.0, 0.5, -0.05), (0.3, 0.9, 0.32))
    tilt = float(rng.uniform(-0.25, 0.3))
    palm = (1.0, 0.0, float(rng.choice([0.0, -0.8])))

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        return [
            Held(
                side,
                steady(clock, again, at),
                steady(clock, again, (0.1, 1.0, tilt)),
                steady(clock, again, palm),
                OPEN,
            )
        ]

    return gesture(rng, hands)


def greeting(rng: Rng) -> Act:
    """An open hand beside the head waves to and fro."""
    side, at = main_hand(rng), _near(rng, (0.1, -0.12, 0.02), (0.45, 0.45, 0.36))
    period, wide = float(rng.uniform(0.35, 0.95)), float(rng.uniform(0.03, 0.2))
    turn = float(rng.uniform(0.25, 0.6))

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        wave = np.sin(beat(clock, again, period, up))
        where = steady(clock, again, at) + wide * wave[:, None] * np.array([0.0, -0.1, 1.0])
        fingers = steady(clock, again, (0.1, 1.0, 0.0)) + turn * wave[:, None] * np.array([0.0, 0.0, 1.0])
        return [Held(side, where, fingers, steady(clock, again, (1.0, 0.0, 0.0)), OPEN)]

    return gesture(rng, hands)


def stop(rng: Rng) -> Act:
    """An open palm is held towards the camera and stays there: arm stretched, or bent beside the shoulder."""
    sides = _sides(rng, 0.12)
    low, high = (
        ((0.6, -0.4, -0.38), (0.95, 0.12, 0.0))
        if rng.uniform() < 0.7
        else ((0.3, -0.35, -0.1), (0.5, 0.2, 0.3))
    )
    at, tilt = _near(rng, low, high), float(rng.uniform(-0.3, 0.2))

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        return [
            Held(
                side,
                steady(clock, again, at, 0.02),
                steady(clock, again, (0.1, 1.0, tilt)),
                steady(clock, again, (1.0, 0.0, 0.0)),
                OPEN,
            )
            for side in sides
        ]

    return gesture(rng, hands)


def back(rng: Rng) -> Act:
    """Go away from me: palms push towards the camera again and again, or a hand shoos outwards."""
    pushes = rng.uniform() < 0.55
    sides = _sides(rng, 0.75 if pushes else 0.05)
    period, far = float(rng.uniform(0.5, 1.3)), float(rng.uniform(0.15, 0.42))
    near = _near(rng, (0.25, -0.45, -0.25), (0.4, -0.05, 0.0))
    high = _near(rng, (0.0, 0.02, -0.05), (0.0, 0.15 if len(sides) == 2 else 0.45, 0.1))
    bent = float(rng.uniform(0.0, 0.5))
    lifted = float(rng.uniform(0.0, 0.9)) if not pushes else 0.0

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        share = 0.5 - 0.5 * np.cos(beat(clock, again, period, up))
        share = share**0.7
        out = (near[0] + far, near[1] + high[1], near[2] + high[2])
        where = between(share, near, out) + steady(clock, again, (0.0, 0.0, 0.0))
        if pushes:
            fingers = between(share, (0.2 + bent, 1.0 - bent, -0.2), (0.1, 1.0, -0.1))
            palm = between(share, (1.0, -0.5 * bent, 0.0), (1.0, 0.0, 0.0))
        else:
            fingers = between(share, (0.25, -0.45, -0.75), (0.85, 0.55, 0.1))
            palm = between(share, (-0.6, -0.7, 0.0), (0.6, -0.8, 0.0))
        return [Held(side, where, fingers, palm, OPEN if pushes else RELAXED, lifted) for side in sides]

    return gesture(rng, hands)


def come(rng: Rng) -> Act:
    """Come to me: a hand, or both, with the palm to its owner beckons towards the chest."""
    sides = _sides(rng, 0.25)
    period, size = float(rng.uniform(0.45, 1.2)), float(rng.uniform(0.6, 1.3))
    out = _near(rng, (0.35, -0.42, -0.42), (0.75, 0.02, 0.1))
    rise, draw = float(rng.uniform(0.1, 0.3)) * size, float(rng.uniform(0.12, 0.3)) * size
    flat = float(rng.uniform(0.0, 0.8))

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        phase = beat(clock, again, period, up)
        share = 0.5 - 0.5 * np.cos(phase)
        drawn = (out[0] - draw, out[1] + rise, out[2])
        where = between(share, out, drawn) + 0.04 * np.sin(phase)[:, None] * np.array([0.0, 1.0, 0.0])
        fingers = between(share, (0.8, 0.2 + 0.4 * (1 - flat), -0.35), (-0.35, 0.85, -0.35 - 0.4 * flat))
        palm = between(share, (-0.45, 0.9, -0.1), (-1.0, -0.1, 0.0))
        return [Held(side, where, fingers, palm, RELAXED) for side in sides]

    return gesture(rng, hands)


def carry_on(rng: Rng) -> Act:
    """``continue``: the forearm rolls in circles before the body, or beside it."""
    side, period = main_hand(rng), float(rng.uniform(0.55, 1.3))
    middle = _near(rng, (0.3, -0.5, -0.2), (0.5, -0.15, 0.2))
    wide, tall = float(rng.uniform(0.08, 0.36)), float(rng.uniform(0.1, 0.28))
    deep, way = float(rng.uniform(0.05, 0.25)), 1.0 if rng.uniform() < 0.8 else -1.0
    if rng.uniform() < 0.3:  # rolled from the elbow, towards the camera and back
        wide, deep = 0.3 * wide, deep + 0.15
    lifted = float(rng.choice([0.0, rng.uniform(0.2, 0.8)]))

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        phase = way * beat(clock, again, period, up)
        across, high = -np.cos(phase), np.sin(phase)
        roll = np.stack([deep * high, tall * high, wide * across], axis=1)
        where = steady(clock, again, middle) + roll
        fingers = np.stack([0.5 + 0.2 * high, 0.25 + 0.6 * high, -0.3 + 0.7 * across], axis=1)
        palm = np.stack([-0.5 + 0.3 * high, -0.3 - 0.5 * high, -0.5 + 0.2 * across], axis=1)
        return [Held(side, where, fingers, palm, RELAXED, lifted)]

    return gesture(rng, hands)


def turn_back(rng: Rng) -> Act:
    """``turnback``: a finger or hand draws level circles before the shoulder or the face."""
    side, period = main_hand(rng), float(rng.uniform(0.45, 1.25))
    level = rng.uniform() < 0.3
    middle = _near(rng, (0.25, -0.32, -0.4), (0.5, 0.24, 0.2))
    wide, deep = float(rng.uniform(0.06, 0.22)), float(rng.uniform(0.06, 0.18))
    tall, way = float(rng.uniform(0.02, 0.16)), float(rng.choice([1.0, -1.0]))
    turn, tilt = float(rng.uniform(0.3, 0.9)), float(rng.uniform(-2.0, 2.0))
    curl = POINTING if rng.uniform() < 0.7 else RELAXED
    lifted = float(rng.uniform(0.7, 1.0)) if level else 0.0

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        phase = way * beat(clock, again, period, up)
        across, ahead = np.cos(phase), np.sin(phase)
        circle = np.stack([deep * ahead, tall * np.cos(phase + tilt), wide * across], axis=1)
        where = steady(clock, again, middle) + circle
        if level:
            fingers = np.stack([0.4 + turn * ahead, -0.35 + 0.0 * phase, -0.6 + turn * across], axis=1)
            palm = steady(clock, again, (-0.3, -1.0, 0.0))
            return [Held(side, where + np.array([0.0, 0.15, 0.0]), fingers, palm, curl, lifted)]
        fingers = np.stack([0.15 + turn * ahead, 0.9 + 0.0 * phase, -0.25 + turn * across], axis=1)
        palm = np.stack([0.6 * across - 0.2, 0.0 * phase, -0.5 + 0.6 * ahead], axis=1)
        return [Held(side, where, fingers, palm, curl)]

    return gesture(rng, hands)


def no(rng: Rng) -> Act:
    """A raised forefinger, at times the whole hand, wags from side to side before the chest."""
    side, period = main_hand(rng), float(rng.uniform(0.38, 0.9))
    at, wide = _near(rng, (0.35, -0.32, -0.38), (0.65, 0.08, 0.18)), float(rng.uniform(0.12, 0.5)) ** 2
    turn, curl = float(rng.uniform(0.3, 0.8)), POINTING if rng.uniform() < 0.7 else OPEN

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        wag = np.sin(beat(clock, again, period, up))[:, None]
        where = steady(clock, again, at) + wide * wag * np.array([0.0, -0.1, 1.0])
        fingers = steady(clock, again, (0.2, 1.0, 0.0)) + turn * wag * np.array([0.0, 0.0, 1.0])
        return [Held(side, where, fingers, steady(clock, again, (1.0, -0.1, 0.0)), curl)]

    return gesture(rng, hands)


def yes(rng: Rng) -> Act:
    """A fist with the thumb up is held before the chest or the shoulder."""
    side, at = main_hand(rng), _near(rng, (0.35, -0.36, -0.4), (0.8, 0.1, 0.22))
    inward = float(rng.uniform(0.0, 1.0))
    pump = float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.03, 0.08)]))
    period = float(rng.uniform(0.4, 0.8))

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        nod = pump * np.sin(beat(clock, again, period, up))[:, None] * np.array([0.3, 1.0, 0.0])
        fingers = steady(clock, again, (1.0 - inward, 0.1, -inward), 0.02)
        palm = steady(clock, again, (-inward, 0.0, -(1.0 - inward)), 0.02)
        return [Held(side, steady(clock, again, at, 0.02) + nod, fingers, palm, THUMB_OUT)]

    return gesture(rng, hands)


def slowdown(rng: Rng) -> Act:
    """A hand, or both, with the palm down presses down again and again."""
    sides, period = _sides(rng, 0.2), float(rng.uniform(0.4, 1.2))
    low = _near(rng, (0.4, -0.62, -0.38), (0.65, -0.25, 0.22))
    rise, flap = float(rng.uniform(0.13, 0.36)), float(rng.uniform(0.0, 1.0))
    inward = float(rng.uniform(0.0, 0.8)) if low[2] < 0.1 else 0.0

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        share = 0.5 + 0.5 * np.cos(beat(clock, again, period, up))
        raised = (low[0] - 0.05, low[1] + rise, low[2])
        where = between(share, low, raised) + steady(clock, again, (0.0, 0.0, 0.0), 0.02)
        fingers = between(share, (1.0, -0.1, -inward), (1.0 - 0.6 * flap, 0.2 + 0.8 * flap, -inward))
        palm = between(share, (0.1, -1.0, 0.0), (0.2 + 0.8 * flap, -1.0 + 0.6 * flap, 0.0))
        return [Held(side, where, fingers, palm, OPEN) for side in sides]

    return gesture(rng, hands)


def shrug(rng: Rng) -> Act:
    """Both open hands are held out to the sides, palms up."""
    at = _near(rng, (0.05, -0.45, 0.2), (0.4, 0.0, 0.5))
    fingers, palm = (float(rng.uniform(0.0, 0.7)), 0.15, 1.0), (float(rng.uniform(0.0, 0.5)), 1.0, 0.0)
    drawn, tilt = float(rng.uniform(0.0, 0.03)), float(rng.normal(0.0, 0.05))

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        return [
            Held(
                side,
                steady(clock, again, at),
                steady(clock, again, fingers),
                steady(clock, again, palm),
                OPEN,
            )
            for side in (0, 1)
        ]

    return gesture(rng, hands, shrugs=drawn, tilt=tilt)


def _towards(rng: Rng, direction: int) -> Act:
    """A hand points to one side (0 the actor's right): the arm stretched, bent, or the other one across."""
    kind = str(rng.choice(["stretched", "bent", "across"], p=[0.76, 0.12, 0.12]))
    corners: dict[str, tuple[Vector, Vector]] = {
        "stretched": ((0.0, -0.15, 0.62), (0.4, 0.18, 0.95)),
        "bent": ((0.25, -0.4, 0.3), (0.45, 0.05, 0.6)),
        "across": ((0.3, -0.4, -0.75), (0.5, -0.02, -0.45)),
    }
    at, out = _near(rng, *corners[kind]), -1.0 if kind == "across" else 1.0
    side = 1 - direction if kind == "across" else direction
    curl = POINTING if rng.uniform() < 0.7 else OPEN
    palm = (1.0, 0.0, 0.0) if rng.uniform() < 0.5 else (0.1, -1.0, 0.0)
    pump = float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.05, 0.15)]))
    period, ahead = float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.0, 0.35))

    def hands(clock: Array, again: Rng, up: float) -> Sequence[Held]:
        prod = pump * np.sin(beat(clock, again, period, up))[:, None] * np.array([0.0, 0.0, out])
        fingers = steady(clock, again, (ahead, 0.05, out))
        return [Held(side, steady(clock, again, at) + prod, fingers, steady(clock, again, palm), curl)]

    return gesture(rng, hands)


def left(rng: Rng) -> Act:
    """A hand points to the actor's left: the right of the picture."""
    return _towards(rng, 1)


def right(rng: Rng) -> Act:
    """A hand points to the actor's right: the left of the picture."""
    return _towards(rng, 0)


GESTURES: dict[str, Callable[[Rng], Act]] = {
    "attention": attention,
    "back": back,
    "come": come,
    "continue": carry_on,
    "greeting": greeting,
    "left": left,
    "no": no,
    "right": right,
    "shrug": shrug,
    "slowdown": slowdown,
    "stop": stop,
    "turnback": turn_back,
    "yes": yes,
    "none": none,
}
"""From a gesture's name to how it is acted; ``none`` is standing and moving without a sign."""
