"""Cameras and streams: reopened when they fail, given up after a while, closed at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from a3d_edge.errors import SourceError
from a3d_edge.video.decoder import Decoder
from a3d_edge.video.live import GIVE_UP_S, LiveSource
from a3d_edge.video.opencv import Image
from a3d_edge.video.source import open_source

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
    """A capture that gives ``pictures`` pictures and then fails for ever, as OpenCV's and FFmpeg's do."""

    def __init__(self, time: Time, pictures: int, positions: Sequence[float] | None = None) -> None:
        self.closed = False
        self.live = True
        self.unreadable = 0
        self._time = time
        self._left = pictures
        self._positions = iter(positions) if positions else None

    def read(self) -> tuple[Image, float | None] | None:
        if self._left == 0:
            return None
        self._left -= 1
        self._time.now += 0.04
        return PICTURE, next(self._positions) if self._positions else None

    def close(self) -> None:
        self.closed = True


def live(time: Time, *cameras: Camera | None) -> LiveSource:
    """None stands for an attempt to open that fails."""
    remaining = iter(cameras)

    def open_next() -> Camera:
        camera = next(remaining)
        if camera is None:
            raise SourceError("camera 7: cannot be opened (refused)")
        return camera

    return LiveSource("camera 7", open_next, time, time.sleep)


def test_frames_are_timed_by_our_clock_from_the_first_one() -> None:
    """A frame every 40 ms of our clock, where the camera has none of its own."""
    time = Time()
    source = live(time, Camera(time, 3))
    frames = [source.read() for _ in range(3)]
    assert [f.time_s for f in frames if f] == pytest.approx([0.0, 0.04, 0.08])
    assert [f.captured_s for f in frames if f] == pytest.approx([100.04, 100.08, 100.12])
    assert [f.index for f in frames if f] == [0, 1, 2]


def test_a_stream_with_a_clock_of_its_own_is_timed_by_it() -> None:
    """A second of pictures that comes at once is a second; after a reconnection it goes on from our clock."""
    time = Time()
    source = live(time, Camera(time, 3, [7.0, 7.5, 8.0]), Camera(time, 2, [0.0, 0.5]))
    frames = [frame for frame in (source.read() for _ in range(5)) if frame]
    again = 3 * 0.04 + 0.5  # two pictures after the first, a pause, the first of the new connection
    assert [f.time_s for f in frames] == pytest.approx([0.0, 0.5, 1.0, 1.0, again + 0.5], abs=1e-5)
    assert [f.take for f in frames] == [0, 0, 0, 1, 1]


def test_a_stream_that_begins_anew_is_another_take() -> None:
    """Time stamps that fall back cut the picture without a new connection."""
    time = Time()
    source = live(time, Camera(time, 3, [7.0, 7.5, 2.0]))
    frames = [frame for frame in (source.read() for _ in range(3)) if frame]
    assert [f.take for f in frames] == [0, 0, 1]
    assert frames[2].time_s > frames[1].time_s


def test_what_comes_quicker_than_it_was_filmed_is_a_recording_and_ends() -> None:
    """Ten seconds in a fifth of one, and the connection ends: not again from its beginning."""
    time = Time()
    source = live(time, Camera(time, 5, [0.0, 2.5, 5.0, 7.5, 10.0]), Camera(time, 5, [0.0]))
    frames = [source.read() for _ in range(7)]
    assert [frame is not None for frame in frames] == [True] * 5 + [False] * 2
    assert source.reconnects == 0


def test_a_burst_at_the_beginning_is_still_live() -> None:
    """Two seconds that the server held back, then pictures at their pace: reconnected when it hangs up."""
    time = Time()
    positions = [0.0, 1.0, *(1.0 + 0.04 * n for n in range(1, 20))]
    source = live(time, Camera(time, 21, positions), Camera(time, 1, [0.0]))
    frames = [source.read() for _ in range(22)]
    assert all(frame is not None for frame in frames)
    assert source.reconnects == 1


def test_a_live_stream_that_has_become_a_recording_ends() -> None:
    """A playlist that says, when it is opened again, that nothing more will come."""
    time = Time()
    finished = Camera(time, 5, [0.0, 0.04, 0.08, 0.12, 0.16])
    finished.live = False
    source = live(time, Camera(time, 2, [0.0, 0.04]), finished)
    assert [source.read() is not None for _ in range(3)] == [True, True, False]


def test_unreadable_pictures_are_counted_over_all_connections() -> None:
    """Those of a capture that was closed, and of the present one."""
    time = Time()
    first, second = Camera(time, 1), Camera(time, 1)
    first.unreadable, second.unreadable = 3, 4
    source = live(time, first, second)
    source.read()
    assert source.unreadable == 3
    source.read()
    assert source.unreadable == 7


def test_a_failed_read_reopens_and_time_goes_on() -> None:
    """The next frame's time includes the outage; the failed capture is closed; the reconnection counts."""
    time = Time()
    first = Camera(time, 1)
    source = live(time, first, None, Camera(time, 1))
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
    with pytest.raises(SourceError, match=r"camera 7: no picture for 30 s \(it gives none\)"):
        source.read()
    assert time.slept[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert GIVE_UP_S <= time.now - 100.0 < GIVE_UP_S + 8.0


def test_a_source_that_cannot_be_opened_at_the_start_fails_at_once() -> None:
    """No waiting, no second attempt."""
    time = Time()
    with pytest.raises(SourceError, match="camera 7: cannot be opened"):
        live(time, None)
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


class Web(BaseHTTPRequestHandler):
    """``/camera`` hangs up after 40 pictures, of which every 10th is broken; ``/clip.ts`` is a file."""

    clip = b""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/clip.ts":
            self.send_header("Content-Length", str(len(self.clip)))
            self.end_headers()
            self.wfile.write(self.clip)
            return
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        good = cv2.imencode(".jpg", PICTURE)[1].tobytes()
        for number in range(40):
            jpeg = good if number % 10 != 9 else b"\xff\xd8" + bytes(range(200))
            head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            self.wfile.write(head + jpeg + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_real_network_camera_is_read_across_broken_pictures_and_its_hanging_up(web: str) -> None:
    """More pictures than one connection gives, times always later, broken ones counted and passed over."""
    url = f"{web}/camera"
    source = LiveSource(url, lambda: Decoder(url, url, network=True))
    frames = [source.read() for _ in range(60)]
    source.close()
    times = [frame.time_s for frame in frames if frame is not None]
    assert len(times) == 60
    assert times == sorted(set(times))
    assert source.reconnects == 1  # 36 pictures a connection
    assert source.unreadable >= 4
    assert source.read() is None


def test_a_recording_behind_a_url_ends(web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What says how long it is, is read like a file: every picture once, at its own time, then the end."""
    with av.open(str(tmp_path / "clip.ts"), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "bgr24")))
        container.mux(stream.encode())
    monkeypatch.setattr(Web, "clip", (tmp_path / "clip.ts").read_bytes())
    source = open_source(f"{web}/clip.ts")
    times = []
    while (frame := source.read()) is not None:
        times.append(frame.time_s)
    assert source.live is False
    assert times == pytest.approx([i / 25 for i in range(20)])
