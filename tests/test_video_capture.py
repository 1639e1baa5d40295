"""A capture process: pictures come through; whatever blocks or dies in it blocks and kills nothing here."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from a3d_edge.errors import SourceError
from a3d_edge.video.capture import CaptureProcess, EndedError, Order, Taken
from a3d_edge.video.causes import Cause


def drawn(number: int) -> np.ndarray:
    image = np.full((48, 64, 3), 40, np.uint8)
    image[:, number % 60 : number % 60 + 4] = 200
    return image


class Camera(BaseHTTPRequestHandler):
    """``/steady``: 100 pictures a second. ``/silent``: 20, then nothing. ``/ends``: 20, then the end.
    ``/elsewhere``: a server of another name. ``/near``: ``/ends`` on this one. ``/page``: no video.
    ``/closed``: 401."""

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        moved = {"/elsewhere": f"http://localhost:{port}/ends", "/near": "/ends"}
        if self.path in moved:
            self.send_response(302)
            self.send_header("Location", moved[self.path])
            self.end_headers()
            return
        if self.path == "/closed":
            self.send_response(401)
            self.end_headers()
            return
        self.send_response(200)
        if self.path == "/page":
            self.end_headers()
            self.wfile.write(b"<html>Welcome to your camera</html>" * 50)
        else:
            self._stream()

    def _stream(self) -> None:
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        try:
            for number in range(3000 if self.path == "/steady" else 20):
                jpeg = cv2.imencode(".jpg", drawn(number))[1].tobytes()
                head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                self.wfile.write(head + jpeg + b"\r\n")
                time.sleep(0.01)
            if self.path == "/silent":
                time.sleep(30)
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def process() -> Iterator[CaptureProcess]:
    made = CaptureProcess()
    yield made
    made.kill()


def order(url: str, *, redirects: bool = False) -> Order:
    return Order("the camera", url, redirects=redirects)


def take(process: CaptureProcess, count: int) -> list[Taken]:
    return [taken for taken in (process.read(5.0) for _ in range(count)) if taken is not None]


def test_pictures_come_as_they_were_sent(camera: str, process: CaptureProcess) -> None:
    """Right ones, in order, each with when it came; many held at once are not written over."""
    opened = process.open(order(f"{camera}/steady"), 20.0)
    assert (opened.live, opened.in_bursts) == (True, False)
    held = take(process, 40)
    assert len(held) == 40
    bars = [int(one.image[24].max(axis=1).argmax()) for one in held]
    assert len(set(bars)) > 30
    assert bars == [int(one.image.copy()[24].max(axis=1).argmax()) for one in held]
    assert all(0.0 <= time.monotonic() - one.arrived_s < 20.0 for one in held)
    assert [one.arrived_s for one in held] == sorted(one.arrived_s for one in held)


def test_the_process_stays_for_the_next_connection(camera: str, process: CaptureProcess) -> None:
    """A stream that ends or fails costs no new process; the second one's pictures come as the first one's."""
    process.open(order(f"{camera}/ends"), 20.0)
    first = process.pid
    with pytest.raises((EndedError, SourceError)):  # FFmpeg does not always tell them apart
        take(process, 100)
    with pytest.raises(SourceError) as caught:
        process.open(order(f"{camera}/closed"), 20.0)
    assert caught.value.cause == Cause.AUTHENTICATION
    process.open(order(f"{camera}/ends"), 20.0)
    assert len(take(process, 5)) == 5
    assert process.pid == first


def test_a_blocked_read_ends_at_once(camera: str, process: CaptureProcess) -> None:
    """By `kill` from another thread, and nothing is left of the process."""
    process.open(order(f"{camera}/silent"), 20.0)
    threading.Timer(0.3, process.kill).start()
    with pytest.raises(SourceError):
        take(process, 100)
    assert process.pid is None


def test_a_process_that_dies_is_an_error_and_the_next_one_works(camera: str, process: CaptureProcess) -> None:
    """As when a decoder is shot down by what it decodes."""
    process.open(order(f"{camera}/steady"), 20.0)
    take(process, 3)
    assert process.pid
    os.kill(process.pid, signal.SIGSEGV)
    with pytest.raises(SourceError, match="has died") as caught:
        take(process, 1000)
    assert caught.value.cause == Cause.CRASHED
    process.open(order(f"{camera}/steady"), 20.0)
    assert len(take(process, 3)) == 3


def test_who_takes_nothing_for_a_while_gets_new_pictures(camera: str, process: CaptureProcess) -> None:
    """A few old ones are left, the others are counted as missed."""
    process.open(order(f"{camera}/steady"), 20.0)
    take(process, 5)
    time.sleep(1.0)
    after = take(process, 20)
    assert after[-1].missed > 20
    assert time.monotonic() - after[-1].arrived_s < 0.5


@pytest.mark.parametrize(
    ("path", "cause"),
    [("/page", Cause.CODEC), ("/closed", Cause.AUTHENTICATION), ("/elsewhere", Cause.REDIRECT)],
)
def test_each_failure_has_its_cause(camera: str, process: CaptureProcess, path: str, cause: Cause) -> None:
    """And a line without the address."""
    with pytest.raises(SourceError) as caught:
        process.open(order(f"{camera.replace('//', '//me:canary@')}{path}"), 20.0)
    assert caught.value.cause == cause
    assert "canary" not in str(caught.value)


def test_a_redirect_on_the_same_server_is_followed(camera: str, process: CaptureProcess) -> None:
    """To another path; to another server only if that is allowed."""
    process.open(order(f"{camera}/near"), 20.0)
    assert len(take(process, 3)) == 3
    with pytest.raises((EndedError, SourceError)):
        take(process, 100)
    process.open(order(f"{camera}/elsewhere", redirects=True), 20.0)
    assert len(take(process, 3)) == 3


def test_nobody_there_and_no_such_host(process: CaptureProcess) -> None:
    """Told apart, though FFmpeg says the same of both or nothing."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(SourceError) as caught:
        process.open(order(f"rtsp://127.0.0.1:{port}/x"), 20.0)
    assert caught.value.cause == Cause.REFUSED
    with pytest.raises(SourceError) as caught:
        process.open(order("rtsp://no-such-host.invalid/x"), 30.0)
    assert caught.value.cause == Cause.UNKNOWN_HOST


def test_it_dies_with_its_parent(camera: str, process: CaptureProcess) -> None:
    """Also when that is killed and can say nothing: its end of the socket is gone."""
    process.open(order(f"{camera}/silent"), 20.0)
    pid = process.pid
    connection, child = process._socket, process._process
    assert connection is not None
    assert child is not None
    connection.close()
    child.wait(5)
    assert not Path(f"/proc/{pid}").exists()
