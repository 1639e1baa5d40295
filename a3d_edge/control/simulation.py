"""A run on a simulated clock: what a controller would have chosen on a trace, and how good that was.

    trace ─ signals ─► controller ─ choice ─► loading (a time) ─► running ─ latency ─► controller
      └── slowdown × the table's latency × noise ─────────────────────────┘

Nothing is measured and nothing is drawn at random that the seed does not fix: the same input gives the same
result. docs/guides/simulate.md states the model and the score.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, fsum
from typing import Any, Protocol

from a3d_edge.configuration import Budget, Configuration
from a3d_edge.control.caps import caps
from a3d_edge.control.controller import BudgetController
from a3d_edge.control.policy import Decision
from a3d_edge.control.settings import Settings
from a3d_edge.control.trace import Replay, Trace
from a3d_edge.device.signals import Signals
from a3d_edge.errors import UsageError
from a3d_edge.table import ConfigurationBudgetTable

__all__ = ["SimulatedDevice", "Simulation", "Step", "base_latencies", "simulate", "simulated_device"]

LOAD_S = 0.5
"""Seconds that a network takes to be loaded on the machine at rest, while the one before runs on."""
FRESH = 1.5
"""The first prediction after a switch takes so many times its latency: its window is encoded anew."""
ROUNDING = 1e-9
SWITCH_COST = 0.02
"""Points of the score (accuracy in percent) that one switch a minute costs."""


class Chooser(Protocol):
    """What is simulated: a `BudgetController`, or any that `a3d_edge.Controller` describes."""

    def decide(self) -> Decision: ...
    def observe(self, configuration: Configuration, latency_ms: float) -> None: ...


MakeChooser = Callable[[Callable[[], Signals], Callable[[], float]], Chooser]
"""Of sensors and a clock."""


@dataclass(frozen=True, slots=True)
class Step:
    """One prediction: it began at ``t`` and stands for ``lasts`` seconds, until the next begins.

    ``share``: what the caps allowed then, of the largest configuration's cost. ``late``: it took longer than
    the hop; ``over``: it costs more than the share, though something cheaper is there. ``best``: what the
    oracle runs.
    """

    t: float
    lasts: float
    running: Configuration
    latency_ms: float
    share: float
    late: bool
    over: bool
    best: Configuration
    limiting_signal: str
    reason: str


@dataclass(frozen=True)
class Simulation:
    """What a run on a trace did. Accuracies in [0, 1], weighted by time; costs as shares of the largest."""

    name: str
    trace: str
    steps: tuple[Step, ...]
    switches: int
    accuracy: Mapping[Configuration, float] = field(repr=False)
    cost: Mapping[Configuration, float] = field(repr=False)

    @property
    def seconds(self) -> float:
        return fsum(step.lasts for step in self.steps)  # exact, so that no Python's `sum` says otherwise

    def _mean(self, value: Callable[[Step], float]) -> float:
        return fsum(value(step) * step.lasts for step in self.steps) / self.seconds

    def _shares(self, name: Callable[[Step], str]) -> dict[str, float]:
        """Of the time, by name, in the order of their first steps."""
        lasting: dict[str, list[float]] = {}
        for step in self.steps:
            lasting.setdefault(name(step), []).append(step.lasts)
        return {each: fsum(found) / self.seconds for each, found in lasting.items()}

    @property
    def expected_accuracy(self) -> float:
        """Of what ran, by the table."""
        return self._mean(lambda step: self.accuracy[step.running])

    @property
    def oracle_accuracy(self) -> float:
        return self._mean(lambda step: self.accuracy[step.best])

    @property
    def regret(self) -> float:
        """How much more accurate the oracle's choice is; to be dearer than allowed gains nothing."""
        return self._mean(lambda step: max(0.0, self.accuracy[step.best] - self.accuracy[step.running]))

    @property
    def deadline_misses(self) -> int:
        return sum(step.late for step in self.steps)

    @property
    def violation_time(self) -> float:
        """Share of the time in which the running one was late, or over a cap."""
        return self._mean(lambda step: float(step.late or step.over))

    @property
    def score(self) -> float:
        """Accuracy in percent, where a late or forbidden answer counts 0, less the price of switches."""
        useful = self._mean(lambda s: 0.0 if s.late or s.over else self.accuracy[s.running])
        return 100 * useful - SWITCH_COST * self.switches / (self.seconds / 60)

    def fields(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name,
            "trace": self.trace,
            "seconds": self.seconds,
            "predictions": len(self.steps),
            "expected_accuracy": self.expected_accuracy,
            "oracle_accuracy": self.oracle_accuracy,
            "regret": self.regret,
            "deadline_misses": self.deadline_misses,
            "violation_time": self.violation_time,
            "switches": self.switches,
            "score": self.score,
            "configurations": self._shares(lambda step: str(step.running)),
            "limiting_signals": self._shares(lambda step: step.limiting_signal),
        }


def simulate(
    table: ConfigurationBudgetTable,
    trace: Trace,
    *,
    latencies: Mapping[Configuration, float] | None = None,
    settings: Settings = Settings(),
    budget: Budget | str = "auto",
    seed: int = 1,
    chooser: MakeChooser | None = None,
    name: str = "controller",
    known: bool = True,
) -> Simulation:
    """Run a controller over a trace, one prediction a hop. A pure function of its arguments.

    ``latencies``: ms of one prediction on the machine at rest, as of a device profile; the trace's ms a GFLOP
    times the table's cost if not given. ``known``: the controller has them beforehand. ``chooser``: makes
    what decides in the place of a `BudgetController`. Raises `UsageError` for a table without accuracies.
    """
    base = base_latencies(table, trace, latencies)
    budget = Budget.parse(budget) if isinstance(budget, str) else budget
    now = [0.0]
    if chooser is None:
        decides: Chooser = BudgetController(
            table, budget=budget, hop_s=trace.hop_s, sensors=Replay(trace, lambda: now[0]),
            clock=lambda: now[0], settings=settings, latencies=base if known else None, seed=seed,
        )  # fmt: skip
    else:
        decides = chooser(Replay(trace, lambda: now[0]), lambda: now[0])
    return _run(simulated_device(table, trace, base, budget, settings, seed), decides, now, name)


