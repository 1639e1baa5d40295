"""Energy meters that a Linux device may have; where there is none, energy is unknown and never 0.

``rapl``     counters of the processor packages (Intel, AMD): what all processes together make them draw
``battery``  voltage times current while it discharges: what the whole device draws
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

__all__ = ["BatteryMeter", "Meter", "RaplMeter", "Reading", "find_meter"]

POWERCAP, SUPPLIES = "sys/class/powercap", "sys/class/power_supply"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter shows at a moment (s): microjoules of every package, or the battery's watts."""

    at_s: float
    values: tuple[float, ...]


class Meter(Protocol):
    """Read it again and again (a counter wraps around, power changes), then ask for the joules in between."""

    @property
    def name(self) -> str: ...

    def read(self) -> Reading | None:
        """What the meter shows now; None when it cannot be told."""

    def joules(self, readings: Sequence[Reading | None]) -> float | None:
        """Energy between the first and the last of readings in order; None when any is unknown."""


@dataclass(frozen=True, slots=True)
class RaplMeter:
    """The packages' energy counters. ``ranges``: where each wraps around, in microjoules.

    Between two readings at most one wrap is seen: at 200 W the usual range lasts 20 minutes.
    """

    packages: tuple[Path, ...]
    ranges: tuple[float, ...]
    clock: Callable[[], float] = time.monotonic
    name: str = "rapl"

    @classmethod
    def find(cls, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> RaplMeter | None:
        """None where there is no counter, or only root may read it.

        Cores and memory inside a package, and the platform around it (psys), would count twice.
        """
        zones = [zone for zone in sorted((root / POWERCAP).glob("intel-rapl:*")) if zone.name.count(":") == 1]
        packages = tuple(zone for zone in zones if _text(zone / "name").startswith("package"))
        ranges = [_number(zone / "max_energy_range_uj") for zone in packages]
        known = tuple(value for value in ranges if value is not None)
        meter = cls(packages, known, clock)
        return meter if packages and len(known) == len(packages) and meter.read() is not None else None

    def read(self) -> Reading | None:
        """Microjoules of every package."""
        shown = [_number(package / "energy_uj") for package in self.packages]
        known = tuple(value for value in shown if value is not None)
        return Reading(self.clock(), known) if len(known) == len(shown) else None

    def joules(self, readings: Sequence[Reading | None]) -> float | None:
        """Sum of the counters' steps; one that went down has wrapped around."""
        known = [reading for reading in readings if reading is not None]
        if len(known) < max(2, len(readings)):
            return None
        steps = (
            after - before if after >= before else after - before + wrap
            for first, second in pairwise(known)
            for before, after, wrap in zip(first.values, second.values, self.ranges, strict=True)
        )
        return sum(steps) / 1e6


@dataclass(frozen=True, slots=True)
class BatteryMeter:
    """A battery's discharge. Unknown while it charges or rests: the device is then fed from elsewhere."""

    supply: Path
    clock: Callable[[], float] = time.monotonic
    name: str = "battery"

    @classmethod
    def find(cls, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> BatteryMeter | None:
        """The first battery of the device itself (not of a mouse) that discharges; None without one."""
        for supply in sorted((root / SUPPLIES).glob("*")):
            ours = _text(supply / "type") == "Battery" and _text(supply / "scope") != "Device"
            meter = cls(supply, clock)
            if ours and meter.read() is not None:
                return meter
        return None

    def read(self) -> Reading | None:
        """Watts that it gives now."""
        if _text(self.supply / "status") != "Discharging":
            return None
        power = _number(self.supply / "power_now")  # microwatts; some drivers have only the factors
        if power is None:
            current, voltage = _number(self.supply / "current_now"), _number(self.supply / "voltage_now")
            if current is None or voltage is None:
                return None
            power = current * voltage / 1e6
        return Reading(self.clock(), (abs(power) / 1e6,)) if power else None

    def joules(self, readings: Sequence[Reading | None]) -> float | None:
        """Power over time, by trapezoids."""
        known = [reading for reading in readings if reading is not None]
        if len(known) < max(2, len(readings)):
            return None
        return sum(
            (second.at_s - first.at_s) * (first.values[0] + second.values[0]) / 2
            for first, second in pairwise(known)
        )


def find_meter(root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> Meter | None:
    """The meter of this device, the processor's counters before the battery; None without one.

    ``root`` holds ``sys``; ``clock`` gives seconds.
    """
    return RaplMeter.find(root, clock) or BatteryMeter.find(root, clock)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None
