"""Measures a configuration in a process of its own, so that its peak of memory is its own and no other's.

parent ── Task, JSON ──► python, which calls `main` ── Measurement or error, JSON ──► parent
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

from a3d_edge import errors
from a3d_edge.child import command
from a3d_edge.errors import A3DEdgeError, ResourceError

__all__ = ["Measurement", "Task", "measure", "measure_apart"]


@dataclass(frozen=True, slots=True)
class Task:
    """What to measure: ``windows`` and ``seconds`` as in `a3d_edge.profiling.windows.Limit`; the paced run
    lasts ``seconds``, None leaves it out."""

    bundle: str
    configuration: str
    engine: str
    threads: int
    windows: int
    seconds: float
    paced: bool = True


@dataclass(frozen=True, slots=True)
class Measurement:
    """One pass over one configuration: milliseconds of every window and prediction, in order; memory in MB,
    anonymous, of the process before loading, at the most, and when loaded. None: not measured, or unknown."""

    network_ms: tuple[float, ...]
    other_ms: tuple[float, ...]
    streaming_ms: tuple[float, ...]
    paced_ms: tuple[float, ...] = ()
    cpu_s: float | None = None
    energy_j: float | None = None
    meter: str | None = None
    before_mb: float | None = None
    peak_mb: float | None = None
    steady_mb: float | None = None


def measure(task: Task) -> Measurement:
    """Measure here. Raises what loading and running raise (`UsageError`, `BundleError`, `ResourceError`)."""
    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Configuration
    from a3d_edge.device.energy import find_meter
    from a3d_edge.device.memory import anonymous_mb
    from a3d_edge.engine.engines import find_engine, trim_heap
    from a3d_edge.engine.session import open_network
    from a3d_edge.profiling import windows as measuring
    from a3d_edge.profiling.paced import paced

    bundle, configuration = Bundle.load(task.bundle), Configuration.parse(task.configuration)
    engine, limit = find_engine(task.engine), measuring.Limit(task.windows, task.seconds)
    images, peak = measuring.camera_pictures(), measuring.PeakMemory()
    trim_heap()  # what drawing them left behind is not the network's
    before = anonymous_mb()
    with peak.watching():
        network = open_network(bundle.files_of(configuration), threads=task.threads, engine=engine)
        measuring.window_latencies_ms(network, windows=1)
    network_ms, other_ms = measuring.whole_windows_ms(network, bundle, images, limit)
    streaming_ms = measuring.streaming_ms(network, bundle, images, limit)
    steady = anonymous_mb()
    most = max((one for one in (peak.mb, steady) if one is not None), default=None)
    found = Measurement(
        tuple(network_ms), tuple(other_ms), tuple(streaming_ms),
        before_mb=before, peak_mb=most, steady_mb=steady,
    )  # fmt: skip
    del network  # the paced run loads its own, as every run does
    if not task.paced:
        return found
    meter = find_meter()
    pace = paced(
        bundle, configuration, images, task.seconds, threads=task.threads, engine=engine, meter=meter
    )
    name = meter.name if meter else None
    return replace(found, paced_ms=pace.age_ms, cpu_s=pace.cpu_s, energy_j=pace.energy_j, meter=name)


def measure_apart(task: Task) -> Measurement:
    """Measure in a fresh process. Raises what `measure` raises, and `ResourceError` when the process ends
    without an answer: killed, as a rule because memory is short."""
    words = command("a3d_edge.profiling.apart", "main")
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, err = process.communicate(json.dumps(asdict(task)))
        except BaseException:  # Ctrl-C: it must not go on alone
            process.kill()
            raise
    return _answer(task.configuration, process.returncode, out, err)


def _answer(configuration: str, code: int, out: str, err: str) -> Measurement:
    try:
        content: dict[str, Any] = json.loads(out.splitlines()[-1])  # a library may have printed before it
    except (IndexError, ValueError):
        why = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        said = err.strip().splitlines()[-1:] if code > 0 else ["memory may be short"]
        raise ResourceError(
            f"{configuration}: its process {why} ({' '.join(said) or 'without a word'}); "
            "leave it out with `configuration`"
        ) from None
    if "error" in content:
        kind: type[A3DEdgeError] = getattr(errors, content["error"], A3DEdgeError)
        raise kind(content["message"])
    values: dict[str, Any] = {
        key: tuple(one) if isinstance(one, list) else one for key, one in content.items()
    }
    return Measurement(**values)


def main() -> None:
    """The process: a task on stdin, one line of JSON on stdout."""
    task = Task(**json.loads(sys.stdin.read()))
    try:
        content = asdict(measure(task))
    except A3DEdgeError as error:
        content = {"error": type(error).__name__, "message": str(error)}
    except MemoryError:
        content = {"error": "ResourceError", "message": f"{task.configuration}: out of memory"}
    sys.stdout.write(json.dumps(content) + "\n")
