"""BudgetController: senses the device and says which configuration to run next. Usable in any application."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from a3d_edge.configuration import Budget, BudgetKind, Configuration
from a3d_edge.control import policy
from a3d_edge.control.caps import caps
from a3d_edge.control.policy import Decision, LatencyModel, PolicyState, Settings
from a3d_edge.control.trace import Replay, find_trace
from a3d_edge.device.signals import DeviceSensors, Signals
from a3d_edge.errors import UsageError
from a3d_edge.table import ConfigurationBudgetTable

__all__ = ["SENSING_INTERVAL_S", "BudgetController"]

SENSING_INTERVAL_S = 0.75
"""Between two readings of the sensors, at the least, if nothing else is said."""


class BudgetController:
    """Chooses the configuration of one adaptive network for the next window.

    Ask `decide` before a window, run what it says, tell `observe` how long it took; tell `refuse` when it
    could not be prepared. Everything else (cameras, sessions, threads) stays the application's.

    ``budget``: `Budget` or its text (``auto``, ``0.25``, ``5GFLOPs``, ``80ms``, ``w0.50-s224-t4``);
    ``trace:FILE`` is ``auto`` on the signals of that trace.
    ``hop_s``: seconds between two windows of a paced source, None for files as fast as they decode.
    ``sensors``: read at most every ``sensing_interval_s``; this device if not given.
    ``clock``: monotonic seconds. ``latencies``: ms that are known beforehand, of a device profile.
    ``on_decision`` is called with every decision. ``seed``: of the jitter of back-offs, 0 for none; a random
    one if not given.
    Raises `UsageError` for a budget, a hop or a latency that does not fit the table.
    Not thread-safe: call all methods from one thread. Nothing blocks; no thread or file is held.
    """

    def __init__(
        self,
        table: ConfigurationBudgetTable,
        *,
        budget: Budget | str = "auto",
        hop_s: float | None = None,
        sensors: Callable[[], Signals] | None = None,
        clock: Callable[[], float] = time.monotonic,
        settings: Settings | None = None,
        latencies: Mapping[Configuration, float] | None = None,
        sensing_interval_s: float = SENSING_INTERVAL_S,
        on_decision: Callable[[Decision], object] | None = None,
        seed: int | None = None,
    ) -> None:
        self._table = table
        self._budget = Budget.parse(budget) if isinstance(budget, str) else budget
        if self._budget.trace is not None:
            sensors, self._budget = Replay(find_trace(self._budget.trace), clock), Budget(BudgetKind.AUTO)
        self._hop_s = _checked_hop(hop_s)
        self._sensors = DeviceSensors() if sensors is None else sensors
        self._clock = clock
        self._settings = settings or Settings()
        self._latency = LatencyModel.of(table, latencies)
        self._sensing_interval_s = sensing_interval_s
        self._sensed_at = float("-inf")
        self._signals: Signals | None = None
        self._sensor_error: Exception | None = None
        self._observed: Configuration | None = None
        self._warming = 0
        self._awaited_since: float | None = None  # since when others run in the place of the latest choice
        self._on_decision = on_decision
        self._latest: Decision
        self._because = ""  # the reason of the latest change
        self._seed = secrets.randbits(63) if seed is None else seed
        self._state = PolicyState(seed=self._seed)
        self._current = self.decide().configuration

    @property
    def current(self) -> Configuration:
        """The configuration of the latest decision; the first is made on creation."""
        return self._current

    @property
    def last_signals(self) -> Signals | None:
        """The latest reading of the sensors."""
        return self._signals

    @property
    def last_sensor_error(self) -> Exception | None:
        """What the sensors raised at the latest reading, None if they worked."""
        return self._sensor_error

    @property
    def knows_latency(self) -> bool:
        """Whether any latency is known, or none matters: the source is not paced, the budget is pinned."""
        pinned = self._budget.kind is BudgetKind.PINNED
        return self._hop_s is None or pinned or bool(self._latency.measurements)

    def rehearsed(self, configuration: Configuration, latency_ms: float) -> None:
        """Tell what a prediction takes before any has run: the choice of what to begin with is made anew.

        Raises `UsageError` for one that is not in the table.
        """
        constant = self._latency.constant
        self._latency = replace(LatencyModel.of(self._table, {configuration: latency_ms}), constant=constant)
        self._state = PolicyState(seed=self._seed)

    def beside(self, latency_ms: float) -> None:
        """Tell what every prediction takes beside the network, such as finding people, before any has run."""
        self._latency = self._latency.beside(latency_ms)
        self._state = PolicyState(seed=self._seed)

    def observe(self, configuration: Configuration, latency_ms: float, *, beside_ms: float = 0.0) -> None:
        """Tell how long one prediction took, in ms. Raises `UsageError` for one that is not in the table.

        ``beside_ms``: of it what no configuration changes, such as finding people: it counts in what is
        expected of each, and is not scaled with their GFLOPs.
        The first after a switch is left out, its caches are cold; so is what is no time, such as NaN or 0.
        """
        if not (isinstance(latency_ms, (int, float)) and 0 < latency_ms < math.inf):
            self._table.row(configuration)
            return
        observed = self._latency.observe(configuration, latency_ms, beside_ms)
        self._await(configuration)
        if configuration != self._observed:
            self._observed, self._warming = configuration, self._settings.warmup_observations
        self._sense(self._clock())  # here, where nothing waits: so deciding hardly ever has to
        if self._warming > 0:
            self._warming -= 1
            return
        self._latency = observed

    def decide(self) -> Decision:
        """The configuration for the next window, whether it changed, and why."""
        now = self._clock()
        signals = self._sense(now)
        if self._is_loading(now, signals):
            reason = f"{self._current} is being prepared: {self._because}"
            decision = replace(self._latest, changed=False, reason=reason, next_up_s=None, at_s=now)
        else:
            decision = self._decided(signals, now)
        if self._on_decision is not None:
            self._on_decision(decision)
        return decision

    def _decided(self, signals: Signals, now: float) -> Decision:
        decision, state = policy.decide(
            self._state,
            signals,
            self._table,
            self._latency,
            now,
            budget=self._budget,
            hop_s=self._hop_s,
            settings=self._settings,
        )
        if decision.changed and state.previous is not None:
            before, caution = state.previous, self._settings.caution
            self._latency = self._latency.retried(decision.configuration, before, caution)
            self._awaited_since = None
        if decision.changed:
            self._because = decision.reason
        self._latest = decision
        self._state, self._current = state, decision.configuration
        return decision

    def _await(self, ran: Configuration) -> None:
        """Others run while the latest choice is prepared; its time begins when it runs."""
        if ran != self._current:
            if self._awaited_since is None:
                self._awaited_since = self._clock()
        elif self._awaited_since is not None:
            self._awaited_since = None
            self._state = replace(self._state, switched_at=self._clock())

    def _is_loading(self, now: float, signals: Signals) -> bool:
        """Whether to wait for the latest choice: what it takes is not known, and it is not to be blamed for
        what runs in its place. Not where a signal is critical, nor for ever."""
        since = self._awaited_since
        if since is None or now - since > self._settings.loading_s or self._state.current is None:
            return False
        largest = self._table.rows[-1].cost
        limits = caps(signals, self._budget, self._hop_s, largest, self._settings)
        share = self._table.row(self._current).cost / largest
        return not any(cap.critical and not cap.allows(share, None) for cap in limits)

    def refuse(self, configuration: Configuration) -> None:
        """Tell that a configuration could not be prepared: it is not chosen again for a while.

        If it is the current one, the next decision goes back to the one before. Raises `UsageError` for one
        that is not in the table.
        """
        self._table.row(configuration)
        self._awaited_since = None
        self._state = policy.refuse(self._state, configuration, self._clock(), self._settings)

    def _sense(self, now: float) -> Signals:
        if self._signals is not None and now - self._sensed_at < self._sensing_interval_s:
            return self._signals
        self._sensed_at = now
        try:
            self._signals, self._sensor_error = self._sensors().plausible(), None
        except Exception as error:  # sensors may be the application's own: none of their failures may stop it
            self._signals, self._sensor_error = Signals(), error
        return self._signals


def _checked_hop(hop_s: float | None) -> float | None:
    if hop_s is not None and not 0 < hop_s < float("inf"):
        raise UsageError(f"hop_s {hop_s} is not a positive number of seconds; use None for a file")
    return hop_s
