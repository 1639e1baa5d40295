"""Write the traces that come with the package: six devices over ten minutes, from closed forms and a seed.

    python benchmarks/make_traces.py --out a3d_edge/control/traces

drain, charge: a battery from 70 to 8 %, and one from 12 % on that is plugged in after three minutes.
thermal_sawtooth: 55 to 88 °C and back in 100 s; above 80 °C the clock falls by up to a third.
bursty_neighbour: others take 40 to 75 % of the cores for 5 to 40 s, with quiet between.
quota_change: a container whose quota goes from 2 cores to 1, to 0.5, and back.
sensor_loss: a battery, a thermometer and the load of others, each of which falls silent or tells nonsense
for a while, one of them while the neighbour works on.
"""

from __future__ import annotations

import argparse
import math
import random
from pathlib import Path

from a3d_edge.control.trace import Trace, TracePoint
from a3d_edge.device.signals import Signals

SECONDS = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="Folder to write into.")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for make in (drain, charge, thermal_sawtooth, bursty_neighbour, quota_change, sensor_loss):
        made = make()
        (folder / f"{made.name}.jsonl").write_text("\n".join(made.lines()) + "\n", encoding="utf-8")


def trace(name: str, about: str, points: list[TracePoint]) -> Trace:
    """The trace, without the points that say what the one before says."""
    kept = [
        point
        for before, point in zip([None, *points], points, strict=False)
        if before is None or (before.signals, before.slowdown) != (point.signals, point.slowdown)
    ]
    return Trace(name, SECONDS, tuple(kept), about=about)


def drain() -> Trace:
    def point(t: int) -> TracePoint:
        percent = round(70 - 62 * t / SECONDS)
        return TracePoint(t, Signals(battery_percent=percent, plugged=False, memory_available=0.6, cores=2))

    return trace("drain", "a battery from 70 to 8 %", [point(t) for t in range(0, SECONDS, 2)])


def charge() -> Trace:
    def point(t: int) -> TracePoint:
        plugged = t >= 180
        percent = round(12 - 5 * t / 180) if not plugged else round(7 + 43 * (t - 180) / 420)
        return TracePoint(t, Signals(battery_percent=percent, plugged=plugged, memory_available=0.6, cores=2))

    return trace(
        "charge", "a battery near its end, plugged in after 180 s", [point(t) for t in range(0, SECONDS, 2)]
    )


def thermal_sawtooth() -> Trace:
    def point(t: int) -> TracePoint:
        phase = t % 100
        celsius = round(55 + 33 * phase / 70 if phase < 70 else 88 - 33 * (phase - 70) / 30, 1)
        slower = 1 + 0.5 * max(0.0, min(1.0, (celsius - 80) / 8))
        signals = Signals(temperature_c=celsius, temperature_limit_c=85, memory_available=0.6, cores=2)
        return TracePoint(t, signals, round(slower, 3))

    return trace("thermal_sawtooth", "55 to 88 °C and back every 100 s", [point(t) for t in range(SECONDS)])


def bursty_neighbour() -> Trace:
    drawn, t, busy, points = random.Random(13), 0, False, []
    while t < SECONDS:
        lasts = drawn.randint(5, 40) if busy else drawn.randint(20, 70)
        level = drawn.uniform(0.4, 0.75) if busy else 0.03
        for second in range(t, min(SECONDS, t + lasts)):
            others = round(min(0.95, max(0.0, level + drawn.uniform(-0.03, 0.03))), 3)
            points.append(TracePoint(second, Signals(cpu_others=others, memory_available=0.5, cores=2)))
        t, busy = t + lasts, not busy
    return trace("bursty_neighbour", "others take 40 to 75 % of the cores now and then", points)


def quota_change() -> Trace:
    def point(t: int) -> TracePoint:
        cores = 2.0 if t < 120 else 1.0 if t < 240 else 0.5 if t < 400 else 2.0
        return TracePoint(t, Signals(cpu_others=0.02, memory_available=0.5, cores=cores))

    return trace(
        "quota_change", "a container of 2, 1, 0.5 and 2 cores", [point(t) for t in range(0, SECONDS, 20)]
    )


def sensor_loss() -> Trace:
    def point(t: int) -> TracePoint:
        others = 0.5 if 250 <= t < 400 else 0.05
        battery = None if 60 <= t < 160 else float(round(45 - 10 * t / SECONDS))
        celsius = None if 200 <= t < 300 else 60 + 10 * math.sin(t / 60)
        signals = Signals(
            battery_percent=battery,
            plugged=None if battery is None else False,
            temperature_c=None if celsius is None else round(celsius, 1),
            cpu_others=None if 300 <= t < 420 else others,
            memory_available=None if t % 50 > 25 else 0.5,
            cores=2,
        )
        return TracePoint(t, signals, round(1 / (1 - others), 3))

    return trace(
        "sensor_loss", "sensors fall silent, a neighbour works on", [point(t) for t in range(SECONDS)]
    )


if __name__ == "__main__":
    main()
