"""What a controller has to be better than on a trace: fixed configurations, and one without hysteresis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from a3d_edge.configuration import Budget, Configuration
from a3d_edge.control.controller import BudgetController
from a3d_edge.control.policy import Decision
from a3d_edge.control.settings import Settings
from a3d_edge.control.simulation import Simulation, base_latencies, simulate, simulated_device
from a3d_edge.control.trace import Trace
from a3d_edge.table import ConfigurationBudgetTable

__all__ = ["Comparison", "best_fixed", "compare"]


class Fixed:
    """A chooser that never changes."""

    def __init__(self, configuration: Configuration) -> None:
        self._decision = Decision(configuration, False, "always this one", "none")

    def decide(self) -> Decision:
        return self._decision

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        """Not used."""


BRASH: dict[str, Any] = {
    "headroom": 1.0, "up_latency": 1.0, "up_share": 1.0, "up_step": 1.0, "overuse_s": 0.0, "room_s": 0.0,
    "dwell_s": 0.0, "backoff_first_s": 0.0, "backoff_max_s": 0.0, "forget_s": 0.0,
}  # fmt: skip
"""No margin, no dwell, no back-off, no second reading: what hysteresis is compared with."""


def best_fixed(
    table: ConfigurationBudgetTable,
    trace: Trace,
    *,
    latencies: Mapping[Configuration, float] | None = None,
    settings: Settings = Settings(),
    budget: Budget | str = "auto",
    seed: int = 1,
) -> Simulation | None:
    """The most accurate configuration that never misses its deadline nor a cap, run all the time; None if
    there is none. It is chosen with the whole trace known."""
    base = base_latencies(table, trace, latencies)
    parsed = Budget.parse(budget) if isinstance(budget, str) else budget
    world = simulated_device(table, trace, base, parsed, settings, seed)
    hops = range(len(world.slowdown))
    tightest = min(world.ms[hop] / world.slowdown[hop] for hop in hops)
    good = [
        row
        for row in table.rows
        if base[row.configuration] <= tightest
        and not any(world.forbids(row.configuration, hop) for hop in hops)
    ]
    if not good:
        return None
    best = max(good, key=lambda row: (row.quality or 0.0, -row.cost)).configuration
    return simulate(
        table, trace, latencies=latencies, settings=settings, budget=budget, seed=seed,
        chooser=lambda sensors, clock: Fixed(best), name="best_fixed",
    )  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """A controller beside what it has to be better than, on one trace."""

    controller: Simulation
    smallest: Simulation
    largest: Simulation
    no_hysteresis: Simulation
    best_fixed: Simulation | None


def compare(
    table: ConfigurationBudgetTable,
    trace: Trace,
    *,
    latencies: Mapping[Configuration, float] | None = None,
    settings: Settings = Settings(),
    budget: Budget | str = "auto",
    seed: int = 1,
) -> Comparison:
    """Simulate the controller, both ends of the table, one without hysteresis, and the best fixed one."""
    given: dict[str, Any] = {"latencies": latencies, "budget": budget, "seed": seed}

    def fixed(configuration: Configuration, name: str) -> Simulation:
        return simulate(
            table,
            trace,
            settings=settings,
            chooser=lambda sensors, clock: Fixed(configuration),
            name=name,
            **given,
        )

    base = base_latencies(table, trace, latencies)
    return Comparison(
        controller=simulate(table, trace, settings=settings, **given),
        smallest=fixed(table.rows[0].configuration, "smallest"),
        largest=fixed(table.rows[-1].configuration, "largest"),
        no_hysteresis=simulate(
            table, trace, settings=settings, name="no_hysteresis",
            chooser=lambda sensors, clock: BudgetController(
                table, budget=budget, hop_s=trace.hop_s, sensors=sensors, clock=clock,
                settings=_brash(settings), latencies=base, seed=0,
            ), **given,
        ),
        best_fixed=best_fixed(table, trace, settings=settings, **given),
    )  # fmt: skip


def _brash(settings: Settings) -> Settings:
    return replace(settings, **BRASH)
