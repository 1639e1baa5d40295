"""Energy meters on files as the kernel writes them: counters that wrap, batteries that charge, none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from a3d_edge.device.energy import BatteryMeter, RaplMeter, Reading, find_meter


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def write(folder: Path, **files: object) -> Path:
    """A folder of one-line files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n", encoding="utf-8")
    return folder


def package(root: Path, zone: str, name: str, energy: int, top: int = 262_143_328_850) -> Path:
    """A zone of the powercap framework."""
    folder = root / "sys/class/powercap" / zone
    return write(folder, name=name, energy_uj=energy, max_energy_range_uj=top)


def supply(root: Path, name: str, **files: object) -> Path:
    """A power supply."""
    return write(root / "sys/class/power_supply" / name, **files)


def test_joules_are_what_all_packages_counted(tmp_path: Path) -> None:
    """Two sockets: 3 J and 4 J, read in between too."""
    first = package(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    second = package(tmp_path, "intel-rapl:1", "package-1", 5_000_000)
    meter = RaplMeter.find(tmp_path)
    assert meter is not None
    readings = [meter.read()]
    for a, b in ((2_000_000, 5_500_000), (4_000_000, 9_000_000)):
        write(first, energy_uj=a)
        write(second, energy_uj=b)
        readings.append(meter.read())
    assert meter.joules(readings) == pytest.approx(7.0)


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    """From 1 J below the top to 2 J above zero are 3 J; twice, when it was read in between."""
    zone = package(tmp_path, "intel-rapl:0", "package-0", 9_000_000, top=10_000_000)
    meter = RaplMeter.find(tmp_path)
    assert meter is not None
    readings = [meter.read()]
    for energy in (2_000_000, 9_000_000, 1_000_000):
        write(zone, energy_uj=energy)
        readings.append(meter.read())
    assert meter.joules(readings[:2]) == pytest.approx(3.0)
    assert meter.joules(readings) == pytest.approx(12.0)


def test_parts_and_the_platform_are_not_counted_twice(tmp_path: Path) -> None:
    """Cores inside the package, psys around it, and the same package once more over MMIO."""
    package(tmp_path, "intel-rapl:0", "package-0", 1)
    package(tmp_path, "intel-rapl:0:0", "core", 1)
    package(tmp_path, "intel-rapl:1", "psys", 1)
    package(tmp_path, "intel-rapl-mmio:0", "package-0", 1)
    meter = RaplMeter.find(tmp_path)
    assert meter is not None
    assert [zone.name for zone in meter.packages] == ["intel-rapl:0"]


@pytest.mark.parametrize("missing", ["energy_uj", "max_energy_range_uj", "name"])
def test_a_counter_that_cannot_be_read_is_no_meter(tmp_path: Path, missing: str) -> None:
    """As for everybody but root on most machines."""
    (package(tmp_path, "intel-rapl:0", "package-0", 1) / missing).unlink()
    assert find_meter(tmp_path) is None


def test_a_counter_that_vanishes_makes_the_energy_unknown(tmp_path: Path) -> None:
    """Not 0, and not what was seen until then."""
    zone = package(tmp_path, "intel-rapl:0", "package-0", 1)
    meter = RaplMeter.find(tmp_path)
    assert meter is not None
    before = meter.read()
    (zone / "energy_uj").unlink()
    assert meter.read() is None
    assert meter.joules([before, meter.read()]) is None
    assert meter.joules([before]) is None
    assert meter.joules([]) is None


@pytest.mark.parametrize(
    "files",
    [
        {"power_now": 6_000_000},
        {"current_now": 500_000, "voltage_now": 12_000_000},
        {"current_now": -500_000, "voltage_now": 12_000_000},
    ],
)
def test_a_discharging_battery_gives_power(tmp_path: Path, files: dict[str, object]) -> None:
    """6 W, told as such or as 0.5 A at 12 V; some drivers count what leaves as negative."""
    supply(tmp_path, "BAT0", type="Battery", status="Discharging", **files)
    meter = BatteryMeter.find(tmp_path, Clock())
    assert meter is not None
    assert meter.read() == Reading(0.0, (6.0,))


def test_energy_of_a_battery_is_power_over_time(tmp_path: Path) -> None:
    """6 W rising to 8 W in 2 s, then falling to 4 W in 1 s: 14 J + 6 J."""
    battery = supply(tmp_path, "BAT0", type="Battery", status="Discharging", power_now=6_000_000)
    clock = Clock()
    meter = BatteryMeter.find(tmp_path, clock)
    assert meter is not None
    readings = [meter.read()]
    for now, power in ((2.0, 8_000_000), (3.0, 4_000_000)):
        clock.now = now
        write(battery, power_now=power)
        readings.append(meter.read())
    assert meter.joules(readings) == pytest.approx(20.0)
    write(battery, status="Charging")
    assert meter.joules([*readings, meter.read()]) is None


@pytest.mark.parametrize(
    "files",
    [
        {"type": "Battery", "status": "Charging", "power_now": 6_000_000},
        {"type": "Battery", "status": "Full", "power_now": 0},
        {"type": "Battery", "status": "Discharging", "scope": "Device", "power_now": 10},
        {"type": "Battery", "status": "Discharging", "current_now": 500_000},
        {"type": "Battery", "status": "Discharging", "power_now": 0},
        {"type": "Mains", "online": 1},
    ],
)
def test_what_does_not_feed_the_device_is_no_meter(tmp_path: Path, files: dict[str, object]) -> None:
    """A charging battery, a mouse's, one without a voltage, one that says 0 W, the mains."""
    supply(tmp_path, "X", **files)
    assert find_meter(tmp_path) is None


def test_the_counters_come_before_the_battery(tmp_path: Path) -> None:
    """They are exact within milliseconds; without them the battery is read."""
    supply(tmp_path, "BAT0", type="Battery", status="Discharging", power_now=6_000_000)
    names: Callable[[], str | None] = lambda: getattr(find_meter(tmp_path), "name", None)  # noqa: E731
    assert names() == "battery"
    package(tmp_path, "intel-rapl:0", "package-0", 1)
    assert names() == "rapl"


def test_a_device_without_meters_has_none(tmp_path: Path) -> None:
    """Nor does one without sysfs."""
    assert find_meter(tmp_path) is None
    (tmp_path / "sys/class/power_supply").mkdir(parents=True)
    assert find_meter(tmp_path) is None
