"""Device profiles: which device this is, where its profiles lie, and what a run takes from one.

A stored profile is used again by itself only where nothing that latency depends on has changed: processor,
cores, memory, engine, its version, threads, and every byte of the bundle.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.device.machine import UNKNOWN, describe_machine
from a3d_edge.errors import BundleError, ResourceError, UsageError
from a3d_edge.files import write_atomically
from a3d_edge.folders import usable_folder, user_folder
from a3d_edge.table import DeviceProfile, ProfileRow
from a3d_edge.video.sampler import pathways

__all__ = [
    "Choice",
    "choose",
    "describe_device",
    "fingerprint",
    "latencies",
    "profile_folder",
    "profile_path",
    "save_profile",
    "usable_folder",
    "user_folder",
]

IDENTITY = ("cpu", "cores", "quota", "memory_gb", "engine", "engine_version", "threads")
"""What latency depends on. Kernel and Python are told to people, but change too often to measure anew."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The profile a run is to use, if any, and what to tell people about it in one line, if anything."""

    profile: DeviceProfile | None
    note: str | None = None


def describe_device(engine: str, threads: int, root: Path = Path("/")) -> dict[str, str]:
    """This machine with an engine on it, as a profile names it. ``root`` holds ``proc`` and ``sys``."""
    return {
        **describe_machine(root),
        "engine": engine,
        "engine_version": _engine_version(engine),
        "threads": str(threads),
    }


def fingerprint(device: Mapping[str, str]) -> str:
    """SHA-256, hexadecimal, of what latency depends on."""
    identity = {key: device.get(key, UNKNOWN) for key in IDENTITY}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def profile_folder() -> Path:
    """``$XDG_DATA_HOME/a3d-edge/profiles``, or below ``~/.local/share``."""
    return user_folder("XDG_DATA_HOME", ".local/share") / "profiles"


def profile_path(bundle_sha256: str, device: Mapping[str, str]) -> Path:
    """Where the profile of a bundle on a device lies."""
    return profile_folder() / f"{bundle_sha256[:16]}-{fingerprint(device)[:16]}.json"


def save_profile(profile: DeviceProfile, path: Path | None = None) -> Path:
    """Write a profile where `choose` finds it, or to ``path``; where that is. Raises `ResourceError`."""
    target = path or profile_path(profile.bundle_sha256, profile.device)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{target}: cannot be written ({error.strerror}); name another place") from error
    text = profile.to_json()
    write_atomically(target, lambda temporary: _write(temporary, text))
    return target


def choose(word: str, bundle: Bundle, device: Mapping[str, str]) -> Choice:
    """The profile that `profile` means: ``auto`` (a stored one, if it fits), ``none``, or a file.

    A stored one that cannot be read is only worth a note. Raises `BundleError` for a named file that is no
    profile, `UsageError` for one of another bundle.
    """
    if word == "none":
        return Choice(None)
    if word == "auto":
        return _stored(bundle, device)
    path = Path(word)
    profile = DeviceProfile.load(path)
    if profile.bundle_sha256 != bundle.manifest.sha256:
        raise UsageError(
            f"`profile` {path} is of another bundle than {bundle.path}; measure this one with "
            f"'a3d-edge bench {bundle.path} --save-profile'"
        )
    differing = [key for key in IDENTITY if profile.device.get(key) != device.get(key)]
    if differing:
        there = ", ".join(f"{key} {profile.device.get(key, UNKNOWN)}" for key in differing)
        return Choice(profile, f"warning: `profile` {path} was measured elsewhere or otherwise ({there})")
    return Choice(profile, _told(profile, path))


def latencies(profile: DeviceProfile, bundle: Bundle, hop: int | None = None) -> dict[Configuration, float]:
    """Median ms of work for one prediction of each configuration, ``hop`` model frames after the one before.

    At a longer hop than was measured more pictures are new to a window: their share of what a whole window
    takes more is added. Raises `UsageError` for a configuration that the bundle lacks.
    """
    hop = hop or bundle.sampling.stride
    found = {}
    for row in profile.rows:
        bundle.table.row(row.configuration)
        found[row.configuration] = _work_ms(row, bundle, profile.hop or bundle.sampling.stride, hop)
    return found


def _work_ms(row: ProfileRow, bundle: Bundle, measured_hop: int, hop: int) -> float:
    whole = row.latency_ms.p50 + (row.other_ms.p50 if row.other_ms else 0.0)
    if row.streaming_ms is None:
        return whole
    streaming, every = row.streaming_ms.p50, _pictures(row.configuration, bundle, None)
    then, now = (_pictures(row.configuration, bundle, one) for one in (measured_hop, hop))
    if now <= then or every == then:
        return streaming
    return streaming + max(0.0, whole - streaming) * (now - then) / (every - then)


def _pictures(configuration: Configuration, bundle: Bundle, hop: int | None) -> int:
    """Pictures of a window that no window before it, each ``hop`` earlier, looked at; all without a hop."""
    count = 0
    for pathway in pathways(bundle.sampling, configuration):
        looked_at, span = set(pathway.instants), pathway.instants[-1] + 1
        for instant in pathway.instants:
            later = () if hop is None else range(instant + hop, span, hop)
            count += looked_at.isdisjoint(later)
    return count


def _stored(bundle: Bundle, device: Mapping[str, str]) -> Choice:
    path = profile_path(bundle.manifest.sha256, device)
    try:
        if not path.is_file():
            return Choice(None)
    except OSError as error:  # a home that we may not enter
        return Choice(None, f"warning: {path}: no device profile can be looked for ({error.strerror})")
    try:
        profile = DeviceProfile.load(path)
    except BundleError as error:
        return Choice(
            None, f"warning: {error}; delete it, or measure anew with 'a3d-edge bench --save-profile'"
        )
    if profile.bundle_sha256 != bundle.manifest.sha256 or fingerprint(profile.device) != fingerprint(device):
        return Choice(
            None, f"warning: {path} is not of this bundle on this device and is not used; delete it"
        )
    return Choice(profile, _told(profile, path))


def _told(profile: DeviceProfile, path: Path) -> str:
    when = f", measured {profile.measured_at[:10]}" if profile.measured_at else ""
    noisy = ", noisy" if any(row.noisy for row in profile.rows) else ""
    return f"device profile: {path} ({len(profile.rows)} configurations{when}{noisy})"


def _engine_version(engine: str) -> str:
    """The version of the library behind an engine, whichever of its distributions is installed."""
    if engine.lower().startswith("ort"):
        import onnxruntime

        return str(onnxruntime.__version__)
    try:
        return importlib.metadata.version(engine.partition(":")[0].lower())
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
