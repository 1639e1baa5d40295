"""Which configuration to run next, as a pure function.

    signals, budget, hop ─> caps ──┐
    table, latency model ─> options ┴─> decide ─> Decision, next PolicyState

Caps combine by minimum. A violated cap is obeyed at once, straight to the largest configuration that fits;
more is taken only after a dwell. One left for its latency, or refused, is barred for a growing time. Every
configuration is entered with a margin on latency limits and left without one, so that noise does not flap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from a3d_edge.configuration import Budget, BudgetKind, Configuration
from a3d_edge.control.caps import Cap, Settings, caps
from a3d_edge.control.latency import LatencyModel
from a3d_edge.device.signals import Signals
from a3d_edge.table import ConfigurationBudgetTable

__all__ = ["Bar", "Cap", "Decision", "LatencyModel", "PolicyState", "Settings", "caps", "decide", "refuse"]

AUTO = Budget(BudgetKind.AUTO)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to run next. ``changed``: other than the decision before; ``reason``: a sentence for people;
    ``limiting_signal``: battery, cpu, temperature, memory, deadline, budget or none."""

    configuration: Configuration
    changed: bool
    reason: str
    limiting_signal: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A configuration not to choose until a time (s), what kept it out, and how long the bar was (s)."""

    configuration: Configuration
    signal: str
    until: float
    wait_s: float


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What the policy remembers between decisions. Times are on the caller's clock, in s."""

    current: Configuration | None = None
    previous: Configuration | None = None
    switched_at: float = -math.inf
    room_since: float | None = None
    bars: tuple[Bar, ...] = ()

    def bar(self, configuration: Configuration) -> Bar | None:
        """The latest bar of a configuration, over or not."""
        return next((bar for bar in self.bars if bar.configuration == configuration), None)


@dataclass(slots=True, eq=False)  # told apart by identity: fields are slow to compare; frozen, slow to make
class _Option:
    configuration: Configuration
    share: float
    estimate_ms: float | None
    hopeful_ms: float | None  # scaled up from the running configuration, with doubt; None if not above it
    measured: bool
    barred: Bar | None

    def keeps(self, limits: Sequence[Cap]) -> bool:
        if self.barred is not None:
            return False
        for cap in limits:  # noqa: SIM110  (it is asked of every option, and `all` takes twice as long)
            if not cap.allows(self.share, self.estimate_ms):
                return False
        return True


@dataclass(frozen=True, slots=True)
class _Moment:
    """All that one decision is made from: the rows worth running, cheapest first, and the caps to stay under;
    the same caps to enter a configuration, and to go up to one."""

    state: PolicyState
    options: tuple[_Option, ...]
    limits: tuple[Cap, ...]
    enter: tuple[Cap, ...]
    climb: tuple[Cap, ...]
    now: float
    settings: Settings


Step = tuple[Decision, PolicyState]


def decide(
    state: PolicyState,
    signals: Signals,
    table: ConfigurationBudgetTable,
    latency: LatencyModel,
    now: float,
    *,
    budget: Budget = AUTO,
    hop_s: float | None = None,
    settings: Settings = Settings(),
) -> Step:
    """The configuration for these signals at time ``now`` (s), and the state for the next call.

    ``hop_s`` is the time between two windows of a paced source, None for files as fast as they decode.
    Raises `UsageError` when a pinned budget's configuration is not in the table.
    """
    if budget.kind is BudgetKind.PINNED and budget.configuration is not None:
        table.row(budget.configuration)
        return _switch(state, budget.configuration, now, "the budget names this configuration", "budget")
    limits = caps(signals, budget, hop_s, table.rows[-1].cost, settings)
    enter = tuple(cap.less(latency=settings.up_latency) for cap in limits)
    climb = tuple(cap.less(share=settings.up_share) for cap in enter)
    options = _options(state, table, latency, now, settings.caution)
    at = _Moment(state, options, limits, enter, climb, now, settings)
    if state.current is None:
        return _start(at, small=_limits_latency(limits))
    here = next((option for option in at.options if option.configuration == state.current), None)
    lower = [one for one in at.options if one.barred is None and (here is None or one.share < here.share)]
    if here is None or here.barred is not None:
        return _retreat(at, lower)
    if lower and not here.keeps(limits):
        return _down(at, here, lower)
    return _up_or_stay(at, here)


