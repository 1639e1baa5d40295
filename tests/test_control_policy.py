"""The policy: down at once, up slowly, never above a cap, never below the smallest, and no flapping."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3d_edge.configuration import Budget, Configuration
from a3d_edge.control.latency import LatencyModel
from a3d_edge.control.policy import Decision, PolicyState, Settings, caps, decide, refuse
from a3d_edge.device.signals import Signals
from a3d_edge.errors import UsageError
from a3d_edge.table import ConfigurationBudgetTable, Row

COSTS = (1.0, 2.0, 4.0, 7.0, 10.0)
ALL = tuple(Configuration((6 + i) / 10, 224, 8) for i in range(len(COSTS)))
SMALLEST, LARGEST = ALL[0], ALL[-1]
SETTINGS = Settings()
IDLE = {one: 5.0 * cost for one, cost in zip(ALL, COSTS, strict=True)}  # 5, 10, 20, 35 and 50 ms


def table(accuracies: tuple[float | None, ...] = (None,) * len(COSTS)) -> ConfigurationBudgetTable:
    rows = [
        Row(configuration=str(one), gflops=gflops, params_m=1.0, accuracy=accuracy)
        for one, gflops, accuracy in zip(ALL, COSTS, accuracies, strict=True)
    ]
    return ConfigurationBudgetTable(architecture="test", rows=tuple(rows))


TABLE = table()


def at(current: Configuration, *, since: float = 0.0, **fields: Any) -> PolicyState:
    """A state that has run a configuration for long, with room above it since a time."""
    return PolicyState(current=current, switched_at=-100.0, room_since=since, **fields)


def choose(
    state: PolicyState = PolicyState(),
    signals: Signals = Signals(),
    *,
    budget: str = "auto",
    hop_s: float | None = None,
    latencies: dict[Configuration, float] | None = None,
    now: float = 0.0,
    rows: ConfigurationBudgetTable = TABLE,
) -> tuple[Decision, PolicyState]:
    latency = LatencyModel.of(rows, latencies)
    return decide(state, signals, rows, latency, now, budget=Budget.parse(budget), hop_s=hop_s)


# --- where it starts ---


def test_auto_starts_small_when_no_latency_is_known() -> None:
    """The first prediction comes soonest, and the start is not a change."""
    decision, state = choose(hop_s=0.1)
    assert decision == Decision(SMALLEST, False, "start small: no latency is measured yet", "none")
    assert state.current == SMALLEST


def test_it_starts_with_the_largest_that_fits_a_known_device() -> None:
    """Deadline 0.8 × 50 ms, entered with a margin of 0.85: 34 ms; 35 is over, 20 fits."""
    decision, _ = choose(hop_s=0.05, latencies=IDLE)
    assert (decision.configuration, decision.limiting_signal) == (ALL[2], "deadline")
    assert choose(hop_s=0.1, latencies=IDLE)[0].configuration == LARGEST


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("1.0", 4),
        ("0.99", 3),
        ("0.7", 3),
        ("0.25", 1),
        ("0.01", 0),
        ("4GFLOPs", 2),
        ("0.5GFLOPs", 0),
        ("99GFLOPs", 4),
    ],
)
def test_a_compute_budget_starts_with_the_largest_it_allows(budget: str, expected: int) -> None:
    """1.0 allows the largest; the smallest is always allowed. A file has no deadline to feel its way to."""
    assert choose(budget=budget)[0].configuration == ALL[expected]


@pytest.mark.parametrize(("budget", "expected"), [("60ms", 4), ("40ms", 2), ("1ms", 0)])
def test_a_latency_budget_allows_what_is_expected_to_keep_it(budget: str, expected: int) -> None:
    """With the margin of entering: 40 ms admits 20 and not 35 ms."""
    decision, _ = choose(budget=budget, latencies=IDLE)
    assert decision.configuration == ALL[expected]
    assert decision.limiting_signal == ("none" if expected == 4 else "budget")


def test_a_pinned_budget_is_obeyed_whatever_the_device_feels() -> None:
    """Also against a deadline, an empty battery and a table that has something better for less."""
    rows = table((0.5, 0.6, 0.5, 0.5, 0.7))
    weak = Signals(battery_percent=1, plugged=False, cpu_others=1.0, memory_available=0.0)
    decision, _ = choose(signals=weak, budget=str(ALL[3]), hop_s=0.001, latencies=IDLE, rows=rows)
    assert (decision.configuration, decision.limiting_signal) == (ALL[3], "budget")


def test_a_pinned_configuration_must_be_in_the_table() -> None:
    """The message names those there are."""
    with pytest.raises(UsageError, match=r"w0\.55-s224-t8 is not in the table; it has w0\.60-s224-t8, "):
        choose(budget="w0.55-s224-t8")


def test_dominated_rows_are_not_chosen_where_every_accuracy_is_known() -> None:
    """The row of 7 GFLOPs is no better than that of 4; a missing accuracy leaves nothing to compare."""
    assert choose(budget="0.7", rows=table((0.5, 0.6, 0.7, 0.7, 0.8)))[0].configuration == ALL[2]
    assert choose(budget="0.7", rows=table((0.5, None, 0.7, 0.7, 0.8)))[0].configuration == ALL[3]


def test_of_several_caps_the_tightest_is_named() -> None:
    """At the start and while it stays: 5 °C below the limit allow less than half of the CPU does."""
    signals = Signals(cpu_others=0.5, temperature_c=80.0)
    for state in (PolicyState(), at(ALL[1])):
        decision, _ = choose(state, signals, budget="1.0")
        assert (decision.configuration, decision.limiting_signal) == (ALL[1], "temperature")


# --- both precisions ---

FAST = tuple(one.at("int8") for one in ALL)


def both(accuracies: tuple[float, ...] | None = None) -> ConfigurationBudgetTable:
    """The rows of `TABLE` and their int8 twins, at 0.3 of their cost: 0.3, 0.6, 1.2, 2.1, 3 in fp32 terms."""
    every = table().rows + tuple(
        Row(configuration=str(one), gflops=cost, params_m=1.0) for one, cost in zip(FAST, COSTS, strict=True)
    )
    if accuracies is not None:
        every = tuple(
            row.model_copy(update={"accuracy": accuracy})
            for row, accuracy in zip(every, accuracies, strict=True)
        )
    return ConfigurationBudgetTable(architecture="test", rows=every)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("0.31", FAST[4]),  # full width in int8, instead of 2 GFLOPs in fp32
        ("0.25", FAST[3]),
        ("0.2", ALL[1]),  # dearer than what 0.12 buys in int8: without accuracies, cost is what is compared
        ("0.01", FAST[0]),
        ("1.0", ALL[4]),
        ("3.1GFLOPs", FAST[4]),
        ("0.1GFLOPs", FAST[0]),
    ],
)
def test_int8_is_chosen_when_its_cost_fits(budget: str, expected: Configuration) -> None:
    """A budget is in fp32 terms, a share of the dearest row's cost."""
    assert choose(budget=budget, rows=both())[0].configuration == expected


