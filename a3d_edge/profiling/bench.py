"""Two passes over all configurations, each measurement in a process of its own, and what they say together.

    pass 1: a b c d    pass 2: a b c d    a's two medians apart by more than 10 %: a is noisy

What disturbs a device for seconds (another process, its heat) then meets the two passes of a configuration at
different moments, and shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from a3d_edge.configuration import Configuration
from a3d_edge.errors import ResourceError
from a3d_edge.profiling.apart import Measurement, Task, measure_apart
from a3d_edge.table import DeviceProfile, Latency, ProfileRow, Row

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle

__all__ = [
    "NOISY",
    "PASSES",
    "Failure",
    "Result",
    "combine",
    "device_profile",
    "left_out_note",
    "measure_all",
    "noise_note",
]

PASSES = 2
NOISY = 0.1
"""A larger share between the medians of two passes, and a figure is not to be relied on."""
KINDS = {
    "network_ms": "latency_ms",
    "other_ms": "other_ms",
    "streaming_ms": "streaming_ms",
    "paced_ms": "paced_ms",
}
"""What a pass measures, and the profile's names for it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of one configuration. ``noise``: by what share the medians of its passes differ, the
    worst of them; ``counts``: windows and predictions that the percentiles are of."""

    row: ProfileRow
    noise: float
    counts: dict[str, int]
    before_mb: float | None
    meter: str | None

    def fields(self) -> dict[str, Any]:
        """As JSON values; ``network_ms`` is the network alone, of a whole window."""
        values = self.row.model_dump(mode="json")
        values["network_ms"] = values.pop("latency_ms")
        rest = {"noise": self.noise, "counts": self.counts, "before_mb": self.before_mb, "meter": self.meter}
        return {**values, "precision": self.row.configuration.precision, **rest}


@dataclass(frozen=True, slots=True)
class Failure:
    """A configuration that this device cannot run, and why."""

    configuration: Configuration
    why: str


def measure_all(
    rows: Sequence[Row],
    task: Callable[[Row], Task],
    report: Callable[[int, int], None] = lambda done, total: None,
    apart: Callable[[Task], Measurement] | None = None,
) -> Iterator[Result | Failure]:
    """Every row's result as soon as its last pass is over. ``report``: passes so far, and all.
    ``apart``: in the place of `measure_apart`.

    A row that the device has not enough for is a `Failure`, and not tried again; every other error is raised.
    """
    measure = apart or measure_apart
    found: dict[Configuration, list[Measurement]] = {row.configuration: [] for row in rows}
    failed: set[Configuration] = set()
    for number in range(PASSES):
        for place, row in enumerate(rows, start=1):
            if row.configuration not in failed:
                try:
                    found[row.configuration].append(measure(task(row)))
                except ResourceError as error:
                    failed.add(row.configuration)
                    yield Failure(row.configuration, str(error))
            report(number * len(rows) + place, PASSES * len(rows))
            if number == PASSES - 1 and row.configuration not in failed:
                yield combine(row, found[row.configuration])


def combine(row: Row, passes: Sequence[Measurement]) -> Result:
    """Percentiles over the windows of all passes; of memory the most, of CPU and energy the mean."""
    samples = {kind: [getattr(one, kind) for one in passes] for kind in KINDS}
    noise = max(_spread(samples[kind]) for kind in ("network_ms", "streaming_ms", "paced_ms"))
    times: dict[str, Any] = {name: latency(list(chain(*samples[kind]))) for kind, name in KINDS.items()}
    measured = ProfileRow(
        configuration=row.configuration,
        gflops=row.gflops,
        cpu_s=_mean([one.cpu_s for one in passes]),
        energy_j=_mean([one.energy_j for one in passes]),
        peak_mb=_most([one.peak_mb for one in passes]),
        steady_mb=_most([one.steady_mb for one in passes]),
        noisy=noise > NOISY,
        **times,
    )
    counts = {kind: sum(len(one) for one in samples[kind]) for kind in KINDS if kind != "other_ms"}
    before, meters = _most([one.before_mb for one in passes]), {one.meter for one in passes}
    return Result(measured, noise, counts, before, meters.pop() if len(meters) == 1 else None)


def latency(samples: Sequence[float]) -> Latency | None:
    """Percentiles of milliseconds; None without any."""
    if not samples:
        return None
    p50, p95, p99 = (float(value) for value in np.percentile(samples, (50, 95, 99)))
    return Latency(p50=p50, p95=p95, p99=p99)


def noise_note(results: Sequence[Result]) -> str | None:
    """One sentence about the configurations whose passes disagree; None when there are none."""
    noisy = [one for one in results if one.row.noisy]
    if not noisy:
        return None
    worst = max(noisy, key=lambda one: one.noise)
    return (
        f"noisy: the two passes of {len(noisy)} of {len(results)} configurations differ by more than "
        f"{NOISY:.0%} (most: {worst.row.configuration}, {worst.noise:.0%}); measure again when the device "
        "does nothing else"
    )


def left_out_note(results: Sequence[Result], kept: Sequence[Result]) -> str | None:
    """One sentence about the results that a profile does not keep; None when it keeps all."""
    names = ", ".join(str(one.row.configuration) for one in results if one not in kept)
    if not names:
        return None
    return (
        f"left out of the profile as noisy: {names}; measure again when the device does nothing else, or "
        "keep them with `keep_noisy`"
    )


def device_profile(
    results: Sequence[Result], bundle: Bundle, device: dict[str, str], engine: str, threads: int
) -> DeviceProfile:
    """The profile of these results."""
    return DeviceProfile(
        device=device,
        bundle_sha256=bundle.manifest.sha256,
        engine=engine,
        threads=threads,
        hop=bundle.sampling.stride,
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        rows=tuple(one.row for one in results),
    )


def _spread(passes: Sequence[Sequence[float]]) -> float:
    """Share by which the largest median of the passes exceeds the smallest."""
    medians = [float(np.median(one)) for one in passes if len(one)]
    return max(medians) / min(medians) - 1 if medians else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    """None when any is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _most(values: Sequence[float | None]) -> float | None:
    """None when none is known."""
    return max((value for value in values if value is not None), default=None)
