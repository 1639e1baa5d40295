"""What ``train`` says while it works, and that nobody has to listen."""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import Any

import pytest

pytest.importorskip("torch")

from a3d_edge.cli import train_log
from a3d_edge.cli.train_log import TrainLog
from a3d_edge.training.distillation import StepLosses
from a3d_edge.training.reports import StepReport


def steps(count: int) -> list[StepReport]:
    """Two an epoch, cross entropies 0, 1, 2 …"""
    return [StepReport(n + 1, count, 2, StepLosses(float(n), 0.5, 0.25), 0.1, 2.0, 0.5) for n in range(count)]


def silent(what: str, done: int, total: int, how: str = "", /) -> None:
    """No progress bar."""


def test_an_epoch_is_summed_up(capfd: pytest.CaptureFixture[str]) -> None:
    """Means of its steps, as a JSON line on stdout, or for people on stderr."""
    now, told = [0.0], []

    def report(what: str, done: int, total: int, how: str = "", /) -> None:
        told.append(how)

    for json_lines in (True, False):
        log = TrainLog(report, json_lines, clock=lambda: now[0])
        for step in steps(6):
            now[0] += 2.0
            log(step)
    out, err = capfd.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [(e["epoch"], e["step"], e["cross_entropy"], e["accuracy"], e["waiting"]) for e in events] == [
        (1, 2, 0.5, 0.25, 0.25), (2, 4, 2.5, 0.25, 0.25), (3, 6, 4.5, 0.25, 0.25)
    ]  # fmt: skip
    assert [line.partition(" ")[2] for line in err.splitlines()] == [  # after the time; none within 5 seconds
        "step 2 of 6: loss 1.000, accuracy 25.0%, 25% waiting for data, 0.1 min left",
        "step 6 of 6: loss 5.000, accuracy 25.0%, 25% waiting for data",
    ]
    assert told[1] == "loss 1.000, accuracy 25.0%, 25% waiting for data"


def test_the_time_left_is_that_of_the_run_whose_steps_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    """`fit` trains twice; what lay before a run's first step, and another run, is none of its pace."""
    now = [100.0]
    log = TrainLog(silent, False, clock=lambda: now[0])
    for _ in range(2):
        for step in steps(6):
            now[0] += 2.0
            log(step)
        now[0] += 600.0
    lines = [line for line in capfd.readouterr().err.splitlines() if "step 2 of 6" in line]
    assert [line.rpartition(", ")[2] for line in lines] == ["0.1 min left"] * 2


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EBADF])
def test_a_stdout_that_takes_no_more_is_left(
    number: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line says so, the steps go on, nothing more is written, and the process can end in peace."""
    told: list[Any] = []

    def emit(event: str, fields: dict[str, Any]) -> None:
        told.append(fields["epoch"])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(train_log, "emit", emit)
    left: list[None] = []
    monkeypatch.setattr(train_log, "leave_stdout", lambda: left.append(None))
    log = TrainLog(silent, True)
    for step in steps(6):
        log(step)
    assert (told, len(left)) == ([1], 1)
    said = f"stdout takes no more lines ({os.strerror(number)}); training goes on without them\n"
    assert capfd.readouterr().err == said


def test_a_stderr_that_nobody_reads_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that has left, and none at all."""

    class Gone:
        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

        def flush(self) -> None: ...

    for stderr in (Gone(), None):
        monkeypatch.setattr(sys, "stderr", stderr)
        log = TrainLog(silent, False)
        for step in steps(2):
            log(step)
