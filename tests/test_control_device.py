"""A battery and a thermometer that change under unmodified psutil (umockdev), and a real CPU quota."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "mock_device.py"
PYTHON = "/usr/bin/python3"
SAY = """
import json, sys, time
from a3d_edge.control.controller import BudgetController
from a3d_edge.device.signals import DeviceSensors
from a3d_edge.table import find_table
sensors = DeviceSensors()
def alone():  # what this machine's other work and memory say is not asked here
    from dataclasses import replace
    return replace(sensors(), cpu_others=None, memory_available=None, memory_pressure=None)
table = find_table("a3d_slow_8x8_0.016")
controller = BudgetController(table, sensors=alone, sensing_interval_s=0.5, seed=0)
begun, largest = time.monotonic(), table.rows[-1].cost
while time.monotonic() - begun < float(sys.argv[1]):
    decision = controller.decide()
    share = table.row(decision.configuration).cost / largest
    print(json.dumps([time.monotonic() - begun, share, decision.limiting_signal]), flush=True)
    time.sleep(0.1)
"""


def needs_umockdev() -> None:
    code = "import gi; gi.require_version('UMockdev', '1.0'); from gi.repository import UMockdev"
    if not Path(PYTHON).exists() or subprocess.run([PYTHON, "-c", code], capture_output=True).returncode:
        pytest.skip("needs umockdev, gir1.2-umockdev-1.0 and python3-gi")


def told(*options: str, seconds: float) -> list[tuple[float, float, str]]:
    """(seconds, share of the largest, limiting signal) of each decision on a device that changes."""
    command = [PYTHON, str(SCRIPT), *options, "--", sys.executable, "-c", SAY, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_a_battery_that_drains_and_is_plugged_in() -> None:
    """80 %: everything. 12 %: a tenth, at the first reading. Charging: everything, at the second."""
    needs_umockdev()
    lines = told("--battery", "0:80,4:12,8:12+", seconds=12)
    assert {share for at, share, _ in lines if at < 3} == {1.0}
    low = [(share, signal) for at, share, signal in lines if 5.5 < at < 7.5]
    assert low
    assert all(share <= 0.1 and signal == "battery" for share, signal in low)
    assert {share for at, share, _ in lines if at > 10.5} == {1.0}


@pytest.mark.slow
def test_a_processor_that_becomes_hot() -> None:
    """71 °C of 90: everything. 91: the smallest."""
    needs_umockdev()
    lines = told("--temperature", "0:71,3:91", seconds=6)
    assert {share for at, share, _ in lines if at < 2} == {1.0}
    hot = [(share, signal) for at, share, signal in lines if at > 4.5]
    assert hot
    assert all(share < 0.02 and signal == "temperature" for share, signal in hot)


def test_half_a_core_is_read_as_half() -> None:
    """From a real quota of this kernel."""
    group = Path("/sys/fs/cgroup/cpu/a3d-edge-test")
    if shutil.which("true") is None or not os.access(group.parent, os.W_OK):
        pytest.skip("needs a writable cgroup v1 CPU controller")
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("50000")
    except OSError as error:
        pytest.skip(f"cannot make a CPU quota: {error}")
    try:
        code = (
            f"import os; open('{group}/cgroup.procs', 'w').write(str(os.getpid()))\n"
            "from a3d_edge.device.cores import effective_cores; print(effective_cores())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
    finally:
        group.rmdir()
    assert float(done.stdout) == 0.5
