"""From budget, deadline and signals to caps: the share of the largest configuration, or the ms, allowed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from a3d_edge.configuration import Budget, BudgetKind
from a3d_edge.control.settings import Settings, at
from a3d_edge.device.signals import Signals

__all__ = ["Cap", "Settings", "caps"]

ROUNDING = 1e-9  # a fraction and a quotient of GFLOPs that mean the same may differ in the last bit


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit, a share of the largest configuration's GFLOPs or a latency in ms, and where it comes from.

    ``critical``: to be obeyed at the first reading, whatever else waits.
    """

    signal: str
    why: str
    share: float = math.inf
    latency_ms: float = math.inf
    critical: bool = False

    def allows(self, share: float, estimate_ms: float | None) -> bool:
        """Whether a configuration of this cost and expected latency keeps the cap; unknown latency does."""
        if estimate_ms is not None and estimate_ms > self.latency_ms:
            return False
        return share <= self.share * (1 + ROUNDING)

    def less(self, *, share: float = 1.0, latency: float = 1.0) -> Cap:
        """The cap less a margin. A budget's share is what was asked for: it keeps its full value."""
        share = 1.0 if self.signal == "budget" else share
        why = self.why if latency == 1.0 else f"{self.why} (less a margin)"
        return replace(self, why=why, share=self.share * share, latency_ms=self.latency_ms * latency)

    def reason(self, estimate_ms: float | None) -> str:
        """For people: what the cap says about a configuration with this expected latency."""
        if math.isinf(self.latency_ms) or estimate_ms is None:
            return self.why
        over = "over" if estimate_ms > self.latency_ms else "within"
        return f"latency {estimate_ms:.0f} ms is {over} the {self.why} of {self.latency_ms:.0f} ms"


def caps(
    signals: Signals, budget: Budget, hop_s: float | None, largest_gflops: float, settings: Settings
) -> tuple[Cap, ...]:
    """The caps in force. An unknown signal gives none; a pinned budget is not a cap and gives none either."""
    known = signals.plausible()
    every = (
        _budget(budget, largest_gflops),
        _deadline(hop_s, settings),
        _battery(known, settings),
        _cpu(known, settings),
        _temperature(known, settings),
        _memory(known, settings),
        *_pressures(known, settings),
    )
    return tuple(cap for cap in every if cap is not None and (cap.share < 1 or math.isfinite(cap.latency_ms)))


def _budget(budget: Budget, largest_gflops: float) -> Cap | None:
    if budget.kind is BudgetKind.FRACTION:
        return Cap("budget", f"the budget is {budget} of the largest configuration", budget.amount)
    if budget.kind is BudgetKind.GFLOPS:
        return Cap("budget", f"the budget is {budget}", budget.amount / largest_gflops)
    if budget.kind is BudgetKind.LATENCY:
        return Cap("budget", "budget", latency_ms=budget.amount)
    return None


def _deadline(hop_s: float | None, settings: Settings) -> Cap | None:
    """A paced source brings the next window after a hop; files that decode as fast as they can have none."""
    if hop_s is None:
        return None
    return Cap("deadline", "deadline", latency_ms=1000 * hop_s * settings.headroom)


def _battery(signals: Signals, settings: Settings) -> Cap | None:
    """Unless it is known to be plugged, it drains."""
    percent = signals.battery_percent
    if percent is None or signals.plugged:
        return None
    share, critical = at(settings.battery, percent), percent <= settings.battery_critical
    why = f"a battery at {percent:.0f} % allows {share:.2f} of the largest configuration"
    return Cap("battery", why, share, critical=critical)


def _cpu(signals: Signals, settings: Settings) -> Cap | None:
    others = signals.cpu_others
    if others is None:
        return None
    return Cap("cpu", f"other processes take {others:.0%} of the CPU", at(settings.cpu, others))


def _temperature(signals: Signals, settings: Settings) -> Cap | None:
    now = signals.temperature_c
    if now is None:
        return None
    limit = signals.temperature_limit_c
    limit = settings.temperature_limit if limit is None else limit
    why = f"{now:.0f} °C is near the limit of {limit:.0f} °C"
    return Cap("temperature", why, at(settings.temperature, now - limit), critical=now >= limit)


def _memory(signals: Signals, settings: Settings) -> Cap | None:
    free = signals.memory_available
    if free is None:
        return None
    return Cap("memory", f"{free:.0%} of the memory is available", at(settings.memory, free))


def _pressures(signals: Signals, settings: Settings) -> list[Cap]:
    """Of what the kernel says that processes wait for (PSI)."""
    found = []
    for what, part, curve in (
        ("memory", signals.memory_pressure, settings.memory_pressure),
        ("CPU", signals.cpu_pressure, settings.cpu_pressure),
    ):
        if part is not None:
            why = f"processes wait for {what} {part:.0%} of the time"
            found.append(Cap("pressure", why, at(curve, part)))
    return found