def test_of_what_fits_the_most_accurate_runs() -> None:
    """Where accuracies are known, the front is what is chosen from: it mixes precisions."""
    fp32, int8 = (0.5, 0.6, 0.65, 0.7, 0.75), (0.48, 0.58, 0.66, 0.69, 0.74)
    rows = both(fp32 + int8)
    chosen = {budget: choose(budget=budget, rows=rows)[0].configuration for budget in ("1.0", "0.99", "0.2")}
    assert chosen == {"1.0": ALL[4], "0.99": FAST[4], "0.2": FAST[2]}


def test_a_deadline_that_fp32_misses_is_kept_in_int8() -> None:
    """Down at once from 50 ms to its twin's 15 ms; a measured twin is entered directly."""
    latencies = {**IDLE, **{one: 0.3 * ms for one, ms in zip(FAST, IDLE.values(), strict=True)}}
    decision, _ = choose(at(LARGEST), hop_s=0.025, latencies=latencies, rows=both())
    assert (decision.configuration, decision.limiting_signal) == (FAST[4], "deadline")
    assert decision.reason == "latency 50 ms is over the deadline of 20 ms"


def test_a_refused_twin_does_not_bar_the_other() -> None:
    """They are two configurations."""
    state = refuse(at(FAST[4], previous=SMALLEST), FAST[4], 0.0, SETTINGS)
    assert choose(state, budget="1.0", rows=both())[0].configuration == SMALLEST
    assert (
        choose(at(SMALLEST, bars=state.bars), budget="1.0", rows=both(), now=10.0)[0].configuration == LARGEST
    )


