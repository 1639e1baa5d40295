"""LatencyModel: what it expects of measured and of unmeasured configurations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a3d_edge.configuration import Configuration
from a3d_edge.control.latency import LatencyModel
from a3d_edge.errors import UsageError
from a3d_edge.table import ConfigurationBudgetTable, Row

SMALL, MIDDLE, LARGE = (Configuration(width, 224, 8) for width in (0.5, 0.75, 1.0))


def table() -> ConfigurationBudgetTable:
    rows = [
        Row(configuration=str(one), gflops=gflops, params_m=1.0)
        for one, gflops in ((SMALL, 1.0), (MIDDLE, 4.0), (LARGE, 10.0))
    ]
    return ConfigurationBudgetTable(architecture="test", rows=tuple(rows))


def observed(*measurements: tuple[Configuration, float]) -> LatencyModel:
    model = LatencyModel.of(table())
    for configuration, ms in measurements:
        model = model.observe(configuration, ms)
    return model


def test_nothing_measured_is_unknown() -> None:
    """None, not 0."""
    assert LatencyModel.of(table()).estimate(SMALL) is None


def test_an_unmeasured_one_is_the_nearest_measured_times_the_ratio_of_gflops() -> None:
    """4 is nearer to 10 than to 1 by ratio, so the middle one is scaled from the large one."""
    model = observed((SMALL, 20.0), (LARGE, 50.0))
    assert model.estimate(MIDDLE) == pytest.approx(50.0 * 4 / 10)
    assert not model.measured(MIDDLE)
    assert observed((SMALL, 20.0)).estimate(LARGE) == pytest.approx(200.0)


def test_a_steady_configuration_is_expected_as_measured() -> None:
    """No margin is added where nothing varies."""
    assert observed(*[(SMALL, 20.0)] * 30).estimate(SMALL) == pytest.approx(20.0)


@given(st.lists(st.floats(10.0, 20.0), min_size=1, max_size=60))
def test_the_estimate_stays_within_what_was_measured(latencies: list[float]) -> None:
    """Never above the slowest nor below the fastest measurement."""
    estimate = observed(*((SMALL, ms) for ms in latencies)).estimate(SMALL)
    assert estimate is not None
    assert min(latencies) - 1e-6 <= estimate <= max(latencies) + 1e-6


def test_a_tenth_of_slow_predictions_is_ignored_and_a_quarter_is_not() -> None:
    """The estimate is the 90th percentile of the last 20."""
    rare = observed(*[(SMALL, 80.0 if i % 15 == 5 else 20.0) for i in range(20)])
    often = observed(*[(SMALL, 80.0 if i % 4 == 1 else 20.0) for i in range(20)])
    assert rare.estimate(SMALL) == pytest.approx(20.0)
    assert often.estimate(SMALL) == pytest.approx(80.0)


def test_one_stray_changes_nothing_and_the_second_is_believed_at_once() -> None:
    """A hiccup is not a slow device; two in a row are."""
    steady = observed(*[(SMALL, 20.0)] * 20)
    assert steady.observe(SMALL, 90.0).estimate(SMALL) == pytest.approx(20.0)
    assert steady.observe(SMALL, 90.0).observe(SMALL, 90.0).estimate(SMALL) == pytest.approx(90.0)


def test_when_one_becomes_slower_the_device_did() -> None:
    """The others, measured before, are expected slower in proportion; and faster when it recovers."""
    slowed = observed(*[(LARGE, 60.0)] * 20, *[(SMALL, 10.0)] * 20, *[(SMALL, 25.0)] * 2)
    assert slowed.estimate(LARGE) == pytest.approx(150.0)
    recovered = slowed
    for _ in range(3):
        recovered = recovered.observe(SMALL, 10.0)
    assert recovered.estimate(LARGE) == pytest.approx(60.0)


def test_noise_of_one_moves_the_others_little() -> None:
    """A tenth slower, twice in a row, is averaged and not yet believed."""
    model = observed(*[(LARGE, 60.0)] * 20, *[(SMALL, 10.0)] * 20, *[(SMALL, 11.0)] * 2)
    assert model.estimate(LARGE) == pytest.approx(60.0, rel=0.03)


def test_the_first_measurements_of_a_configuration_move_no_other() -> None:
    """Two different first readings are its own warming up, not news of the device."""
    assert observed((LARGE, 60.0), (SMALL, 30.0), (SMALL, 10.0)).estimate(LARGE) == pytest.approx(60.0)


def test_a_profile_is_known_beforehand_and_yields_to_measurements() -> None:
    """A profile of an idle device, seen twice as slow, doubles as a whole."""
    model = LatencyModel.of(table(), {SMALL: 10.0, LARGE: 70.0})
    assert model.measured(LARGE)
    assert model.estimate(LARGE) == pytest.approx(70.0)
    assert model.observe(SMALL, 20.0).observe(SMALL, 20.0).estimate(LARGE) == pytest.approx(140.0)


def test_a_retry_starts_from_what_ran_below_and_not_from_an_old_slow_measurement() -> None:
    """Old 300 ms against 10 ms at a tenth of the cost: 100 ms until measured, then the measurement."""
    model = observed((LARGE, 300.0), (SMALL, 10.0)).retried(LARGE, SMALL, caution=0.0)
    assert model.estimate(LARGE) == pytest.approx(100.0)
    assert not model.measured(LARGE)
    assert model.observe(LARGE, 80.0).estimate(LARGE) == pytest.approx(80.0)


def test_a_retry_keeps_a_measurement_that_promises_more() -> None:
    """70 ms measured is better than 100 ms scaled; and nothing is scaled down."""
    model = observed((LARGE, 70.0), (SMALL, 10.0))
    assert model.retried(LARGE, SMALL, caution=0.0).estimate(LARGE) == pytest.approx(70.0)
    assert model.retried(SMALL, LARGE, caution=0.0).estimate(SMALL) == pytest.approx(10.0)


@pytest.mark.parametrize("ms", [0.0, -1.0, math.nan, math.inf])
def test_a_latency_must_be_a_positive_number(ms: float) -> None:
    """Such a value is a mistake of the caller's and would poison every later estimate."""
    with pytest.raises(UsageError, match=rf"latency {ms} of w0\.50-s224-t8 is not a positive number"):
        observed((SMALL, ms))


