"""What the device feels now: battery, CPU taken by others, temperature, memory. Missing is unknown."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import psutil

from a3d_edge.device.cgroups import cpu_quota, group_directories
from a3d_edge.device.cores import affinity
from a3d_edge.device.memory import memory_rooms
from a3d_edge.device.pressure import Pressure

__all__ = ["DeviceSensors", "Signals"]

# Kernel CPU counters tick every 10 ms: over a shorter interval the share is mostly rounding.
SHORTEST_CPU_INTERVAL_S = 0.25
# Sensor names that mean the processor or its package, as Linux drivers spell them.
CPU_SENSORS = ("cpu", "core", "k10temp", "zenpower", "soc", "pkg", "acpitz")
PLAUSIBLE_TEMPERATURE_C = (0.0, 130.0)
PLAUSIBLE_LIMIT_C = (50.0, 120.0)
# At `critical` the hardware throttles hard or powers off, so our limit lies this far below it.
CRITICAL_MARGIN_C = 10.0

PLAUSIBLE: dict[str, tuple[float, float]] = {
    "battery_percent": (0.0, 100.0),
    "cpu_others": (0.0, 1.0),
    "temperature_c": PLAUSIBLE_TEMPERATURE_C,
    "temperature_limit_c": PLAUSIBLE_LIMIT_C,
    "memory_available": (0.0, 1.0),
    "memory_pressure": (0.0, 1.0),
    "cpu_pressure": (0.0, 1.0),
    "cores": (1e-3, 1e6),
}
"""Least and most of each number of `Signals`."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signals:
    """One reading of the device; None is unknown, never 0.

    ``battery_percent`` 0..100; ``cpu_others`` is the share 0..1 of the cores we may use that other processes
    take; temperatures in °C; ``memory_available`` is the share 0..1 of the memory limit that is still free.
    """

    battery_percent: float | None = None
    plugged: bool | None = None
    cpu_others: float | None = None
    temperature_c: float | None = None
    temperature_limit_c: float | None = None
    memory_available: float | None = None
    memory_pressure: float | None = None
    cpu_pressure: float | None = None
    cores: float | None = None

    def plausible(self) -> Signals:
        """The same with what cannot be (NaN, 300 %, a text) as unknown: it is no reading, and never empty."""
        good = {name: _within(getattr(self, name), *PLAUSIBLE[name]) for name in PLAUSIBLE}
        plugged = self.plugged if isinstance(self.plugged, bool) else None
        return Signals(plugged=plugged, **good)


