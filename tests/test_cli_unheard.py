"""A signal while the main thread is inside an engine, which no handler of Python's can interrupt."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from a3d_edge.cli.unheard import ending_unheard

STUCK = """
import ctypes, signal, sys
from a3d_edge.cli.unheard import ending_unheard
with ending_unheard((signal.SIGINT, signal.SIGTERM)):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: None)
    libc, lock = ctypes.CDLL(None), (ctypes.c_char * 64)()
    libc.pthread_mutex_lock(lock)
    print("stuck", flush=True)
    libc.pthread_mutex_lock(lock)  # for ever, without the interpreter's lock, as an engine that hangs
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_engine_that_hangs_does_not_keep_the_process(tmp_path: Path, number: signal.Signals) -> None:
    """It is gone within two seconds, with the signal's code and one line."""
    command = [sys.executable, "-c", STUCK]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        begun = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert err == "the engine does not return; ended without a summary\n"
    assert time.monotonic() - begun < 2


def test_a_signal_that_is_heard_ends_nothing() -> None:
    """Nor does one that is not meant; and afterwards signals wake whom they woke before."""
    seen: list[int] = []
    before = signal.set_wakeup_fd(-1)
    assert signal.set_wakeup_fd(before) == -1
    with ending_unheard((signal.SIGUSR1,)) as heard:
        kept = signal.signal(signal.SIGUSR1, lambda number, frame: (heard(), seen.append(number)))
        for _ in range(3):
            signal.raise_signal(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, kept)
    time.sleep(1.5)  # the patience is of the clock: we are still here after it
    assert seen == [signal.SIGUSR1] * 3
    assert signal.set_wakeup_fd(before) == before
