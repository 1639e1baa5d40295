"""BudgetController: what it senses and when, and how it does on simulated devices."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from a3d_edge.configuration import Budget, Configuration
from a3d_edge.control.controller import BudgetController
from a3d_edge.control.policy import Decision
from a3d_edge.device.signals import Signals
from a3d_edge.errors import UsageError
from a3d_edge.table import ConfigurationBudgetTable, Row

HOP_S = 8 / 30


def many_rows() -> ConfigurationBudgetTable:
    """The paper's range [0.016, 1] at Slow R-50's cost: 96 rows, most of them on the front."""
    rows = [
        Row(
            configuration=str(Configuration(width / 10, size, frames)),
            gflops=54.5 * (width / 10) ** 2 * (size / 256) ** 2 * frames / 8,
            params_m=1.0,
            accuracy=0.9 * (width / 10 * size / 256 * (frames / 8) ** 0.5) ** 0.25,
        )
        for width in range(5, 11)
        for size in (128, 160, 192, 224)
        for frames in (2, 4, 6, 8)
    ]
    return ConfigurationBudgetTable(architecture="test", rows=tuple(rows))


TABLE = many_rows()
FRONT = TABLE.pareto().configurations
GFLOPS = {row.configuration: row.gflops for row in TABLE.rows}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeSensors:
    """Gives what the test sets, or raises it; counts its readings."""

    def __init__(self, signals: Signals | Exception = Signals()) -> None:
        self.signals, self.readings = signals, 0

    def __call__(self) -> Signals:
        self.readings += 1
        if isinstance(self.signals, Exception):
            raise self.signals
        return self.signals


@dataclass
class Device:
    """A simulated device: latency by configuration and time, with noise and re-encoding after a switch."""

    latency_ms: Callable[[float, float], float]  # of GFLOPs and time
    hop_s: float | None = HOP_S
    budget: str = "auto"
    noise: float = 0.05
    stray: float = 0.0  # share of predictions that take four times as long
    sensors: FakeSensors = field(default_factory=FakeSensors)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.controller = BudgetController(
            TABLE, budget=self.budget, hop_s=self.hop_s, sensors=self.sensors, clock=self.clock
        )
        self.random = random.Random(1)
        self.running: Configuration | None = None

    def run(self, until_s: float) -> list[tuple[float, Decision, float]]:
        """(time, decision, latency) of each prediction until a time."""
        record = []
        while self.clock.now < until_s:
            decision = self.controller.decide()
            ms = self.prediction(decision.configuration)
            self.controller.observe(decision.configuration, ms)
            record.append((self.clock.now, decision, ms))
            self.clock.now += max(self.hop_s or 0.0, ms / 1000)
        return record

    def prediction(self, configuration: Configuration) -> float:
        ms = self.latency_ms(GFLOPS[configuration], self.clock.now) * self.random.gauss(1.0, self.noise)
        if configuration != self.running:
            ms *= 1.5
        self.running = configuration
        return ms * (4 if self.random.random() < self.stray else 1)


def late(record: list[tuple[float, Decision, float]]) -> float:
    """Share of predictions that took longer than the hop."""
    return sum(ms > 1000 * HOP_S for _, _, ms in record) / len(record)


def switches(record: list[tuple[float, Decision, float]]) -> int:
    return sum(decision.changed for _, decision, _ in record)


def mean_gflops(record: list[tuple[float, Decision, float]]) -> float:
    return sum(GFLOPS[decision.configuration] for _, decision, _ in record) / len(record)


# --- simulated devices ---


def test_a_fast_device_reaches_the_largest_configuration_within_a_quarter_minute() -> None:
    """From the smallest up, without one late prediction."""
    record = Device(lambda gflops, now: 5 + 3 * gflops).run(15.0)
    assert record[0][1].configuration == FRONT[0]
    assert record[-1][1].configuration == FRONT[-1]
    assert late(record) == 0


@pytest.mark.parametrize(
    "latency_ms",
    [
        lambda gflops, now: 20 + 40 * gflops,
        lambda gflops, now: 5 + 8 * gflops,
        lambda gflops, now: 4 * gflops**1.3,
    ],
    ids=["slow board", "middling board", "worse than linear"],
)
def test_a_device_is_used_up_to_its_deadline_and_no_further(
    latency_ms: Callable[[float, float], float],
) -> None:
    """After a minute: at most two trials a minute, late at most while encoding anew after one, and no dearer
    configuration would fit by far."""
    device = Device(latency_ms)
    device.run(60.0)
    record = device.run(240.0)
    assert late(record) * len(record) <= switches(record) <= 6
    affordable = max(one for one in GFLOPS.values() if latency_ms(one, 0.0) < 800 * HOP_S * 0.85)
    assert mean_gflops(record) > 0.75 * affordable


def test_stray_slow_predictions_do_not_make_it_flap() -> None:
    """2 % of the predictions take four times as long: about those are late, and few switches follow."""
    device = Device(lambda gflops, now: 5 + 8 * gflops, stray=0.02)
    device.run(60.0)
    record = device.run(240.0)
    assert late(record) < 0.03
    assert switches(record) <= 10


def test_when_the_device_becomes_slower_it_gives_way_within_a_second_and_later_comes_back() -> None:
    """Another program takes over half of the device for a minute."""
    device = Device(lambda gflops, now: (5 + 5 * gflops) * (2.5 if 60 <= now < 120 else 1.0))
    before = device.run(60.0)
    device.run(61.5)
    during = device.run(120.0)
    device.run(135.0)
    after = device.run(180.0)
    assert late(during) == 0
    assert mean_gflops(during) < 0.6 * mean_gflops(before[-20:])
    assert mean_gflops(after) > 0.9 * mean_gflops(before[-20:])


def test_a_device_that_was_slow_from_the_start_is_found_out_when_it_becomes_fast() -> None:
    """All that was ever measured is of the slow time; it is not believed for ever."""
    device = Device(lambda gflops, now: (5 + 5 * gflops) * (3.0 if now < 60 else 1.0))
    slow = device.run(60.0)
    device.run(90.0)
    assert mean_gflops(device.run(120.0)) > 2.0 * mean_gflops(slow[-20:])


def test_a_rehearsal_chooses_anew_what_to_begin_with() -> None:
    """Not after a dwell, and not one step up: nothing has run yet. A file, and a known device, need none."""
    clock = Clock()
    control = BudgetController(TABLE, hop_s=HOP_S, sensors=FakeSensors(), clock=clock)
    smallest = control.current
    assert (smallest, control.knows_latency) == (FRONT[0], False)
    control.rehearsed(smallest, 0.1)
    decision = control.decide()
    assert (decision.configuration, decision.changed, control.knows_latency) == (FRONT[-1], False, True)
    slow = BudgetController(TABLE, hop_s=HOP_S, sensors=FakeSensors(), clock=clock)
    slow.rehearsed(smallest, 1e3 * HOP_S)
    assert slow.decide().configuration == smallest
    assert BudgetController(TABLE, hop_s=None, sensors=FakeSensors(), clock=clock).knows_latency
    known = BudgetController(
        TABLE, hop_s=HOP_S, sensors=FakeSensors(), clock=clock, latencies={smallest: 1.0}
    )
    assert known.knows_latency
    with pytest.raises(UsageError, match="not in the table"):
        control.rehearsed(Configuration(0.9, 999, 8), 1.0)


def test_a_file_is_not_held_to_a_deadline() -> None:
    """It waits for its predictions: the largest from the first window on, however slow."""
    record = Device(lambda gflops, now: 30 * gflops, hop_s=None).run(20.0)
    assert {decision.configuration for _, decision, *_ in record} == {FRONT[-1]}


def test_a_draining_battery_lowers_the_cost_step_by_step() -> None:
    """From 60 % to 10 %: never up, many sizes between, a tenth of the cost at the end."""
    sensors = FakeSensors(Signals(battery_percent=60.0, plugged=False))
    device = Device(lambda gflops, now: 2 * gflops, sensors=sensors)
    device.run(30.0)
    costs = []
    for percent in range(60, 9, -1):
        sensors.signals = Signals(battery_percent=float(percent), plugged=False)
        costs.append(GFLOPS[device.run(device.clock.now + 2.0)[-1][1].configuration])
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) >= 7
    assert costs[-1] <= 0.1 * max(GFLOPS.values())


# --- sensing ---


def test_sensors_are_read_at_most_once_an_interval() -> None:
    """On creation, then once a second however often it is asked."""
    sensors, clock = FakeSensors(), Clock()
    controller = BudgetController(TABLE, sensors=sensors, clock=clock)
    for tenth in range(1, 31):
        clock.now = tenth / 10
        controller.decide()
    assert sensors.readings == 4


def test_a_sensor_that_raises_makes_its_signals_unknown_and_stops_nothing() -> None:
    """Also not the ones from before: an old reading is no reading. The error can be looked at."""
    sensors, clock = FakeSensors(Signals(memory_available=0.01)), Clock()
    controller = BudgetController(TABLE, budget="1.0", sensors=sensors, clock=clock)
    assert controller.current == FRONT[0]
    sensors.signals = RuntimeError("the bus hangs")
    for clock.now in (1.0, 2.0, 3.0, 4.0):
        controller.decide()
    assert controller.last_signals == Signals()
    assert str(controller.last_sensor_error) == "the bus hangs"
    assert controller.current == FRONT[-1]


def test_by_default_it_senses_this_device() -> None:
    """No arguments but the table and the hop: real sensors, real clock, the smallest configuration first."""
    controller = BudgetController(TABLE, hop_s=HOP_S)
    assert controller.current == FRONT[0]
    assert controller.last_signals is not None
    assert controller.last_signals.memory_available is not None


# --- the rest of the interface ---


def test_the_first_prediction_after_a_switch_is_not_counted() -> None:
    """It encodes the whole window: 300 ms once and 30 ms from then on is a device of 30 ms."""
    clock = Clock()
    controller = BudgetController(TABLE, hop_s=HOP_S, sensors=FakeSensors(), clock=clock)
    first = controller.current
    controller.observe(first, 300.0)
    assert controller.decide().reason == "waiting for the first measured latency"
    controller.observe(first, 30.0)
    controller.decide()
    clock.now = 3.0
    assert controller.decide().changed


def test_a_refused_configuration_is_left_until_later() -> None:
    """Back to the one before, at the next decision."""
    clock, sensors = Clock(), FakeSensors(Signals(memory_available=0.01))
    controller = BudgetController(TABLE, sensors=sensors, clock=clock)
    assert controller.current == FRONT[0]
    sensors.signals = Signals()
    clock.now = 1.0
    controller.decide()
    clock.now = 4.0
    assert controller.decide().configuration == FRONT[-1]
    controller.refuse(FRONT[-1])
    assert controller.decide().configuration == FRONT[0]
    clock.now = 6.0
    controller.decide()
    clock.now = 8.5
    assert controller.decide().configuration == FRONT[-2]


def test_known_latencies_are_used_from_the_start() -> None:
    """A device profile spares the climb."""
    latencies = {one: 2.0 * gflops for one, gflops in GFLOPS.items()}
    controller = BudgetController(TABLE, hop_s=HOP_S, sensors=FakeSensors(), latencies=latencies)
    assert controller.current == FRONT[-1]


def test_a_budget_may_be_text_or_a_value() -> None:
    """Both mean the same."""
    text = BudgetController(TABLE, budget="0.25", sensors=FakeSensors())
    value = BudgetController(TABLE, budget=Budget.parse("0.25"), sensors=FakeSensors())
    assert text.current == value.current != FRONT[0]


def test_what_cannot_be_meant_is_refused_on_creation() -> None:
    """Before any frame is read."""
    with pytest.raises(UsageError, match="unknown budget 'much'"):
        BudgetController(TABLE, budget="much")
    with pytest.raises(UsageError, match=r"w0\.11-s224-t8 is not in the table"):
        BudgetController(TABLE, budget="w0.11-s224-t8")
    with pytest.raises(UsageError, match="hop_s 0 is not a positive number of seconds"):
        BudgetController(TABLE, hop_s=0)
    with pytest.raises(UsageError, match=r"w0\.11-s224-t8, which is not in the table"):
        BudgetController(TABLE).observe(Configuration(0.11, 224, 8), 10.0)
    with pytest.raises(UsageError, match=r"w0\.11-s224-t8 is not in the table"):
        BudgetController(TABLE).refuse(Configuration(0.11, 224, 8))
