"""Traces: signals over time, in a file of JSON Lines that people can write; read, found by name, replayed.

    {"trace": 1, "name": "drain", "seconds": 600, "hop_s": 0.2667, "cores": 2, "ms_per_gflop": 3}
    {"t": 0, "battery_percent": 70, "plugged": false}
    {"t": 6, "battery_percent": 69, "plugged": false}

A line's signals (fields of `Signals`) hold until the next line's; one that is left out, or null, is unknown.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from a3d_edge.device.signals import Signals
from a3d_edge.errors import UsageError
from a3d_edge.json_text import json_object
from a3d_edge.reading import read_regular, why

__all__ = ["Replay", "Trace", "TracePoint", "find_trace", "shipped_traces", "signal_fields"]

LARGEST_BYTES = 50_000_000
MOST_HOPS = 1_000_000
"""Each is a step of the simulation, which is kept: some days of a camera."""
SIGNALS = tuple(field.name for field in fields(Signals))
MOST_OTHERS = 0.9
"""Of cores that others take whole, the scheduler still gives a share: they never leave less."""


@dataclass(frozen=True, slots=True)
class TracePoint:
    """From ``t`` (s) on, these signals; ``slowdown``: how many times the usual latency predictions take
    then, None where it follows from the signals (see `Trace.slowdown`)."""

    t: float
    signals: Signals
    slowdown: float | None = None

    def line(self) -> str:
        """The file's."""
        told = {} if self.slowdown is None else {"slowdown": self.slowdown}
        return json.dumps({"t": self.t, **signal_fields(self.signals), **told})


@dataclass(frozen=True)
class Trace:
    """Signals over ``seconds``. ``hop_s``: seconds between two predictions; ``cores``: of the machine at
    rest; ``ms_per_gflop``: what a configuration takes on it, where no latencies are given; ``noise``:
    how much latencies scatter (relative standard deviation). ``points`` ascend in time."""

    name: str
    seconds: float
    points: tuple[TracePoint, ...]
    hop_s: float = 8 / 30
    cores: float = 2.0
    ms_per_gflop: float = 3.0
    noise: float = 0.05
    about: str = ""

    @cached_property
    def _times(self) -> list[float]:
        return [point.t for point in self.points]

    def at(self, t: float) -> TracePoint:
        """The point in force at a time (s); the first before it."""
        return self.points[max(0, bisect_right(self._times, t) - 1)]

    def slowdown(self, t: float) -> float:
        """How many times the latency at rest a prediction takes at a time: as the point says, else the cores
        at rest over those that are left, over the share of these that others leave."""
        point = self.at(t)
        if point.slowdown is not None:
            return point.slowdown
        cores, others = point.signals.cores, point.signals.cpu_others
        fewer = 1.0 if cores is None else max(1.0, self.cores / cores)
        return fewer / (1 - min(others or 0.0, MOST_OTHERS))

    def head(self, *, lasts: bool = True) -> str:
        """The file's first line; ``lasts``: with how long it is, else it is as long as its points."""
        values: dict[str, Any] = {"trace": 1, "name": self.name}
        values |= {"seconds": self.seconds} if lasts else {}
        values |= {name: getattr(self, name) for name in ("hop_s", "cores", "ms_per_gflop", "noise")}
        return json.dumps(values | ({"about": self.about} if self.about else {}))

    def lines(self) -> Iterable[str]:
        """The file's."""
        return (self.head(), *(point.line() for point in self.points))

    @classmethod
    def load(cls, path: Path) -> Trace:
        """Read a file. Raises `UsageError` that names the line."""
        if not path.is_file():
            raise UsageError(f"{path}: no such trace file; shipped ones are {', '.join(shipped_traces())}")
        try:
            return cls.parse(read_regular(path, LARGEST_BYTES).decode("utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot read the trace ({why(error)})") from error

    @classmethod
    def parse(cls, text: str, where: str) -> Trace:
        """Read a text. Raises `UsageError` with ``where`` and the line."""
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        found = [
            (f"{where} line {number}", _object(line, f"{where} line {number}")) for number, line in lines
        ]
        if len(found) < 2 or found[0][1].get("trace") != 1:
            raise UsageError(f'{where}: no trace; it begins with {{"trace": 1, "name": …}} and a line a time')
        points = tuple(_point(values, place) for place, values in found[1:])
        for before, after, (place, _) in zip(points, points[1:], found[2:], strict=False):
            if after.t <= before.t:
                raise UsageError(f"{place}: t {after.t:g} is not above {before.t:g} of the line before")
        place, head = found[0]
        numbers = {
            name: _number(head, name, place, low, high)
            for name, low, high in HEAD
            if head.get(name) is not None
        }
        seconds = numbers.pop("seconds", points[-1].t)
        if seconds > MOST_HOPS * numbers.get("hop_s", cls.hop_s):
            raise UsageError(f"{place}: more than {MOST_HOPS:,} predictions in {seconds:g} s; cut the trace")
        return cls(str(head.get("name", where)), seconds, points, about=str(head.get("about", "")), **numbers)


HEAD = (
    ("seconds", 1e-3, 1e6), ("hop_s", 1e-3, 60.0), ("cores", 1e-3, 1e5),
    ("ms_per_gflop", 1e-6, 1e6), ("noise", 0.0, 1.0),
)  # fmt: skip


class Replay:
    """Sensors that say what a trace says: ``replay() -> Signals``. Its time begins at the first reading."""

    def __init__(self, trace: Trace, clock: Callable[[], float]) -> None:
        self._trace, self._clock = trace, clock
        self._begun: float | None = None

    def __call__(self) -> Signals:
        now = self._clock()
        self._begun = now if self._begun is None else self._begun
        return self._trace.at(now - self._begun).signals


def shipped_traces() -> dict[str, Path]:
    """The traces that come with the package, by name."""
    folder = Path(str(files("a3d_edge.control"))) / "traces"
    return {path.stem: path for path in sorted(folder.glob("*.jsonl"))}


def find_trace(text: str) -> Trace:
    """A trace by its file, or by the name of one that comes with the package. Raises `UsageError`."""
    path = Path(text)
    return Trace.load(path if path.exists() else shipped_traces().get(text, path))


def signal_fields(signals: Signals) -> dict[str, Any]:
    """What is known of signals."""
    known = {name: getattr(signals, name) for name in SIGNALS}
    return {name: value for name, value in known.items() if value is not None}


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        return json_object(line)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from error


def _point(values: Mapping[str, Any], place: str) -> TracePoint:
    unknown = next((name for name in values if name not in (*SIGNALS, "t", "slowdown")), None)
    if unknown is not None:
        raise UsageError(f"{place}: unknown signal {unknown!r}; there are {', '.join(SIGNALS)}")
    slowdown = values.get("slowdown")
    signals = Signals(**{name: values.get(name) for name in SIGNALS}).plausible()
    return TracePoint(
        _number(values, "t", place, 0.0, 1e9),
        signals,
        None if slowdown is None else _number(values, "slowdown", place, 1e-3, 1e3),
    )


def _number(values: Mapping[str, Any], name: str, place: str, low: float, high: float) -> float:
    value = values.get(name)
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    if not good or not math.isfinite(value):  # type: ignore[arg-type]
        raise UsageError(f"{place}: {name} {str(value)[:40]} is not a number from {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]
