"""What each configuration takes on this device: learned from predictions that ran, scaled for the others."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median_low
from typing import NamedTuple

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.table import ConfigurationBudgetTable

__all__ = ["LatencyModel"]

RECENT = 20  # about 5 s at the default hop: how long a slow spell is remembered
SETTLED = 3  # the median of three ignores one stray measurement and follows the second
HIGH = 0.9  # the percentile to expect; of fewer than ten measurements it still leaves out the slowest
NOISE = 0.2  # a change of the median below this is averaged; a larger one is the device, and taken at once
SMOOTHING = 0.25
OFTEN = 10  # the 90th percentile of fewer is one measurement


@dataclass(frozen=True)
class _Measured:
    """The running median of one configuration, smoothed, and its recent latencies, all in ms."""

    typical: float
    recent: tuple[float, ...]

    @cached_property
    def expected(self) -> float:
        """A recent high percentile, or the typical value where that has risen since."""
        if not self.recent:
            return self.typical
        return max(self.typical, sorted(self.recent)[int(HIGH * (len(self.recent) - 1))])

    @property
    def settled(self) -> bool:
        return len(self.recent) >= SETTLED

    def after(self, ms: float) -> _Measured:
        recent = (*self.recent, ms)[-RECENT:]
        median = float(median_low(recent[-SETTLED:]))
        small = self.settled and abs(median - self.typical) < NOISE * self.typical
        return _Measured(self.typical + SMOOTHING * (median - self.typical) if small else median, recent)

    def times(self, factor: float) -> _Measured:
        if factor == 1.0:
            return self
        return _Measured(self.typical * factor, tuple(ms * factor for ms in self.recent))


class Outlook(NamedTuple):
    """Latency in ms to expect of a configuration (None: nothing is measured), its GFLOPs, whether it ran."""

    ms: float | None
    gflops: float
    measured: bool


UNKNOWN = Outlook(None, math.inf, False)


@dataclass(frozen=True)
class LatencyModel:
    """Latency in ms of one prediction of each configuration. Immutable: `observe` returns the next model.

    A measured configuration: the 90th percentile of its last 20. When a settled one becomes slower or faster,
    the device did: all others move in proportion, so that old measurements stay comparable.
    An unmeasured one: the nearest measured one times the plain ratio of GFLOPs. An offset cannot be told from
    one measurement, and without it a dearer configuration is expected too slow rather than too fast.
    What is known to be beside the network, the same whatever runs, is kept apart and added to each.
    """

    gflops: Mapping[Configuration, float]
    measurements: Mapping[Configuration, _Measured] = field(default_factory=dict)
    slowness: float = 1.0  # of the device; measurements are divided by it, so that all move when it does
    constant: _Measured | None = None  # what is beside the network; never scaled

    @classmethod
    def of(
        cls, table: ConfigurationBudgetTable, latencies: Mapping[Configuration, float] | None = None
    ) -> LatencyModel:
        """A model for a table's configurations, from a device profile's latencies in ms if there is one.

        Raises `UsageError` for a configuration that the table lacks, or a latency that is not positive.
        """
        model = cls({row.configuration: row.cost for row in table.rows})
        for configuration, ms in (latencies or {}).items():
            model._check(configuration, ms)
        settled = {one: _Measured(ms, (ms,) * SETTLED) for one, ms in (latencies or {}).items()}
        return replace(model, measurements=settled)

    @property
    def beside_ms(self) -> float:
        """What to expect beside the network."""
        return self.constant.expected if self.constant else 0.0

    def beside(self, ms: float) -> LatencyModel:
        """The model after one more measurement of what is beside the network; 0 where that is nothing."""
        if ms <= 0:
            return self
        return replace(self, constant=self.constant.after(ms) if self.constant else _Measured(ms, (ms,)))

    def observe(self, configuration: Configuration, ms: float, beside_ms: float = 0.0) -> LatencyModel:
        """The model after one more measured latency, ``beside_ms`` of it beside the network.

        Raises `UsageError` as `of` does.
        """
        ms = ms - max(0.0, beside_ms)
        self._check(configuration, ms)
        before, ms = self.measurements.get(configuration), ms / self.slowness
        after = before.after(ms) if before else _Measured(ms, (ms,))
        factor = after.typical / before.typical if before and before.settled else 1.0
        measured = {**self.measurements, configuration: after.times(1 / factor)}
        return LatencyModel(self.gflops, measured, self.slowness * factor, self.constant).beside(beside_ms)

    def retried(self, configuration: Configuration, below: Configuration, caution: float) -> LatencyModel:
        """The model for a second chance after ``below`` ran: `above` where that is less than was measured.

        The first new measurement takes its place; until then the old one does not condemn the retry.
        """
        hopeful, own = self.above(configuration, below, caution), self.estimate(configuration)
        if hopeful is None or own is None or own <= hopeful:
            return self
        return replace(
            self,
            measurements={
                **self.measurements,
                configuration: _Measured((hopeful - self.beside_ms) / self.slowness, ()),
            },
        )

    def measured(self, configuration: Configuration) -> bool:
        """Whether the configuration itself was measured."""
        return self.outlook(configuration).measured

    def estimate(self, configuration: Configuration) -> float | None:
        """Latency in ms to expect; None while nothing is measured."""
        return self.outlook(configuration).ms

    def latest(self, configuration: Configuration) -> float | None:
        """The last measured latency in ms of a configuration; None if it did not run."""
        known = self.measurements.get(configuration)
        if known is None or not known.recent:
            return None
        return known.recent[-1] * self.slowness + (self.constant.recent[-1] if self.constant else 0.0)

    def is_late(self, configuration: Configuration, limit_ms: float) -> bool:
        """Whether it runs slower than a limit, beyond doubt: twice in a row, or often enough of late."""
        known = self.measurements.get(configuration)
        if known is None:
            return False
        limit_ms = (limit_ms - self.beside_ms) / self.slowness
        twice = len(known.recent) > 1 and min(known.recent[-2:]) > limit_ms
        return twice or (len(known.recent) >= OFTEN and known.expected > limit_ms)

    def outlook(self, configuration: Configuration) -> Outlook:
        """All that is known of a configuration, at the price of one look-up: they are slow to hash."""
        return self._outlooks.get(configuration, UNKNOWN)

    def above(self, configuration: Configuration, below: Configuration, caution: float) -> float | None:
        """Latency in ms by a ratio r of GFLOPs above a measured one, and r**caution for what may not scale.

        None if ``below`` was not measured or does not cost less.
        """
        scaled = self.scaling_from(below, caution)
        return scaled(self.gflops[configuration]) if scaled else None

    def scaling_from(self, below: Configuration, caution: float) -> Callable[[float], float | None] | None:
        """`above` for one ``below``, of GFLOPs; None if that was not measured."""
        known = self.measurements.get(below)
        if known is None:
            return None
        expected, cost, beside = known.expected * self.slowness, self.gflops[below], self.beside_ms
        return lambda gflops: beside + expected * (gflops / cost) ** (1 + caution) if gflops > cost else None

    @cached_property
    def _outlooks(self) -> dict[Configuration, Outlook]:
        slowness, measured, beside = self.slowness, self.measurements, self.beside_ms
        if not measured:
            return {one: Outlook(None, cost, False) for one, cost in self.gflops.items()}
        known = sorted((self.gflops[one], found.expected * slowness) for one, found in measured.items())
        costs = [cost for cost, _ in known]
        outlooks = {}
        for one, cost in self.gflops.items():
            found = measured.get(one)
            if found is None:
                outlooks[one] = Outlook(beside + _scaled_from_nearest(cost, costs, known), cost, False)
            else:
                outlooks[one] = Outlook(beside + found.expected * slowness, cost, bool(found.recent))
        return outlooks

    def _check(self, configuration: Configuration, ms: float) -> None:
        if configuration not in self.gflops:
            raise UsageError(
                f"a latency was given for {configuration}, which is not in the table; leave it out"
            )
        if not (math.isfinite(ms) and ms > 0):
            raise UsageError(f"latency {ms} of {configuration} is not a positive number of milliseconds")


def _scaled_from_nearest(cost: float, costs: Sequence[float], known: Sequence[tuple[float, float]]) -> float:
    """The latency at a cost, from the (cost, latency) whose cost is nearest by ratio; all sorted by cost."""
    place = bisect(costs, cost)
    if place == len(known) or (place > 0 and cost / costs[place - 1] <= costs[place] / cost):
        place -= 1
    nearest, ms = known[place]
    return ms * cost / nearest
