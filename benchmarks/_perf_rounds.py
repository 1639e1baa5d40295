"""Interleaved timing: every side a turn in each round, so that a disturbance meets them all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Times", "in_rounds", "median_of_ratios"]

SETTLE_S = 0.02
"""Before each turn: ONNX Runtime's idle threads spin for some milliseconds, at the cost of the next one."""
TURN_S, MOST_RUNS = 0.2, 8
"""A turn repeats a short run until so much time is over; its figure is the turn's median."""


@dataclass
class Times:
    """Milliseconds of each side in each round, and the load of the machine meanwhile (1-minute average)."""

    ms: dict[str, list[float]] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)

    def median(self, side: str) -> float:
        return float(np.median(self.ms[side]))

    def spread(self, side: str) -> tuple[float, float]:
        """The quartiles."""
        low, high = np.percentile(self.ms[side], (25, 75))
        return float(low), float(high)

    def ratio(self, ours: str, theirs: str) -> float:
        return median_of_ratios(self.ms[ours], self.ms[theirs])


def median_of_ratios(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Round by round: the two of a round met the same machine, those of different rounds did not."""
    return float(np.median(np.array(ours) / np.array(theirs)))


def in_rounds(sides: Mapping[str, Callable[[], Any]], rounds: int, warm_up: int) -> Times:
    """Time ``sides``, one turn each a round, after ``warm_up`` rounds; each begins one further on."""
    times, names = Times({name: [] for name in sides}), list(sides)
    for number in range(-warm_up, rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            took = _turn(sides[name])
            if number >= 0:
                times.ms[name].append(took)
        if number >= 0:
            times.load.append(os.getloadavg()[0])
    return times


def _turn(run: Callable[[], Any]) -> float:
    """Milliseconds: of a long run itself, of a short one the median of several after a first."""
    time.sleep(SETTLE_S)
    first = _timed(run)
    if first > TURN_S / 2:
        return 1e3 * first
    runs = [_timed(run) for _ in range(max(1, min(MOST_RUNS, int(TURN_S / first))))]
    return 1e3 * float(np.median(runs))


def _timed(run: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun
