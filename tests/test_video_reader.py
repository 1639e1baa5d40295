"""The reader: ahead of the network, bounded, and always possible to leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from a3d_edge.errors import SourceError
from a3d_edge.video.frame import Frame
from a3d_edge.video.reader import FILE_CAPACITY, LIVE_CAPACITY, Reader

PICTURE = np.zeros((2, 2, 3), np.uint8)


class Scripted:
    """``count`` frames, then ``at_end`` is called: it returns None, raises or blocks."""

    name, frame_rate, unreadable = "scripted", None, 2

    def __init__(self, count: int, live: bool = False, at_end: Callable[[], None] = lambda: None) -> None:
        self.live = live
        self.closed = 0
        self.reads = 0
        self.ended = threading.Event()
        self._count = count
        self._at_end = at_end

    def read(self) -> Frame | None:
        if self.reads == self._count:
            self.ended.set()
            return self._at_end()
        self.reads += 1
        return Frame(self.reads - 1, float(self.reads), PICTURE, 0.0)

    def close(self) -> None:
        self.closed += 1


def take_all(reader: Reader) -> list[int]:
    indices = []
    while not reader.ended:
        frame = reader.get(5.0)
        if frame is not None:
            indices.append(frame.index)
    return indices


def until(gate: threading.Event) -> Callable[[], None]:
    """A read that blocks until the gate opens."""

    def block() -> None:
        gate.wait(60)

    return block


def fail() -> None:
    raise SourceError("cable cut")


def test_a_file_is_read_to_its_end_and_nothing_is_lost() -> None:
    """Ten times the queue's length, all in order, all counted; the source is closed at the end."""
    source = Scripted(10 * FILE_CAPACITY)
    with Reader(source) as reader:
        assert take_all(reader) == list(range(10 * FILE_CAPACITY))
    assert reader.frames_captured == 10 * FILE_CAPACITY
    assert reader.dropped == {"overrun": 0, "closed": 0}
    assert source.closed >= 1
    assert reader.unreadable == 2


def test_a_files_reader_waits_when_the_queue_is_full() -> None:
    """It is never more than the queue and the frame in its hand ahead of the consumer."""
    source = Scripted(1000)
    with Reader(source, capacity=4) as reader:
        for taken in range(1, 50):
            reader.get(5.0)
            assert source.reads <= taken + 4 + 1


def test_a_live_queue_drops_its_oldest_frames_and_counts_them() -> None:
    """After 100 frames without a consumer the latest 64 are left and 36 are counted as overrun."""
    source = Scripted(100, live=True)
    reader = Reader(source)
    assert source.ended.wait(5)
    assert take_all(reader) == list(range(100 - LIVE_CAPACITY, 100))
    assert reader.dropped["overrun"] == 100 - LIVE_CAPACITY
    reader.close()


def test_the_sources_error_reaches_the_caller_after_its_frames() -> None:
    """The two frames before the failure come first, then the error, each time; it is not an ordinary end."""
    reader = Reader(Scripted(2, at_end=fail))
    assert [frame.index for frame in (reader.get(5.0), reader.get(5.0)) if frame] == [0, 1]
    for _ in range(2):
        assert not reader.ended
        with pytest.raises(SourceError, match="cable cut"):
            reader.get(5.0)
    reader.close()
    assert reader.ended
    assert reader.get(0.0) is None


def test_get_returns_none_when_nothing_comes_in_time() -> None:
    """A silent source is not an end."""
    gate = threading.Event()
    reader = Reader(Scripted(0, live=True, at_end=until(gate)))
    assert reader.get(0.01) is None
    assert not reader.ended
    gate.set()
    assert reader.get(5.0) is None
    assert reader.ended
    reader.close()


def test_a_read_that_blocks_is_abandoned() -> None:
    """`close` returns within about a second although the source never does; a second `close` is harmless."""
    gate = threading.Event()
    source = Scripted(0, live=True, at_end=until(gate))
    reader = Reader(source)
    assert source.ended.wait(5)
    before = time.monotonic()
    reader.close()
    assert time.monotonic() - before < 1.5
    assert reader.ended
    assert source.closed == 1
    gate.set()
    reader.close()


def test_every_captured_frame_is_accounted_for_after_an_early_close() -> None:
    """Captured = handed out + overrun + closed, for a reader that was waiting for room."""
    source = Scripted(1000)
    reader = Reader(source, capacity=8)
    taken = sum(reader.get(5.0) is not None for _ in range(3))
    reader.close()
    assert reader.frames_captured == taken + sum(reader.dropped.values())
    assert reader.frames_captured < 1000


def test_closing_while_the_consumer_waits_wakes_it() -> None:
    """`get` without a limit returns None when another thread closes."""
    gate = threading.Event()
    reader = Reader(Scripted(0, live=True, at_end=until(gate)))
    results: list[Frame | None] = []
    thread = threading.Thread(target=lambda: results.append(reader.get()))
    thread.start()
    reader.close()
    thread.join(2)
    assert results == [None]
    gate.set()