# --- down ---


@pytest.mark.parametrize(
    ("signals", "expected", "signal"),
    [
        (Signals(battery_percent=32.5, plugged=False), 2, "battery"),
        (Signals(battery_percent=32.5, plugged=True), 4, "none"),
        (Signals(cpu_others=0.5), 2, "cpu"),
        (Signals(temperature_c=80), 1, "temperature"),
        (Signals(memory_available=0.05), 0, "memory"),
        (Signals(battery_percent=32.5, plugged=False, temperature_c=80), 1, "temperature"),
    ],
)
def test_a_violated_cap_is_obeyed_at_the_second_reading(signals: Signals, expected: int, signal: str) -> None:
    """Straight to the largest that fits, without a dwell; of several caps the tightest is named."""
    first, state = choose(at(LARGEST), signals)
    assert (first.changed, first.configuration) == (False, LARGEST)
    assert not choose(state, signals, now=0.9)[0].changed
    decision, _ = choose(state, signals, now=1.0)
    assert (decision.configuration, decision.limiting_signal) == (ALL[expected], signal)
    assert decision.changed == (expected != 4)


def test_a_reading_that_was_noise_is_not_obeyed() -> None:
    """Within the caps in between: the count begins anew."""
    _, state = choose(at(LARGEST), Signals(cpu_others=0.5))
    _, state = choose(state, Signals(), now=1.0)
    decision, _ = choose(state, Signals(cpu_others=0.5), now=2.0)
    assert not decision.changed


@pytest.mark.parametrize(
    ("signals", "expected", "signal"),
    [
        (Signals(battery_percent=12, plugged=False), 0, "battery"),
        (Signals(temperature_c=86), 0, "temperature"),
        (Signals(temperature_c=96, temperature_limit_c=95), 0, "temperature"),
    ],
)
def test_a_critical_battery_or_temperature_is_obeyed_at_once(
    signals: Signals, expected: int, signal: str
) -> None:
    """At the first reading, and right after a switch."""
    state = PolicyState(current=LARGEST, switched_at=0.0)
    decision, _ = choose(state, signals, now=0.1)
    assert (decision.configuration, decision.changed) == (ALL[expected], True)
    assert decision.limiting_signal == signal


def test_a_late_configuration_is_left_and_barred() -> None:
    """The reason says how late it was; the bar is what keeps it from coming back at once."""
    decision, state = choose(at(LARGEST), hop_s=0.06, latencies=IDLE)
    assert decision == Decision(ALL[3], True, "latency 50 ms is over the deadline of 48 ms", "deadline")
    bar = state.bar(LARGEST)
    assert bar is not None
    assert (bar.signal, bar.until) == ("deadline", SETTINGS.backoff_first_s)


def test_the_smallest_stays_when_nothing_fits() -> None:
    """And the reason says what it cannot keep."""
    decision, _ = choose(at(SMALLEST), hop_s=0.005, latencies=IDLE)
    assert decision.configuration == SMALLEST
    assert decision.reason == "nothing is smaller, but latency 5 ms is over the deadline of 4 ms"
    assert decision.limiting_signal == "deadline"


def test_a_bar_grows_with_each_failed_retry_and_starts_anew_after_a_good_run() -> None:
    """4, 8, 16 … at most 240 s; after a long time without failure, 4 s again."""
    state, now, waits = at(LARGEST), 0.0, []
    for _ in range(7):
        state = choose(replace(state, current=LARGEST), hop_s=0.06, latencies=IDLE, now=now)[1]
        bar = state.bar(LARGEST)
        assert bar is not None
        waits.append(bar.wait_s)
        now = bar.until + 1.0
    assert waits == [4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 240.0]
    state = choose(replace(state, current=LARGEST), hop_s=0.06, latencies=IDLE, now=now + 700.0)[1]
    bar = state.bar(LARGEST)
    assert bar is not None
    assert bar.wait_s == 4.0


# --- up ---


