"""Readings of memory: the machine's, what a container leaves of it, and a process's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from a3d_edge.device.memory import anonymous_bytes, anonymous_mb, memory_rooms, total_bytes


def test_the_machine_s_memory_is_what_psutil_says() -> None:
    """Or less, in a container with a limit."""
    total = total_bytes()
    assert total is not None
    assert 0 < total <= psutil.virtual_memory().total


def test_each_group_with_a_tighter_limit_is_a_room(tmp_path: Path) -> None:
    """(free, limit) of the machine first; a group with no limit, or one beyond the machine, is none."""
    for name, limit in (("tight", "500"), ("loose", "5000"), ("free", "max")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.max").write_text(limit)
        (tmp_path / name / "memory.current").write_text("200")
    machine = SimpleNamespace(available=600, total=1000)
    groups = [tmp_path / name for name in ("tight", "loose", "free")]
    assert memory_rooms(machine, groups) == [(600.0, 1000.0), (300.0, 500.0)]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells only on Linux")
def test_anonymous_memory_grows_by_what_is_written() -> None:
    """And not by what is only reserved."""
    before = anonymous_bytes()
    reserved = np.empty(64 * 2**20, np.uint8)
    between = anonymous_bytes()
    reserved[:] = 1
    after = anonymous_bytes()
    assert before is not None
    assert between is not None
    assert after is not None
    assert between - before < 8 * 2**20
    assert after - between > 56 * 2**20
    assert anonymous_mb() == pytest.approx(after / 1e6, abs=4)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells only on Linux")
def test_another_process_can_be_read_and_one_that_is_gone_is_unknown() -> None:
    """By its number."""
    own, there = anonymous_bytes(), anonymous_bytes(os.getpid())
    assert own is not None
    assert there == pytest.approx(own, abs=2**20)
    assert anonymous_bytes(2**30) is None
