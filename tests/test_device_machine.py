"""Which machine this is: described for people, and told apart by what a kept network depends on."""

from __future__ import annotations

import platform
from pathlib import Path

from a3d_edge.device.machine import describe_machine, processor


def test_a_machine_is_described_from_its_files(tmp_path: Path) -> None:
    """A board with a cgroup v2 that allows 1.5 cores and 2 GB of its 8 GB."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Board  CPU\n\nmodel name\t: no\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal:        8000000 kB\nMemFree: 1 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/box\n")
    group = tmp_path / "sys/fs/cgroup/box"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("150000 100000\n")
    (group / "memory.max").write_text("2000000000\n")
    machine = describe_machine(tmp_path)
    assert machine["cpu"] == "Board CPU"
    assert machine["name"].startswith("Board CPU, ")
    assert (machine["quota"], machine["memory_gb"]) == ("1.5 cores", "2.0")
    (group / "memory.max").write_text("max\n")
    assert describe_machine(tmp_path)["memory_gb"] == "8.2"


def test_a_board_that_tells_no_model_is_named_by_its_device_tree(tmp_path: Path) -> None:
    """As ARM kernels do."""
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nCPU implementer\t: 0x41\n")
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert describe_machine(tmp_path)["cpu"] == "Raspberry Pi 5 Model B Rev 1.0"


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    """Never empty, never 0."""
    machine = describe_machine(tmp_path)
    assert machine["memory_gb"] == "unknown"
    assert all(machine.values())


CPUINFO = """processor : {number}
model name : {name}
cpu MHz : {mhz}
flags : sse avx{more}
"""


def test_the_processor_is_its_kind_and_its_instructions(tmp_path: Path) -> None:
    """Not its clock, nor how many cores there are; on a board with two kinds, both."""
    (tmp_path / "proc").mkdir()

    def with_cores(*cores: str) -> str:
        (tmp_path / "proc/cpuinfo").write_text("\n".join(cores))
        return processor(tmp_path)

    one = CPUINFO.format(number=0, name="A", mhz=800, more="")
    same = CPUINFO.format(number=1, name="A", mhz=2400, more="")
    more = CPUINFO.format(number=0, name="A", mhz=800, more=" avx512f")
    assert with_cores(one) == with_cores(one, same) == with_cores(same)
    assert len({with_cores(one), with_cores(more), with_cores(one, more)}) == 3
    (tmp_path / "proc/cpuinfo").unlink()
    assert processor(tmp_path)


def test_a_kept_network_s_processor_is_worded_as_ever(tmp_path: Path) -> None:
    """What was kept on a disk by an older version is found again: the wording is its identity."""
    (tmp_path / "proc").mkdir()
    text = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: A  B\nbugs\t: x\nflags\t\t: sse  avx\nisa:rv64\n"
    (tmp_path / "proc/cpuinfo").write_text(text)
    expected = [platform.machine(), "flags : sse avx", "isa:rv64", "model : 17", "model name : A B"]
    assert processor(tmp_path).split("\n") == expected
