"""Several people at once, each doing one thing or nothing: what is seen is a set of classes.

Two to four people face the camera side by side, in any order; of a set's actions each is done by one of them,
all the time, so that any window of 2 s shows all; the others stand. No person does two things, and no two do
the same. Moves are of arms, trunk or knees: large enough for small networks, and alike for either hand.
Where it is asked *who* does what (`four`), there are four people, and some may do the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from a3d_edge.demo.moves import Actor, Rng, add, body, drift, hand_moves, stand
from a3d_edge.demo.skeleton import Array, Script

__all__ = ["CROWD", "FOUR", "MOST", "crowd", "four", "four_acts"]

MOST = 4
"""People in a picture."""
APART = (0.5, 0.62)
"""Heights from one to the next."""
LEAST_ACTORS = 2
PEOPLE = 4
"""In a picture of which it is asked who does what."""

_Move = Callable[[Rng, Script, Array], Script]

_ALWAYS = [(-2.0, 1.0), (-1.0, 1.0)]


def crowd(rng: Rng, acts: Sequence[str], clock: Array) -> list[Actor]:
    """Who is there, from left to right: somebody for each of the ``acts`` of `CROWD`, and perhaps others.

    ``clock``: moments (N,) in seconds. At most `MOST` acts.
    """
    least = max(LEAST_ACTORS, len(acts))
    people = int(rng.integers(least, max(least, MOST - 1) + 1))
    order: list[str | None] = [*acts, *[None] * (people - len(acts))]
    apart = float(rng.uniform(*APART))
    cast: list[Actor] = []
    for place, which in enumerate(rng.permutation(people)):
        script = stand(clock, rng, (place - 0.5 * (people - 1)) * apart, np.pi / 2)
        script = add(script, turn=-0.1 * script.turn)
        act = order[int(which)]
        cast.append((script if act is None else CROWD[act](rng, script, clock), body(rng)))
    return cast


def four_acts(seed: int) -> tuple[str, ...]:
    """What each of four people does, from left to right: one of `FOUR`, each as likely, or nothing ("").

    Two may do the same: that somebody does it says nothing of who.
    """
    rng = random.Random(f"people:{seed}")
    return tuple(rng.choice((*FOUR, "")) for _ in range(PEOPLE))


def four(rng: Rng, acts: Sequence[str], clock: Array) -> list[Actor]:
    """People side by side, from left to right, who each do one of the ``acts`` of `CROWD`, or stand ("")."""
    apart = float(rng.uniform(*APART))
    cast: list[Actor] = []
    for place, act in enumerate(acts):
        script = stand(clock, rng, (place - 0.5 * (len(acts) - 1)) * apart, np.pi / 2)
        script = add(script, turn=-0.1 * script.turn)
        cast.append((CROWD[act](rng, script, clock) if act else script, body(rng)))
    return cast


def _cycle(rng: Rng, clock: Array, low: float, high: float) -> Array:
    """The phase (N,) of something that goes round in ``low`` to ``high`` s, in radians."""
    return np.asarray(2 * np.pi * (clock / rng.uniform(low, high) + rng.uniform()))


def _hand(rng: Rng, script: Script, clock: Array, points: Array) -> Script:
    """One hand, either, goes along points (N, 3): forward, up, outward, in arm lengths."""
    unsteady = np.stack([drift(clock, rng, 0.03, 1.7) for _ in range(3)], axis=1)
    return hand_moves(script, clock, int(rng.integers(2)), _ALWAYS, points + unsteady)


def _waves(rng: Rng, script: Script, clock: Array) -> Script:
    """A hand beside the head goes to and fro."""
    at = np.array([rng.uniform(0.2, 0.35), rng.uniform(0.5, 0.7), rng.uniform(0.2, 0.35)])
    swing = np.sin(_cycle(rng, clock, 0.5, 0.8))[:, None] * rng.uniform(0.22, 0.32)
    return _hand(rng, script, clock, at + swing * np.array([0.0, -0.1, 1.0]))


def _circles(rng: Rng, script: Script, clock: Array) -> Script:
    """A hand goes round before the body."""
    phase, wide = _cycle(rng, clock, 0.9, 1.4), rng.uniform(0.35, 0.5)
    middle = np.array([0.45, rng.uniform(-0.1, 0.2), rng.uniform(0.2, 0.35)])
    round_ = np.stack([np.zeros_like(phase), np.cos(phase), np.sin(phase)], axis=1)
    return _hand(rng, script, clock, middle + wide * round_)


def _lifts(rng: Rng, script: Script, clock: Array) -> Script:
    """A hand goes up and down before the body, straight."""
    low = np.array([rng.uniform(0.35, 0.45), -0.45, rng.uniform(0.05, 0.2)])
    height = 0.5 - 0.5 * np.cos(_cycle(rng, clock, 1.0, 1.5))[:, None]
    return _hand(rng, script, clock, low + height * np.array([0.0, rng.uniform(1.0, 1.25), 0.0]))


def _points(rng: Rng, script: Script, clock: Array) -> Script:
    """An arm is held out to the side, and stays there."""
    at = np.array([rng.uniform(0.0, 0.15), rng.uniform(-0.1, 0.15), rng.uniform(0.9, 1.0)])
    return _hand(rng, script, clock, np.tile(at, (len(clock), 1)))


def _cheers(rng: Rng, script: Script, clock: Array) -> Script:
    """Both arms are held up."""
    for side in (0, 1):
        at = np.array([rng.uniform(0.0, 0.15), rng.uniform(0.85, 0.95), rng.uniform(0.2, 0.4)])
        script = hand_moves(script, clock, side, _ALWAYS, np.tile(at, (len(clock), 1)))
    return script


def _bows(rng: Rng, script: Script, clock: Array) -> Script:
    """The trunk bends towards the camera and comes up again."""
    deep = rng.uniform(0.6, 0.85) * (0.5 - 0.5 * np.cos(_cycle(rng, clock, 1.3, 1.9)))
    return add(script, lean=deep, nod=0.2 * deep)


def _squats(rng: Rng, script: Script, clock: Array) -> Script:
    """The knees bend and straighten."""
    return add(script, crouch=rng.uniform(0.16, 0.22) * (0.5 - 0.5 * np.cos(_cycle(rng, clock, 1.2, 1.8))))


def _sways(rng: Rng, script: Script, clock: Array) -> Script:
    """The trunk goes from side to side."""
    return replace(script, side=script.side + rng.uniform(0.3, 0.42) * np.sin(_cycle(rng, clock, 1.1, 1.7)))


CROWD: Mapping[str, _Move] = {
    "waves": _waves,
    "circles": _circles,
    "lifts": _lifts,
    "points": _points,
    "cheers": _cheers,
    "bows": _bows,
    "squats": _squats,
    "sways": _sways,
}
"""From a class to what it makes of somebody who stands."""

FOUR: tuple[str, ...] = ("waves", "points", "cheers", "bows", "squats")
"""Of them those that a few pictures tell."""
