"""``a3d-edge record-signals``: what this device feels, as a trace that can be simulated."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import typer

from a3d_edge.cli.common import OverwriteOption
from a3d_edge.cli.notices import say
from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.outputs import claim

LONGEST_S = 7 * 24 * 3600.0


def record_signals(
    out: Path = typer.Option(..., "--out", help="Trace to write (.jsonl)."),
    seconds: float = typer.Option(None, "--seconds", help="Stop after so many seconds (default: at Ctrl-C)."),
    interval: float = typer.Option(1.0, "--interval", help="Seconds between two readings, at least 0.25."),
    overwrite: OverwriteOption = False,
) -> None:
    """Read battery, load of others, temperature, memory, pressure and cores, one line a reading."""
    if not 0.25 <= interval <= 3600:
        raise UsageError(f"--interval {interval:g} is not from 0.25 to 3600 seconds")
    if seconds is not None and not interval <= seconds <= LONGEST_S:
        raise UsageError(f"--seconds {seconds:g} is not from one interval to {LONGEST_S:g}")
    claim(out, overwrite=overwrite)
    from a3d_edge.control.trace import Trace, TracePoint
    from a3d_edge.device.cores import effective_cores
    from a3d_edge.device.signals import DeviceSensors

    sensors, begun = DeviceSensors(), time.monotonic()
    sensors()  # shares of time are between two readings
    head = Trace(out.stem, seconds or LONGEST_S, (), cores=effective_cores(), about="recorded")
    written = 0
    try:
        with out.open("w", encoding="utf-8") as file:
            file.write(head.head(lasts=seconds is not None) + "\n")
            for number in count(1):
                time.sleep(max(0.0, begun + number * interval - time.monotonic()))
                now = time.monotonic() - begun
                point = TracePoint(round(number * interval - interval, 6), sensors())
                file.write(point.line() + "\n")
                file.flush()
                written += 1
                if seconds is not None and now >= seconds - interval / 2:
                    break
    except OSError as error:
        raise ResourceError(f"{out}: cannot be written ({error.strerror}); name another place") from error
    finally:
        say(f"{out}: {written} readings")
