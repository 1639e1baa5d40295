"""A real CPU quota of this kernel, where one can be made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


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
