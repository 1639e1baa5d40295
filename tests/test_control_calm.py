"""Noise around a threshold, square waves and pairs of processes: the controller stays calm."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from a3d_edge.configuration import Configuration
from a3d_edge.control.controller import BudgetController
from a3d_edge.device.signals import Signals
from a3d_edge.table import find_table

TABLE = find_table("a3d_slow_8x8_0.016_grid")
COST = {row.configuration: row.cost for row in TABLE.rows}
HOP_S = 8 / 30
LOAD_S = 0.6


@dataclass
class Process:
    """A simulated process: a controller on its own sensors, a network that takes a while to be loaded."""

    sensors: Callable[[float], Signals]
    ms_per_gflop: Callable[[float], float] = lambda now: 1.0
    seed: int = 1
    now: float = 0.0
    switches: list[float] = field(default_factory=list)
    late: int = 0

    def __post_init__(self) -> None:
        at_rest = {one: cost * self.ms_per_gflop(0.0) for one, cost in COST.items()}
        self.controller = BudgetController(
            TABLE, hop_s=HOP_S, sensors=lambda: self.sensors(self.now), clock=lambda: self.now,
            latencies=at_rest, seed=self.seed,
        )  # fmt: skip
        self.running = self.wanted = self.controller.current
        self.ready_at = 0.0
        self.noise = random.Random(self.seed)

    def step(self, now: float, slowdown: float = 1.0) -> float:
        """One prediction; ms it took."""
        self.now = now
        wanted: Configuration = self.controller.decide().configuration
        if wanted != self.wanted:
            self.wanted, self.ready_at = wanted, now + LOAD_S
        if self.running != self.wanted and now >= self.ready_at:
            self.running = self.wanted
            self.switches.append(now)
        ms = COST[self.running] * self.ms_per_gflop(now) * slowdown * self.noise.uniform(0.97, 1.03)
        self.late += ms > 1000 * HOP_S
        self.controller.observe(self.running, ms)
        return ms

    def run(self, seconds: float) -> list[float]:
        """Times of the switches."""
        for hop in range(int(seconds / HOP_S)):
            self.step(hop * HOP_S)
        return self.switches


def noisy(seed: int) -> Callable[[], float]:
    drawn = random.Random(seed)
    return lambda: drawn.uniform(0.9, 1.1)


@pytest.mark.parametrize(
    "signals",
    [
        lambda factor: Signals(cpu_others=0.5 * factor),
        lambda factor: Signals(cpu_others=0.17 * factor),
        lambda factor: Signals(temperature_c=77 * factor),
        lambda factor: Signals(temperature_c=72 * factor),
        lambda factor: Signals(temperature_c=85 * factor),
        lambda factor: Signals(memory_available=0.15 * factor),
        lambda factor: Signals(memory_available=0.2 * factor),
        lambda factor: Signals(battery_percent=32 * factor, plugged=False),
        lambda factor: Signals(battery_percent=49 * factor, plugged=False),
        lambda factor: Signals(memory_pressure=0.3 * factor),
    ],
    ids=[
        "cpu",
        "cpu-low",
        "temperature",
        "temperature-low",
        "temperature-limit",
        "memory",
        "memory-high",
        "battery",
        "battery-high",
        "pressure",
    ],
)
@pytest.mark.parametrize("seed", [1])
def test_noise_around_a_threshold_makes_few_switches(signals: Callable[[float], Signals], seed: int) -> None:
    """±10 % for ten minutes: at most six switches, where each reading is another."""
    factor = noisy(seed)
    assert len(Process(lambda now: signals(factor()), seed=seed).run(600)) <= 6


@pytest.mark.parametrize("limit", [3.9, 4.5, 6.0])
def test_noise_of_latencies_near_the_deadline_makes_few_switches(limit: float) -> None:
    """±10 % on what each prediction takes, where the largest row lies over, at and under it."""
    factor = noisy(3)
    process = Process(lambda now: Signals(), lambda now: limit * factor())
    assert len(process.run(600)) <= 6
    assert process.late <= 0.01 * 600 / HOP_S


def test_a_square_wave_is_followed_ever_less_often() -> None:
    """Ten seconds of load, ten without: down once or twice, then it waits for a quiet that lasts."""
    switches = Process(lambda now: Signals(cpu_others=0.7 if now % 20 >= 10 else 0.0)).run(300)
    minutes = [sum(60 * minute <= at < 60 * minute + 60 for at in switches) for minute in range(5)]
    assert minutes[0] >= 1
    assert sum(minutes[1:]) <= minutes[0]


def test_two_processes_on_one_device_do_not_chase_each_other() -> None:
    """Each sees the other's work as others' load, and slows it down; after a minute all is quiet."""
    shares = [0.0, 0.0]

    def others(number: int) -> Callable[[float], Signals]:
        return lambda now: Signals(cpu_others=min(1.0, shares[1 - number]))

    pair = [Process(others(number), lambda now: 3.0, seed=number + 1) for number in (0, 1)]
    for hop in range(int(300 / HOP_S)):
        for number, process in enumerate(pair):
            slowdown = max(1.0, shares[0] + shares[1])
            ms = process.step(hop * HOP_S, slowdown)
            shares[number] += 0.25 * (min(1.0, ms / slowdown / 1000 / HOP_S) - shares[number])
    assert sum(at > 60 for process in pair for at in process.switches) <= 6
    assert all(process.late <= 0.02 * 300 / HOP_S for process in pair)


def test_it_does_not_decide_again_while_its_choice_loads() -> None:
    """Nor blame it for what runs meanwhile; a critical reading still counts at once."""
    signals = [Signals()]
    process = Process(lambda now: signals[0], lambda now: 4.0)
    clock = [0.0]

    def decide(now: float) -> tuple[Configuration, bool]:
        process.now = clock[0] = now
        decision = process.controller.decide()
        return decision.configuration, decision.changed

    running = process.running
    signals[0] = Signals(cpu_others=0.6)
    for now in (1.0, 2.0):
        found = decide(now)
    chosen = found[0]
    assert found[1]
    assert chosen != running
    signals[0] = Signals(cpu_others=0.9)
    for now in (3.0, 4.0, 5.0):
        process.controller.observe(running, 400.0)  # late: but it is not what was chosen
        assert decide(now) == (chosen, False)
    signals[0] = Signals(cpu_others=0.9, temperature_c=90)
    assert decide(6.1)[1]
