"""A password or token in a source is in no line that is printed: neither stream, JSON and debug lines
included."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures_bundle import Here

CANARY = "canary"
GONE = "127.0.0.1:9/x"


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (["--source", f"rtsp://me:canary@{GONE}", "--give-up", "0", "--verbose"], 3),
        (["--source", f"rtsp://me:a#canary/b?c@{GONE}", "--give-up", "0", "--json", "--verbose"], 3),
        (["--source", f"http://{GONE}?user=me&pwd=canary", "--give-up", "0", "--verbose"], 3),
        (["--source", f"http://{GONE}/clip.mp4#canary", "--verbose"], 3),
        (["--source", f"rstp://me:canary@{GONE}"], 2),
        (["--source", f"rtsp:/me:canary@{GONE}"], 3),
        (["--source", f"http//{GONE}?token=canary"], 3),
        (["--source", f"me:canary@{GONE}"], 3),
        (["--source", "rtsp://me:canary@:port/x"], 2),
        (["--source", "env:A_CAMERA", "--give-up", "0", "--verbose"], 3),
        (["--camera", f"rtsp://me:canary@{GONE}"], 2),
        ([f"rtsp://me:canary@{GONE}?canary"], 2),
        (["--source", "demo", "--budget", f"rtsp://me:canary@{GONE}"], 2),
    ],
)
def test_what_fails_does_not_tell(
    here: Here, monkeypatch: pytest.MonkeyPatch, bundle_folder: Path, words: list[str], exit_code: int
) -> None:
    """Whatever letters it has, whichever option it was given to, however it is mistyped."""
    monkeypatch.setenv("A_CAMERA", f"rtsp://me:canary@{GONE}?token=canary")
    code, out, err = here("run", "--bundle", bundle_folder, *words)
    assert code == exit_code, err
    assert CANARY not in out + err
    assert err.splitlines()[-1].startswith("error: ")


class Camera(BaseHTTPRequestHandler):
    """Pictures for who knows the password; then the end."""

    def do_GET(self) -> None:
        if "Authorization" not in self.headers:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        for number in range(300):
            jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), number % 250, np.uint8))[1].tobytes()
            head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            try:
                self.wfile.write(head + jpeg + b"\r\n")
            except OSError:
                return
            threading.Event().wait(0.02)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def camera() -> Iterator[str]:
    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://me:canary@127.0.0.1:{server.server_port}/video?token=canary"
    server.shutdown()
    server.server_close()


def test_what_works_does_not_tell_either(
    here: Here, monkeypatch: pytest.MonkeyPatch, bundle_folder: Path, camera: str
) -> None:
    """The user and password reach the camera; predictions, health and debug lines name the source without
    them."""
    monkeypatch.setenv("A_CAMERA", camera)
    code, out, err = here(
        "run", "--source", "env:A_CAMERA", "--bundle", bundle_folder, "--json", "--verbose",
        "--max-predictions", 1,
    )  # fmt: skip
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["event"] for line in lines} >= {"health", "prediction", "summary"}
    assert all("@127.0.0.1" in line["source"] for line in lines if "source" in line)
    assert CANARY not in out + err


def test_a_traceback_does_not_tell() -> None:
    """Of an application that lets the error through: FFmpeg's own, which holds the URL, is not in it."""
    code = f"""if True:
        from a3d_edge import open_source
        open_source("http://me:canary@{GONE}.mp4?token=canary")"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "SourceError" in done.stderr
    traceback = done.stderr.rpartition("SourceError")[2]
    assert CANARY not in traceback
    assert "During handling" not in done.stderr
