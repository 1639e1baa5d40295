"""What a service manager hears, on a real datagram socket."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fixtures_bundle import start_cli

from a3d_edge.events import Summary
from a3d_edge.sinks.systemd import SystemdEvents, notify
from a3d_edge.video.frame import Frame

UNIT = Path(__file__).parent.parent / "examples" / "a3d-edge.service"


@pytest.fixture
def place() -> Iterator[str]:
    """A socket's path, which may have 107 letters; a test's own folder can be longer."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield f"{folder}/notify"


@pytest.fixture
def manager(place: str) -> Iterator[socket.socket]:
    """Where a service manager listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(place)
        listening.settimeout(30)
        yield listening


def heard(manager: socket.socket) -> list[str]:
    """Every line so far."""
    lines: list[str] = []
    manager.setblocking(False)
    try:
        while True:
            lines += manager.recv(4096).decode().splitlines()
    except BlockingIOError:
        return lines


def frame(index: int = 0) -> Frame:
    return Frame(index, index / 30, np.zeros((8, 8, 3), np.uint8), 0.0)


def test_ready_comes_with_the_first_frame_and_frames_alone_feed_the_watchdog(
    manager: socket.socket, place: str
) -> None:
    """A quarter of its interval apart, however many there are; no frame, no feeding."""
    now = [0.0]
    told = {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "20000000"}
    events = SystemdEvents("camera\n0", told, clock=lambda: now[0])
    assert heard(manager) == ["STATUS=waiting for the first frame of camera 0"]
    events.frame(frame(), None)
    assert heard(manager) == ["READY=1", "STATUS=frames come, no prediction yet", "WATCHDOG=1"]
    for index in range(100):
        now[0] = index / 10
        events.frame(frame(index), None)
    assert heard(manager) == ["WATCHDOG=1"]
    now[0] = 1000.0
    assert heard(manager) == []
    events.summary(Summary(5, 5))
    assert heard(manager) == ["STOPPING=1", "STATUS=5 frames, 0 predictions"]


@pytest.mark.parametrize("watched", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_of_ours_there_is_nothing_to_feed(
    manager: socket.socket, place: str, watched: dict[str, str]
) -> None:
    """After the first frame, which costs nothing."""
    events = SystemdEvents("demo", {"NOTIFY_SOCKET": place, **watched})
    for index in range(50):
        events.frame(frame(index), None)
    assert heard(manager).count("WATCHDOG=1") == 1


def test_a_manager_that_is_not_there_or_does_not_read(
    manager: socket.socket, tmp_path: Path, place: str
) -> None:
    """Nothing raises, nothing waits."""
    assert not notify("READY=1", environment={})
    assert not notify("READY=1", environment={"NOTIFY_SOCKET": "tcp:1"})
    assert not notify("READY=1", environment={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    full = [notify("x" * 1000, environment={"NOTIFY_SOCKET": place}) for _ in range(2000)]
    assert full[0]
    assert not full[-1]


def test_an_abstract_socket() -> None:
    """As systemd names it in containers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0a3d-edge-{os.getpid()}")
        assert notify("READY=1", environment={"NOTIFY_SOCKET": f"@a3d-edge-{os.getpid()}"})
        assert listening.recv(100) == b"READY=1"


def test_a_run_as_a_service(manager: socket.socket, bundle_folder: Path, tmp_path: Path, place: str) -> None:
    """READY, then the watchdog; SIGTERM: STOPPING, and the code that the unit takes for a success."""
    process = start_cli(
        "run", "--source", "demo", "--bundle", bundle_folder, cwd=tmp_path, stdout=subprocess.DEVNULL,
        env={"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "400000"},
    )  # fmt: skip
    lines: list[str] = []
    while lines.count("WATCHDOG=1") < 3:
        lines += manager.recv(4096).decode().splitlines()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    lines += heard(manager)
    assert process.returncode == 143
    assert lines[0] == "STATUS=waiting for the first frame of demo"
    assert lines[1] == "READY=1"
    assert lines[-2] == "STOPPING=1"
    assert "SuccessExitStatus=143" in UNIT.read_text()


def test_the_unit_file_is_one(tmp_path: Path) -> None:
    """By systemd's own check, with a program that is there."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "a3d-edge.service"
    unit.write_text(UNIT.read_text().replace("/opt/a3d-edge/bin/a3d-edge", "/bin/true"))
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
