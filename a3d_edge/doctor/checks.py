"""What each finding means: pure functions of what was found. See `a3d_edge.doctor.look` for who looks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from a3d_edge.device.signals import Signals
from a3d_edge.disk import megabytes
from a3d_edge.doctor.check import Check, ok, unwell

__all__ = [
    "caches", "clock", "cores", "disk", "instructions", "memory", "opencv", "sensors", "shared_memory",
    "versions",
]  # fmt: skip

USEFUL = {
    "avx512_vnni": "VNNI", "avx_vnni": "VNNI", "amx_int8": "AMX", "avx512_bf16": "bf16", "amx_bf16": "bf16",
    "avx2": "AVX2", "avx512f": "AVX-512", "asimddp": "NEON dotprod", "i8mm": "i8mm", "bf16": "bf16",
    "asimd": "NEON",
}  # fmt: skip
"""Names of the kernel's, and what people call them."""
QUICK_INT8 = {"VNNI", "AMX", "NEON dotprod", "i8mm"}
LEAST_MEMORY, LEAST_DISK, LEAST_SHARED = 400e6, 100e6, 30e6
STALE_DAYS = 90


def versions(found: Mapping[str, str | None], broken: Mapping[str, str]) -> Check:
    """``found``: of distributions, None: not installed. ``broken``: those that cannot be loaded, and why."""
    said = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    missing = [name for name, version in found.items() if version is None]
    if broken or missing:
        why = [*broken.values(), *(f"{name} is not installed" for name in missing)]
        names = " ".join([*broken, *missing])
        return unwell("versions", "; ".join(why), f"pip install --force-reinstall {names}", fails=True)
    return ok("versions", said)


def opencv(installed: Sequence[str]) -> Check:
    """The distributions of OpenCV, all of which install one folder."""
    if len(installed) < 2:
        return ok("opencv", installed[0] if installed else "not by pip")
    keep = installed[0]
    return unwell(
        "opencv",
        f"{' and '.join(installed)} are installed at once, into the same folder",
        f"pip uninstall -y {' '.join(installed)} && pip install {keep}",
    )


def instructions(processor: str, flags: Collection[str]) -> Check:
    """``flags``: the kernel's words for what the processor can."""
    named = list(dict.fromkeys(name for flag, name in USEFUL.items() if flag in flags))
    said = f"{processor}: {', '.join(named) or 'no vector instructions that are known'}"
    if flags and not QUICK_INT8 & set(named):
        return unwell(
            "processor",
            f"{said}; int8 networks gain little here",
            "measure both precisions: a3d-edge bench BUNDLE; export with --precision fp32 if it is no slower",
        )
    return ok("processor", said)


def cores(machine: int, allowed: int, quota: float | None) -> Check:
    """Cores of the machine, of our affinity, and what a container's quota pays for."""
    said = f"{allowed} of {machine} cores" + (f", quota of {quota:g}" if quota is not None else "")
    if quota is not None and quota < 1:
        return unwell(
            "cores",
            f"{said}: every window waits for the quota",
            "give the container a core (docker: --cpus 1; systemd: CPUQuota=100%), or a smaller --budget",
        )
    return ok("cores", said)


def memory(free: float, limit: float | None) -> Check:
    """Bytes."""
    said = f"{megabytes(free)} free" + (f" of {megabytes(limit)}" if limit is not None else "")
    if free < LEAST_MEMORY:
        return unwell(
            "memory",
            f"{said}; a run takes 150 to {LEAST_MEMORY / 1e6:.0f} MB",
            "end other programs, raise the container's limit, or bound networks: --memory 50MB",
        )
    return ok("memory", said)


def shared_memory(free: int | None) -> Check:
    """Bytes of /dev/shm, through which pictures come from capture processes; None: there is none."""
    if free is not None and free < LEAST_SHARED:
        return unwell(
            "shared memory",
            f"{megabytes(free)} in /dev/shm",
            "give the container more: docker run --shm-size 256m",
        )
    return ok("shared memory", "no /dev/shm" if free is None else f"{megabytes(free)} free")


def sensors(signals: Signals, meter: str | None, pressure: bool) -> Check:
    """What of the device can be read; what is absent is unknown, and limits nothing."""
    there = {
        "battery": signals.battery_percent,
        "temperature": signals.temperature_c,
        "memory": signals.memory_available,
        "load of others": signals.cpu_others,
        "energy meter": meter,
        "pressure": pressure or None,
    }
    has = ", ".join(name for name, value in there.items() if value is not None) or "none"
    lacks = ", ".join(name for name, value in there.items() if value is None)
    if signals.memory_available is None and signals.cpu_others is None:
        return unwell(
            "sensors", f"neither load nor memory can be read (there: {has})",
            "mount /proc and /sys into the container", fails=False,
        )  # fmt: skip
    return ok("sensors", has + (f"; absent: {lacks}" if lacks else ""))


def disk(place: str, free: int | None) -> Check:
    """Bytes that are free where we keep things."""
    if free is not None and free < LEAST_DISK:
        return unwell("disk", f"{megabytes(free)} free at {place}", "make room: a3d-edge cache clear")
    return ok("disk", f"{'unknown' if free is None else megabytes(free)} free at {place}")


def caches(found: Mapping[str, tuple[int, int, float | None]]) -> Check:
    """Of each cache: bytes, the bytes that it may have, and days since anything of it was used."""
    said = ", ".join(f"{name} {megabytes(size)}" for name, (size, _, _) in found.items())
    for name, (size, limit, days) in found.items():
        if size > limit:
            return unwell("caches", f"{said}; {name} may have {megabytes(limit)}", "a3d-edge cache clear")
        if size and days is not None and days > STALE_DAYS:
            return unwell("caches", f"{said}; {name} unused for {days:.0f} days", "a3d-edge cache clear")
    return ok("caches", said)


def clock(now: float, newest_file: float, synchronized: bool | None) -> Check:
    """Seconds since 1970; ``newest_file``: of our installation, before which it cannot be."""
    fix = "set it: timedatectl set-ntp true, or a battery for the board's clock"
    if now < newest_file - 86400:
        return unwell(
            "clock", "before this program was installed: events and logs get wrong times", fix, fails=True
        )
    if synchronized is False:
        return unwell("clock", "not synchronized: it drifts", fix)
    return ok("clock", "synchronized" if synchronized else "plausible")
