"""What ``bench`` prints: a table for people, or JSON Lines for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from a3d_edge.cli.common import emit
from a3d_edge.cli.flags import as_flags
from a3d_edge.cli.notices import tell
from a3d_edge.profiling.bench import Failure, Result, noise_note
from a3d_edge.table import Latency

__all__ = ["Conditions", "JsonOutput", "Output", "TextOutput"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """How and where it is measured: figures mean nothing without.

    ``windows``, ``seconds``: the most that one pass measures back to back; ``warm_up_windows`` before them,
    and ``warm_up_paced`` predictions, are not counted. ``hop_ms``: between two predictions of a camera.
    """

    bundle: str
    bundle_sha256: str
    fingerprint: str
    device: dict[str, str]
    passes: int
    warm_up_windows: int
    warm_up_paced: int
    windows: int
    seconds: float
    frame_size: tuple[int, int]
    frame_rate: float
    hop_ms: float


class Output(Protocol):
    """Told in order: the conditions, each configuration as soon as it is known, the end."""

    def begin(self, conditions: Conditions) -> None: ...
    def found(self, one: Result | Failure) -> None: ...
    def end(
        self,
        conditions: Conditions,
        results: Sequence[Result],
        failed: Sequence[Failure],
        files: Sequence[Path],
    ) -> None: ...


class JsonOutput:
    """Events ``configuration``, ``failure`` and ``summary``."""

    def begin(self, conditions: Conditions) -> None:
        """Nothing: all of it is in the summary."""

    def found(self, one: Result | Failure) -> None:
        """One event."""
        if isinstance(one, Failure):
            emit("failure", {**asdict(one), "why": as_flags(one.why)})
        else:
            emit("configuration", one.fields())

    def end(
        self,
        conditions: Conditions,
        results: Sequence[Result],
        failed: Sequence[Failure],
        files: Sequence[Path],
    ) -> None:
        """The summary."""
        emit(
            "summary",
            {
                **asdict(conditions),
                "configurations": len(results),
                "failed": [str(one.configuration) for one in failed],
                "noisy": [str(one.row.configuration) for one in results if one.row.noisy],
                "note": noise_note(results),
                "meter": _meter(results),
                "files": [str(path) for path in files],
            },
        )


class TextOutput:
    """The same as a table on stdout; milliseconds, MB, joules; "-" is not measured, or unknown."""

    def begin(self, conditions: Conditions) -> None:
        """Where and how, then the table's head."""
        for line in (conditions.bundle, _device(conditions.device), _how(conditions), *_head().split("\n")):
            tell(f"{line}")

    def found(self, one: Result | Failure) -> None:
        """One line."""
        tell(f"{one.configuration:21} not measured" if isinstance(one, Failure) else _line(one))

    def end(
        self,
        conditions: Conditions,
        results: Sequence[Result],
        failed: Sequence[Failure],
        files: Sequence[Path],
    ) -> None:
        """What holds for the whole table."""
        meter = _meter(results)
        tell(
            f"energy: {METERS[meter]}" if meter in METERS else "energy: this device has no meter we can read"
        )
        if note := noise_note(results):
            tell(note)
        for path in files:
            tell(f"written: {path}")


METERS = {
    "rapl": "of the processor packages (rapl), other processes included",
    "battery": "of the whole device (battery)",
}

COLUMNS = (
    ("", "configuration", 21),
    ("whole window", "p50/p95/p99 ms", 19),
    ("+ other", "p50 ms", 7),
    ("streaming", "p50/p95/p99 ms", 19),
    ("at the camera", "p50/p95/p99 ms", 19),
    ("CPU", "ms", 7),
    ("energy", "J", 7),
    ("peak", "MB", 5),
    ("steady", "MB", 6),
)


def _aligned(cells: Sequence[str]) -> str:
    """The first cell to the left, the others to the right."""
    widths = [width for _, _, width in COLUMNS]
    rest = (f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
    return " ".join((f"{cells[0]:{widths[0]}}", *rest))


def _head() -> str:
    upper, lower, _ = zip(*COLUMNS, strict=True)
    return f"{_aligned(upper)}\n{_aligned(lower)}"


def _meter(results: Sequence[Result]) -> str | None:
    return next((one.meter for one in results if one.meter), None)


def _device(device: dict[str, str]) -> str:
    threads = f"{device['threads']} thread{'s' if device['threads'] != '1' else ''}"
    machine = f"{device['name']}, CPU quota {device['quota']}, {device['memory_gb']} GB memory"
    software = f"{device['system']}, Python {device['python']}"
    return f"{machine}; {software}; {device['engine']} {device['engine_version']}, {threads}"


def _how(told: Conditions) -> str:
    width, height = told.frame_size
    return (
        f"{told.passes} passes, every configuration in a process of its own; {told.warm_up_windows} windows "
        f"of warm-up, then {told.windows} or {told.seconds:g} s of them back to back; frames of "
        f"{width}×{height}; at the camera: {told.frame_rate:g} frames a second, a prediction every "
        f"{told.hop_ms:.0f} ms, the first not counted"
    )


def _line(found: Result) -> str:
    row = found.row
    cells = (
        str(row.configuration),
        _three(row.latency_ms),
        _one(row.other_ms.p50 if row.other_ms else None, 2),
        _three(row.streaming_ms),
        _three(row.paced_ms),
        _one(None if row.cpu_s is None else 1e3 * row.cpu_s, 1),
        _one(row.energy_j, 3),
        _one(row.peak_mb, 0),
        _one(row.steady_mb, 0),
    )
    return _aligned(cells) + ("  noisy" if row.noisy else "")


def _three(latency: Latency | None) -> str:
    if latency is None:
        return "-"
    return "/".join(_short(ms) for ms in (latency.p50, latency.p95, latency.p99))


def _short(ms: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.3g}"


def _one(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