def refuse(state: PolicyState, configuration: Configuration, now: float, settings: Settings) -> PolicyState:
    """The state after a configuration could not be prepared. Memory is the usual cause, so it is blamed."""
    return _barring(state, Bar(configuration, "memory", now, settings.refused_s), settings)


def _barring(state: PolicyState, new: Bar, settings: Settings) -> PolicyState:
    """Bar a configuration from ``new.until`` on: for its wait, or twice the last if it failed soon after."""
    last = state.bar(new.configuration)
    longest = max(new.wait_s, settings.backoff_max_s)
    again = last is not None and new.until - last.until <= longest
    wait = min(2 * last.wait_s, longest) if last is not None and again else new.wait_s
    others = tuple(bar for bar in state.bars if bar.configuration != new.configuration)
    return replace(state, bars=(*others, replace(new, until=new.until + wait, wait_s=wait)))


def _options(
    state: PolicyState, table: ConfigurationBudgetTable, latency: LatencyModel, now: float, caution: float
) -> tuple[_Option, ...]:
    """The Pareto front where accuracy is known of every row, else all rows, with what is expected of each.

    Configurations are slow to hash, and this is done for every prediction: each is looked up once.
    """
    bars = {bar.configuration: bar for bar in reversed(state.bars) if bar.until > now}
    hope = latency.scaling_from(state.current, caution) if state.current else None
    options = []
    for one, share in table.worthwhile:
        expected, gflops, measured = latency.outlook(one)
        hopeful = hope(gflops) if hope else None
        if expected is not None and hopeful is not None:
            # What was measured long ago may have been the load of that moment, and the running one knows
            # better: without this, a configuration that was left once could never come back.
            expected = min(expected, hopeful)
        barred = bars.get(one) if bars else None
        options.append(_Option(one, share, expected, hopeful, measured, barred))
    return tuple(options)


def _start(at: _Moment, *, small: bool) -> Step:
    """Where latency is limited and nothing is known of it, the smallest: its first answer comes soonest.

    A file waits for every prediction, so there the largest that the other caps allow begins.
    """
    if small and all(option.estimate_ms is None for option in at.options):
        first = next((option for option in at.options if option.barred is None), at.options[0])
        reason, signal = "start small: no latency is measured yet", "none"
        return _switch(at.state, first.configuration, at.now, reason, signal)
    target = _dearest(at.options, at.enter)
    reason, signal = _binding(at.options, target, at.enter, "start with the largest that the caps allow")
    return _switch(at.state, target.configuration, at.now, reason, signal)


def _retreat(at: _Moment, lower: Sequence[_Option]) -> Step:
    """Away from a refused configuration: back to the one before, which is still prepared, else down."""
    before = next((option for option in at.options if option.configuration == at.state.previous), None)
    usable = before is not None and before.keeps(at.enter)
    others = lower or [option for option in at.options if option.barred is None][:1] or at.options[:1]
    target = before if before is not None and usable else _dearest(others, at.enter)
    reason = f"{at.state.current} could not be prepared"
    return _switch(at.state, target.configuration, at.now, reason, "memory")


def _down(at: _Moment, here: _Option, lower: Sequence[_Option]) -> Step:
    """At once, straight to the largest of the cheaper ones that keeps every cap."""
    broken = [cap for cap in at.limits if not cap.allows(here.share, here.estimate_ms)]
    cap = min(broken, key=lambda cap: _dearest(lower, [cap]).share)
    state = at.state
    slow = next((cap.signal for cap in broken if math.isfinite(cap.latency_ms)), None)
    if slow is not None:
        bar = Bar(here.configuration, slow, at.now, at.settings.backoff_first_s)
        state = _barring(state, bar, at.settings)
    target = _dearest(lower, at.enter)
    return _switch(state, target.configuration, at.now, cap.reason(here.estimate_ms), cap.signal)


