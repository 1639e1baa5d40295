"""The policy's constants and curves: one frozen value. `a3d_edge.control.configured` reads it from a file."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from itertools import pairwise

from a3d_edge.errors import UsageError

__all__ = ["CURVES", "Curve", "Settings", "at"]

Curve = tuple[tuple[float, float], ...]
"""Points (reading, share of the largest configuration's cost), the readings ascending: straight lines between
them, and beyond the ends their shares. Without a point the signal caps nothing."""

MOST_POINTS = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """Constants of the policy. Shares are of the largest configuration's GFLOPs; times are seconds.

    Raises `UsageError` for a value that cannot be meant.
    """

    # The deadline.
    headroom: float = 0.8  # of the hop: the rest is for decoding, preprocessing and jitter
    up_latency: float = 0.85  # hysteresis: enter only where this share of the latency limit suffices …
    up_share: float = 0.9  # … and go up only below this share of a signal's cap: signals are noisy too
    up_step: float = 1.2  # a step up that costs less than a fifth more is not worth a switch
    caution: float = 0.3  # a latency scaled up by r may be r**caution worse: caches and memory do not scale
    warmup_observations: int = 1  # after a switch caches are cold: not the steady cost
    # When.
    overuse_s: float = 1.0  # a cap must be broken so long: two readings of the sensors, one may be noise
    room_s: float = 1.0  # caps must allow more so long: two readings as well
    dwell_s: float = 2.0  # a switch costs a session's creation (up to 0.6 s): do not pay it more often
    rest_s: float = 15.0  # the same while a step down has not settled: what made it necessary may go on
    settled_s: float = 120.0  # a step that held so long has settled; one up that did not has failed
    backoff_first_s: float = 4.0  # two dwells: the first retry is an attempt and not a flicker
    backoff_max_s: float = 240.0  # a retry in four minutes costs next to nothing
    backoff_jitter: float = 0.2  # two processes that fail together do not retry together
    forget_s: float = 600.0  # a latency that failed twice is believed so long, whatever scaling promises
    refused_s: float = 30.0  # memory that was missing rarely returns sooner
    loading_s: float = 10.0  # a choice that has not begun to run by then is decided anew
    # The curves.
    battery: Curve = (
        (15.0, 0.1),
        (50.0, 1.0),
    )  # percent: devices warn at 15; above half, nothing needs saving
    battery_critical: float = 15.0  # percent: at or below, obeyed at the first reading
    cpu: Curve = (
        (0.15, 1.0),
        (1.0, 0.0),
    )  # others' share of our cores: background noise, then what they leave
    temperature: Curve = ((-15.0, 1.0), (0.0, 0.0))  # °C from the limit, which is obeyed at the first reading
    temperature_limit: float = 85.0  # °C where common boards throttle, if the sensor names no limit
    memory: Curve = ((0.1, 0.0), (0.2, 1.0))  # share available: below a tenth the kernel swaps or kills
    memory_pressure: Curve = ((0.1, 1.0), (0.5, 0.0))  # share of time in which something waits for memory
    cpu_pressure: Curve = ()  # our own threads wait for each other too: latency tells better

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in CURVES:
                object.__setattr__(self, field.name, _curve(field.name, value))
            elif not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise UsageError(f"control.{field.name}: {value!r} is not a finite number of at least 0")
        for name in ("headroom", "up_latency", "up_share"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"control.{name}: {getattr(self, name)!r} is not above 0 and at most 1")
        if self.up_step < 1:
            raise UsageError(f"control.up_step: {self.up_step!r} is below 1")
        if self.backoff_jitter >= 1:
            raise UsageError(f"control.backoff_jitter: {self.backoff_jitter!r} is not below 1")


CURVES = ("battery", "cpu", "temperature", "memory", "memory_pressure", "cpu_pressure")
"""Fields that are curves."""


def at(curve: Curve, reading: float) -> float:
    """The share that a curve allows at a reading; 1 without points."""
    if not curve:
        return 1.0
    if reading <= curve[0][0]:
        return curve[0][1]
    for (left, low), (right, high) in pairwise(curve):
        if reading <= right:
            return low + (high - low) * (reading - left) / (right - left)
    return curve[-1][1]


def _curve(name: str, points: object) -> Curve:
    """Checked, as tuples of floats."""
    if not isinstance(points, (tuple, list)) or len(points) > MOST_POINTS:
        raise UsageError(f"control.{name}: write at most {MOST_POINTS} points, such as [[15, 0.1], [50, 1]]")
    found: list[tuple[float, float]] = []
    for number, point in enumerate(points):
        try:
            reading, share = (float(value) for value in point)
        except (TypeError, ValueError, OverflowError):
            reading = share = math.nan
        if not (math.isfinite(reading) and 0 <= share <= 1):
            raise UsageError(f"control.{name}[{number}]: {point!r} is not [reading, share from 0 to 1]")
        if found and reading <= found[-1][0]:
            raise UsageError(f"control.{name}[{number}]: {reading:g} is not above {found[-1][0]:g} before it")
        found.append((reading, share))
    return tuple(found)
