"""DeviceSensors: what is read, what is unknown, and whose CPU time counts."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from a3d_edge.device import signals
from a3d_edge.device.signals import DeviceSensors, Signals


class FakeTimes(tuple[float, ...]):
    """One core's (user, idle) seconds, summed by the reader like psutil's named tuple."""

    @property
    def idle(self) -> float:
        return self[1]


class FakeProcess:
    def __init__(self, pid: int, times: tuple[float, ...], children: list[FakeProcess]) -> None:
        self.pid, self.times, self._children = pid, times, children

    def cpu_times(self) -> tuple[float, ...]:
        return self.times

    def children(self) -> list[FakeProcess]:
        return self._children


class FakeDevice:
    """The part of psutil that the sensors use; each reading is a plain attribute the test sets."""

    def __init__(self) -> None:
        self.child = FakeProcess(2, (0.0, 0.0, 0.0, 0.0), [])
        self.own = FakeProcess(1, (0.0, 0.0, 0.0, 0.0), [self.child])
        self.cores = [FakeTimes((0.0, 0.0)), FakeTimes((0.0, 0.0))]
        self.battery: Any = None
        self.temperatures: Any = {}
        self.memory = SimpleNamespace(available=6e9, total=8e9)

    def Process(self) -> FakeProcess:  # noqa: N802 - psutil's name
        return self.own

    def cpu_times(self, percpu: bool) -> list[FakeTimes]:
        assert percpu
        return self.cores

    def sensors_battery(self) -> Any:
        return self.battery

    def sensors_temperatures(self) -> Any:
        return self.temperatures

    def virtual_memory(self) -> Any:
        return self.memory


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice()


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "affinity", lambda cores: [0, 1])


def read(device: Any, root: Path) -> Signals:
    return DeviceSensors(source=device, root=root)()


def sensor(current: float, high: float | None = None, critical: float | None = None, label: str = "") -> Any:
    return SimpleNamespace(label=label, current=current, high=high, critical=critical)


# --- unknown ---


def test_a_device_without_sensors_knows_only_its_memory(device: FakeDevice, tmp_path: Path) -> None:
    """No battery, no thermometer, one CPU reading: unknown, not 0."""
    assert replace(read(device, tmp_path), cores=None) == Signals(memory_available=0.75)


def test_sensors_that_raise_or_are_missing_are_unknown(tmp_path: Path) -> None:
    """A platform without the functions, and drivers that raise, give the same: unknown."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OSError(f"{name} is broken")

    assert read(SimpleNamespace(), tmp_path) == Signals()
    assert read(Broken(), tmp_path) == Signals()


# --- battery ---


def test_battery_charge_and_plug_are_reported(device: FakeDevice, tmp_path: Path) -> None:
    """An unknown plug stays unknown and a nonsense charge is no charge."""
    device.battery = SimpleNamespace(percent=37.5, power_plugged=False)
    assert (read(device, tmp_path).battery_percent, read(device, tmp_path).plugged) == (37.5, False)
    device.battery = SimpleNamespace(percent=255, power_plugged=None)
    assert (read(device, tmp_path).battery_percent, read(device, tmp_path).plugged) == (None, None)


# --- temperature ---


@pytest.mark.parametrize(
    ("sensors", "expected"),
    [
        ({"coretemp": [sensor(50, 80, 100), sensor(62, 80, 100)]}, (62.0, 80.0)),
        ({"nvme": [sensor(90, 84, 89)], "cpu_thermal": [sensor(48)]}, (48.0, None)),
        ({"thinkpad": [sensor(55, label="CPU"), sensor(99, label="GPU")]}, (55.0, None)),
        ({"k10temp": [sensor(0.0), sensor(-40), sensor(200)]}, (None, None)),
        ({"coretemp": [sensor(60, 100, 100)]}, (60.0, 90.0)),  # only the critical point is known
        ({"coretemp": [sensor(60, 65261, None)]}, (60.0, None)),
        ({"coretemp": [sensor(60, 0.0, 0.0)]}, (60.0, None)),
    ],
)
def test_the_hottest_plausible_processor_sensor_counts(
    device: FakeDevice, tmp_path: Path, sensors: Any, expected: tuple[float | None, float | None]
) -> None:
    """Disks do not count, absurd values do not count, and a limit is taken only where it can be one."""
    device.temperatures = sensors
    reading = read(device, tmp_path)
    assert (reading.temperature_c, reading.temperature_limit_c) == expected


