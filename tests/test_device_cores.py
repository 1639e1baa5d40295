"""Threads from the cores that this process really has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from a3d_edge.device import cores
from a3d_edge.device.cores import affinity, available_threads, checked_threads
from a3d_edge.errors import UsageError


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which this process may use eight cores."""
    monkeypatch.setattr(cores, "affinity", lambda count: list(range(8)))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 8),
        ("250000 100000", 2),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("1600000 100000", 8),
    ],
)
def test_a_v2_quota_is_rounded_down_to_whole_cores(tmp_path: Path, quota: str, expected: int) -> None:
    """2.5 cores run two threads without being stopped; there is always one; no quota adds cores."""
    write(tmp_path / "proc/self/cgroup", "0::/box\n")
    write(tmp_path / "sys/fs/cgroup/box/cpu.max", quota)
    assert available_threads(tmp_path) == expected


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("350000", 3)])
def test_a_v1_quota_of_a_parent_counts(tmp_path: Path, quota: str, expected: int) -> None:
    """The tightest of all groups above us; -1 is none."""
    write(tmp_path / "proc/self/cgroup", "2:cpu,cpuacct:/outer/inner\n")
    outer = tmp_path / "sys/fs/cgroup/cpu/outer"
    write(outer / "inner/cpu.cfs_quota_us", "-1")
    write(outer / "inner/cpu.cfs_period_us", "100000")
    write(outer / "cpu.cfs_quota_us", quota)
    write(outer / "cpu.cfs_period_us", "100000")
    assert available_threads(tmp_path) == expected


@pytest.mark.usefixtures("eight")
def test_without_cgroup_files_the_affinity_counts(tmp_path: Path) -> None:
    """A platform that has none, or hides them."""
    assert available_threads(tmp_path) == 8


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks on this platform")
def test_a_process_bound_to_one_core_has_one(tmp_path: Path) -> None:
    """The mask of this very process, narrowed and put back."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert affinity(os.cpu_count() or 1) == [min(before)]
        assert available_threads(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("eight")
def test_threads_are_limited_by_the_cores(tmp_path: Path) -> None:
    """Four for each, whatever the quota, which only says the default."""
    write(tmp_path / "proc/self/cgroup", "0::/box\n")
    write(tmp_path / "sys/fs/cgroup/box/cpu.max", "200000 100000")
    assert [checked_threads(one, tmp_path) for one in (None, 1, 8, 32)] == [2, 1, 8, 32]
    for wrong in (0, -1, 33, 100_000):
        with pytest.raises(UsageError) as caught:
            checked_threads(wrong, tmp_path)
        assert str(caught.value) == (
            f"`threads` {wrong} is not from 1 to 32, 4 for each core here; the default is 2"
        )
