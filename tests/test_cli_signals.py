"""Signals that libraries swallow, and readers that stall: the command ends all the same, with its code."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from fixtures_bundle import frames_of, start_cli, write_video

from a3d_edge.cli.signals import Terminated, came, interrupting

SET_PIPE_SIZE = 1031
"""Of Linux' fcntl(2); older versions of Python have no name for it."""


def test_both_signals_interrupt_and_are_remembered() -> None:
    """And what they did before is what they do after."""
    before = signal.getsignal(signal.SIGTERM)
    for number, kind in ((signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)):
        with interrupting():
            assert came() is None
            with pytest.raises(kind):
                signal.raise_signal(number)
            assert came() == number
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interruption_that_a_callback_swallows_comes_again() -> None:
    """Python prints what is raised in one and goes on: the command would never have heard of it."""

    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    with interrupting(), pytest.raises(Terminated):  # noqa: PT012
        Dying()
        for _ in range(200):
            time.sleep(0.01)


def small_pipe() -> tuple[int, int]:
    read, write = os.pipe()
    fcntl.fcntl(write, SET_PIPE_SIZE, 4096)
    return read, write


def waiting(descriptor: int) -> int:
    """Bytes to be read."""
    return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0])


@pytest.mark.parametrize("options", [["--json"], []])
def test_a_reader_that_stalls_does_not_keep_the_process(
    bundle_folder: Path, tmp_path: Path, options: list[str]
) -> None:
    """Its pipe is full and the run waits in a write: SIGTERM ends it within 2 s, the recording playable."""
    read, write = small_pipe()
    path, source = tmp_path / "out.mp4", write_video(tmp_path / "source.avi", 800)
    words = ["run", "--source", source, "--bundle", bundle_folder, "--hop", 1, "--save", path, *options]
    process = start_cli(*words, cwd=tmp_path, stdout=write)
    os.close(write)
    before, size = 0, len(os.read(read, 1))
    while size != before:  # until nothing more fits
        time.sleep(1.0)
        before, size = size, waiting(read)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 143
    assert time.monotonic() - begun < 2
    assert "Traceback" not in err
    assert frames_of(path) > 0
    os.close(read)


def test_another_command_whose_reader_stalls(tmp_path: Path) -> None:
    """What it has left to write is lost; its code is the signal's."""
    read, write = small_pipe()
    command = [sys.executable, "-m", "a3d_edge", "table", "show", "a3d_slow_8x8_0.016_grid", "--json"]
    with subprocess.Popen(command, stdout=write, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        os.close(write)
        assert os.read(read, 1) == b"{"
        time.sleep(0.2)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (143, b"terminated\n")
    assert time.monotonic() - begun < 2
    os.close(read)