# --- memory ---


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_cgroup_v2_memory_limit_counts_where_it_is_tighter(device: FakeDevice, tmp_path: Path) -> None:
    """File cache that can be dropped is available; a parent's tighter limit is found too."""
    write(tmp_path / "proc/self/cgroup", "0::/app/worker\n")
    group = tmp_path / "sys/fs/cgroup/app/worker"
    write(group / "memory.max", "max\n")
    write(group.parent / "memory.max", "1000000\n")
    write(group.parent / "memory.current", "900000\n")
    write(group.parent / "memory.stat", "anon 700000\ninactive_file 100000\n")
    assert read(device, tmp_path).memory_available == pytest.approx(0.2)


def test_a_cgroup_v1_memory_limit_counts_and_no_limit_does_not(device: FakeDevice, tmp_path: Path) -> None:
    """v1 writes "no limit" as a number beyond all memory."""
    write(tmp_path / "proc/self/cgroup", "5:cpu:/\n4:memory:/box\n")
    group = tmp_path / "sys/fs/cgroup/memory/box"
    write(group / "memory.limit_in_bytes", "9223372036854771712")
    write(group / "memory.usage_in_bytes", "500000")
    assert read(device, tmp_path).memory_available == 0.75
    write(group / "memory.limit_in_bytes", "1000000")
    assert read(device, tmp_path).memory_available == pytest.approx(0.5)


# --- CPU of others ---


def cpu_others(device: FakeDevice, root: Path, change: Any, seconds: float = 1.0) -> float | None:
    """Two readings with a change of the counters between."""
    clock = Clock()
    sensors = DeviceSensors(source=device, root=root, clock=clock)
    assert sensors().cpu_others is None
    change()
    clock.now += seconds
    return sensors().cpu_others


@pytest.mark.usefixtures("two_cores")
def test_our_own_process_tree_is_not_others(device: FakeDevice, tmp_path: Path) -> None:
    """Of 1.5 busy cores, we and our children (one alive, one ended) took 1.1: others took 0.4 of 2."""

    def change() -> None:
        device.cores = [FakeTimes((1.0, 0.0)), FakeTimes((0.5, 0.5))]
        device.own.times = (0.4, 0.1, 0.2, 0.0)
        device.child.times = (0.3, 0.1, 0.0, 0.0)

    assert cpu_others(device, tmp_path, change) == pytest.approx(0.2)


@pytest.mark.usefixtures("two_cores")
def test_own_time_that_exceeds_the_machines_counter_is_rounding(device: FakeDevice, tmp_path: Path) -> None:
    """The two counters round differently: never below 0."""

    def change() -> None:
        device.cores = [FakeTimes((0.99, 0.01)), FakeTimes((0.0, 1.0))]
        device.own.times = (1.01, 0.0, 0.0, 0.0)

    assert cpu_others(device, tmp_path, change) == 0.0


@pytest.mark.usefixtures("two_cores")
def test_a_quota_is_taken_by_others_only_when_no_core_is_free_for_it(
    device: FakeDevice, tmp_path: Path
) -> None:
    """Half a core is our quota: a neighbour on one of two cores takes none of it, one on 1.75 takes half."""
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "50000 100000\n")

    def one_core() -> None:
        device.cores = [FakeTimes((1.0, 0.0)), FakeTimes((0.0, 1.0))]

    def nearly_all() -> None:
        device.cores = [FakeTimes((2.0, 0.0)), FakeTimes((0.75, 1.25))]

    assert cpu_others(device, tmp_path, one_core) == 0.0
    assert cpu_others(device, tmp_path, nearly_all) == pytest.approx(0.5)


