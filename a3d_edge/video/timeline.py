"""From a stream's own time stamps to instants that rise, and takes: pure, without clock or picture."""

from __future__ import annotations

import math

__all__ = ["GAP_S", "RESTART_S", "Stamps", "Timeline"]

GAP_S = 10.0
"""A longer pause between two time stamps is a cut. (What a network looks across is shorter: the sampler.)"""
RESTART_S = 0.5
"""Time stamps that fall back by more begin anew: the next of several recordings, a camera that was restarted.
By less, they are out of order."""


class Timeline:
    """Strictly increasing times (s) from a stream's positions, the first of each stream 0; and takes.

    A position that is unknown or does not advance gives way to one interval of ``rate``. One that falls back
    by more than `RESTART_S` goes on from there in another take; a gap of more than `GAP_S` stays in time, and
    is another take too.
    """

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate
        self._origin: float | None = None
        self._last: float | None = None
        self.take = 0

    def place(self, position_s: float | None) -> float:
        """The time of the next picture; ``take`` is then its take."""
        following = 0.0 if self._last is None else self._last + self._interval
        if position_s is None or not math.isfinite(position_s):
            self._last = following
        elif self._origin is None or self._last is None:
            self._origin, self._last = position_s - following, following
        else:
            self._last = self._advanced(position_s, self._last, following)
        return self._last

    def _advanced(self, position_s: float, last: float, following: float) -> float:
        assert self._origin is not None
        relative = position_s - self._origin
        if relative < last - RESTART_S:
            self._origin = position_s - following
            self.take += 1
            return following
        if relative <= last:
            return following
        self.take += relative - last > GAP_S
        return relative


class Stamps:
    """Where frames stand in their stream (s): by presentation time, or by decoding time where the container
    has no other or that goes wrong more often (AVI with frames out of order): FFmpeg's own best effort.

    ``base``: seconds of a stamp's unit.
    """

    def __init__(self, base: float) -> None:
        self._base = base
        self._faults = [0, 0]
        self._last: list[int | None] = [None, None]

    def position(self, presented: int | None, decoded: int | None) -> float | None:
        """None where the container says nothing."""
        stamps = (presented, decoded)
        for kind, stamp in enumerate(stamps):
            last = self._last[kind]
            if stamp is not None:
                self._faults[kind] += last is not None and stamp <= last
                self._last[kind] = stamp
        right = presented is not None and self._faults[0] <= self._faults[1]
        chosen = presented if right or decoded is None else decoded
        return None if chosen is None else chosen * self._base
