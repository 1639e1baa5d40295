"""From budget, deadline and signals to caps: the share of the largest configuration, or the ms, allowed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from a3d_edge.configuration import Budget, BudgetKind
from a3d_edge.device.signals import Signals

__all__ = ["Cap", "Settings", "caps"]

ROUNDING = 1e-9  # a fraction and a quotient of GFLOPs that mean the same may differ in the last bit


@dataclass(frozen=True, slots=True)
class Settings:
    """Constants of the policy. Shares are of the largest configuration's GFLOPs; times are seconds."""

    headroom: float = 0.8  # of the hop: the rest is for decoding, preprocessing and jitter
    dwell_s: float = 2.0  # a switch costs a session's creation (up to 0.6 s): do not pay it more often
    up_latency: float = 0.85  # hysteresis: enter only where this share of the latency limit suffices …
    up_share: float = 0.9  # … and go up only below this share of a signal's cap: signals are noisy too
    caution: float = 0.3  # a latency scaled up by r may be r**caution worse: caches and memory do not scale
    backoff_first_s: float = 4.0  # two dwells: the first retry is an attempt and not a flicker
    backoff_max_s: float = 60.0  # one retry a minute costs about one late prediction a minute
    refused_s: float = 30.0  # memory that was missing rarely returns sooner
    battery_ample_percent: float = 50.0  # above half, nothing needs saving
    battery_low_percent: float = 15.0  # devices warn, then hibernate: what is left is for that
    battery_low_share: float = 0.1  # still better than the smallest, where the table has something between
    cpu_dead_zone: float = 0.15  # others' background noise; beyond it, leave them what they take
    temperature_limit_c: float = 85.0  # where common boards throttle, if the sensor names no limit
    temperature_band_c: float = 15.0  # slow down over this range, before the hardware does it
    memory_ample: float = 0.2  # a session's creation peaks near three times its weights …
    memory_low: float = 0.1  # … and below a tenth free, the kernel begins to swap or kill
    warmup_observations: int = 1  # after a switch the whole window is encoded anew: not the steady cost


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit, a share of the largest configuration's GFLOPs or a latency in ms, and where it comes from."""

    signal: str
    why: str
    share: float = math.inf
    latency_ms: float = math.inf

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
    every = (
        _budget(budget, largest_gflops),
        _deadline(hop_s, settings),
        _battery(signals, settings),
        _cpu(signals, settings),
        _temperature(signals, settings),
        _memory(signals, settings),
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
    """Linear from all at half full to a tenth when nearly empty. Unless known to be plugged, it drains."""
    percent = signals.battery_percent
    if percent is None or signals.plugged:
        return None
    low, ample = settings.battery_low_percent, settings.battery_ample_percent
    rest = _between(percent, low, ample)
    share = settings.battery_low_share + (1 - settings.battery_low_share) * rest
    return Cap(
        "battery", f"a battery at {percent:.0f} % allows {share:.2f} of the largest configuration", share
    )


def _cpu(signals: Signals, settings: Settings) -> Cap | None:
    """1 − others, stretched so that it begins at the dead zone without a jump."""
    others = signals.cpu_others
    if others is None:
        return None
    share = 1 - _between(others, settings.cpu_dead_zone, 1.0)
    return Cap("cpu", f"other processes take {others:.0%} of the CPU", share)


def _temperature(signals: Signals, settings: Settings) -> Cap | None:
    """Linear from all at the limit − 15 °C to the smallest at the limit."""
    now = signals.temperature_c
    if now is None:
        return None
    limit = signals.temperature_limit_c
    limit = settings.temperature_limit_c if limit is None else limit
    share = 1 - _between(now, limit - settings.temperature_band_c, limit)
    return Cap("temperature", f"{now:.0f} °C is near the limit of {limit:.0f} °C", share)


def _memory(signals: Signals, settings: Settings) -> Cap | None:
    """Linear from all at 20 % available to the smallest at 10 %: a cliff would flap at its edge."""
    free = signals.memory_available
    if free is None:
        return None
    share = _between(free, settings.memory_low, settings.memory_ample)
    return Cap("memory", f"{free:.0%} of the memory is available", share)


def _between(value: float, low: float, high: float) -> float:
    """How far a value is on the way from low (0) to high (1)."""
    return min(1.0, max(0.0, (value - low) / (high - low)))
