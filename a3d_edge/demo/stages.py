"""From a label and a seed to what is acted before the camera, and when: the scene before it is a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from a3d_edge.demo.actions import ACTIONS
from a3d_edge.demo.crowd import crowd, four
from a3d_edge.demo.gestures import GESTURES
from a3d_edge.demo.hands import hand_points
from a3d_edge.demo.moves import Act, Actor, body, stand
from a3d_edge.demo.props import Prop
from a3d_edge.demo.skeleton import RATE, Array, solve
from a3d_edge.demo.testbed import TESTBED
from a3d_edge.labels import SEPARATOR, labels_in

__all__ = ["LEAD_S", "Stage", "act_out", "crowd_out", "people_out", "schedule", "signal_out", "test_out"]

LEAD_S = 1.0
"""So much is acted before a scene's first picture."""


@dataclass(frozen=True)
class Stage:
    """The acted scene: joints (N, J, 3) of each figure and which moments belong to the action's heart.

    The first so many figures are ``actors``; ``props``: what the first figures hold.
    """

    joints: list[Array]
    heart: slice
    actors: int
    props: tuple[Prop | None, ...] = ()

    def extent(self) -> Array:
        """Every joint (K, 3) of the actors during the heart of the action."""
        return np.concatenate([joints[self.heart].reshape(-1, 3) for joints in self.joints[: self.actors]])


def act_out(rng: np.random.Generator, label: str, duration_s: float) -> Stage:
    """An interaction, and at times somebody who passes."""
    act = ACTIONS[label](rng)
    start, pace = schedule(rng, act, duration_s)
    times = np.arange(-LEAD_S, duration_s + 0.1, 1 / RATE)
    actors = act.perform((times - start) * pace)
    cast = actors + _passers(rng, times)
    margin = float(rng.uniform(0.0, 0.6))
    first, last = (start + (act.core[i] + (2 * i - 1) * margin) / pace + LEAD_S for i in (0, 1))
    begin = int(np.clip(first * RATE, LEAD_S * RATE, len(times) - 2))
    heart = slice(begin, int(np.clip(last * RATE, begin + 1, len(times))))
    return Stage([solve(script, shape) for script, shape in cast], heart, len(actors))


def signal_out(rng: np.random.Generator, label: str, duration_s: float) -> Stage:
    """A gesture of one person, with fingers."""
    act = GESTURES[label](rng)
    pace, start = float(rng.uniform(0.85, 1.2)), duration_s * float(rng.uniform(0.06, 0.4))
    if rng.uniform() < 0.15:  # all of it, hands down again, where there is room
        start = min(start, max(0.0, duration_s - act.length / pace))
    times = np.arange(-LEAD_S, duration_s + 0.1, 1 / RATE)
    [(script, shape)] = act.perform((times - start) * pace)
    joints = solve(script, shape)
    begin = int(np.clip((start + LEAD_S) * RATE, 0, len(times) - 2))
    last = int(np.clip((start + act.core[1] / pace + LEAD_S) * RATE, begin + 1, len(times)))
    return Stage([np.concatenate([joints, hand_points(script, joints)], axis=1)], slice(begin, last), 1)


def schedule(rng: np.random.Generator, act: Act, duration_s: float) -> tuple[float, float]:
    """When the action begins, in seconds, and how much faster than usual it is."""
    pace = float(rng.uniform(0.75, 1.35))
    if act.length / pace > duration_s:
        pace = float(np.clip(act.length / duration_s, pace, 1.5))
    room = duration_s - act.length / pace
    if room >= 0:
        return float(rng.uniform(0.0, room)), pace
    middle = 0.5 * (act.core[0] + act.core[1]) / pace
    return float(np.clip(duration_s / 2 - middle, room, 0.0)), pace


def _passers(rng: np.random.Generator, times: Array) -> list[Actor]:
    """At times somebody farther away who has nothing to do with it."""
    if rng.uniform() > 0.1:
        return []
    beside = float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.8, 1.6))
    script = stand(times, rng, beside, float(rng.uniform(0, 2 * np.pi)))
    far = np.full_like(times, -float(rng.uniform(0.8, 1.6)))
    walk = float(rng.choice([0.0, 0.5, -0.5])) * times
    yaw = np.where(walk[-1] > 0, 0.0, np.pi) + 0 * times if walk[-1] != 0 else script.yaw
    return [(replace(script, x=script.x + walk, z=far, yaw=yaw), body(rng))]


def test_out(rng: np.random.Generator, label: str, duration_s: float) -> Stage:
    """What a class of the testbed shows, all the time."""
    times = np.arange(-LEAD_S, duration_s + 0.1, 1 / RATE)
    cast, props = TESTBED[label](rng)(times)
    joints = [solve(script, shape) for script, shape in cast]
    return Stage(joints, slice(round(LEAD_S * RATE), len(times)), len(cast), props)


def crowd_out(rng: np.random.Generator, label: str, duration_s: float) -> Stage:
    """People who each do one thing of a set, ``bows;waves``, or nothing, all the time."""
    times = np.arange(-LEAD_S, duration_s + 0.1, 1 / RATE)
    joints = [solve(script, shape) for script, shape in crowd(rng, labels_in(label), times)]
    return Stage(joints, slice(round(LEAD_S * RATE), len(times)), len(joints))


def people_out(rng: np.random.Generator, label: str, duration_s: float) -> Stage:
    """What each of some people does all the time, from left to right: ``bows;;waves;bows``."""
    times = np.arange(-LEAD_S, duration_s + 0.1, 1 / RATE)
    joints = [solve(script, shape) for script, shape in four(rng, label.split(SEPARATOR), times)]
    return Stage(joints, slice(round(LEAD_S * RATE), len(times)), len(joints))
