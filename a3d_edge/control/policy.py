"""Which configuration to run next, as a pure function.

    signals, budget, hop ─> caps ──┐
    table, latency model ─> options ┴─> decide ─> Decision, next PolicyState

Caps combine by minimum. One that is broken at two readings is obeyed, straight to the largest configuration
that fits; a critical one at the first. More is taken only after a dwell, where caps allowed it without a
break for the back-off, which doubles when a step up fails; then as much as they allowed all the time. What
was left for its latency, or refused, is barred for a growing time; failed twice, its latency is believed.
Configurations are entered with a margin and left without one, so that noise does not flap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from a3d_edge.configuration import Budget, BudgetKind, Configuration
from a3d_edge.control.caps import Cap, caps
from a3d_edge.control.decision import Decision
from a3d_edge.control.latency import LatencyModel
from a3d_edge.control.settings import Settings
from a3d_edge.control.state import (
    BELIEVED,
    FALLING_S,
    LATENCY,
    Bar,
    PolicyState,
    Way,
    barring,
    refuse,
    switched,
)
from a3d_edge.device.signals import Signals
from a3d_edge.table import ConfigurationBudgetTable

__all__ = ["Bar", "Cap", "Decision", "LatencyModel", "PolicyState", "Settings", "caps", "decide", "refuse"]

AUTO = Budget(BudgetKind.AUTO)
ROUNDING_S = 1e-6  # times of decisions add up


@dataclass(slots=True, eq=False)  # told apart by identity: fields are slow to compare; frozen, slow to make
class _Option:
    configuration: Configuration
    share: float
    estimate_ms: float | None
    hopeful_ms: float | None  # scaled up from the running configuration, with doubt; None if not above it
    measured: bool
    barred: Bar | None
    near: bool  # it costs about what a barred one does, or more: it would be late as well

    def keeps(self, limits: Sequence[Cap]) -> bool:
        if self.barred is not None or self.near:
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
    plugged: bool = False


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
        step = _switch(
            state, budget.configuration, now, settings, "the budget names this configuration", "budget"
        )
        return _told(step, latency, now)
    limits = caps(signals, budget, hop_s, table.rows[-1].cost, settings)
    enter = tuple(cap.less(latency=settings.up_latency) for cap in limits)
    climb = tuple(cap.less(share=settings.up_share) for cap in enter)
    options = _options(state, table, latency, now, settings)
    return _told(
        _step(_Moment(state, options, limits, enter, climb, now, settings, signals.plugged is True), latency),
        latency,
        now,
    )


def _step(at: _Moment, latency: LatencyModel) -> Step:
    if at.state.current is None:
        return _start(at, small=_limits_latency(at.limits))
    here = next((option for option in at.options if option.configuration == at.state.current), None)
    lower = [one for one in at.options if one.barred is None and (here is None or one.share < here.share)]
    if here is None or here.barred is not None:
        return _retreat(at, lower)
    broken = [cap for cap in at.limits if not cap.allows(here.share, here.estimate_ms)]
    if lower and broken:
        return (
            _down(at, here, lower, broken) if _pressing(at, broken, latency) else _bear(at, here, broken[0])
        )
    return _up_or_stay(replace(at, state=replace(at.state, over_since=None)), here)


def _told(step: Step, latency: LatencyModel, now: float) -> Step:
    """The decision with what is known of the latency."""
    decision, state = step
    one = decision.configuration
    return replace(
        decision, predicted_ms=latency.estimate(one), measured_ms=latency.latest(one), at_s=now
    ), state


def _options(
    state: PolicyState, table: ConfigurationBudgetTable, latency: LatencyModel, now: float, settings: Settings
) -> tuple[_Option, ...]:
    """The Pareto front where accuracy is known of every row, else all rows, with what is expected of each.

    Configurations are slow to hash, and this is done for every prediction: each is looked up once.
    """
    bars = {bar.configuration: bar for bar in reversed(state.bars) if bar.until > now}
    ceiling, believed = _ceilings(state, latency, now, settings)
    hope = latency.scaling_from(state.current, settings.caution) if state.current else None
    options = []
    for one, share in table.worthwhile:
        expected, gflops, measured = latency.outlook(one)
        hopeful = hope(gflops) if hope else None
        if expected is not None and hopeful is not None and gflops < believed:
            # What was measured long ago may have been the load of that moment, and the running one knows
            # better: without this, a configuration that was left once could never come back.
            expected = min(expected, hopeful)
        barred = bars.get(one) if bars else None
        near = gflops >= ceiling and one != state.current
        options.append(_Option(one, share, expected, hopeful, measured, barred, near))
    return tuple(options)


def _ceilings(
    state: PolicyState, latency: LatencyModel, now: float, settings: Settings
) -> tuple[float, float]:
    """GFLOPs from which on all is barred with what was late; and those from which on measurements count."""
    ceiling = believed = math.inf
    for bar in state.bars:
        if bar.signal not in LATENCY:
            continue
        gflops = latency.gflops.get(bar.configuration, math.inf) / settings.up_step
        if bar.until > now:
            ceiling = min(ceiling, gflops)
        if bar.count >= BELIEVED and now - (bar.until - bar.wait_s) < settings.forget_s:
            believed = min(believed, gflops)
    return ceiling, believed


def _start(at: _Moment, *, small: bool) -> Step:
    """Where latency is limited and nothing is known of it, the smallest: its first answer comes soonest.

    A file waits for every prediction, so there the largest that the other caps allow begins.
    """
    if small and all(option.estimate_ms is None for option in at.options):
        first = next((option for option in at.options if option.barred is None), at.options[0])
        reason, signal = "start small: no latency is measured yet", "none"
        return _switch(at.state, first.configuration, at.now, at.settings, reason, signal)
    target = _dearest(at.options, at.enter)
    reason, signal = _binding(at.options, target, at.enter, "start with the largest that the caps allow")
    return _switch(at.state, target.configuration, at.now, at.settings, reason, signal)


def _retreat(at: _Moment, lower: Sequence[_Option]) -> Step:
    """Away from a refused configuration: back to the one before, which is still prepared, else down."""
    before = next((option for option in at.options if option.configuration == at.state.previous), None)
    usable = before is not None and before.keeps(at.enter)
    others = lower or [option for option in at.options if option.barred is None][:1] or at.options[:1]
    target = before if before is not None and usable else _dearest(others, at.enter)
    reason = f"{at.state.current} could not be prepared"
    return _switch(at.state, target.configuration, at.now, at.settings, reason, "memory")


def _pressing(at: _Moment, broken: Sequence[Cap], latency: LatencyModel) -> bool:
    """Whether a broken cap is to be obeyed now: a critical one, or one that was broken twice."""
    current, since = at.state.current, at.state.over_since
    if since is not None and at.now - since >= at.settings.overuse_s - ROUNDING_S:
        return True
    for cap in broken:
        if math.isfinite(cap.latency_ms):
            if current is not None and latency.is_late(current, cap.latency_ms):
                return True
        elif cap.critical or cap.signal == "budget":
            return True
    return False


def _bear(at: _Moment, here: _Option, cap: Cap) -> Step:
    """Stay for one more reading."""
    since = at.now if at.state.over_since is None else at.state.over_since
    state = replace(at.state, over_since=since, room_since=None, room_share=math.inf)
    reason = f"{cap.reason(here.estimate_ms)}, for {at.now - since:.1f} s so far"
    return Decision(here.configuration, False, reason, cap.signal), state


def _down(at: _Moment, here: _Option, lower: Sequence[_Option], broken: Sequence[Cap]) -> Step:
    """Straight to the largest of the cheaper ones that keeps every cap, each less its margin: a larger one
    where one step down follows the other, as a signal falls faster than they go."""
    cap = min(broken, key=lambda cap: _dearest(lower, [cap]).share)
    state = at.state
    slow = next((cap.signal for cap in broken if math.isfinite(cap.latency_ms)), None)
    if slow is not None:
        bar = Bar(here.configuration, slow, at.now, at.settings.backoff_first_s)
        state = barring(state, bar, at.settings)
    margin = at.settings.up_share ** (3 if at.now - state.fell_at <= FALLING_S else 1)
    target = _dearest(lower, [cap.less(share=margin) for cap in at.enter])
    reason = cap.reason(here.estimate_ms)
    return _switch(state, target.configuration, at.now, at.settings, reason, cap.signal, "down")


def _up_or_stay(at: _Moment, here: _Option) -> Step:
    """Up when the caps, each less its margin, have allowed more without a break, and the dwell is over."""
    state, settings = at.state, at.settings
    target = _reachable(at, here, math.inf)
    if target is None:
        return _stay(at, here)
    since = at.now if state.room_since is None else state.room_since
    least = min(target.share, state.room_share)
    _, signal = _binding(at.options, target, at.climb, "")
    next_up = _next_up(at, since)
    waited = at.now - since
    steady = target if target.share <= least else _reachable(at, here, least)
    if at.now >= next_up - ROUNDING_S and steady is not None:
        reason = f"caps allow more for {waited:.1f} s"
        return _switch(state, steady.configuration, at.now, settings, reason, signal, "up")
    waiting = f"caps allow more, for {waited:.1f} s so far"
    decision = Decision(here.configuration, False, waiting, signal, next_up_s=next_up)
    if steady is None:  # what it was allowed for a moment only is not worth a switch: count anew
        return decision, replace(state, room_since=at.now, room_share=target.share)
    return decision, replace(state, room_since=since, room_share=least)


def _next_up(at: _Moment, room_since: float) -> float:
    """When a step up may be made, if there is room from a time on without a break."""
    state, settings = at.state, at.settings
    room_s = settings.room_s
    if state.fell_for and state.fell_for not in LATENCY and not (at.plugged and state.fell_for == "battery"):
        room_s = settings.rest_s  # what made it fall may go on; a plug is no noise
    return max(room_since + max(room_s, state.backoff_s), state.switched_at + settings.dwell_s)


def _stay(at: _Moment, here: _Option) -> Step:
    broken = next((cap for cap in at.limits if not cap.allows(here.share, here.estimate_ms)), None)
    if broken is not None:
        reason, signal = f"nothing is smaller, but {broken.reason(here.estimate_ms)}", broken.signal
    elif _limits_latency(at.limits) and not here.measured:
        reason, signal = "waiting for the first measured latency", "none"
    else:
        reason, signal = _binding(at.options, here, at.climb, "nothing is larger")
    next_up = None if at.options[-1] is here else _next_up(at, at.now)
    state = replace(at.state, room_since=None, room_share=math.inf)
    return Decision(here.configuration, False, reason, signal, next_up_s=next_up), state


def _reachable(at: _Moment, here: _Option, most: float) -> _Option | None:
    """The dearest up to a share to go up to: any measured one that fits; of the unmeasured the next that
    fits, or one that fits even if it is slower than scaled. Without a latency limit nothing can go wrong: any
    that fits. A step that hardly costs more is none, unless it is the last."""
    worth = at.settings.up_step * here.share
    above = [
        option
        for option in at.options[at.options.index(here) + 1 :]
        if option.share <= most
        and (option.share >= worth or option is at.options[-1])
        and option.keeps(at.climb)
    ]
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


def _switch(
    state: PolicyState,
    target: Configuration,
    now: float,
    settings: Settings,
    reason: str,
    signal: str,
    way: Way = "other",
) -> Step:
    """To the target, which may be where we are already; the start is not a change."""
    if target == state.current:
        return Decision(target, False, reason, signal), state
    changed = state.current is not None
    return Decision(target, changed, reason, signal), switched(state, target, now, settings, way, signal)