def test_more_is_taken_only_after_the_dwell() -> None:
    """Both since the caps allow it and since the last switch."""
    state = PolicyState(current=SMALLEST, switched_at=0.0)
    decision, state = choose(state, now=5.0)
    assert (decision.changed, decision.reason) == (False, "caps allow more, for 0.0 s so far")
    assert decision.next_up_s == 6.0
    assert not choose(state, now=5.9)[0].changed
    decision, _ = choose(state, now=6.0)
    assert (decision.configuration, decision.reason) == (LARGEST, "caps allow more for 1.0 s")
    early, _ = choose(replace(state, switched_at=4.5), now=6.0)
    assert (early.changed, early.next_up_s) == (False, 6.5)
    assert choose(replace(state, switched_at=4.0), now=6.0)[0].changed


def test_up_goes_only_as_far_as_was_allowed_all_the_time() -> None:
    """Half of the cores free for a moment, all of them now: what both allow."""
    state = at(SMALLEST, since=None)
    _, state = choose(state, Signals(cpu_others=0.4), now=0.0)
    decision, _ = choose(state, Signals(), now=1.0)
    assert decision.configuration == ALL[2]


def test_a_step_up_that_fails_doubles_the_wait_for_the_next() -> None:
    """30, 60, 120 s in which caps must allow more without a break; one that held counts as no failure."""
    state, now, waits = at(LARGEST), 0.0, []
    for _ in range(3):
        state = replace(state, current=LARGEST, went_up_at=now, over_since=now - 2.0)
        _, state = choose(state, Signals(cpu_others=0.5), now=now + 1.0)
        waits.append(state.backoff_s)
        now += 1000.0
    assert waits == [30.0, 60.0, 120.0]
    _, state = choose(state, now=now)
    early, _ = choose(state, now=now + 119.0)
    late, _ = choose(state, now=now + 120.0)
    assert (early.changed, late.changed) == (False, True)
    held = replace(state, current=LARGEST, went_up_at=now, over_since=now + 998.0)
    assert choose(held, Signals(cpu_others=0.5), now=now + 1000.0)[1].backoff_s == 60.0


def test_two_processes_do_not_retry_together() -> None:
    """The same history with two seeds: waits differ, by less than the jitter, and by the seed alone."""
    waits = []
    for seed in (1, 2, 2):
        state = at(LARGEST, went_up_at=0.0, over_since=0.0, seed=seed)
        waits.append(choose(state, Signals(cpu_others=0.5), now=1.0)[1].backoff_s)
    assert waits[0] != waits[1] == waits[2]
    assert all(24.0 <= wait <= 36.0 for wait in waits)


def test_what_failed_twice_is_believed() -> None:
    """35 ms at 7 GFLOPs promise 57 ms at 10, but 90 were measured twice; the device's own change counts."""
    latencies = {ALL[3]: 35.0, LARGEST: 90.0}
    state = at(LARGEST)
    for now in (0.0, 100.0):
        _, state = choose(replace(state, current=LARGEST), hop_s=0.1, latencies=latencies, now=now)
    state = replace(state, room_since=None, backoff_s=0.0, fell_at=-math.inf)
    decision, _ = choose(state, hop_s=0.1, latencies=latencies, now=200.0)
    assert (decision.configuration, decision.changed) == (ALL[3], False)
    _, faster = choose(state, hop_s=0.1, latencies={ALL[3]: 17.0, LARGEST: 45.0}, now=200.0)
    assert choose(faster, hop_s=0.1, latencies={ALL[3]: 17.0, LARGEST: 45.0}, now=201.0)[0].changed
    forgotten, _ = choose(replace(state, room_since=790.0), hop_s=0.1, latencies=latencies, now=800.0)
    assert forgotten.configuration == LARGEST


def test_what_costs_about_as_much_as_what_failed_is_barred_with_it() -> None:
    """A row of 9.5 GFLOPs is no way around one of 10 that was late."""
    near = Configuration(0.95, 224, 8)
    rows = TABLE.with_rows([*TABLE.rows, Row(configuration=str(near), gflops=9.5, params_m=1.0)])
    _, state = choose(at(LARGEST), hop_s=0.06, latencies=IDLE, rows=rows)
    assert state.current == ALL[3]


