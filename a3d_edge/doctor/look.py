"""Looks at this device, and hands what it finds to the checks. Nothing of it raises, and nothing hangs."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from a3d_edge.device.cgroups import cpu_quota, group_directories
from a3d_edge.device.cores import affinity
from a3d_edge.device.energy import find_meter
from a3d_edge.device.machine import processor, processor_name
from a3d_edge.device.memory import free_bytes, total_bytes
from a3d_edge.device.signals import SHORTEST_CPU_INTERVAL_S, DeviceSensors
from a3d_edge.disk import free_bytes as free_on_disk
from a3d_edge.doctor import checks, trials
from a3d_edge.doctor.check import Check, unwell
from a3d_edge.libraries import installed_opencv, why_not_loaded

__all__ = ["examine"]

NEEDED = {
    "a3d-edge": "a3d_edge",
    **{name: name for name in ("numpy", "onnxruntime", "av", "psutil", "pydantic")},
}
"""Distributions, and the modules that they are imported as."""
CAMERAS = 4
NTP = ("run/systemd/timesync/synchronized", "run/ntp.synchronized")


def examine(
    bundle: str, engine: str, *, root: Path = Path("/"), trying: trials.Try = trials.tried
) -> Iterator[Check]:
    """Every check, as it is made. ``root`` holds ``proc``, ``sys``, ``dev`` and ``run``."""
    for name, look in (
        ("versions", _versions),
        ("opencv", lambda: checks.opencv(installed_opencv())),
        ("processor", lambda: checks.instructions(processor_name(root), set(processor(root).split()))),
        ("cores", lambda: _cores(root)),
        ("memory", lambda: checks.memory(free_bytes(root), total_bytes(root))),
        ("shared memory", lambda: checks.shared_memory(_shared(root))),
        ("sensors", lambda: _sensors(root)),
        ("network", lambda: trials.network(bundle, engine, trying)),
        ("display", lambda: _display(trying)),
        ("caches", _caches),
        ("disk", _disk),
        ("clock", lambda: _clock(root)),
    ):
        yield _made(name, look)
    for number in _cameras(root):
        yield _made(f"camera {number}", partial(trials.camera, number, trying))


def _made(name: str, look: Callable[[], Check]) -> Check:
    """Broad on purpose: a check that breaks is a finding, and the others are made all the same."""
    try:
        return look()
    except Exception as error:
        said = why_not_loaded(error) or f"could not be looked at ({type(error).__name__}: {error})"
        return unwell(name, " ".join(said.split()), "please report it")


def _versions() -> Check:
    found: dict[str, str | None] = {"a3d-edge": None, "python": ".".join(map(str, sys.version_info[:3]))}
    broken: dict[str, str] = {}
    for distribution, module in NEEDED.items():
        found[distribution] = None
        with suppress(importlib.metadata.PackageNotFoundError):
            found[distribution] = importlib.metadata.version(distribution)
        try:
            importlib.import_module(module)
        except Exception as error:
            broken[distribution] = why_not_loaded(error) or f"{distribution} cannot be loaded ({error})"
    with suppress(ImportError):
        from a3d_edge.video.opencv import cv2

        found["opencv"] = cv2.__version__
    found.setdefault("opencv", None)
    return checks.versions(found, broken)


def _cores(root: Path) -> Check:
    machine = os.cpu_count() or 1
    quota, _ = cpu_quota(group_directories(root, "cpu"))
    return checks.cores(machine, len(affinity(machine)), quota)


def _shared(root: Path) -> int | None:
    place = root / "dev/shm"
    return free_on_disk(place) if place.is_dir() else None


def _sensors(root: Path) -> Check:
    read = DeviceSensors(root=root)
    read()
    time.sleep(SHORTEST_CPU_INTERVAL_S * 1.2)  # load is known from two readings
    meter = find_meter(root)
    pressure = (root / "proc/pressure/cpu").exists()
    return checks.sensors(read(), meter.name if meter else None, pressure)


def _display(trying: trials.Try) -> Check:
    from a3d_edge.video.opencv import cv2

    has_windows = re.search(r"^\s*GUI:\s*NONE\s*$", cv2.getBuildInformation(), re.MULTILINE) is None
    named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return trials.display(has_windows, named or None, trying)


def _caches() -> Check:
    from a3d_edge.engine.cache.prepared import PreparedNetworks
    from a3d_edge.training.frame_store import FrameStore, usual_folder

    frames, prepared = FrameStore(usual_folder()), PreparedNetworks()
    found = {}
    for name, (folder, usage) in {
        "frames": (frames.root, frames.usage()),
        "prepared": (prepared.folder, prepared.usage()),
    }.items():
        found[name] = (usage[1], usage[2], _days_unused(folder))
    return checks.caches(found)


def _days_unused(folder: Path) -> float | None:
    used = [0.0]
    with suppress(OSError):
        used += [path.stat().st_mtime for path in folder.iterdir()]
    return (time.time() - max(used)) / 86400 if max(used) else None


def _disk() -> Check:
    from a3d_edge.engine.cache.prepared import PreparedNetworks

    place = PreparedNetworks().folder
    return checks.disk(str(place), free_on_disk(place))


def _clock(root: Path) -> Check:
    newest = max(path.stat().st_mtime for path in Path(__file__).parent.glob("*.py"))
    synchronized = any((root / name).exists() for name in NTP)
    known = synchronized or (root / "run/systemd/timesync").is_dir()
    return checks.clock(time.time(), newest, synchronized if known else None)


def _cameras(root: Path) -> list[int]:
    """Numbers of the first few; a camera's second device, for data about its pictures, gives none."""
    found = []
    for place in (root / "dev").glob("video*"):
        index = root / "sys/class/video4linux" / place.name / "index"
        with suppress(OSError, ValueError):
            if int(index.read_text() if index.exists() else 0) == 0:
                found.append(int(place.name.removeprefix("video")))
    return sorted(found)[:CAMERAS]
