"""Cameras and streams: reopened when they fail, given up after a while, closed at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from a3d_edge.errors import SourceError
from a3d_edge.video.live import GIVE_UP_S, LiveSource, open_url
from a3d_edge.video.opencv import Image

PICTURE = np.zeros((24, 32, 3), np.uint8)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


class Camera:
    """A capture that gives ``pictures`` pictures and then fails for ever, as OpenCV's do."""

    def __init__(self, time: Time, pictures: int, opened: bool = True) -> None:
        self.opened = opened
        self.closed = False
        self._time = time
        self._left = pictures

    def read(self) -> tuple[Image, float] | None:
        if self._left == 0:
            return None
        self._left -= 1
        self._time.now += 0.04
        return PICTURE, 0.0

    def close(self) -> None:
        self.closed = True


def live(time: Time, *cameras: Camera) -> LiveSource:
    remaining = iter(cameras)
    return LiveSource("camera 7", lambda: next(remaining), time, time.sleep)


def test_frames_are_timed_by_our_clock_from_the_first_one() -> None:
    """A frame every 40 ms of our clock, whatever the camera claims."""
    time = Time()
    source = live(time, Camera(time, 3))
    frames = [source.read() for _ in range(3)]
    assert [f.time_s for f in frames if f] == pytest.approx([0.0, 0.04, 0.08])
    assert [f.captured_s for f in frames if f] == pytest.approx([100.04, 100.08, 100.12])
    assert [f.index for f in frames if f] == [0, 1, 2]


def test_a_failed_read_reopens_and_time_goes_on() -> None:
    """The next frame's time includes the outage; the failed capture is closed; the reconnection counts."""
    time = Time()
    first = Camera(time, 1)
    source = live(time, first, Camera(time, 0, opened=False), Camera(time, 1))
    before, after = source.read(), source.read()
    assert before is not None
    assert after is not None
    assert time.slept == [0.5, 1.0]
    assert after.time_s == pytest.approx(1.54)
    assert (first.closed, source.reconnects) == (True, 1)


def test_a_source_that_stays_away_is_given_up() -> None:
    """Waits double from 0.5 to 8 s; after 30 s without a picture a SourceError names the source."""
    time = Time()
    source = live(time, *(Camera(time, 0) for _ in range(20)))
    with pytest.raises(SourceError, match="camera 7: no picture for 30 s"):
        source.read()
    assert time.slept[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert GIVE_UP_S <= time.now - 100.0 < GIVE_UP_S + 8.0


def test_a_source_that_cannot_be_opened_at_the_start_fails_at_once() -> None:
    """No waiting, no second attempt."""
    time = Time()
    with pytest.raises(SourceError, match="camera 7: cannot be opened"):
        live(time, Camera(time, 0, opened=False))
    assert time.slept == []


def test_closing_ends_a_wait_for_the_source() -> None:
    """`close` from another thread ends the pause before a reopening, which then does not take place."""
    asked = threading.Event()

    class Gone(Camera):
        def read(self) -> tuple[Image, float] | None:
            asked.set()
            return None

    time = Time()
    source = LiveSource("camera 7", lambda: Gone(time, 0))
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(source.read()))
    thread.start()
    assert asked.wait(5)
    source.close()
    thread.join(0.4)
    assert results == [None]


class MjpegCamera(BaseHTTPRequestHandler):
    """A network camera that hangs up after 40 pictures."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", PICTURE)[1].tobytes()
        head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
        for _ in range(40):
            self.wfile.write(head + jpeg + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mjpeg_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), MjpegCamera)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/camera"
    server.shutdown()
    server.server_close()


def test_a_real_network_camera_is_read_across_its_hanging_up(mjpeg_url: str) -> None:
    """More pictures than one connection gives, times always later, and it was reconnected."""
    source = LiveSource(mjpeg_url, partial(open_url, mjpeg_url))
    frames = [source.read() for _ in range(60)]
    source.close()
    times = [frame.time_s for frame in frames if frame is not None]
    assert len(times) == 60
    assert times == sorted(set(times))
    assert source.reconnects >= 1
    assert source.read() is None
