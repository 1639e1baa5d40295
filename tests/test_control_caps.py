"""Caps: the closed form of each, at its corners and between."""

from __future__ import annotations

import math

import pytest

from a3d_edge.configuration import Budget
from a3d_edge.control.caps import Cap, Settings, caps
from a3d_edge.device.signals import Signals

AUTO = Budget.parse("auto")


def share(signals: Signals) -> float:
    """The one cap that these signals give, 1.0 for none."""
    found = caps(signals, AUTO, None, 10.0, Settings())
    assert len(found) <= 1
    return found[0].share if found else 1.0


def test_unknown_signals_cap_nothing() -> None:
    """Unknown is not 0 % battery, nor 0 bytes of memory."""
    assert caps(Signals(), AUTO, None, 10.0, Settings()) == ()


@pytest.mark.parametrize(
    ("percent", "plugged", "expected"),
    [
        (100, False, 1.0),
        (50, False, 1.0),
        (32.5, False, 0.55),
        (15, False, 0.1),
        (3, False, 0.1),
        (3, True, 1.0),
        (15, None, 0.1),  # a board that cannot tell is taken to drain
    ],
)
def test_battery(percent: float, plugged: bool | None, expected: float) -> None:
    """All above half, a tenth below 15 %, linear between; no cap when plugged."""
    assert share(Signals(battery_percent=percent, plugged=plugged)) == pytest.approx(expected)


@pytest.mark.parametrize(("others", "expected"), [(0, 1), (0.15, 1), (0.575, 0.5), (1.0, 0.0)])
def test_cpu(others: float, expected: float) -> None:
    """Nothing within the dead zone, then what others leave, without a jump."""
    assert share(Signals(cpu_others=others)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("now", "limit", "expected"),
    [
        (69, None, 1),
        (70, None, 1),
        (77.5, None, 0.5),
        (85, None, 0),
        (99, None, 0),
        (77.5, 100.0, 1),
        (90, 95.0, 1 / 3),
    ],
)
def test_temperature(now: float, limit: float | None, expected: float) -> None:
    """Linear over the last 15 °C below the sensor's limit, 85 °C where it has none."""
    assert share(Signals(temperature_c=now, temperature_limit_c=limit)) == pytest.approx(expected)


@pytest.mark.parametrize(("free", "expected"), [(0.9, 1), (0.2, 1), (0.15, 0.5), (0.1, 0), (0.0, 0)])
def test_memory(free: float, expected: float) -> None:
    """The smallest below a tenth available, all above a fifth."""
    assert share(Signals(memory_available=free)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("0.25", (0.25, math.inf)),
        ("5GFLOPs", (0.5, math.inf)),
        ("80ms", (math.inf, 80.0)),
    ],
)
def test_budget(budget: str, expected: tuple[float, float]) -> None:
    """A fraction, an amount of the largest's 10 GFLOPs, a latency."""
    (cap,) = caps(Signals(), Budget.parse(budget), None, 10.0, Settings())
    assert (cap.signal, cap.share, cap.latency_ms) == ("budget", *expected)


@pytest.mark.parametrize("budget", ["auto", "1.0", "10GFLOPs", "12GFLOPs", "w0.50-s224-t4"])
def test_budgets_that_allow_the_largest_cap_nothing(budget: str) -> None:
    """A fraction of 1.0 allows the largest configuration."""
    assert caps(Signals(), Budget.parse(budget), None, 10.0, Settings()) == ()


def test_deadline() -> None:
    """A hop less the headroom for everything but the network."""
    (cap,) = caps(Signals(), AUTO, 0.1, 10.0, Settings())
    assert (cap.signal, cap.latency_ms) == ("deadline", pytest.approx(80.0))


def test_a_fraction_allows_the_configuration_that_costs_exactly_that() -> None:
    """0.7 of 10 GFLOPs allows 7 GFLOPs although 7 / 10 and 0.7 may differ in their last bit."""
    assert Cap("budget", "", share=0.1 + 0.2).allows(0.3, None)
    assert Cap("budget", "", share=0.3).allows(0.1 + 0.2, None)
    assert not Cap("budget", "", share=0.3).allows(0.3001, None)


def test_reasons_are_sentences_for_people() -> None:
    """What, how much, and against what."""
    (deadline,) = caps(Signals(), AUTO, 0.066, 10.0, Settings())
    assert deadline.reason(92.4) == "latency 92 ms is over the deadline of 53 ms"
    (cpu,) = caps(Signals(cpu_others=0.5), AUTO, None, 10.0, Settings())
    assert cpu.reason(None) == "other processes take 50% of the CPU"
