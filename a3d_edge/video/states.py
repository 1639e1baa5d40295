"""The states of a live source, and which may follow which: pure, the clock and chance are given.

    connecting ──picture──► live ──silent──► stalled ──► reconnecting ──picture──► live
        │                    └──────broke─────────────────▲   │
        └── no way, as long as it lasts: attempt after attempt┘    any of them ──► ended, failed

A source is *connecting* until its first picture, and *reconnecting* whenever it is away after that.
*stalled*: connected, and silent for too long; what reads it is ended at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from a3d_edge.video.causes import Cause

__all__ = [
    "FIRST_DELAY_S",
    "LEGAL",
    "Link",
    "State",
    "begin",
    "broke",
    "delay_s",
    "end",
    "fail",
    "picture",
    "silent",
]

FIRST_DELAY_S, LONGEST_DELAY_S, REFUSED_DELAY_S = 0.25, 2.0, 5.0
"""Pauses double from the first to the longest: a camera that is back is seen soon. Who was refused by name,
password or path asks less often."""
ASKS_SELDOM = frozenset({Cause.AUTHENTICATION, Cause.NOT_FOUND, Cause.REDIRECT})
JITTER = 0.5
"""The share of a pause that is left to chance, so that devices which lost one server do not return at
once."""


class State(str, Enum):
    """Where a live source is."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"


_OVER = frozenset({State.ENDED, State.FAILED})
LEGAL: dict[State, frozenset[State]] = {
    State.CONNECTING: frozenset({State.LIVE}) | _OVER,
    State.LIVE: frozenset({State.STALLED, State.RECONNECTING}) | _OVER,
    State.STALLED: frozenset({State.LIVE, State.RECONNECTING}) | _OVER,
    State.RECONNECTING: frozenset({State.LIVE}) | _OVER,
    State.ENDED: frozenset(),
    State.FAILED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Link:
    """A source's state since when, how many attempts failed one after the other, and why the last one did.

    ``away_s``: since when there is no picture, by the same clock; None while there are.
    """

    state: State
    since_s: float
    away_s: float | None = None
    attempts: int = 0
    cause: Cause | None = None


def begin(now: float) -> Link:
    """Before the first attempt."""
    return Link(State.CONNECTING, now, away_s=now)


def picture(link: Link, now: float) -> Link:
    """One has come."""
    return link if link.state is State.LIVE else _to(Link(State.LIVE, now), link)


def silent(link: Link, now: float, last_s: float) -> Link:
    """No picture for too long, the last at ``last_s``."""
    return _to(Link(State.STALLED, now, away_s=last_s, cause=Cause.TIMEOUT), link)


def broke(link: Link, now: float, cause: Cause) -> Link:
    """An attempt failed, or the connection did."""
    if link.state in (State.CONNECTING, State.RECONNECTING):
        return replace(link, attempts=link.attempts + 1, cause=cause)
    away_s = now if link.away_s is None else link.away_s
    return _to(Link(State.RECONNECTING, now, away_s=away_s, cause=cause), link)


def end(link: Link, now: float) -> Link:
    """Nothing more will come, and nothing is wrong."""
    return link if link.state in _OVER else _to(Link(State.ENDED, now), link)


def fail(link: Link, now: float) -> Link:
    """It is given up."""
    return _to(replace(link, state=State.FAILED, since_s=now), link)


def delay_s(link: Link, draw: float) -> float:
    """How long to wait before the next attempt; ``draw``: by chance, from 0 to 1."""
    longest = REFUSED_DELAY_S if link.cause in ASKS_SELDOM else LONGEST_DELAY_S
    whole = min(longest, FIRST_DELAY_S * 2.0 ** min(link.attempts, 16))
    return whole * (1.0 - JITTER * draw)


def _to(after: Link, before: Link) -> Link:
    if after.state not in LEGAL[before.state]:
        raise AssertionError(f"a source cannot become {after.state.value} when it is {before.state.value}")
    return after
