"""A set of classes on which everything a network can give up matters: size, frames and width.

In pairs that differ in one thing, and look alike in all others:

    disc, ring; bar, fork             a detail of what is held up: needs size
    clockwise, anticlockwise          the same poses in another order: needs frames
    quick_up, quick_down              the same
    even, double                      the same beats at other times: needs frames
    left_waves, right_waves           which of two people waves, while the other only holds a hand up

One person faces the camera, near by, or for the last pair two people do; with which hand, where, how fast and
how far varies. All goes on for the whole clip, so that any window of 2 s shows it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from a3d_edge.demo.moves import Actor, Keys, Rng, add, body, drift, hand_moves, reseed, stand
from a3d_edge.demo.props import PROPS, Prop
from a3d_edge.demo.skeleton import Array

__all__ = ["TESTBED", "Cast", "Plot"]

Cast = tuple[list[Actor], tuple[Prop | None, ...]]
"""Who is there, from left to right on the picture, and what each holds."""
Plot = Callable[[Rng], Callable[[Array], Cast]]
"""From a generator to what gives the cast at the moments (N,), in seconds; always the same."""
_Path = Callable[[Array], Array]

_ALWAYS: Keys = [(-2.0, 1.0), (-1.0, 1.0)]


def _scene(
    rng: Rng, side: int, path: _Path, *, prop: Prop | None = None, actor: int | None = None
) -> Callable[[Array], Cast]:
    """Somebody moves the hand of a ``side`` along ``path``: (N, 3) forward, up, outward from the shoulder in
    arm lengths, and may hold something in it. With an ``actor`` there are two people, of whom that one does
    (0 the left one), and the other holds a hand somewhere.
    """
    who = actor or 0
    people = (0,) if actor is None else (0, 1)
    apart, noise, elsewhere = float(rng.uniform(0.5, 0.62)), reseed(rng), _up(rng)

    def perform(clock: Array) -> Cast:
        again = np.random.default_rng(noise)
        cast: list[Actor] = []
        for place in people:
            script = stand(clock, again, (place - 0.5 * people[-1]) * apart, np.pi / 2)
            script = add(script, turn=-0.1 * script.turn)
            other = int(again.integers(2))
            if place == who:
                script = hand_moves(script, clock, side, _ALWAYS, path(clock) + _unsteady(clock, again))
            else:
                held = np.tile(elsewhere, (len(clock), 1)) + _unsteady(clock, again)
                script = hand_moves(script, clock, other, _ALWAYS, held)
            cast.append((script, body(again)))
        return cast, tuple(prop if place == who else None for place in people)

    return perform


def _unsteady(clock: Array, rng: Rng) -> Array:
    return np.stack([drift(clock, rng, 0.03, 1.7) for _ in range(3)], axis=1)


def _up(rng: Rng) -> Array:
    """A place that a hand is held at: forward, beside or above the shoulder."""
    return np.array([rng.uniform(0.25, 0.4), rng.uniform(0.0, 0.6), rng.uniform(0.25, 0.5)])


def _shows(kind: str) -> Plot:
    """A thing is held up."""

    def plot(rng: Rng) -> Callable[[Array], Cast]:
        at, side = _up(rng), int(rng.integers(2))
        bright = float(rng.uniform(190, 240))
        blue, green, red = (float(np.clip(bright + rng.normal(0, 12), 60, 250)) for _ in range(3))
        size, angle = float(rng.uniform(0.85, 1.2)), float(rng.normal(0.0, 0.35))
        prop = Prop(kind, side, (blue, green, red), size, angle)
        return _scene(rng, side, lambda clock: np.tile(at, (len(clock), 1)), prop=prop)

    return plot


def _cycle(rng: Rng, low: float, high: float) -> Callable[[Array], Array]:
    """Which part (N,) in [0, 1) of a cycle it is; a cycle takes ``low`` to ``high`` s."""
    period, start = float(rng.uniform(low, high)), float(rng.uniform())
    return lambda clock: np.mod(clock / period + start, 1.0)


def _turns(sense: float) -> Plot:
    """A hand goes round before the body; ``sense`` 1 is clockwise on the picture for either hand."""

    def plot(rng: Rng) -> Callable[[Array], Cast]:
        side, part = int(rng.integers(2)), _cycle(rng, 0.9, 1.5)
        middle, wide = (
            np.array([0.45, rng.uniform(-0.1, 0.3), rng.uniform(0.15, 0.35)]),
            rng.uniform(0.35, 0.5),
        )
        # A right hand's outward is to the left of the picture.
        outward = -1.0 if side == 0 else 1.0

        def path(clock: Array) -> Array:
            angle = 2 * np.pi * part(clock) * sense
            away = np.stack([np.zeros_like(angle), np.cos(angle), outward * np.sin(angle)], axis=1)
            return np.asarray(middle + wide * away)

        return _scene(rng, side, path)

    return plot


def _saws(quick_up: bool) -> Plot:
    """A hand goes up and down, one way in a quarter of the time; backwards, one is the other."""

    def plot(rng: Rng) -> Callable[[Array], Cast]:
        part, share = _cycle(rng, 1.1, 1.7), float(rng.uniform(0.2, 0.28))
        low, high = _between(rng)

        def path(clock: Array) -> Array:
            now = part(clock) if quick_up else 1.0 - part(clock)
            height = np.where(now < share, now / share, (1.0 - now) / (1.0 - share))
            return _raised(low, high, height)

        return _scene(rng, int(rng.integers(2)), path)

    return plot


def _beats(second: float) -> Plot:
    """A hand jerks up twice a cycle, the second time after ``second`` of it."""

    def plot(rng: Rng) -> Callable[[Array], Cast]:
        part, wide = _cycle(rng, 1.3, 1.9), float(rng.uniform(0.2, 0.24))
        low, high = _between(rng)

        def path(clock: Array) -> Array:
            now, height = part(clock), np.zeros_like(clock)
            for begin in (0.0, second):
                inside = np.clip(np.mod(now - begin, 1.0) / wide, 0.0, 1.0)
                height = np.maximum(height, np.sin(np.pi * inside))
            return _raised(low, high, height)

        return _scene(rng, int(rng.integers(2)), path)

    return plot


def _between(rng: Rng) -> tuple[Array, Array]:
    """Two places of a hand, one low and one high."""
    low = np.array([rng.uniform(0.3, 0.4), rng.uniform(-0.4, -0.25), rng.uniform(0.1, 0.3)])
    return low, low + np.array([0.0, rng.uniform(0.6, 0.9), 0.0])


def _raised(low: Array, high: Array, height: Array) -> Array:
    """Places (N, 3) at heights (N,) from 0, low, to 1, high."""
    return np.asarray(low + height[:, None] * (high - low))


def _waves(who: int) -> Plot:
    """A hand beside the head goes to and fro."""

    def plot(rng: Rng) -> Callable[[Array], Cast]:
        part, at, wide = _cycle(rng, 0.5, 0.9), _up(rng), float(rng.uniform(0.12, 0.22))

        def path(clock: Array) -> Array:
            swing = np.sin(2 * np.pi * part(clock))[:, None]
            return np.asarray(at + wide * swing * np.array([0.0, -0.1, 1.0]))

        return _scene(rng, int(rng.integers(2)), path, actor=who)

    return plot


TESTBED: dict[str, Plot] = {
    **{kind: _shows(kind) for kind in PROPS},
    "clockwise": _turns(1.0),
    "anticlockwise": _turns(-1.0),
    "quick_up": _saws(True),
    "quick_down": _saws(False),
    "even": _beats(0.5),
    "double": _beats(0.25),
    "left_waves": _waves(0),
    "right_waves": _waves(1),
}
"""From a class to how it is acted."""
