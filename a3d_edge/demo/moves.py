"""What all plots are made of: eased tracks, somebody who stands, hands that go somewhere, two who meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from a3d_edge.demo.skeleton import Array, Body, Script

__all__ = [
    "Act",
    "Actor",
    "Keys",
    "Rng",
    "add",
    "body",
    "drift",
    "hand_holds",
    "hand_moves",
    "meeting",
    "pair",
    "path",
    "ramp",
    "reseed",
    "stand",
]

Rng = np.random.Generator
Keys = Sequence[tuple[float, float]]
Actor = tuple[Script, Body]

_REST = (0.1, -0.97, 0.12)


@dataclass(frozen=True)
class Act:
    """An action before it has a place in time: its seconds, its heart in seconds, and how it is performed.

    ``perform`` takes the action's own clock (N,) in seconds (negative before it begins) and gives the actors.
    """

    length: float
    core: tuple[float, float]
    perform: Callable[[Array], list[Actor]]


def ramp(clock: Array, keys: Keys) -> Array:
    """Eased values (N,) through ``keys`` of (second, value); held before and after."""
    times = np.array([key[0] for key in keys])
    values = np.array([key[1] for key in keys])
    index = np.clip(np.searchsorted(times, clock, side="right") - 1, 0, len(keys) - 2)
    span = np.maximum(times[index + 1] - times[index], 1e-6)
    part = np.clip((clock - times[index]) / span, 0.0, 1.0)
    eased: Array = values[index] + part * part * (3 - 2 * part) * (values[index + 1] - values[index])
    return eased


def path(clock: Array, keys: Sequence[tuple[float, tuple[float, float, float]]]) -> Array:
    """The same for points: (N, 3)."""
    columns = [ramp(clock, [(when, point[axis]) for when, point in keys]) for axis in range(3)]
    return np.stack(columns, axis=1)


def drift(clock: Array, rng: Rng, size: float, slowest_s: float = 4.0) -> Array:
    """Small aimless movement (N,) of about ``size``: three slow waves."""
    total = np.zeros_like(clock)
    for octave in range(3):
        period = slowest_s / (1.7**octave) * rng.uniform(0.8, 1.25)
        total += np.sin(2 * np.pi * (clock / period + rng.uniform())) / (1.5**octave)
    return 0.5 * size * total


def stand(clock: Array, rng: Rng, x: float, yaw: float) -> Script:
    """Somebody who stands at ``x`` and shifts a little."""
    hands = np.stack([_rest_hand(clock, rng), _rest_hand(clock, rng)], axis=1)
    sway = float(rng.uniform(0.3, 1.2))
    return Script(
        x=x + drift(clock, rng, 0.008 * sway),
        z=rng.uniform(-0.03, 0.03) + drift(clock, rng, 0.006 * sway),
        yaw=yaw + rng.normal(0.0, 0.16) + drift(clock, rng, 0.05 * sway),
        lean=rng.normal(0.03, 0.03) + drift(clock, rng, 0.02 * sway),
        side=drift(clock, rng, 0.025 * sway),
        twist=drift(clock, rng, 0.05 * sway),
        crouch=np.abs(drift(clock, rng, 0.004)),
        nod=rng.normal(0.08, 0.08) + drift(clock, rng, 0.05 * sway),
        turn=drift(clock, rng, 0.18 * sway),
        hands=hands,
        reach=np.zeros((len(clock), 2)),
        goals=np.zeros((len(clock), 2, 3)),
        lift=np.zeros((len(clock), 2)),
        feet=np.zeros((len(clock), 2, 3)),
    )


def _rest_hand(clock: Array, rng: Rng) -> Array:
    forward, up, outward = _REST
    return np.stack(
        [
            forward + rng.normal(0.0, 0.07) + drift(clock, rng, 0.04),
            np.full_like(clock, up + abs(rng.normal(0.0, 0.03))),
            outward + rng.normal(0.0, 0.04) + drift(clock, rng, 0.02),
        ],
        axis=1,
    )


def body(rng: Rng) -> Body:
    """A person's proportions."""
    height = float(np.clip(rng.normal(1.0, 0.04), 0.9, 1.1))
    wide = float(rng.normal(1.0, 0.07))
    step = float(rng.uniform(0.28, 0.38))
    return Body(
        height=height,
        shoulder=0.1 * wide,
        hip=0.05 * wide,
        stance=float(rng.uniform(0.05, 0.085)),
        step_s=step,
    )


def hand_moves(script: Script, clock: Array, side: int, weight: Keys, points: Array) -> Script:
    """``script`` with one hand's rest blended into body-frame ``points`` (N, 3) by ``weight``."""
    share = ramp(clock, weight)[:, None]
    hands = script.hands.copy()
    hands[:, side] = (1 - share) * hands[:, side] + share * points
    return replace(script, hands=hands)


def hand_holds(script: Script, clock: Array, side: int, weight: Keys, goal: Array) -> Script:
    """``script`` with one hand drawn to the world point ``goal`` (N, 3) by ``weight``."""
    reach, goals = script.reach.copy(), script.goals.copy()
    reach[:, side] = ramp(clock, weight)
    goals[:, side] = goal
    return replace(script, reach=reach, goals=goals)


def add(script: Script, **changes: Array) -> Script:
    """``script`` with arrays added to some of its tracks."""
    return replace(script, **{name: getattr(script, name) + value for name, value in changes.items()})


@dataclass(frozen=True)
class Meeting:
    """Two people who stand ``apart`` and come ``near``: when they arrive and how far each has walked."""

    apart: float
    near: float
    arrive: float
    first: float
    second: float

    @property
    def left(self) -> float:
        return -self.apart / 2

    @property
    def right(self) -> float:
        return self.apart / 2


def meeting(rng: Rng, near: float, share: float) -> Meeting:
    """Two who come ``near``; the first walks ``share`` of the way."""
    apart = float(max(near + 0.05, rng.uniform(0.72, 1.35)))
    first, second = share * (apart - near), (1 - share) * (apart - near)
    pace = float(rng.uniform(0.42, 0.72))
    arrive = float(max(0.45, max(first, second) / pace))
    return Meeting(apart, near, arrive, first, second)


def pair(clock: Array, rng: Rng, met: Meeting) -> tuple[Script, Body, Script, Body]:
    """Both people through the approach; the first faces right."""
    one, two = stand(clock, rng, met.left, 0.0), stand(clock, rng, met.right, np.pi)
    late = float(rng.uniform(0.0, 0.15)) * met.arrive
    one = add(one, x=ramp(clock, [(0.0, 0.0), (met.arrive, met.first)]))
    two = add(two, x=ramp(clock, [(late, 0.0), (met.arrive, -met.second)]))
    return one, body(rng), two, body(rng)


def reseed(rng: Rng) -> int:
    """A seed that makes ``perform`` give the same every time it is asked."""
    return int(rng.integers(2**31))