def _up_or_stay(at: _Moment, here: _Option) -> Step:
    """Up when the caps, each less its margin, have allowed more for the dwell, also since the last switch."""
    target = _reachable(at, here)
    if target is None:
        return _stay(at, here)
    since = at.now if at.state.room_since is None else at.state.room_since
    waited = at.now - max(since, at.state.switched_at)
    _, signal = _binding(at.options, target, at.climb, "")
    if waited >= at.settings.dwell_s:
        reason = f"caps allow more for {waited:.1f} s"
        return _switch(at.state, target.configuration, at.now, reason, signal)
    waiting = f"caps allow more, for {waited:.1f} s so far"
    return Decision(here.configuration, False, waiting, signal), replace(at.state, room_since=since)


def _stay(at: _Moment, here: _Option) -> Step:
    broken = next((cap for cap in at.limits if not cap.allows(here.share, here.estimate_ms)), None)
    if broken is not None:
        reason, signal = f"nothing is smaller, but {broken.reason(here.estimate_ms)}", broken.signal
    elif _limits_latency(at.limits) and not here.measured:
        reason, signal = "waiting for the first measured latency", "none"
    else:
        reason, signal = _binding(at.options, here, at.climb, "nothing is larger")
    return Decision(here.configuration, False, reason, signal), replace(at.state, room_since=None)


def _reachable(at: _Moment, here: _Option) -> _Option | None:
    """The dearest to go up to: any measured one that fits; of the unmeasured the next that fits, or one that
    fits even if it is slower than scaled. Without a latency limit nothing can go wrong: any that fits."""
    above = [option for option in at.options[at.options.index(here) + 1 :] if option.keeps(at.climb)]
    if not above or not _limits_latency(at.limits):
        return above[-1] if above else None
    if not here.measured:
        return None  # nothing to judge from yet: the next prediction tells

    def likely(one: _Option) -> bool:
        return one.measured or all(cap.allows(one.share, one.hopeful_ms) for cap in at.climb)

    return next((one for one in reversed(above) if likely(one)), above[0])


def _dearest(options: Sequence[_Option], limits: Sequence[Cap]) -> _Option:
    """The dearest that keeps the caps; if none does, the cheapest that may be prepared at all."""
    kept = [option for option in options if option.keeps(limits)]
    possible = [option for option in options if option.barred is None]
    return kept[-1] if kept else (possible or options)[0]


def _binding(
    options: Sequence[_Option], chosen: _Option, limits: Sequence[Cap], otherwise: str
) -> tuple[str, str]:
    """Reason and signal of what holds the choice down: the cap that alone would allow the least."""
    dearer = options[options.index(chosen) + 1 :]
    holding = [cap for cap in limits if not all(cap.allows(o.share, o.estimate_ms) for o in dearer)]
    if holding:
        cap = min(holding, key=lambda cap: _dearest(options, [cap]).share)
        refused = next(o for o in dearer if not cap.allows(o.share, o.estimate_ms))
        return f"nothing larger: {cap.reason(refused.estimate_ms)}", cap.signal
    bar = next((option.barred for option in dearer if option.barred is not None), None)
    if bar is not None:
        return f"{bar.configuration} is not tried again yet", bar.signal
    return otherwise, "none"


def _limits_latency(limits: Sequence[Cap]) -> bool:
    return any(math.isfinite(cap.latency_ms) for cap in limits)


def _switch(state: PolicyState, target: Configuration, now: float, reason: str, signal: str) -> Step:
    """To the target, which may be where we are already; the start is not a change."""
    if target == state.current:
        return Decision(target, False, reason, signal), state
    changed = state.current is not None
    state = replace(state, current=target, previous=state.current, switched_at=now, room_since=None)
    return Decision(target, changed, reason, signal), state