def test_a_signal_that_falls_faster_than_steps_go_gets_a_larger_margin() -> None:
    """A second step down within ten seconds of the first goes further than the cap asks for."""
    state = at(LARGEST, over_since=0.0)
    _, state = choose(state, Signals(cpu_others=0.16), now=1.0)
    assert state.current == ALL[3]
    _, state = choose(replace(state, over_since=2.0), Signals(cpu_others=0.5), now=3.0)
    assert state.current == ALL[2]
    slow, _ = choose(at(ALL[3], over_since=2.0), Signals(cpu_others=0.55), now=3.0)
    fast, _ = choose(at(ALL[3], over_since=2.0, fell_at=0.0), Signals(cpu_others=0.55), now=3.0)
    assert (slow.configuration, fast.configuration) == (ALL[2], ALL[1])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -5.0, 1e300, "full", True, None])
@pytest.mark.parametrize(
    "name",
    ["battery_percent", "cpu_others", "temperature_c", "temperature_limit_c", "memory_available",
     "memory_pressure", "cpu_pressure", "cores"],
)  # fmt: skip
def test_absurd_readings_are_unknown(name: str, value: Any) -> None:
    """They neither raise nor read as empty, hot or full."""
    signals = replace(Signals(), **{name: value})
    decision, _ = choose(at(LARGEST, over_since=-5.0), signals, now=10.0)
    assert (decision.configuration, decision.limiting_signal) == (LARGEST, "none")


def test_the_dwell_starts_again_when_the_caps_close_between() -> None:
    """A gap that opens and closes every second is never used."""
    state, now = at(SMALLEST), 0.0
    for _ in range(10):
        for signals in (Signals(), Signals(cpu_others=1.0)):
            decision, state = choose(state, signals, now=now)
            assert decision.configuration == SMALLEST
            now += 1.0


def test_going_up_needs_a_margin_on_the_deadline() -> None:
    """A deadline of 40 ms keeps a running 35 ms, but only 34 ms would be entered."""
    keep, _ = choose(at(ALL[3]), hop_s=0.05, latencies=IDLE, now=10.0)
    enter, _ = choose(at(ALL[2]), hop_s=0.05, latencies=IDLE, now=10.0)
    assert (keep.configuration, enter.configuration) == (ALL[3], ALL[2])
    assert enter.reason == "nothing larger: latency 35 ms is over the deadline (less a margin) of 34 ms"


def test_going_up_needs_a_margin_on_a_signal() -> None:
    """A CPU share that allows 0.7 and a little keeps the row of 0.7, but does not admit it."""
    signals = Signals(cpu_others=0.4)
    assert choose(at(ALL[3]), signals, now=10.0)[0].configuration == ALL[3]
    assert choose(at(ALL[2]), signals, now=10.0)[0].configuration == ALL[2]


def test_without_any_measurement_of_the_running_one_nothing_is_risked() -> None:
    """A deadline and no latency: wait for the first prediction."""
    decision, _ = choose(at(SMALLEST), hop_s=0.1, now=10.0)
    assert (decision.configuration, decision.reason) == (SMALLEST, "waiting for the first measured latency")


def test_up_to_an_unmeasured_one_goes_as_far_as_a_cautious_scaling_fits() -> None:
    """5 ms at 1 GFLOP: 36 ms admit 4 GFLOPs (5·4^1.3 = 30 ms), not 7 at 35 ms; 9.35 ms not twice the cost."""
    far, _ = choose(at(SMALLEST), hop_s=0.053, latencies={SMALLEST: 5.0}, now=10.0)
    none, _ = choose(at(SMALLEST), hop_s=0.01375, latencies={SMALLEST: 5.0}, now=10.0)
    assert (far.configuration, none.configuration) == (ALL[2], SMALLEST)


def test_one_step_is_tried_where_only_the_caution_forbids_it() -> None:
    """10.2 ms admit 2 GFLOPs at 5·2 = 10 ms, not at 5·2^1.3 = 12.3; one step may be tried to find out."""
    decision, _ = choose(at(SMALLEST), hop_s=0.015, latencies={SMALLEST: 5.0}, now=10.0)
    assert decision.configuration == ALL[1]


def test_a_measured_one_is_taken_directly() -> None:
    """No feeling of the way over ground that is known."""
    decision, _ = choose(at(SMALLEST), hop_s=0.1, latencies=IDLE, now=10.0)
    assert decision.configuration == LARGEST


