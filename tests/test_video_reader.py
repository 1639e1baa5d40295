"""The reader: ahead of the network, bounded, and always possible to leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from a3d_edge.errors import SourceError
from a3d_edge.video.frame import Frame
from a3d_edge.video.reader import FILE_CAPACITY, LIVE_CAPACITY, Reader, any_abandoned
from a3d_edge.video.sampler import Calm

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


class Timed(Scripted):
    """A live source that gives a frame each time it is told to."""

    def __init__(self) -> None:
        super().__init__(10**6, live=True)
        self._go = threading.Semaphore(0)
        self._done = threading.Semaphore(0)

    def read(self) -> Frame | None:
        if self.reads:
            self._done.release()
        self._go.acquire()
        return None if self.closed else super().read()

    def give(self, count: int) -> None:
        """So many frames, and wait until the reader has them."""
        for _ in range(count):
            self._go.release()
            assert self._done.acquire(timeout=5)

    def close(self) -> None:
        super().close()
        self._go.release()


class Waiting:
    """A consumer in a thread of its own, waiting for what is not calm."""

    def __init__(self, reader: Reader, calm: Calm) -> None:
        self.got: list[Frame | None] = []
        self._thread = threading.Thread(target=lambda: self.got.append(reader.get(10.0, calm)))
        self._thread.start()
        while reader._calm is None:  # until it waits
            time.sleep(0)

    def join(self) -> None:
        """Until it has its frame."""
        self._thread.join(5)


def test_calm_frames_wake_nobody_and_only_the_last_two_are_kept() -> None:
    """Frames 0 to 4 (at 1 to 5 s) are calm, frame 5 is not: it ends the wait, and 3, 4, 5 are handed out."""
    source = Timed()
    with Reader(source) as reader:
        consumer = Waiting(reader, Calm(5.5, 0))
        source.give(5)
        assert consumer.got == []
        source.give(1)
        consumer.join()
        rest = [reader.get(0.0), reader.get(0.0), reader.get(0.0)]
        assert [frame and frame.index for frame in [*consumer.got, *rest]] == [3, 4, 5, None]
    assert reader.frames_captured == 6
    assert reader.dropped == {"overrun": 0, "closed": 0}


def test_nothing_is_let_go_while_nobody_waits() -> None:
    """What was calm for the `get` before may matter to the next one."""
    source = Timed()
    with Reader(source) as reader:
        assert reader.get(0.0, Calm(100.0, 0)) is None
        source.give(5)
        assert [frame.index for frame in iter(lambda: reader.get(0.0), None)] == [0, 1, 2, 3, 4]


def test_calm_frames_are_handed_out_when_time_is_up() -> None:
    """`get` gives what there is, in order, rather than nothing."""
    source = Timed()
    with Reader(source) as reader:
        source.give(2)
        frame = reader.get(0.01, Calm(100.0, 0))
        assert frame is not None
        assert frame.index == 0


def test_the_end_is_told_although_all_is_calm() -> None:
    """The frames left are handed out, then the source has ended."""
    reader = Reader(Scripted(2, live=True))
    frames = [reader.get(5.0, Calm(100.0, 0)), reader.get(5.0, Calm(100.0, 0))]
    assert [frame and frame.index for frame in frames] == [0, 1]
    assert reader.get(5.0, Calm(100.0, 0)) is None
    assert reader.ended
    reader.close()


def test_a_read_that_blocks_on_is_known_until_it_returns() -> None:
    """Whoever owns the process must not unwind it under such a thread."""
    reading, go = threading.Event(), threading.Event()

    def block() -> None:
        reading.set()
        go.wait(30)

    reader = Reader(Scripted(0, live=True, at_end=block))
    assert reading.wait(5)
    reader.close()
    assert any_abandoned()
    go.set()
    reader._thread.join(5)
    assert not any_abandoned()