class DeviceSensors:
    """Callable that reads this device with psutil and the cgroup files: ``sensors() -> Signals``.

    Never raises: what cannot be read is unknown. ``cpu_others`` needs two readings at least 0.25 s apart.
    ``source`` is psutil or an object with its functions; ``root`` holds ``proc`` and ``sys``. One thread.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        source: Any = psutil,
        root: Path = Path("/"),
    ) -> None:
        self._source = source
        self._root = root
        self._clock = clock
        self._process: Any = _known(lambda: source.Process())
        self._cpu_groups = group_directories(root, "cpu")
        self._memory_groups = group_directories(root, "memory")
        self._memory_pressure = Pressure("memory", clock, root, self._memory_groups)
        self._cpu_pressure = Pressure("cpu", clock, root, self._cpu_groups)
        self._before: _CpuReading | None = None
        self._cpu_others: float | None = None

    def __call__(self) -> Signals:
        percent, plugged = _known(self._battery) or (None, None)
        temperature, limit = _known(self._temperature) or (None, None)
        return Signals(
            battery_percent=percent,
            plugged=plugged,
            cpu_others=_known(self._read_cpu_others),
            temperature_c=temperature,
            temperature_limit_c=limit,
            memory_available=_known(self._memory),
            memory_pressure=self._memory_pressure.read(),
            cpu_pressure=self._cpu_pressure.read(),
            cores=None if self._before is None else self._before.effective,
        )

    def _battery(self) -> tuple[float | None, bool | None]:
        battery = self._source.sensors_battery()
        if battery is None:
            return None, None
        percent = float(battery.percent)
        plugged = battery.power_plugged if isinstance(battery.power_plugged, bool) else None
        return (percent if 0.0 <= percent <= 100.0 else None), plugged

    def _temperature(self) -> tuple[float | None, float | None]:
        """The hottest processor sensor and its limit, in °C."""
        low, high = PLAUSIBLE_TEMPERATURE_C
        readings = [
            reading
            for name, sensors in self._source.sensors_temperatures().items()
            for reading in sensors
            if any(word in f"{name} {reading.label}".lower() for word in CPU_SENSORS)
            and reading.current is not None
            and low < reading.current < high
        ]
        if not readings:
            return None, None
        hottest = max(readings, key=lambda reading: float(reading.current))
        return float(hottest.current), _temperature_limit(hottest.high, hottest.critical)

    def _memory(self) -> float | None:
        """The tightest share: the machine's, or that of any memory cgroup we live in."""
        rooms = memory_rooms(self._source.virtual_memory(), self._memory_groups)
        return min(1.0, max(0.0, min(free / limit for free, limit in rooms)))

    def _read_cpu_others(self) -> float | None:
        if self._before is not None and self._clock() - self._before.at < SHORTEST_CPU_INTERVAL_S:
            return self._cpu_others
        before, self._before = self._before, None  # a reading that fails must not leave a stale start
        self._before = now = self._read_cpu()
        self._cpu_others = _share_of_others(before, now) if before is not None else None
        return self._cpu_others

    def _read_cpu(self) -> _CpuReading:
        times = self._source.cpu_times(percpu=True)
        ours = affinity(len(times))
        quota, group_used = cpu_quota(self._cpu_groups)
        return _CpuReading(
            at=self._clock(),
            cores=len(ours),
            busy=sum(_busy_seconds(times[core]) for core in ours),
            own=sum(self._tree_seconds()),
            quota=quota,
            group_used=group_used,
        )

    def _tree_seconds(self) -> Iterator[float]:
        """CPU seconds of each live process of our tree, with those of its children that ended."""
        pending = [self._process]
        while pending:
            process = pending.pop()
            try:
                pending += self._children(process)
                yield sum(process.cpu_times()[:4])  # user, system, and both of the ended children
            except psutil.NoSuchProcess:
                continue  # it ended meanwhile: its parent will carry its time

    def _children(self, process: Any) -> list[Any]:
        """Direct children. The kernel's own lists cost microseconds; psutil scans every process there is."""
        tasks = self._root / "proc" / str(process.pid) / "task"
        try:
            texts = [(task / "children").read_text() for task in tasks.iterdir()]
        except OSError:
            return list(process.children())
        children = []
        for pid in " ".join(texts).split():
            with suppress(psutil.NoSuchProcess):
                children.append(self._source.Process(int(pid)))
        return children


class _CpuReading(NamedTuple):
    """Counters at one moment, in seconds: all cores we may use, our process tree, our quota's cgroup."""

    at: float
    cores: int
    busy: float
    own: float
    quota: float | None
    group_used: float | None

    @property
    def effective(self) -> float:
        """Cores that affinity and quota leave us."""
        return float(self.cores) if self.quota is None else min(float(self.cores), self.quota)


def _share_of_others(before: _CpuReading, now: _CpuReading) -> float | None:
    """Share 0..1 of our effective cores that others took between two readings.

    Others on the same cores leave us ``cores - others``; a cgroup quota leaves us what its other members do
    not use. A quota of one core on a busy 64-core machine is therefore wholly ours while cores are idle.
    """
    elapsed = now.at - before.at
    if elapsed <= 0:
        return None
    own = max(0.0, now.own - before.own) / elapsed
    free = now.cores - max(0.0, (now.busy - before.busy) / elapsed - own)
    if now.quota is not None and now.quota < now.cores:
        free = min(free, now.quota)
        if now.group_used is not None and before.group_used is not None:
            members = (now.group_used - before.group_used) / elapsed
            free = min(free, now.quota - max(0.0, members - own))
    return min(1.0, max(0.0, 1.0 - free / now.effective))


def _within(value: object, low: float, high: float) -> float | None:
    """The number, or None for what is none or lies outside."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        return None
    return float(value) if low <= value <= high else None  # NaN is in no range


def _known(read: Callable[[], T]) -> T | None:
    """The reading, or None when this device, platform or container cannot give it.

    Broad on purpose: drivers and psutil back-ends fail in their own ways, and none may stop the application.
    """
    try:
        return read()
    except Exception:
        return None


def _busy_seconds(times: Any) -> float:
    """Seconds one core did anything; guest time is already part of user and nice (Linux)."""
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - guest - times.idle - getattr(times, "iowait", 0.0))


def _temperature_limit(high: float | None, critical: float | None) -> float | None:
    """`high` if it is a warning of its own; psutil copies one into the other when a driver knows only one."""
    low, top = PLAUSIBLE_LIMIT_C
    limits = []
    if high is not None and (critical is None or high < critical):
        limits.append(high)
    if critical is not None:
        limits.append(critical - CRITICAL_MARGIN_C)
    return next((float(limit) for limit in limits if math.isfinite(limit) and low <= limit <= top), None)
