"""What int8 gains on this machine, by configuration: the table's prior until a device measures.

Rounds of windows in turns, int8 and fp32, until the ratios of their medians agree: a single round on a busy
machine may be off by a third.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.profiling.windows import window_latencies_ms
from a3d_edge.table import ConfigurationBudgetTable
from a3d_edge.training.reports import Note, unheard

__all__ = ["Gain", "steady_gain", "with_int8_costs"]

WINDOWS = 7
"""Of each precision in a round, beside one that warms up."""
AGREEING, SPREAD = 3, 0.05
"""It is steady when so many rounds on end differ by at most this share of their median."""
MOST_ROUNDS, LONGEST_MS = 9, 10_000.0
"""Else it is ended after so many rounds, or once their windows took so long."""
DEAREST = 1.5
"""No cost above it is written: where int8 is slower than fp32 it is not chosen anyway, and a larger figure
tells of the machine that exported, not of the network."""


@dataclass(frozen=True, slots=True)
class Gain:
    """The time of int8 over that of fp32, the median of rounds. ``noise``: half of what they differ by, as a
    share of it; ``steady``: whether they agree."""

    ratio: float
    noise: float
    steady: bool


def with_int8_costs(
    bundle: Bundle, table: ConfigurationBudgetTable, note: Note = unheard
) -> ConfigurationBudgetTable:
    """The table with ``int8_cost`` of every int8 row whose fp32 twin is there.

    ``note`` is told of which rows it stayed uncertain, and of which it was more than is written.
    """
    here = set(table.configurations)
    gains = {
        row.configuration: steady_gain(_rounds(bundle, row.configuration))
        for row in table.rows
        if row.precision == "int8" and row.configuration.at("fp32") in here
    }
    for sentence in _notes(gains):
        note(sentence)
    costs = {one: round(min(gain.ratio, DEAREST), 3) for one, gain in gains.items()}
    return table.with_rows(
        row.model_copy(update={"int8_cost": costs[row.configuration]}) if row.configuration in costs else row
        for row in table.rows
    )


def steady_gain(measured: Callable[[], tuple[Sequence[float], Sequence[float]]]) -> Gain:
    """Measure rounds (milliseconds in int8, in fp32) until they agree, or it takes too long.

    Steady: the median of the rounds that agree, the last ones. Else of all.
    """
    ratios: list[float] = []
    taken_ms = 0.0
    while len(ratios) < MOST_ROUNDS and taken_ms < LONGEST_MS:
        int8, fp32 = measured()
        taken_ms += sum(int8) + sum(fp32)
        ratios.append(median(int8) / median(fp32))
        last = ratios[-AGREEING:]
        if len(last) == AGREEING and max(last) - min(last) <= SPREAD * median(last):
            return _gain(last, steady=True)
    return _gain(ratios, steady=False)


def _gain(ratios: Sequence[float], *, steady: bool) -> Gain:
    middle = median(ratios)
    return Gain(middle, (max(ratios) - min(ratios)) / 2 / middle, steady)


def _rounds(bundle: Bundle, int8: Configuration) -> Callable[[], tuple[Sequence[float], Sequence[float]]]:
    twins = [bundle.open(configuration) for configuration in (int8, int8.at("fp32"))]

    def measure() -> tuple[Sequence[float], Sequence[float]]:
        one, other = window_latencies_ms(*twins, windows=WINDOWS)
        return one, other

    return measure


def _notes(gains: dict[Configuration, Gain]) -> list[str]:
    """What of them is worth knowing."""
    said = []
    if noisy := {one: gain.noise for one, gain in gains.items() if not gain.steady}:
        names = ", ".join(f"{one} (± {noise:.0%})" for one, noise in noisy.items())
        said.append(f"the cost of int8 is uncertain, this machine is busy or slow: {names}")
    if dear := {one: gain.ratio for one, gain in gains.items() if gain.ratio > DEAREST}:
        names = ", ".join(f"{one} ({ratio:.2f} of fp32)" for one, ratio in dear.items())
        said.append(f"int8 was slower than fp32 here, {DEAREST} is written as its cost: {names}")
    return said
