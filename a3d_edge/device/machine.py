"""Which machine this is: its processor, cores, memory and system, as its kernel's files tell."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from a3d_edge.device.cgroups import cpu_quota, group_directories
from a3d_edge.device.cores import affinity
from a3d_edge.device.memory import total_bytes

__all__ = ["UNKNOWN", "describe_machine", "processor", "processor_name"]

UNKNOWN = "unknown"
NAMES = ("model name", "Model", "Hardware")
KINDS = ("vendor_id", "cpu family", "model", "model name", "CPU part", "flags", "Features", "isa")


def describe_machine(root: Path = Path("/")) -> dict[str, str]:
    """This machine in words; ``name`` is what people read. ``root`` holds ``proc`` and ``sys``."""
    cpu, cores = processor_name(root), len(affinity(os.cpu_count() or 1))
    quota, _ = cpu_quota(group_directories(root, "cpu"))
    total = total_bytes(root)
    return {
        "name": f"{cpu}, {cores} core{'s' if cores > 1 else ''}",
        "cpu": cpu,
        "cores": str(cores),
        "quota": "none" if quota is None else f"{quota:g} cores",
        "memory_gb": UNKNOWN if total is None else f"{total / 1e9:.1f}",  # kernels reserve some of it
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def processor_name(root: Path = Path("/")) -> str:
    """The processor's name: from x86 kernels its model, from a board its device tree."""
    for line in _cpuinfo(root):
        key, _, value = line.partition(":")
        if key.strip() in NAMES and value.strip():
            return value.strip()
    board = _text(root / "proc/device-tree/model").strip("\0 \n")
    return board or platform.processor() or platform.machine() or UNKNOWN


def processor(root: Path = Path("/")) -> str:
    """The processor's kind and its instructions, of all cores: what a network that was optimized here needs.

    Part of the identity of what is kept on disk: another wording, and nothing of before is found.
    """
    lines = {line for line in _cpuinfo(root) if line.partition(":")[0].strip() in KINDS and ":" in line}
    return "\n".join([platform.machine(), *sorted(lines)])


def _cpuinfo(root: Path) -> list[str]:
    """Lines ``key : value`` of every core, in order, without runs of blanks."""
    return [" ".join(line.split()) for line in _text(root / "proc/cpuinfo").split("\n")]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