@pytest.mark.usefixtures("two_cores")
def test_another_member_of_our_cgroup_uses_up_the_quota(device: FakeDevice, tmp_path: Path) -> None:
    """v1 quota of one core, of which the group used 0.75 and we 0.25: others took half of what is ours."""
    write(tmp_path / "proc/self/cgroup", "2:cpu,cpuacct:/box\n")
    group = tmp_path / "sys/fs/cgroup/cpu/box"
    write(group / "cpu.cfs_quota_us", "100000")
    write(group / "cpu.cfs_period_us", "100000")
    write(group / "cpuacct.usage", "0")

    def change() -> None:
        write(group / "cpuacct.usage", "750000000")
        device.cores = [FakeTimes((0.75, 0.25)), FakeTimes((0.0, 1.0))]
        device.own.times = (0.25, 0.0, 0.0, 0.0)

    assert cpu_others(device, tmp_path, change) == pytest.approx(0.5)


@pytest.mark.usefixtures("two_cores")
def test_readings_in_quick_succession_repeat_the_last_share(device: FakeDevice, tmp_path: Path) -> None:
    """Over a few milliseconds the counters are rounding: the share of the last real interval stands."""
    clock = Clock()
    sensors = DeviceSensors(source=device, root=tmp_path, clock=clock)
    sensors()
    device.cores = [FakeTimes((1.0, 0.0)), FakeTimes((0.0, 1.0))]
    clock.now += 1.0
    assert sensors().cpu_others == pytest.approx(0.5)
    device.cores = [FakeTimes((1.01, 0.0)), FakeTimes((0.01, 1.0))]
    clock.now += 0.01
    assert sensors().cpu_others == pytest.approx(0.5)


# --- this machine ---

BURN = "import time; end = time.monotonic() + 5\nwhile time.monotonic() < end: pass"


def test_this_machine_can_be_read() -> None:
    """Whatever this machine has, its readings are in range and memory is always known."""
    reading = DeviceSensors()()
    assert reading.memory_available is not None
    assert 0.0 < reading.memory_available <= 1.0
    assert reading.cpu_others is None
    assert reading.temperature_c is None or 0.0 < reading.temperature_c < 130.0
    assert reading.battery_percent is None or 0.0 <= reading.battery_percent <= 100.0


def test_our_own_childrens_burning_does_not_count() -> None:
    """A burning child moves the machine's counter and ours alike. The machine may be busy otherwise too, so
    compare with the same sensors taking the child for a stranger's."""
    with subprocess.Popen([sys.executable, "-c", BURN]) as child:
        try:
            ours, strangers = DeviceSensors(), DeviceSensors(source=WithoutChildren())
            ours(), strangers()
            begun, used = time.monotonic(), processor_s(child.pid)
            time.sleep(0.8)
            with_child, without = ours().cpu_others, strangers().cpu_others
            burnt = (processor_s(child.pid) - used) / (time.monotonic() - begun) / (psutil.cpu_count() or 1)
        finally:
            child.kill()
    assert with_child is not None
    assert without is not None
    assert burnt > 0.0
    assert without - with_child > 0.5 * burnt  # each reads the counters at a moment of its own


def processor_s(process: int) -> float:
    """Processor time of a process so far."""
    times = psutil.Process(process).cpu_times()
    return times.user + times.system


class WithoutChildren:
    """psutil, but our process has no children and no past ones."""

    def __getattr__(self, name: str) -> Any:
        return getattr(psutil, name)

    def Process(self) -> Any:  # noqa: N802 - psutil's name
        own = psutil.Process()
        return FakeProcess(-1, tuple(own.cpu_times()[:2]), [])
