"""The plots of the three blows: kick, punch and push."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from a3d_edge.demo.moves import (
    Act,
    Actor,
    Keys,
    Rng,
    add,
    hand_holds,
    hand_moves,
    meeting,
    pair,
    path,
    ramp,
    reseed,
)
from a3d_edge.demo.skeleton import Array, Script, trunk_point

__all__ = ["kick", "punch", "push"]


def kick(rng: Rng) -> Act:
    """One steps up and kicks the other's trunk or leg; the other gives way."""
    height = float(rng.choice([rng.uniform(0.25, 0.4), rng.uniform(0.45, 0.66)]))
    stretch = float(np.sqrt(max(0.475**2 - (height - 0.53) ** 2, 0.1)))
    met = meeting(rng, stretch + float(rng.uniform(0.02, 0.09)), float(rng.uniform(0.75, 1.0)))
    lift = met.arrive + float(rng.uniform(-0.1, 0.05))
    hit = lift + float(rng.uniform(0.28, 0.4))
    rest = float(rng.uniform(0.08, 0.22))
    down = hit + rest + float(rng.uniform(0.35, 0.5))
    foot, noise = int(rng.integers(2)), reseed(rng)
    retreat = float(rng.uniform(0.1, 0.45))

    def perform(clock: Array) -> list[Actor]:
        again = np.random.default_rng(noise)
        one, body1, two, body2 = pair(clock, again, met)
        one = _kicks(one, clock, foot, (lift, hit, rest, down), stretch, height - 0.53)
        one = add(one, x=ramp(clock, [(down, 0.0), (down + 0.6, -float(again.uniform(0.0, 0.25)))]))
        two = _gives_way(two, clock, again, hit, retreat, height)
        return [(one, body1), (two, body2)]

    return Act(down + 0.7, (lift - 0.15, down + 0.3), perform)


def _kicks(script: Script, clock: Array, foot: int, when: tuple[float, ...], far: float, up: float) -> Script:
    lift, hit, rest, down = when
    weight = ramp(clock, [(lift - 0.12, 0.0), (lift + 0.05, 1.0), (down - 0.15, 1.0), (down, 0.0)])
    keys = [
        (lift - 0.1, (-0.12, -0.46, 0.0)),
        (lift + 0.04, (-0.22, -0.36, 0.0)),
        (0.45 * lift + 0.55 * hit, (0.12, -0.27, 0.0)),
        (hit, (far, up, -0.02)),
        (hit + rest, (far, up, -0.02)),
        (0.45 * (hit + rest) + 0.55 * down, (0.16, -0.3, 0.0)),
        (down, (0.02, -0.47, 0.0)),
    ]
    lifts, feet = script.lift.copy(), script.feet.copy()
    lifts[:, foot], feet[:, foot] = weight, path(clock, keys)
    tilt = ramp(
        clock, [(lift - 0.1, 0.0), (lift + 0.05, 0.14), (hit, -0.3), (hit + rest, -0.28), (down + 0.1, 0.0)]
    )
    sign = 1.0 if foot == 0 else -1.0
    script = add(replace(script, lift=lifts, feet=feet), lean=tilt, twist=0.35 * sign * tilt)
    swing: Keys = [(lift - 0.1, 0.0), (hit, 1.0), (down - 0.1, 0.8), (down + 0.3, 0.0)]
    for side, forward in ((foot, -0.45), (1 - foot, 0.5)):
        away = np.tile(np.array([forward, -0.55, 0.5]), (len(clock), 1))
        script = hand_moves(script, clock, side, swing, away)
    return script


def _gives_way(script: Script, clock: Array, rng: Rng, hit: float, retreat: float, height: float) -> Script:
    """The one who is kicked: bends over the blow and moves back."""
    fold = float(rng.uniform(0.2, 0.5))
    bend = ramp(clock, [(hit - 0.12, 0.0), (hit + 0.18, fold), (hit + 0.5, fold * 0.7), (hit + 1.0, 0.0)])
    away = ramp(clock, [(hit - 0.05, 0.0), (hit + 0.5, retreat)])
    script = add(script, x=-np.cos(script.yaw) * away, lean=bend, crouch=0.1 * bend, nod=0.3 * bend)
    guard: Keys = [(hit - 0.15, 0.0), (hit + 0.12, 1.0), (hit + 0.6, 0.8), (hit + 1.0, 0.0)]
    for side in (0, 1):
        shield = np.tile(np.array([0.5, -0.7 if height > 0.42 else -0.8, -0.05]), (len(clock), 1))
        script = hand_moves(script, clock, side, guard, shield)
    return script


def punch(rng: Rng) -> Act:
    """One draws back a fist and strikes the other's head or chest; the head snaps back."""
    met = meeting(rng, float(rng.uniform(0.44, 0.53)), float(rng.uniform(0.7, 1.0)))
    wind = met.arrive + float(rng.uniform(-0.1, 0.1))
    hit = wind + float(rng.uniform(0.13, 0.2))
    hand, noise = int(rng.integers(2)), reseed(rng)
    head = rng.uniform() < 0.75
    retreat = float(rng.uniform(0.12, 0.5))

    def perform(clock: Array) -> list[Actor]:
        again = np.random.default_rng(noise)
        one, body1, two, body2 = pair(clock, again, met)
        mark = trunk_point(two, body2, 0.9 if head else 0.76, 0.05)
        one = _strikes(one, clock, hand, wind, hit, mark)
        snap = ramp(clock, [(hit - 0.03, 0.0), (hit + 0.12, 1.0), (hit + 0.3, 0.8), (hit + 0.9, 0.0)])
        away = ramp(clock, [(hit - 0.02, 0.0), (hit + 0.55, retreat)])
        back = float(again.uniform(0.2, 0.4))
        two = add(two, x=away, lean=-back * snap, nod=(-0.5 if head else 0.4) * snap)
        if again.uniform() < 0.6:
            two = _shields(two, clock, hit)
        one = add(one, x=ramp(clock, [(hit + 0.5, 0.0), (hit + 1.1, -float(again.uniform(0.0, 0.2)))]))
        return [(one, body1), (two, body2)]

    return Act(hit + 1.0, (wind - 0.3, hit + 0.5), perform)


