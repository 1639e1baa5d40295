"""Times of sides in turns, settled before each, and the load of the machine meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from a3d_edge.profiling.turns import in_turns, timed_ms

__all__ = ["Times", "in_rounds", "median_of_ratios"]

SETTLE_S = 0.02
"""Before each turn: ONNX Runtime's idle threads spin for some milliseconds, at the cost of the next one."""
TURN_S, MOST_RUNS = 0.2, 8
"""A turn repeats a short run until so much time is over; its figure is the turn's median."""


@dataclass
class Times:
    """Milliseconds of each side in each round, and the load of the machine meanwhile (1-minute average)."""

    ms: dict[str, list[float]]
    load: list[float]

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
    """Time ``sides``, one turn each a round, after ``warm_up`` rounds."""
    found = in_turns({name: partial(_turn, run) for name, run in sides.items()}, rounds, warm_up)
    first = next(iter(found.values()))
    return Times(
        {name: [ms for ms, _ in turns] for name, turns in found.items()}, [load for _, load in first]
    )


def _turn(run: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds, of a long run itself, of a short one the median of several after a first; the load."""
    time.sleep(SETTLE_S)
    first = timed_ms(run)
    if first <= 1e3 * TURN_S / 2:
        runs = max(1, min(MOST_RUNS, int(1e3 * TURN_S / first)))
        first = float(np.median([timed_ms(run) for _ in range(runs)]))
    return first, os.getloadavg()[0]