@dataclass(frozen=True)
class SimulatedDevice:
    """What is true of the device at each hop, whatever a controller believes.

    ``slowdown``: noise included; ``share`` of the largest one's cost and ``ms`` that may be spent; ``best``:
    the oracle's choice, the most accurate that is neither late nor over a cap; else the cheapest.
    """

    trace: Trace
    base: Mapping[Configuration, float]
    cost: Mapping[Configuration, float]
    accuracy: Mapping[Configuration, float]
    slowdown: Sequence[float]
    share: Sequence[float]
    ms: Sequence[float]
    best: Sequence[Configuration]

    @property
    def cheapest(self) -> Configuration:
        return min(self.cost, key=lambda one: self.cost[one])

    def forbids(self, one: Configuration, hop: int) -> bool:
        """Whether it costs more than the caps allow."""
        return self.cost[one] > max(self.share[hop], self.cost[self.cheapest]) * (1 + ROUNDING)


def simulated_device(
    table: ConfigurationBudgetTable,
    trace: Trace,
    base: Mapping[Configuration, float],
    budget: Budget,
    settings: Settings,
    seed: int,
) -> SimulatedDevice:
    largest, noise = table.rows[-1].cost, _noise(trace, seed)
    times = [hop * trace.hop_s for hop in range(len(noise))]
    limits = [caps(trace.at(t).signals, budget, None, largest, settings) for t in times]
    share = [min([1.0, *(cap.share for cap in every)]) for every in limits]
    ms = [min([1000 * trace.hop_s, *(cap.latency_ms for cap in every)]) for every in limits]
    slowdown = [trace.slowdown(t) * factor for t, factor in zip(times, noise, strict=True)]
    ranked = sorted(table.rows, key=lambda row: (-(row.quality or 0.0), row.cost))
    able = [(row.configuration, row.cost / largest, base[row.configuration]) for row in ranked]

    def best(hop: int) -> Configuration:
        for one, cost, ms_at_rest in able:
            if cost <= share[hop] * (1 + ROUNDING) and ms_at_rest * slowdown[hop] <= ms[hop]:
                return one
        return table.rows[0].configuration

    return SimulatedDevice(
        trace=trace, base=base, slowdown=slowdown, share=share, ms=ms,
        cost={row.configuration: row.cost / largest for row in table.rows},
        accuracy={row.configuration: row.quality or 0.0 for row in table.rows},
        best=[best(hop) for hop in range(len(noise))],
    )  # fmt: skip


def _run(world: SimulatedDevice, decides: Chooser, now: list[float], name: str) -> Simulation:
    """One prediction after another, as a live source has them: what is wanted runs once it is loaded."""
    trace, hop, switches, hops = world.trace, 0, 0, len(world.slowdown)
    decision = decides.decide()
    running = wanted = decision.configuration
    ready_at, fresh, steps = 0.0, False, []
    while hop < hops:
        t = now[0] = hop * trace.hop_s
        decision = decides.decide() if hop else decision
        if decision.configuration != wanted:
            wanted, ready_at = decision.configuration, t + LOAD_S * trace.slowdown(t)
        if wanted != running and t >= ready_at:
            running, fresh, switches = wanted, True, switches + 1
        ms = world.base[running] * world.slowdown[hop] * (FRESH if fresh else 1.0)
        fresh = False
        taken = min(max(1, ceil(ms / 1000 / trace.hop_s)), hops - hop)  # hops until the next begins
        steps.append(
            Step(
                t=t, lasts=taken * trace.hop_s, running=running, latency_ms=ms, share=world.share[hop],
                late=ms > world.ms[hop], over=world.forbids(running, hop), best=world.best[hop],
                limiting_signal=decision.limiting_signal, reason=decision.reason,
            )
        )  # fmt: skip
        now[0] = t + ms / 1000
        decides.observe(running, ms)
        hop += taken
    return Simulation(name, trace.name, tuple(steps), switches, world.accuracy, world.cost)


def _noise(trace: Trace, seed: int) -> list[float]:
    """A factor for each hop, the same whatever runs: the mean of four uniform numbers, scaled."""
    drawn = random.Random(seed)
    scale = trace.noise * (12 / 4) ** 0.5
    count = max(1, int(trace.seconds / trace.hop_s + 1e-9))
    means = (sum(drawn.uniform(-1, 1) for _ in range(4)) / 4 * 2 for _ in range(count))
    return [max(0.1, 1 + scale * mean) for mean in means]


def base_latencies(
    table: ConfigurationBudgetTable, trace: Trace, latencies: Mapping[Configuration, float] | None = None
) -> dict[Configuration, float]:
    """Ms of one prediction of every row on the machine at rest.

    Raises `UsageError` for a row without accuracy, or without a latency where any are given.
    """
    found = {}
    for row in table.rows:
        one = row.configuration
        if row.quality is None:
            raise UsageError(f"{one} has no accuracy in the table; build it (a3d-edge table build)")
        if latencies is not None and not latencies.get(one, 0.0) > 0:
            raise UsageError(
                f"no latency is known of {one}; profile the bundle: 'a3d-edge bench --save-profile'"
            )
        found[one] = row.cost * trace.ms_per_gflop if latencies is None else latencies[one]
    return found
