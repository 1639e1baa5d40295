"""A run whose source fails: what it says, and that it ends at once in every state of the source."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from fixtures_bundle import start_cli

QUICK_S = 10.0
"""Far above what ending takes, and far below what any read blocks."""


class Camera(BaseHTTPRequestHandler):
    """Twenty pictures, then silence."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        try:
            for number in range(20):
                jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), number * 9, np.uint8))[1].tobytes()
                head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                self.wfile.write(head + jpeg + b"\r\n")
                time.sleep(0.03)
        except OSError:
            return
        self.server.over.wait(60)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def silent() -> Iterator[str]:
    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.over = threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/video"
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def refusing() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        yield f"rtsp://me:canary@127.0.0.1:{taken.getsockname()[1]}/x"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_blocked_read_holds_no_signal_up(
    bundle_folder: Path, silent: str, tmp_path: Path, number: signal.Signals
) -> None:
    """The source is connected and silent: the code of the signal, no traceback, no process left behind."""
    words = ["run", "--source", silent, "--bundle", bundle_folder, "--json", "--stall", "60"]
    run = start_cli(*words, cwd=tmp_path)
    assert run.stdout is not None
    assert '"live"' in run.stdout.readline()
    children = psutil.Process(run.pid).children()
    time.sleep(1.0)
    begun = time.monotonic()
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert time.monotonic() - begun < QUICK_S
    assert run.returncode == 128 + number
    assert "Traceback" not in err
    assert len(children) == 1
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_source_that_is_away_is_said_and_waited_for(
    bundle_folder: Path, refusing: str, tmp_path: Path
) -> None:
    """At once, in one line, with its cause; a signal ends the wait."""
    run = start_cli("run", "--source", refusing, "--bundle", bundle_folder, "--json", cwd=tmp_path)
    assert run.stdout is not None
    told = json.loads(run.stdout.readline())
    assert (told["kind"], told["state"], told["cause"]) == ("connection", "connecting", "refused")
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 143
    assert "it is tried again until it answers" in err
    assert "canary" not in err
