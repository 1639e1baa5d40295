"""Trials in other processes: what hangs is killed, what crashes is told, and nothing is left behind."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from a3d_edge.doctor import trials
from a3d_edge.doctor.check import FAIL, OK, WARN
from a3d_edge.doctor.trials import Trial, tried


def answering(told: dict[str, object] | None, said: str = "") -> trials.Try:
    return lambda function, words, seconds: Trial(told, said)


def test_what_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own helpers, at its time."""
    program = "import subprocess, sys, time; subprocess.Popen(['sleep', '61']); time.sleep(60)"
    monkeypatch.setattr(trials, "command", lambda module, function: ["python3", "-c", program])
    begun = time.monotonic()
    assert tried("try_camera", (), 1.0) == Trial(None, "no answer within 1 s")
    assert time.monotonic() - begun < 10
    helpers = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "61"]]
    assert not psutil.wait_procs(helpers, timeout=5)[1]  # whom it is killed for need not have buried it yet


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os; os.abort()", "it crashed (SIGABRT)"),
        ("raise SystemExit(3)", "it crashed (code 3)"),
        ("print('chatter'); print('[1]')", "it crashed (code 0)"),
        ("print('chatter'); print('{\"error\": \"no such camera\"}')", "no such camera"),
    ],
)
def test_what_fails_is_told(program: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own word, or by how it ended."""
    monkeypatch.setattr(trials, "command", lambda module, function: ["python3", "-c", program])
    assert tried("try_camera", (), 20.0) == Trial(None, said)


def test_a_camera_that_is_not_there_and_a_bundle_that_is(bundle_folder: Path) -> None:
    """For real, in a process each."""
    check = trials.camera(98)
    assert (check.status, check.name) == (WARN, "camera 98")
    assert "cannot be opened" in check.found
    check = trials.network(str(bundle_folder), "ort:CPU")
    assert check.status == OK, check
    assert "w0.50-s18-t1 in " in check.found
    assert trials.network(str(bundle_folder / "none"), "ort:CPU").status == FAIL


def test_displays() -> None:
    """Only a display that cannot be used is not well."""
    assert trials.display(True, None).status == OK
    assert trials.display(True, ":0", answering({})).status == OK
    assert trials.display(False, ":0").status == WARN
    silent = trials.display(True, ":0", answering(None, "no answer within 10 s"))
    assert (silent.status, silent.found) == (WARN, ":0: no answer within 10 s")
