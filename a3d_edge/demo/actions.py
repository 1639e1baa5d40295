"""The plots: what each actor does, second by second, in every class; drawn from a seed, no picture yet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from a3d_edge.demo.blows import kick, punch, push
from a3d_edge.demo.moves import (
    Act,
    Actor,
    Keys,
    Rng,
    add,
    body,
    drift,
    hand_holds,
    hand_moves,
    meeting,
    pair,
    ramp,
    reseed,
    stand,
)
from a3d_edge.demo.skeleton import Array, Body, Script, trunk_point

__all__ = ["ACTIONS"]


def handshake(rng: Rng) -> Act:
    """Both step closer; one hand each meets between them and goes up and down."""
    met = meeting(rng, float(rng.uniform(0.54, 0.66)), float(rng.uniform(0.2, 0.8)))
    shake_s, beat = float(rng.uniform(0.8, 1.7)), float(rng.uniform(1.8, 3.2))
    size, height = float(rng.uniform(0.02, 0.05)), float(rng.uniform(0.56, 0.68))
    touch = met.arrive + float(rng.uniform(-0.05, 0.25))
    end = touch + shake_s
    part, side = float(rng.uniform(0.0, 0.4)), 0 if rng.uniform() < 0.85 else 1
    noise = reseed(rng)

    def perform(clock: Array) -> list[Actor]:
        again = np.random.default_rng(noise)
        one, body1, two, body2 = pair(clock, again, met)
        back = ramp(clock, [(end + 0.1, 0.0), (end + 0.8, part)])
        bow = ramp(clock, [(touch - 0.4, 0.0), (touch, 0.1), (end, 0.1), (end + 0.5, 0.0)])
        one, two = add(one, x=-back * 0.5, lean=bow), add(two, x=back * 0.5, lean=bow * 0.8)
        wave = ramp(clock, [(touch - 0.05, 0.0), (touch + 0.2, size), (end - 0.15, size), (end, 0.0)])
        middle = 0.5 * np.stack([one.x + two.x, one.z + two.z], axis=1)
        up = height + wave * np.sin(2 * np.pi * beat * (clock - touch))
        goal = np.stack([middle[:, 0], up, middle[:, 1]], axis=1)
        keys: Keys = [(touch - 0.45, 0.0), (touch, 1.0), (end, 1.0), (end + 0.4, 0.0)]
        one, two = hand_holds(one, clock, side, keys, goal), hand_holds(two, clock, side, keys, goal)
        return [(one, body1), (two, body2)]

    return Act(end + 0.6, (touch - 0.4, end), perform)


def hug(rng: Rng) -> Act:
    """Both walk together, arms round each other, hold, and part."""
    met = meeting(rng, float(rng.uniform(0.15, 0.2)), float(rng.uniform(0.25, 0.75)))
    hold, part = float(rng.uniform(0.7, 1.5)), float(rng.uniform(0.35, 0.8))
    close, end = met.arrive, met.arrive + hold
    pat, noise = float(rng.uniform(0.0, 0.03)), reseed(rng)

    def perform(clock: Array) -> list[Actor]:
        again = np.random.default_rng(noise)
        one, body1, two, body2 = pair(clock, again, met)
        back = ramp(clock, [(end, 0.0), (end + 0.8, part)])
        near: Keys = [(close - 0.45, 0.0), (close, 1.0), (end, 1.0), (end + 0.4, 0.0)]
        embrace = ramp(clock, near)
        share = float(again.uniform(0.3, 0.7))
        one = add(one, x=-share * back, lean=0.1 * embrace, side=0.12 * embrace, nod=0.15 * embrace)
        two = add(two, x=(1 - share) * back, lean=0.1 * embrace, side=0.12 * embrace, nod=0.15 * embrace)
        tap = pat * np.sin(2 * np.pi * 2.5 * clock) * embrace
        low = int(again.integers(2))
        first = _embrace(one, two, body2, clock, near, tap, low)
        second = _embrace(two, one, body1, clock, near, tap, low)
        return [(first, body1), (second, body2)]

    return Act(end + 0.7, (close - 0.4, end), perform)


def _embrace(
    script: Script, other: Script, shape: Body, clock: Array, near: Keys, tap: Array, low: int
) -> Script:
    early: Keys = [(near[0][0] - 0.3, 0.0), (near[0][0] + 0.15, 1.0), (near[2][0], 1.0), (near[3][0], 0.0)]
    for side in (0, 1):
        lower = side == low
        open_arm = np.tile(np.array([0.72, -0.3 if lower else 0.12, 0.35]), (len(clock), 1))
        script = hand_moves(script, clock, side, early, open_arm)
        outward = (-0.06 if side == 0 else 0.06) * -1.0
        goal = trunk_point(other, shape, 0.6 if lower else 0.74, -0.1, -outward * 1.2)
        goal[:, 1] += tap
        keys: Keys = [(near[1][0] - 0.22, 0.0), (near[1][0] + 0.08, 1.0), *near[2:]]
        script = hand_holds(script, clock, side, keys, goal)
    return script


def point(rng: Rng) -> Act:
    """One raises an arm, holds it out at something, and lowers it; a bystander may be there."""
    rise, hold, fall = (float(rng.uniform(a, b)) for a, b in ((0.26, 0.45), (0.6, 1.4), (0.35, 0.55)))
    start = float(rng.uniform(0.0, 0.4))
    up, out = float(rng.uniform(-0.12, 0.5)), float(rng.uniform(-0.25, 0.35))
    hand, company = int(rng.integers(2)), rng.uniform() < 0.5
    where, noise = float(rng.uniform(0.6, 1.3)), reseed(rng)
    top = start + rise

    def perform(clock: Array) -> list[Actor]:
        again = np.random.default_rng(noise)
        beside = -1.0 if again.uniform() < 0.6 else 1.0
        x = -0.5 * where * beside if company else 0.0
        one = stand(clock, again, x, float(again.normal(0.0, 0.3)))
        one = add(one, x=ramp(clock, [(0.0, 0.0), (top, float(again.choice([0.0, 0.0, 0.1])))]))
        keys: Keys = [(start, 0.0), (top, 1.0), (top + hold, 1.0), (top + hold + fall, 0.0)]
        arm = np.tile(np.array([1.0, np.tan(up), out]), (len(clock), 1)) / np.hypot(1.0, np.tan(up))
        arm[:, 1] += drift(clock, again, 0.02)
        one = hand_moves(one, clock, hand, keys, arm)
        one = add(one, twist=(0.25 if hand == 0 else -0.25) * ramp(clock, keys), nod=-0.1 * ramp(clock, keys))
        cast = [(one, body(again))]
        if company:
            two = stand(clock, again, x + where * beside, float(again.choice([0.0, np.pi])))
            cast.append((_fidgets(two, clock, again) if again.uniform() < 0.4 else two, body(again)))
        return cast

    return Act(top + hold + fall + 0.1, (start, top + hold), perform)


def _fidgets(script: Script, clock: Array, rng: Rng) -> Script:
    """Somebody whose arm moves a little: to the face, the waist, or in talk; touches nobody."""
    begin, stay = float(rng.uniform(-0.3, 1.5)), float(rng.uniform(0.3, 1.5))
    places = (
        (0.3, 0.35, -0.25),
        (0.35, -0.45, -0.2),
        (0.5, -0.5, 0.2),
        (0.05, -0.62, 0.35),
        (0.35, 0.0, -0.3),
    )
    place = np.array(places[int(rng.integers(len(places)))])
    side = int(rng.integers(2))
    aim = place + np.stack([drift(clock, rng, 0.1, 1.5) for _ in range(3)], axis=1)
    keys: Keys = [(begin, 0.0), (begin + 0.5, 1.0), (begin + 0.5 + stay, 1.0), (begin + 1.1 + stay, 0.0)]
    return hand_moves(script, clock, side, keys, aim)


def none(rng: Rng) -> Act:
    """Nothing happens between people: they stand, shift, fidget, walk towards, past or away."""
    kinds = (
        "stand",
        "stand",
        "stand",
        "stand",
        "closer",
        "past",
        "away",
        "alone",
        "alone",
        "alone",
        "through",
    )
    kind, noise = str(rng.choice(kinds)), reseed(rng)
    apart = float(rng.uniform(0.65, 1.45))

    def perform(clock: Array) -> list[Actor]:
        again = np.random.default_rng(noise)
        cast: list[Actor] = []
        for who in (0, 1) if kind not in ("alone", "through") else (0,):
            script = _idles(clock, again, kind, who, apart)
            for _ in range(int(again.integers(0, 3))):
                script = _fidgets(script, clock, again)
            cast.append((script, body(again)))
        return cast

    return Act(2.4, (0.0, 2.4), perform)


def _idles(clock: Array, rng: Rng, kind: str, who: int, apart: float) -> Script:
    sign = 1.0 if who == 0 else -1.0
    x, yaw, speed = -sign * apart / 2, 0.0 if who == 0 else np.pi, float(rng.uniform(0.4, 0.8))
    if kind == "alone":
        x, yaw = 0.0, float(rng.choice([0.0, np.pi, 1.2]))
    script = stand(clock, rng, x, yaw)
    if kind == "closer" and (who == 0 or rng.uniform() < 0.4):
        way = sign * max(0.0, apart - 0.6) * (1.0 if who == 0 else 0.0)
        return add(script, x=ramp(clock, [(0.2, 0.0), (0.5 + abs(way) / speed, way)]))
    if kind == "past":
        start = float(rng.uniform(-0.5, 0.5))
        return add(script, x=sign * speed * (clock - start - 0.7), z=np.full_like(clock, 0.13 * sign))
    if kind == "through":
        return add(script, x=speed * (clock - 1.2))
    if kind == "away" and who == 1:
        late = float(rng.uniform(0.2, 1.0))
        gone = np.maximum(clock - late, 0.0) * speed
        return add(script, x=gone, yaw=ramp(clock, [(late - 0.4, 0.0), (late + 0.3, -np.pi)]))
    return script


ACTIONS: dict[str, Callable[[Rng], Act]] = {
    "handshake": handshake,
    "hug": hug,
    "kick": kick,
    "point": point,
    "punch": punch,
    "push": push,
    "none": none,
}