def _strikes(script: Script, clock: Array, hand: int, wind: float, hit: float, mark: Array) -> Script:
    sign = 1.0 if hand == 0 else -1.0
    turn = ramp(clock, [(wind - 0.3, 0.0), (wind, -0.55), (hit, 0.6), (hit + 0.12, 0.5), (hit + 0.5, 0.0)])
    press = ramp(clock, [(wind - 0.2, 0.0), (wind, -0.04), (hit, 0.22), (hit + 0.15, 0.2), (hit + 0.6, 0.0)])
    step = ramp(clock, [(wind - 0.05, 0.0), (hit + 0.03, 0.09)])
    script = add(script, twist=sign * turn, lean=press, x=step, crouch=np.abs(press) * 0.1)
    drawn: Keys = [(wind - 0.35, 0.0), (wind - 0.08, 1.0), (hit + 0.2, 1.0), (hit + 0.6, 0.0)]
    fist = path(clock, [(wind, (-0.15, -0.15, 0.35)), (hit, (0.6, 0.0, 0.0)), (hit + 0.3, (0.35, -0.3, 0.1))])
    script = hand_moves(script, clock, hand, drawn, fist)
    cover = np.tile(np.array([0.4, -0.35, 0.0]), (len(clock), 1))
    script = hand_moves(script, clock, 1 - hand, drawn, cover)
    reach: Keys = [(wind, 0.0), (hit, 1.0), (hit + 0.08, 1.0), (hit + 0.3, 0.0)]
    return hand_holds(script, clock, hand, reach, mark)


def _shields(script: Script, clock: Array, hit: float) -> Script:
    keys: Keys = [(hit + 0.05, 0.0), (hit + 0.3, 1.0), (hit + 0.7, 1.0), (hit + 1.1, 0.0)]
    for side in (0, 1):
        face = np.tile(np.array([0.4, 0.2 if side else -0.25, -0.2]), (len(clock), 1))
        script = hand_moves(script, clock, side, keys, face)
    return script


def push(rng: Rng) -> Act:
    """Both hands on the other's chest and a shove; the other staggers back."""
    met = meeting(rng, float(rng.uniform(0.4, 0.5)), float(rng.uniform(0.7, 1.0)))
    touch = met.arrive + float(rng.uniform(-0.05, 0.12))
    shove = float(rng.uniform(0.1, 0.2))
    fly, fly_s = float(rng.uniform(0.45, 1.0)), float(rng.uniform(0.55, 0.9))
    noise = reseed(rng)

    def perform(clock: Array) -> list[Actor]:
        again = np.random.default_rng(noise)
        one, body1, two, body2 = pair(clock, again, met)
        lean = float(again.uniform(0.2, 0.4))
        press = ramp(
            clock,
            [
                (touch - 0.25, 0.0),
                (touch, 0.1),
                (touch + shove, lean),
                (touch + 0.45, lean * 0.8),
                (touch + 1.0, 0),
            ],
        )
        one = add(one, x=ramp(clock, [(touch, 0.0), (touch + shove + 0.1, 0.14)]), lean=press)
        two = _staggers(two, clock, again, touch, shove, fly, fly_s)
        straight = np.tile(np.array([0.98, 0.05, 0.0]), (len(clock), 1))
        ready: Keys = [(touch - 0.35, 0.0), (touch - 0.1, 1.0), (touch + 0.5, 1.0), (touch + 0.95, 0.0)]
        hold: Keys = [(touch - 0.2, 0.0), (touch, 1.0), (touch + shove, 1.0), (touch + shove + 0.12, 0.0)]
        for side, out in ((0, 0.07), (1, -0.07)):
            one = hand_moves(one, clock, side, ready, straight)
            one = hand_holds(one, clock, side, hold, trunk_point(two, body2, 0.74, 0.07, -out))
        return [(one, body1), (two, body2)]

    return Act(touch + 1.15, (touch - 0.35, touch + 0.8), perform)


def _staggers(
    script: Script, clock: Array, rng: Rng, touch: float, shove: float, far: float, time: float
) -> Script:
    gone = ramp(clock, [(touch + 0.03, 0.0), (touch + shove, 0.13), (touch + shove + time, far)])
    tip = float(rng.uniform(0.18, 0.35))
    back = ramp(
        clock, [(touch, 0.0), (touch + shove + 0.1, -tip), (touch + 0.6, -0.3 * tip), (touch + 1.1, 0.0)]
    )
    script = add(script, x=gone, lean=back, nod=-back * 0.9, crouch=-back * 0.05)
    flail: Keys = [(touch, 0.0), (touch + shove + 0.1, 1.0), (touch + 0.6, 0.7), (touch + 1.1, 0.0)]
    for side in (0, 1):
        arms = np.tile(np.array([rng.uniform(0.3, 0.8), rng.uniform(-0.6, 0.0), 0.4]), (len(clock), 1))
        script = hand_moves(script, clock, side, flail, arms)
    return script