def test_an_old_slow_measurement_yields_to_what_runs_now() -> None:
    """500 ms once; now 35 ms at 7 GFLOPs promises 57 ms at 10: tried again once its bar is over."""
    latencies = {ALL[3]: 35.0, LARGEST: 500.0}
    _, barred = choose(at(LARGEST), hop_s=0.1, latencies=latencies)
    state = replace(barred, current=ALL[3], room_since=None)
    early, early_state = choose(state, hop_s=0.1, latencies=latencies, now=3.9)
    late, _ = choose(replace(early_state, room_since=0.0), hop_s=0.1, latencies=latencies, now=10.0)
    assert (early.configuration, early.limiting_signal) == (ALL[3], "deadline")
    assert late.configuration == LARGEST


# --- refused ---


def test_a_refused_configuration_gives_way_to_the_one_before() -> None:
    """It was prepared and still is; then the refused one is left alone for a while."""
    state = refuse(at(LARGEST, previous=ALL[1]), LARGEST, 0.0, SETTINGS)
    decision, state = choose(state, now=0.0)
    assert (decision.configuration, decision.changed) == (ALL[1], True)
    assert (decision.reason, decision.limiting_signal) == ("w1.00-s224-t8 could not be prepared", "memory")
    assert choose(replace(state, room_since=0.0), now=10.0)[0].configuration == ALL[3]
    assert choose(replace(state, room_since=0.0), now=31.0)[0].configuration == LARGEST


def test_the_first_configuration_may_be_refused() -> None:
    """Then the next cheaper, or dearer where none is cheaper; with all refused it stays."""
    assert choose(refuse(at(ALL[2]), ALL[2], 0.0, SETTINGS))[0].configuration == ALL[1]
    state = refuse(at(SMALLEST), SMALLEST, 0.0, SETTINGS)
    assert choose(state)[0].configuration == ALL[1]
    for one in ALL:
        state = refuse(state, one, 0.0, SETTINGS)
    assert choose(state)[0].configuration == SMALLEST


# --- properties ---


def maybe(low: float, high: float) -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(low, high)


SIGNALS = st.builds(
    Signals,
    battery_percent=maybe(0, 100),
    plugged=st.sampled_from([None, True, False]),
    cpu_others=maybe(0, 1),
    temperature_c=maybe(1, 129),
    temperature_limit_c=maybe(50, 120),
    memory_available=maybe(0, 1),
    memory_pressure=maybe(0, 1),
)
LATENCIES = st.dictionaries(st.sampled_from(ALL), st.floats(1, 200))
BUDGETS = st.sampled_from(["auto", "0.05", "0.3", "1.0", "5GFLOPs", "15ms", "60ms"])
HOPS = st.none() | st.floats(0.005, 0.5)
STATES = st.builds(
    at,
    st.sampled_from(ALL),
    previous=st.none() | st.sampled_from(ALL),
    over_since=st.none() | st.floats(0, 10),
    backoff_s=st.floats(0, 120),
    went_up_at=st.just(-math.inf) | st.floats(0, 10),
    fell_at=st.just(-math.inf) | st.floats(0, 10),
    seed=st.integers(0, 9),
) | st.just(PolicyState())


@settings(deadline=None)
@given(STATES, SIGNALS, LATENCIES, BUDGETS, HOPS)
def test_no_cap_is_ever_exceeded_except_by_the_smallest(
    state: PolicyState,
    signals: Signals,
    latencies: dict[Configuration, float],
    budget: str,
    hop_s: float | None,
) -> None:
    """Whatever the state and the signals; a measured latency is judged as measured."""
    decision, after = choose(state, signals, budget=budget, hop_s=hop_s, latencies=latencies, now=10.0)
    assert decision.configuration in ALL
    assert after.current == decision.configuration
    if after.over_since is not None:  # broken, but not yet at two readings
        decision, after = choose(after, signals, budget=budget, hop_s=hop_s, latencies=latencies, now=11.0)
        assert after.over_since is None
    if decision.configuration == SMALLEST:
        return
    cost = COSTS[ALL.index(decision.configuration)] / COSTS[-1]
    for cap in caps(signals, Budget.parse(budget), hop_s, COSTS[-1], SETTINGS):
        assert cost <= cap.share * (1 + 1e-9)
        if decision.configuration == state.current or state.current is None:
            assert cap.allows(cost, LatencyModel.of(TABLE, latencies).estimate(decision.configuration))


