"""Files at their own speed, and the demo."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from a3d_edge.video.frame import Frame
from a3d_edge.video.opencv import Image
from a3d_edge.video.paced import Demo, Paced

PICTURE = np.zeros((4, 4, 3), np.uint8)


class Time:
    """A clock that only sleeping, or the test, moves."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Recording:
    """Four frames at uneven times."""

    name, live, frame_rate, unreadable = "recording", False, 30.0, 3

    def __init__(self) -> None:
        self.closed = False
        self._frames = iter([Frame(i, t, PICTURE, -1.0) for i, t in enumerate([0.0, 0.1, 0.5, 0.6])])

    def read(self) -> Frame | None:
        return next(self._frames, None)

    def close(self) -> None:
        self.closed = True


class Scene:
    """Says which frame was asked for."""

    def frame(self, index: int) -> tuple[Image, str]:
        return PICTURE, f"class {index}"

    def take(self, index: int) -> int:
        return index // 100


def test_paced_frames_come_at_their_times() -> None:
    """Captured at start + time_s each; then None; what was unreadable behind it shows."""
    time = Time()
    source = Paced(Recording(), time, time.sleep)
    captured = []
    while (frame := source.read()) is not None:
        captured.append(frame.captured_s)
    assert captured == pytest.approx([50.0, 50.1, 50.5, 50.6])
    assert source.live
    assert source.unreadable == 3


def test_a_late_consumer_of_a_paced_file_gets_the_next_frame_without_waiting() -> None:
    """Nothing is skipped by the pacing itself; only frames that are early wait."""
    time = Time()
    source = Paced(Recording(), time, time.sleep)
    source.read()
    time.now += 0.45
    second, third = source.read(), source.read()
    assert second is not None
    assert third is not None
    assert (second.captured_s, third.captured_s) == pytest.approx((50.45, 50.5))


def test_closing_ends_the_wait_for_a_frame() -> None:
    """A frame an hour away does not hold up the end, and the source behind is closed."""

    class Slow(Recording):
        def read(self) -> Frame | None:
            frame = super().read()
            return frame and Frame(frame.index, frame.index * 3600.0, frame.image, 0.0)

    inner = Slow()
    source = Paced(inner)
    source.read()
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(source.read()))
    thread.start()
    source.close()
    thread.join(1)
    assert results == [None]
    assert inner.closed


def test_the_demo_is_filmed_at_its_rate() -> None:
    """Read in time it gives every frame, at index / rate, with what is being acted out."""
    time = Time()
    source = Demo(Scene(), 10.0, time, time.sleep)
    frames = [source.read() for _ in range(4)]
    assert [(f.index, f.truth) for f in frames if f] == [(i, f"class {i}") for i in range(4)]
    assert [f.time_s for f in frames if f] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert time.now == pytest.approx(50.3)


def test_the_demo_does_not_wait_for_a_late_reader() -> None:
    """A second away at 10 fps: the frame whose time it is, those between are gone."""
    time = Time()
    source = Demo(Scene(), 10.0, time, time.sleep)
    source.read()
    time.now += 1.05
    frame, following = source.read(), source.read()
    assert frame is not None
    assert following is not None
    assert (frame.index, following.index) == (10, 11)
    assert frame.captured_s == pytest.approx(51.05)


def test_a_closed_demo_ends() -> None:
    """It is endless only until `close`."""
    source = Demo(Scene())
    source.close()
    assert source.read() is None
