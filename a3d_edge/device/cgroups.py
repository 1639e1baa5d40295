"""What the container we run in allows: CPU quota and memory limit, from the cgroup files (v1 and v2).

Nothing is cached and nothing raises: a file that is missing or says "max" is no limit, which is None.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["cpu_quota", "group_directories", "memory_free", "memory_limit"]


def group_directories(root: Path, controller: str) -> list[Path]:
    """Our cgroup for a controller and its ancestors, as far as they are visible here (v1, else v2)."""
    lines = (_text(root / "proc/self/cgroup") or "").splitlines()
    paths = {names: path for _, names, path in (line.split(":", 2) for line in lines if line.count(":") >= 2)}
    mount = root / "sys/fs/cgroup"
    own = next((path for names, path in paths.items() if controller in names.split(",")), None)
    if own is not None:
        mount = mount / controller
    else:
        own = paths.get("")
    if own is None:
        return []
    directory = mount / own.lstrip("/")
    inside = [directory, *directory.parents]
    return [path for path in inside[: inside.index(mount) + 1] if path.is_dir()]


def cpu_quota(directories: list[Path]) -> tuple[float | None, float | None]:
    """The tightest CPU quota in cores, and the CPU seconds its cgroup has used; None where there is none."""
    quotas = [(quota, path) for path in directories if (quota := _quota(path)) is not None]
    if not quotas:
        return None, None
    quota, path = min(quotas)
    used = _key(path / "cpu.stat", "usage_usec")
    if used is not None:
        return quota, used / 1e6
    used = _number(_text(path / "cpuacct.usage"))
    return quota, None if used is None else used / 1e9


def memory_limit(directory: Path) -> float | None:
    """Bytes that a memory cgroup (v2 or v1) may use; None without a limit."""
    limit = _number(_text(directory / "memory.max"))
    return _number(_text(directory / "memory.limit_in_bytes")) if limit is None else limit


def memory_free(directory: Path, machine: float) -> tuple[float, float] | None:
    """Bytes that a memory cgroup leaves us, and its limit; None where it has none below the ``machine``'s.

    File cache that the kernel drops first is free. What is in use is read only where there is a limit: for
    memory.stat the kernel adds up counters of all processors.
    """
    limit, current, cache = _number(_text(directory / "memory.max")), "memory.current", "inactive_file"
    if limit is None:
        limit, current = _number(_text(directory / "memory.limit_in_bytes")), "memory.usage_in_bytes"
        cache = "total_inactive_file"
    if limit is None or not 0 < limit < machine:
        return None
    used = _number(_text(directory / current))
    if used is None:
        return None
    reclaimable = _key(directory / "memory.stat", cache) or 0.0
    return limit - max(0.0, used - reclaimable), limit


def _quota(directory: Path) -> float | None:
    words = (_text(directory / "cpu.max") or "").split()  # v2: "50000 100000" or "max 100000"
    if len(words) != 2:
        words = [_text(directory / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
    quota, period = _number(words[0]), _number(words[1])
    return quota / period if quota and period and quota > 0 and period > 0 else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None  # such as "max": no limit


def _key(path: Path, name: str) -> float | None:
    """The number after a name in a file of ``name number`` lines."""
    words = (line.split() for line in (_text(path) or "").splitlines())
    return next((_number(pair[1]) for pair in words if len(pair) == 2 and pair[0] == name), None)
