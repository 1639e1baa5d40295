"""The simulator: closed forms on tiny tables, the same bytes every time, bars on the shipped traces."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from a3d_edge.configuration import Configuration
from a3d_edge.control.comparison import Comparison, best_fixed, compare
from a3d_edge.control.simulation import Simulation, simulate
from a3d_edge.control.trace import Trace, TracePoint, find_trace, shipped_traces
from a3d_edge.device.signals import Signals
from a3d_edge.errors import UsageError
from a3d_edge.table import ConfigurationBudgetTable, Row, find_table

SMALL, MIDDLE, LARGE = (Configuration(width, 224, 8) for width in (0.5, 0.75, 1.0))
ACCURACY = {SMALL: 0.5, MIDDLE: 0.6, LARGE: 0.7}
TABLE = ConfigurationBudgetTable(
    architecture="test",
    rows=tuple(
        Row(configuration=str(one), gflops=gflops, params_m=1.0, accuracy=ACCURACY[one])
        for one, gflops in ((SMALL, 1.0), (MIDDLE, 4.0), (LARGE, 10.0))
    ),
)
MS = {SMALL: 10.0, MIDDLE: 40.0, LARGE: 100.0}


def made(*points: TracePoint, seconds: float = 100.0, hop_s: float = 0.25) -> Trace:
    return Trace("test", seconds, points, hop_s=hop_s, cores=2.0, noise=0.0)


def at_rest(**options: float) -> Trace:
    return made(TracePoint(0.0, Signals()), **options)


def test_a_device_at_rest_runs_the_largest_all_the_time() -> None:
    """No miss, no switch, no regret: the oracle does the same."""
    found = simulate(TABLE, at_rest(), latencies=MS)
    assert found.expected_accuracy == found.oracle_accuracy == pytest.approx(0.7)
    assert (found.switches, found.deadline_misses, found.violation_time, found.regret) == (0, 0, 0.0, 0.0)
    assert (len(found.steps), found.seconds) == (400, pytest.approx(100.0))
    assert found.score == pytest.approx(70.0)


def test_a_device_that_becomes_slower_is_followed_and_the_oracle_knew_it() -> None:
    """Three times slower after half the time: 300 ms miss 250 until that is seen and the other loaded."""
    found = simulate(TABLE, made(TracePoint(0.0, Signals()), TracePoint(50.0, Signals(), 3.0)), latencies=MS)
    assert found.oracle_accuracy == pytest.approx(0.65)
    assert found.steps[-1].running == MIDDLE
    assert 1 <= found.switches <= 4
    assert 0.005 < found.violation_time < 0.05
    assert found.regret == pytest.approx(0.0, abs=1e-3)
    late = [step for step in found.steps if step.late]
    assert all(step.lasts > 0.25 for step in late)  # a window that came meanwhile is left out
    assert all(50.0 <= step.t < 54.0 for step in late)


def test_what_a_signal_forbids_is_a_violation_though_it_is_in_time() -> None:
    """A battery that allows a tenth: the largest, fixed, breaks it all the time; the smallest never."""
    weak = made(TracePoint(0.0, Signals(battery_percent=10.0, plugged=False)))
    compared = compare(TABLE, weak, latencies=MS)
    assert compared.largest.violation_time == pytest.approx(1.0)
    assert (compared.largest.deadline_misses, compared.largest.score) == (0, 0.0)
    assert compared.smallest.violation_time == compared.controller.violation_time == 0.0
    assert compared.best_fixed is not None
    assert {step.running for step in compared.best_fixed.steps} == {SMALL}


def test_the_best_fixed_one_never_misses_in_the_whole_trace() -> None:
    """One slow second decides; where nothing keeps it there is none."""
    spike = made(
        TracePoint(0.0, Signals()), TracePoint(50.0, Signals(), 4.0), TracePoint(51.0, Signals(), 1.0)
    )
    found = best_fixed(TABLE, spike, latencies=MS)
    assert found is not None
    assert {step.running for step in found.steps} == {MIDDLE}
    assert found.violation_time == 0.0
    assert best_fixed(TABLE, made(TracePoint(0.0, Signals(), 30.0)), latencies=MS) is None


def test_latencies_are_the_trace_s_cost_where_none_are_given() -> None:
    """3 ms a GFLOP."""
    found = simulate(TABLE, at_rest())
    assert found.steps[0].latency_ms == pytest.approx(30.0)
    with pytest.raises(UsageError, match=r"no latency is known of w0\.75-s224-t8"):
        simulate(TABLE, at_rest(), latencies={SMALL: 1.0})


def test_a_table_without_accuracies_is_refused() -> None:
    """There would be nothing to expect."""
    bare = TABLE.with_rows([TABLE.rows[0].model_copy(update={"accuracy": None})])
    with pytest.raises(UsageError, match=r"w0\.50-s224-t8 has no accuracy"):
        simulate(bare, at_rest())


def test_an_own_controller_can_be_simulated() -> None:
    """It is given the trace's sensors and the simulated clock."""
    from a3d_edge.control.controller import BudgetController

    def chooser(sensors: Callable[[], Signals], clock: Callable[[], float]) -> BudgetController:
        return BudgetController(TABLE, budget="0.5", sensors=sensors, clock=clock)

    assert {step.running for step in simulate(TABLE, at_rest(), chooser=chooser).steps} == {MIDDLE}


def as_text(found: Simulation) -> str:
    return json.dumps(found.fields()) + "".join(map(str, found.steps))


def test_it_is_a_function_of_its_arguments() -> None:
    """The same bytes twice; another seed scatters latencies otherwise."""
    trace = find_trace("bursty_neighbour")
    table = find_table("a3d_slow_8x8_0.016")
    assert as_text(simulate(table, trace)) == as_text(simulate(table, trace))
    assert as_text(simulate(table, trace, seed=2)) != as_text(simulate(table, trace))


@pytest.fixture(scope="module")
def compared() -> dict[str, Comparison]:
    """The paper's Table 12 on every trace that is shipped."""
    table = find_table("a3d_slow_8x8_0.016_grid")
    return {name: compare(table, find_trace(name)) for name in shipped_traces()}


def mean(compared: dict[str, Comparison], what: Callable[[Comparison], float]) -> float:
    return sum(map(what, compared.values())) / len(compared)


def test_regret_and_violations_on_the_six_traces_are_small(compared: dict[str, Comparison]) -> None:
    """At most 2 points of accuracy against the clairvoyant oracle, at most 5 % of the time in violation."""
    assert len(compared) == 6
    assert mean(compared, lambda one: one.controller.regret) <= 0.02
    assert mean(compared, lambda one: one.controller.violation_time) <= 0.05


def test_its_score_is_better_than_what_does_not_adapt_or_adapts_at_once(
    compared: dict[str, Comparison],
) -> None:
    """The score that docs/guides/simulate.md declares, over the six."""
    ours = mean(compared, lambda one: one.controller.score)
    assert ours > mean(compared, lambda one: one.smallest.score)
    assert ours > mean(compared, lambda one: one.largest.score)
    assert ours > mean(compared, lambda one: one.no_hysteresis.score)
    assert all(one.controller.switches <= one.no_hysteresis.switches for one in compared.values())
