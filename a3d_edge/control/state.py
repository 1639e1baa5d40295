"""What the policy remembers between two decisions, and how it waits: bars and the back-off."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from a3d_edge.configuration import Configuration
from a3d_edge.control.settings import Settings

__all__ = ["BELIEVED", "FALLING_S", "LATENCY", "Bar", "PolicyState", "Way", "barring", "refuse", "switched"]

Way = Literal["up", "down", "other"]

BELIEVED = 2
"""So many failures in a row, and a latency counts as measured: one may have been a moment's load."""

FALLING_S = 10.0
"""Two steps down within so long, and the device falls: the next goes further."""

LATENCY = ("deadline", "budget")
"""Signals that limit a latency."""

STEPS = 4
"""A step up that fails within so many back-offs had not settled."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A configuration not to choose until a time (s), what kept it out, how long the bar was (s), and how
    often it failed in a row."""

    configuration: Configuration
    signal: str
    until: float
    wait_s: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What the policy remembers between decisions. Times are on the caller's clock, in s.

    ``room_since``: since when caps allow more without a break, and ``room_share`` the least that they allowed
    since; ``over_since``: since when the running one breaks a cap. ``went_up_at``: the step up that has not
    proved itself yet; ``backoff_s``: how long caps must allow more before the next. ``fell_at`` and
    ``fell_for``: the last step down, and the signal that made it. ``seed``: of the jitter, 0 for none.
    """

    current: Configuration | None = None
    previous: Configuration | None = None
    switched_at: float = -math.inf
    room_since: float | None = None
    room_share: float = math.inf
    over_since: float | None = None
    went_up_at: float = -math.inf
    backoff_s: float = 0.0
    fell_at: float = -math.inf
    fell_for: str = ""
    bars: tuple[Bar, ...] = ()
    seed: int = 0

    def bar(self, configuration: Configuration) -> Bar | None:
        """The latest bar of a configuration, over or not."""
        return next((bar for bar in self.bars if bar.configuration == configuration), None)


def switched(
    state: PolicyState,
    target: Configuration,
    now: float,
    settings: Settings,
    way: Way = "other",
    signal: str = "",
) -> PolicyState:
    """The state after a switch. Down soon after a step up is a failure of that: the back-off doubles."""
    if way == "down":
        state = replace(_after_down(state, now, settings, signal), fell_at=now, fell_for=signal)
    else:
        state = replace(state, went_up_at=now if way == "up" else -math.inf)
    return replace(
        state,
        current=target,
        previous=state.current,
        switched_at=now,
        room_since=None,
        room_share=math.inf,
        over_since=None,
    )


def _after_down(state: PolicyState, now: float, settings: Settings, signal: str) -> PolicyState:
    """A step up that did not settle has failed, and so has a step down that another follows, unless both are
    one fall. A latency may be tried again sooner than a signal: it was an estimate."""
    patience = max(settings.settled_s, STEPS * state.backoff_s)
    again = FALLING_S < now - state.fell_at <= settings.settled_s and signal not in LATENCY
    if now - state.went_up_at <= patience or again:
        first = settings.backoff_first_s if signal in LATENCY else 2 * settings.rest_s
        wait = min(max(first, 2 * state.backoff_s), settings.backoff_max_s)
        wait, seed = _jittered(wait, state.seed, settings)
    elif state.went_up_at == -math.inf:
        return state
    else:  # it had settled, and the device has changed since
        wait, seed = state.backoff_s / 2, state.seed
        wait = wait if wait >= settings.backoff_first_s else 0.0
    return replace(state, backoff_s=wait, seed=seed, went_up_at=-math.inf)


def barring(state: PolicyState, new: Bar, settings: Settings) -> PolicyState:
    """Bar a configuration from ``new.until`` on: for its wait, or twice the last if it failed soon after."""
    last = state.bar(new.configuration)
    longest = max(new.wait_s, settings.backoff_max_s)
    again = last is not None and new.until - last.until <= settings.forget_s
    wait = min(2 * last.wait_s, longest) if last is not None and again else new.wait_s
    count = last.count + 1 if last is not None and again else 1
    jittered, seed = _jittered(wait, state.seed, settings)
    others = tuple(bar for bar in state.bars if bar.configuration != new.configuration)
    bar = replace(new, until=new.until + jittered, wait_s=wait, count=count)
    return replace(state, bars=(*others, bar), seed=seed)


def refuse(state: PolicyState, configuration: Configuration, now: float, settings: Settings) -> PolicyState:
    """The state after a configuration could not be prepared. Memory is the usual cause, so it is blamed."""
    return barring(state, Bar(configuration, "memory", now, settings.refused_s), settings)


def _jittered(wait: float, seed: int, settings: Settings) -> tuple[float, int]:
    """The wait, longer or shorter by up to the jitter, and the next seed (a linear congruence, MMIX's)."""
    if not seed:
        return wait, seed
    seed = (6364136223846793005 * seed + 1442695040888963407) % 2**64 or 1
    part = (seed >> 33) / 2**30 - 1  # -1..1
    return wait * (1 + settings.backoff_jitter * part), seed