def test_a_configuration_that_the_table_lacks_is_refused() -> None:
    """In observations and in profiles."""
    stranger = Configuration(0.6, 224, 8)
    with pytest.raises(UsageError, match=r"w0\.60-s224-t8, which is not in the table"):
        observed((stranger, 5.0))
    with pytest.raises(UsageError, match=r"w0\.60-s224-t8, which is not in the table"):
        LatencyModel.of(table(), {stranger: 5.0})


def test_int8_is_scaled_by_what_it_costs() -> None:
    """Unmeasured, its latency is 0.3 of its twin's, or the share that was measured at export."""
    rows = [*table().rows]
    rows += [Row(configuration=f"{one}-int8", gflops=10.0, params_m=1.0) for one in (LARGE,)]
    rows += [Row(configuration=f"{MIDDLE}-int8", gflops=4.0, params_m=1.0, int8_cost=0.8)]
    both = ConfigurationBudgetTable(architecture="test", rows=tuple(rows))
    model = LatencyModel.of(both, {LARGE: 100.0})
    assert model.estimate(LARGE.at("int8")) == pytest.approx(30.0)
    assert model.estimate(MIDDLE.at("int8")) == pytest.approx(32.0)
    assert model.estimate(MIDDLE) == pytest.approx(40.0)
    assert not model.measured(LARGE.at("int8"))
    assert model.observe(LARGE.at("int8"), 26.0).estimate(LARGE.at("int8")) == pytest.approx(26.0)


def test_what_is_beside_the_network_is_added_and_never_scaled() -> None:
    """60 ms of finding people and 20 of a network: of one with a tenth of the GFLOPs it is 60 and 2."""
    model = LatencyModel.of(table())
    for _ in range(3):
        model = model.observe(LARGE, 80.0, beside_ms=60.0)
    assert model.estimate(LARGE) == pytest.approx(80.0)
    assert model.estimate(SMALL) == pytest.approx(62.0)
    assert model.estimate(MIDDLE) == pytest.approx(68.0)
    assert model.latest(LARGE) == pytest.approx(80.0)
    assert model.is_late(LARGE, 79.0)
    assert not model.is_late(LARGE, 81.0)
    assert observed((SMALL, 2.0)).beside(60.0).above(LARGE, SMALL, 0.0) == pytest.approx(80.0)
    assert observed((SMALL, 2.0)).beside(60.0).above(LARGE, SMALL, 0.3) == pytest.approx(60 + 20 * 10**0.3)


def test_a_slower_device_does_not_move_what_is_beside() -> None:
    """The network's latencies move all together; what is beside is measured by itself."""
    model = LatencyModel.of(table())
    for ms, beside in ((30.0, 20.0),) * 4 + ((40.0, 20.0),) * 4:
        model = model.observe(MIDDLE, ms, beside_ms=beside)
    assert model.slowness == pytest.approx(2.0)
    assert model.estimate(MIDDLE) == pytest.approx(40.0)
    assert model.estimate(SMALL) == pytest.approx(20 + 20 / 4)


def test_a_detector_that_is_slow_now_and_then_is_expected_so() -> None:
    """A high percentile, as of the network."""
    model = LatencyModel.of(table())
    for number in range(20):
        beside = 90.0 if number % 4 == 0 else 30.0
        model = model.observe(SMALL, 10.0 + beside, beside_ms=beside)
    assert model.estimate(SMALL) == pytest.approx(100.0)


def test_a_second_chance_knows_what_is_beside() -> None:
    """`retried` hopes for the network alone."""
    model = LatencyModel.of(table()).beside(50.0).observe(SMALL, 1.0).observe(LARGE, 500.0)
    again = model.retried(LARGE, SMALL, 0.0)
    assert again.estimate(LARGE) == pytest.approx(50.0 + 10.0)