TIGHTER = {
    "battery_percent": -1.0,
    "cpu_others": 1.0,
    "temperature_c": 1.0,
    "memory_available": -1.0,
}


@settings(deadline=None)
@given(STATES, SIGNALS, LATENCIES, BUDGETS, HOPS, st.sampled_from(sorted(TIGHTER)), st.floats(0, 1))
def test_a_tighter_signal_never_gives_a_dearer_configuration(
    state: PolicyState,
    signals: Signals,
    latencies: dict[Configuration, float],
    budget: str,
    hop_s: float | None,
    name: str,
    part: float,
) -> None:
    """Less battery, more load, more heat or less memory, everything else equal. Unknown is the loosest."""
    before = getattr(signals, name)
    worst = {"battery_percent": 0.0, "cpu_others": 1.0, "temperature_c": 129.0, "memory_available": 0.0}[name]
    tighter = worst if before is None else before + part * (worst - before)
    costs = [
        COSTS[
            ALL.index(
                choose(state, one, budget=budget, hop_s=hop_s, latencies=latencies, now=10.0)[0].configuration
            )
        ]
        for one in (replace(signals, **{name: tighter}), signals)
    ]
    assert costs[0] <= costs[1]


ANYTHING = (
    st.none() | st.floats() | st.integers() | st.text(max_size=3) | st.booleans() | st.binary(max_size=2)
)
READINGS = st.builds(Signals, *[ANYTHING] * len(fields(Signals)))


@settings(deadline=None)
@given(st.lists(st.tuples(READINGS, st.floats(0.01, 3.0), st.floats(1, 300)), max_size=40), BUDGETS, HOPS)
def test_nothing_raises_and_the_dwell_is_kept(
    steps: list[tuple[Signals, float, float]], budget: str, hop_s: float | None
) -> None:
    """Whatever sensors say and however long predictions take: a row of the table, and up after the dwell."""
    state, latency, now, switched_at = PolicyState(), LatencyModel.of(TABLE), 0.0, -math.inf
    for signals, lasts, ms in steps:
        before = state.current
        decision, state = decide(
            state, signals, TABLE, latency, now, budget=Budget.parse(budget), hop_s=hop_s
        )
        assert decision.configuration in ALL
        if decision.changed and before is not None:
            if ALL.index(decision.configuration) > ALL.index(before):
                assert now - switched_at >= SETTINGS.dwell_s - 1e-5
            switched_at = now
        latency = latency.observe(decision.configuration, ms)
        now += lasts


@settings(deadline=None)
@given(STATES, SIGNALS, LATENCIES, HOPS, st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_smaller_budget_never_gives_a_costlier_configuration(
    state: PolicyState,
    signals: Signals,
    latencies: dict[Configuration, float],
    hop_s: float | None,
    one: float,
    other: float,
) -> None:
    """Everything else equal."""
    costs = [
        COSTS[
            ALL.index(
                choose(state, signals, budget=f"{budget:.4f}", hop_s=hop_s, latencies=latencies, now=10.0)[
                    0
                ].configuration
            )
        ]
        for budget in sorted((one, other))
    ]
    assert costs[0] <= costs[1]


@settings(deadline=None)
@given(SIGNALS, BUDGETS, HOPS, st.floats(0, 50), st.floats(0.5, 100))
def test_constant_signals_and_latencies_settle(
    signals: Signals, budget: str, hop_s: float | None, fixed_ms: float, ms_per_gflop: float
) -> None:
    """After at most a minute nothing changes any more, on a device of a fixed cost and a cost by GFLOPs."""
    state, latency = PolicyState(), LatencyModel.of(TABLE)
    configurations = []
    for second in range(240):
        decision, state = decide(
            state, signals, TABLE, latency, float(second), budget=Budget.parse(budget), hop_s=hop_s
        )
        cost = COSTS[ALL.index(decision.configuration)]
        latency = latency.observe(decision.configuration, fixed_ms + ms_per_gflop * cost)
        configurations.append(decision.configuration)
    assert len(set(configurations[60:])) == 1
