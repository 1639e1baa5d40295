"""What each finding means: every one that is not well has a fix, and only what cannot run fails."""

from __future__ import annotations

import pytest

from a3d_edge.device.signals import Signals
from a3d_edge.doctor import checks
from a3d_edge.doctor.check import FAIL, OK, WARN, Check
from a3d_edge.errors import UsageError

MB = 10**6
BOTH = ["opencv-python-headless", "opencv-python"]


@pytest.mark.parametrize(
    ("check", "status", "found", "fix"),
    [
        (checks.versions({"numpy": "2.0", "av": "17"}, {}), OK, "numpy 2.0, av 17", None),
        (checks.versions({"numpy": None}, {}), FAIL, "numpy is not installed", "pip install"),
        (
            checks.versions({"av": "17"}, {"av": "PyAV cannot be loaded"}),
            FAIL, "PyAV cannot be loaded", "pip install --force-reinstall av",
        ),
        (checks.opencv(BOTH[:1]), OK, "opencv-python-headless", None),
        (checks.opencv([]), OK, "not by pip", None),
        (checks.opencv(BOTH), WARN, "at once", "pip uninstall -y opencv-python-headless opencv-python"),
        (checks.instructions("Xeon", {"avx512_vnni", "amx_int8"}), OK, "Xeon: VNNI, AMX", None),
        (checks.instructions("A76", {"asimd", "asimddp"}), OK, "A76: NEON dotprod, NEON", None),
        (checks.instructions("Atom", {"sse4_2"}), WARN, "no vector instructions", "a3d-edge bench"),
        (checks.instructions("unknown", set()), OK, "unknown", None),
        (checks.cores(8, 2, None), OK, "2 of 8 cores", None),
        (checks.cores(8, 8, 1.5), OK, "8 of 8 cores, quota of 1.5", None),
        (checks.cores(8, 8, 0.5), WARN, "quota of 0.5", "--cpus 1"),
        (checks.memory(2000 * MB, 4000 * MB), OK, "2000 MB free of 4000 MB", None),
        (checks.memory(100 * MB, None), WARN, "100 MB free", "--memory 50MB"),
        (checks.shared_memory(None), OK, "no /dev/shm", None),
        (checks.shared_memory(1 * MB), WARN, "1.00 MB", "--shm-size"),
        (checks.sensors(Signals(memory_available=0.5), "rapl", True), OK, "memory, energy meter", None),
        (checks.sensors(Signals(), None, False), WARN, "neither load nor memory", "mount /proc"),
        (checks.disk("/x", None), OK, "unknown free at /x", None),
        (checks.disk("/x", 5), WARN, "5 bytes free", "cache clear"),
        (checks.caches({"frames": (0, 9, 1000.0)}), OK, "frames 0 bytes", None),
        (checks.caches({"frames": (10, 9, 0.0)}), WARN, "may have", "a3d-edge cache clear"),
        (checks.caches({"frames": (5, 9, 100.0)}), WARN, "unused for 100 days", "a3d-edge cache clear"),
        (checks.clock(2e9, 1.9e9, True), OK, "synchronized", None),
        (checks.clock(2e9, 1.9e9, None), OK, "plausible", None),
        (checks.clock(2e9, 1.9e9, False), WARN, "not synchronized", "timedatectl"),
        (checks.clock(0.0, 1.9e9, None), FAIL, "before this program was installed", "timedatectl"),
    ],
)  # fmt: skip
def test_findings(check: Check, status: str, found: str, fix: str | None) -> None:
    """Status, words, and what to do."""
    assert check.status == status
    assert found in check.found
    assert (check.fix is None) == (fix is None)
    assert fix is None or fix in str(check.fix)


def test_a_fix_belongs_to_what_is_not_well() -> None:
    """And to nothing else."""
    for status, fix in ((OK, "do"), (WARN, None), (FAIL, None)):
        with pytest.raises(UsageError, match="a fix belongs to what is not ok"):
            Check("x", status, "found", fix)
