"""Cameras and streams: watched, reconnected for as long as the run lasts, closed at any time."""

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
from a3d_edge.video.capture import EndedError, Opened, Order, Taken
from a3d_edge.video.causes import Cause
from a3d_edge.video.live import LiveSource, Patience
from a3d_edge.video.source import open_source
from a3d_edge.video.states import State

PICTURE = np.zeros((24, 32, 3), np.uint8)
ORDER = Order("camera 7", camera=7)
LIVE = Opened(live=True, in_bursts=False, rate=None)


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
    """What one connection does: pictures 40 ms apart, then the end, a failure or silence."""

    def __init__(
        self,
        pictures: int,
        positions: Sequence[float] | None = None,
        *,
        end: Exception | None = None,
        opened: Opened = LIVE,
        unreadable: int = 0,
    ) -> None:
        self.pictures, self.positions, self.opened, self.unreadable = pictures, positions, opened, unreadable
        self.end = end or EndedError()


SILENT = Exception()


class Process:
    """Connects to one camera after the other; an error in the place of one is what opening it raises."""

    def __init__(self, time: Time, *cameras: Camera | SourceError) -> None:
        self.kills = 0
        self._time = time
        self._cameras = iter(cameras)
        self._camera = Camera(0)
        self._count = 0

    def open(self, order: Order, timeout: float) -> Opened:
        camera = next(self._cameras)
        if isinstance(camera, SourceError):
            raise camera
        self._camera, self._count = camera, 0
        return camera.opened

    def read(self, timeout: float) -> Taken | None:
        if self._count == self._camera.pictures:
            if self._camera.end is SILENT:
                self._time.now += timeout
                return None
            raise self._camera.end
        self._time.now += 0.04
        position = self._camera.positions[self._count] if self._camera.positions else None
        self._count += 1
        return Taken(PICTURE, position, self._time.now, self._count // 10, self._camera.unreadable)

    def unreadable(self) -> int | None:
        return self._camera.unreadable

    def kill(self) -> None:
        self.kills += 1


def live(time: Time, *cameras: Camera | SourceError, give_up_s: float | None = None) -> LiveSource:
    patience = Patience(5.0, give_up_s)
    return LiveSource(
        ORDER, Process(time, *cameras), patience, clock=time, sleep=time.sleep, draw=lambda: 0.0
    )


def away(cause: Cause = Cause.REFUSED) -> SourceError:
    return SourceError("cannot be opened", cause=cause)


def told(source: LiveSource) -> list[tuple[str, str | None]]:
    return [(one.state, one.cause) for one in source.health()]


def test_frames_are_timed_by_our_clock_from_the_first_one() -> None:
    """A frame every 40 ms of our clock, where the camera has none of its own."""
    time = Time()
    source = live(time, Camera(3))
    frames = [source.read() for _ in range(3)]
    assert [f.time_s for f in frames if f] == pytest.approx([0.0, 0.04, 0.08])
    assert [f.captured_s for f in frames if f] == pytest.approx([100.04, 100.08, 100.12])
    assert [f.index for f in frames if f] == [0, 1, 2]
    assert told(source) == [("live", None)]


def test_a_stream_with_a_clock_of_its_own_is_timed_by_it() -> None:
    """Pictures that come quicker keep their distance; after a reconnection it goes on from our clock."""
    time = Time()
    source = live(time, Camera(3, [7.0, 7.1, 7.2]), Camera(2, [0.0, 0.5]))
    frames = [frame for frame in (source.read() for _ in range(5)) if frame]
    again = 3 * 0.04 + 0.25  # two pictures after the first, a pause, the first of the new connection
    assert [f.time_s for f in frames] == pytest.approx([0.0, 0.1, 0.2, again, again + 0.5])
    assert [f.take for f in frames] == [0, 0, 0, 1, 1]


def test_a_stream_that_begins_anew_is_another_take() -> None:
    """Time stamps that fall back cut the picture without a new connection."""
    time = Time()
    source = live(time, Camera(3, [7.0, 7.5, 2.0]))
    frames = [frame for frame in (source.read() for _ in range(3)) if frame]
    assert [f.take for f in frames] == [0, 0, 1]
    assert frames[2].time_s > frames[1].time_s


def test_what_comes_quicker_than_it_was_filmed_is_a_recording_and_ends() -> None:
    """Ten seconds in a fifth of one, and the connection ends: not again from its beginning."""
    time = Time()
    source = live(time, Camera(5, [0.0, 2.5, 5.0, 7.5, 10.0]), Camera(5, [0.0] * 5))
    frames = [source.read() for _ in range(7)]
    assert [frame is not None for frame in frames] == [True] * 5 + [False] * 2
    assert source.reconnects == 0
    assert source.state is State.ENDED


def test_a_burst_at_the_beginning_is_still_live() -> None:
    """Two seconds that the server held back, then pictures at their pace: reconnected when it hangs up."""
    time = Time()
    positions = [0.0, 1.0, *(1.0 + 0.04 * n for n in range(1, 20))]
    source = live(time, Camera(21, positions), Camera(1, [0.0]))
    frames = [source.read() for _ in range(22)]
    assert all(frame is not None for frame in frames)
    assert source.reconnects == 1


def test_a_live_stream_that_has_become_a_recording_ends() -> None:
    """A playlist that says, when it is opened again, that nothing more will come."""
    time = Time()
    finished = Camera(5, [0.0, 0.04, 0.08, 0.12, 0.16], opened=Opened(False, True, None))
    source = live(time, Camera(2, [0.0, 0.04]), finished)
    assert [source.read() is not None for _ in range(3)] == [True, True, False]


def test_what_could_not_be_seen_is_counted_over_all_connections() -> None:
    """Broken pictures, and those for which nobody was quick enough: of earlier connections and the
    present."""
    time = Time()
    source = live(time, Camera(20, unreadable=3), Camera(10, unreadable=4))
    for _ in range(20):
        source.read()
    assert (source.unreadable, source.missed) == (3, 2)
    for _ in range(10):
        source.read()
    assert (source.unreadable, source.missed) == (7, 3)


def test_a_stream_that_hangs_up_is_reconnected_and_time_goes_on() -> None:
    """The next frame's time includes the outage; it is told why it was away, and that it is back."""
    time = Time()
    source = live(time, Camera(1), away(), Camera(1))
    before, after = source.read(), source.read()
    assert before is not None
    assert after is not None
    assert time.slept == [0.25, 0.5]
    assert after.time_s == pytest.approx(0.79)
    assert source.reconnects == 1
    assert told(source) == [
        ("live", None), ("reconnecting", "ended"), ("reconnecting", "refused"), ("live", None)
    ]  # fmt: skip


def test_a_silent_stream_has_stalled_and_its_process_ends() -> None:
    """After five seconds by our clock, whatever it does then."""
    time = Time()
    source = live(time, Camera(1, end=SILENT), Camera(1))
    source.read()
    begun = time.now
    assert source.read() is not None
    assert time.now - begun == pytest.approx(5.0 + 0.25 + 0.04)
    assert source._connection.kills == 1
    assert told(source)[1:3] == [("stalled", "timeout"), ("reconnecting", "timeout")]


def test_a_stream_of_garbage_is_no_stall() -> None:
    """Data comes, and none of it can be decoded: said so, counted, connected anew."""
    time = Time()
    source = live(time, Camera(0, end=SILENT, unreadable=150), Camera(1))
    assert source.read() is not None
    assert told(source) == [("connecting", "codec"), ("live", None)]
    assert source.unreadable == 150


def test_a_source_that_stays_away_is_waited_for() -> None:
    """An hour of attempts, at most two seconds apart, and one line for each reason: then it is there."""
    time = Time()
    reasons = [away()] * 1000 + [away(Cause.AUTHENTICATION)] * 300
    source = live(time, *reasons, Camera(1))
    assert source.read() is not None
    assert max(time.slept[:1000]) == 2.0
    assert max(time.slept) == 5.0
    assert sum(time.slept) > 3000
    assert told(source) == [("connecting", "refused"), ("connecting", "authentication"), ("live", None)]


def test_a_source_is_given_up_when_that_is_wished() -> None:
    """After so many seconds without a picture; the error names the source, the time and the reason."""
    time = Time()
    source = live(time, *[away()] * 40, give_up_s=30.0)
    with pytest.raises(SourceError, match="camera 7: no picture for 30 s: cannot be opened") as caught:
        source.read()
    assert caught.value.cause == "refused"
    assert time.now - 100.0 == pytest.approx(30.0)
    assert source.state is State.FAILED
    assert source.read() is None


def test_one_attempt_is_enough_where_nobody_wants_to_wait() -> None:
    """Given up at once: no pause, no second attempt."""
    time = Time()
    source = live(time, away(), give_up_s=0.0)
    with pytest.raises(SourceError, match="camera 7: cannot be opened"):
        source.read()
    assert time.slept == []


def test_closing_ends_a_wait_for_the_source() -> None:
    """`close` from another thread ends the pause before an attempt, which then does not take place."""
    asked = threading.Event()

    class Gone(Process):
        def open(self, order: Order, timeout: float) -> Opened:
            asked.set()
            raise away()

    source = LiveSource(ORDER, Gone(Time()), draw=lambda: 0.0)
    source._link = source._link.__class__(State.CONNECTING, 0.0, 0.0, attempts=16)  # a long pause
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(source.read()))
    thread.start()
    assert asked.wait(5)
    source.close()
    thread.join(1.0)
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
    source = open_source(url)
    frames = [source.read() for _ in range(60)]
    source.close()
    assert isinstance(source, LiveSource)
    times = [frame.time_s for frame in frames if frame is not None]
    assert len(times) == 60
    assert times == sorted(set(times))
    assert source.reconnects >= 1  # at most 36 pictures a connection
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
