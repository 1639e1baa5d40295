"""Signals from the first moment on: the signal's code and a word, never a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = "import sys; from a3d_edge.entry import main; main()"
"""As the console script of an installation says it."""


def started(*words: object, program: str = PROGRAM, cwd: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", f"print(end='.', flush=True); {program}", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.1, 0.2, 0.35, 0.6, 1.0])
def test_a_signal_while_it_starts(
    number: signal.Signals, delay: float, bundle_folder: Path, tmp_path: Path
) -> None:
    """Whatever is being imported or opened: its code, at most one line, nothing on stdout but data."""
    words = ["run", "--source", "demo", "--bundle", bundle_folder, "--seconds", 30, "--json"]
    process = started(*words, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.read(1) == b"."
    time.sleep(delay)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number, err
    assert b"Traceback" not in err
    assert b"ignored" not in err
    assert err in (b"terminated\n", b"interrupted\n") or b'"summary"' in out


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As a job in the background of a script has it."""
    ignoring = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {PROGRAM}"
    process = started("info", program=ignoring, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.read(1) == b"."
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
