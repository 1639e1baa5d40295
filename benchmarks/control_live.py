"""What the controller does on this machine: at rest, with half a core, beside a neighbour; its cost.

    python benchmarks/control_live.py cost                  # decide p99, CPU share of sensing
    python benchmarks/control_live.py idle --seconds 300    # switches after the first minute
    python benchmarks/control_live.py neighbour             # one core: 30 s alone, 30 s shared, 60 s after
    python benchmarks/control_live.py quota                 # half a core (cgroup v1, needs root), 60 s

Each prints one JSON line. The machine should be at rest: the share of its cores that is taken is told too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

GROUP = Path("/sys/fs/cgroup/cpu/a3d-edge-bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("cost", "idle", "neighbour", "quota"))
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--bundle", default="interactions")
    options = parser.parse_args()
    found = {"cost": cost, "idle": idle, "neighbour": neighbour, "quota": quota}[options.what](options)
    print(json.dumps({"what": options.what, **found}))


def cost(options: argparse.Namespace) -> dict[str, Any]:
    """Of the paper's 97 rows, all measured: decisions a hop apart with real sensors, and sensing alone."""
    from a3d_edge.control.controller import BudgetController
    from a3d_edge.device.signals import DeviceSensors
    from a3d_edge.table import find_table

    table, sensors = find_table("a3d_slow_8x8_0.016_grid"), DeviceSensors()
    known = {row.configuration: row.cost for row in table.rows}
    controller = BudgetController(table, hop_s=8 / 30, sensors=sensors, latencies=known)
    wall, cpu, inline = [], [], []
    for _ in range(int((options.seconds or 120) * 4)):
        time.sleep(0.25)
        controller.observe(controller.current, known[controller.current])  # as a run does: it senses here
        signals = controller.last_signals
        begun, begun_cpu = time.perf_counter(), time.thread_time()
        controller.decide()
        wall.append(1e3 * (time.perf_counter() - begun))
        cpu.append(1e3 * (time.thread_time() - begun_cpu))
        inline.append(controller.last_signals is not signals)
    begun_cpu = time.thread_time()
    for _ in range(20):
        time.sleep(0.3)
        sensors()
    sensing = (time.thread_time() - begun_cpu) / 20
    pure = [ms for ms, sensed in zip(cpu, inline, strict=True) if not sensed]
    return {
        "decisions": len(wall),
        "decide_ms": quantiles(wall),
        "decide_cpu_ms": quantiles(cpu),
        "decide_cpu_ms_without_sensing": quantiles(pure),
        "sensing_cpu_ms": 1e3 * sensing,
        "sensing_share_of_a_core": sensing,
    }


def quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"p{q}": round(ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 3) for q in (50, 99)}


def run(options: argparse.Namespace, seconds: float, group: Path | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "a3d_edge", "run", "--source", "demo", "--bundle", options.bundle,
               "--seconds", str(seconds), "--json"]  # fmt: skip
    join = (lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) if group else None
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=join
    )


def listened(process: subprocess.Popen[str]) -> list[tuple[float, dict[str, Any]]]:
    """(seconds since its first line, line) of each event."""
    assert process.stdout is not None
    begun, found = None, []
    for line in process.stdout:
        now = time.monotonic()
        begun = now if begun is None else begun
        found.append((now - begun, json.loads(line)))
    process.wait()  # only then is its group empty
    return found


def told(lines: list[tuple[float, dict[str, Any]]], since: float = 0.0, until: float = 1e9) -> dict[str, Any]:
    part = [line for at, line in lines if since <= at < until]
    predictions = [line for line in part if line["event"] == "prediction"]
    late = [line for line in predictions if line["latency_ms"] > 1000 * 8 / 30]
    return {
        "predictions": len(predictions),
        "late": len(late),
        "switches": sum(line["event"] == "switch" for line in part),
        "last_switch_s": max(
            (at - since for at, line in lines if line["event"] == "switch" and since <= at < until),
            default=None,
        ),
        "last": predictions[-1]["configuration"] if predictions else None,
        "limiting": sorted({line["limiting_signal"] for line in predictions}),
    }


def others() -> float:
    """Share of the cores that is taken now, by whomever."""
    import psutil

    return round(psutil.cpu_percent(interval=2.0) / 100, 2)


def idle(options: argparse.Namespace) -> dict[str, Any]:
    seconds = options.seconds or 300.0
    before = others()
    lines = listened(run(options, seconds))
    return {"taken_before": before, "first_minute": told(lines, 0, 60), "after_it": told(lines, 60)}


def burn() -> None:
    while True:
        pass


def neighbour(options: argparse.Namespace) -> dict[str, Any]:
    before = others()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # with a core to spare nothing need change
    process = run(options, 120.0)
    busy = multiprocessing.Process(target=burn, daemon=True)
    lines: list[tuple[float, dict[str, Any]]] = []
    begun, marks = None, {"load": None, "release": None}
    assert process.stdout is not None
    for line in process.stdout:
        now = time.monotonic()
        begun = now if begun is None else begun
        lines.append((now - begun, json.loads(line)))
        if marks["load"] is None and now - begun >= 30:
            busy.start()
            marks["load"] = now - begun
        elif marks["load"] is not None and marks["release"] is None and now - begun >= 60:
            busy.terminate()
            marks["release"] = now - begun
    load, release = marks["load"] or 30.0, marks["release"] or 60.0
    return {"taken_before": before, "alone": told(lines, 10, load), "beside": told(lines, load, release),
            "released": told(lines, release)}  # fmt: skip


def quota(options: argparse.Namespace) -> dict[str, Any]:
    before = others()
    GROUP.mkdir(exist_ok=True)
    try:
        (GROUP / "cpu.cfs_quota_us").write_text("50000")
        (GROUP / "cpu.cfs_period_us").write_text("100000")
        code = "from a3d_edge.device.cores import effective_cores; print(effective_cores())"
        join = lambda: (GROUP / "cgroup.procs").write_text(str(os.getpid()))  # noqa: E731
        cores = subprocess.run(
            [sys.executable, "-c", code], preexec_fn=join, capture_output=True, text=True
        ).stdout
        lines = listened(run(options, options.seconds or 60.0, GROUP))
    finally:
        GROUP.rmdir()
    return {
        "taken_before": before,
        "effective_cores": float(cores),
        "first_15_s": told(lines, 0, 15),
        "after_it": told(lines, 15),
    }


if __name__ == "__main__":
    main()
