"""Logs of a run that nobody watches: files that stay small, and lines that are lost rather than in the way.

run.log                       what stderr would say, each line with its time in UTC
run.jsonl                     what --json would print
run.log.1 … run.log.5         older ones, the highest the oldest
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

from a3d_edge.alerts import Alert
from a3d_edge.alerts.alert import utc
from a3d_edge.disk import why
from a3d_edge.events import Events, Prediction, SinkLostError, Summary, Switch
from a3d_edge.json_lines import JsonLines
from a3d_edge.sinks.jsonl import JsonEvents
from a3d_edge.sinks.text import TextEvents
from a3d_edge.video.health import Health

__all__ = ["KEPT", "LogEvents", "LogFile", "WholeLines"]

KEPT = 5
"""Older files."""
LINES = ".jsonl"


class LogFile:
    """Lines appended to ``path``: at ``limit`` bytes it is renamed to ``path.1``, and so on to `KEPT`.

    One that somebody else has renamed or deleted (logrotate) is made anew; no signal is needed. Nothing is
    raised: what cannot be written is counted in ``lost``, ``why`` says what for, and the next line is tried.
    A line that an earlier process could not finish is ended first. ``kept``: how many older files.
    """

    def __init__(self, path: Path, limit: int, kept: int = KEPT) -> None:
        self.path, self._kept = path, kept
        self.lost = 0
        self.why = ""
        self._limit = limit
        self._descriptor: int | None = None
        self._torn = False

    def write(self, line: str) -> None:
        """One line, without its end."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            self._append(b"\n" + data if self._torn else data)
        except OSError as error:
            self.lost += 1
            self.why = why(error, self.path.parent, len(data))

    def close(self) -> None:
        """May be written to again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, data: bytes) -> None:
        if self._descriptor is not None and not self._is_there(self._descriptor):
            self.close()
        if self._descriptor is None:
            self._open()
        descriptor = cast("int", self._descriptor)
        if 0 < os.fstat(descriptor).st_size > self._limit - len(data):
            self._rotate()
            descriptor = cast("int", self._descriptor)
        written = os.write(descriptor, data)
        self._torn = written < len(data)
        if self._torn:
            os.write(descriptor, data[written:])  # raises what kept the rest
            self._torn = False

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except OSError:
            return False

    def _rotate(self) -> None:
        self.close()
        with suppress(OSError):
            if not self._kept:
                self.path.unlink()
            for number in range(self._kept, 0, -1):
                older = self._older(number - 1)
                if older.exists():
                    older.replace(self._older(number))
        self._open()

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path


class LogEvents(Events):
    """A run into a `LogFile`: JSON Lines where its name ends in .jsonl, else text with times.

    Losing lines is told once when it begins, and how many at the end.
    """

    def __init__(self, path: Path, limit: int, wall: Callable[[], float] = time.time) -> None:
        self.file = LogFile(path, limit)
        self._wall = wall
        self._told = False
        self._json = path.suffix.lower() == LINES
        lines = cast("TextIO", WholeLines(self.file.write if self._json else self.line))
        nowhere = cast("TextIO", WholeLines(lambda line: None))
        if self._json:
            self._events: Events = JsonEvents(JsonLines(lines), nowhere)
            self._all: Events = self._events
        else:
            self._events, self._all = TextEvents(nowhere, lines), TextEvents(lines, lines)

    def line(self, text: str) -> None:
        """A message that is no event; JSON Lines have none."""
        if not self._json:
            self.file.write(f"{utc(self._wall())} {text}")

    def prediction(self, prediction: Prediction) -> None:
        self._events.prediction(prediction)
        self._check()

    def switch(self, switch: Switch) -> None:
        self._events.switch(switch)
        self._check()

    def alert(self, alert: Alert) -> None:
        self._all.alert(alert)
        self._check()

    def health(self, health: Health) -> None:
        self._events.health(health)
        self._check()

    def warning(self, message: str) -> None:
        self._events.warning(message)

    def summary(self, summary: Summary) -> None:
        self._events.summary(summary)
        if self.file.lost:
            raise SinkLostError(f"{self.file.path}: {self.file.lost} lines were lost ({self.file.why})")

    def close(self) -> None:
        self.file.close()

    def _check(self) -> None:
        if self.file.lost and not self._told:
            self._told = True
            raise SinkLostError(f"{self.file.path}: cannot be written ({self.file.why}); lines are lost")


class WholeLines:
    """A text stream that gives whole lines away."""

    def __init__(self, give: Callable[[str], None]) -> None:
        self._give, self._begun = give, ""

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._give(line)
        return len(text)

    def flush(self) -> None:
        pass
