"""Windows over a stream: in order, none skipped, every frame encoded once, independent of the hop."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration, pick_frames
from a3d_edge.engine.stream import ReadyWindow, WindowResult, WindowStream
from a3d_edge.errors import UsageError
from a3d_edge.video.frame import Frame
from a3d_edge.video.preprocess import MOTION_OFFSETS, Preprocessing
from a3d_edge.video.sampler import Sampler, Sampling

SAMPLING = Sampling(4, 2)
RGB = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class FakeNetwork:
    """Reads the number that `frames` has painted on a picture; its features are that number."""

    def __init__(self, name: str = "w1.00-s16-t4") -> None:
        self.configuration = Configuration.parse(name)
        self.encoded: list[int] = []
        self.classified: list[list[int]] = []

    def encode(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        assert pictures.shape[1:] == (3, self.configuration.size, self.configuration.size)
        numbers = np.rint(pictures.mean(axis=(1, 2, 3)) * 255).astype(int)
        self.encoded += numbers.tolist()
        return numbers.reshape(-1, 1, 1, 1).astype(np.float32)

    def classify(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        assert features.shape == (self.configuration.frames, 1, 1, 1)
        self.classified.append([int(value) for value in features.ravel()])
        return np.array([features.mean(), 0.0], np.float32)

    def classify_clip(self, images: object) -> tuple[str, float]:
        raise NotImplementedError


def frames(count: int, first: int = 0, late_s: float = 0.0) -> list[Frame]:
    """Frame i of a 30 fps source is painted in grey i."""
    return [
        Frame(i, i / 30 + late_s, np.full((20, 20, 3), i % 256, np.uint8), 0.0)
        for i in range(first, first + count)
    ]


def stream_of(network: FakeNetwork, hop: int, preprocessing: Preprocessing = RGB) -> WindowStream:
    """A stream on a network that is fake."""
    return WindowStream(SAMPLING, preprocessing, hop, network)


def run_ready(stream: WindowStream) -> list[WindowResult]:
    """Every window that is ready."""
    results = []
    while (window := stream.next_ready()) is not None:
        results.append(stream.run(window))
    return results


def push(stream: WindowStream, sampler: Sampler, source: Iterable[Frame]) -> list[WindowResult]:
    """Run all windows of frames, each as soon as it is ready."""
    results = []
    for frame in source:
        for sample in sampler.push(frame):
            stream.add(sample)
            results += run_ready(stream)
    return results


def run_all(network: FakeNetwork, count: int, hop: int) -> list[WindowResult]:
    """All windows of ``count`` frames."""
    stream, sampler = stream_of(network, hop), Sampler(SAMPLING, hop)
    results = push(stream, sampler, frames(count))
    for sample in sampler.finish():
        stream.add(sample)
        results += run_ready(stream)
    return results


@pytest.mark.parametrize("hop", [1, 2, 3, 4, 5, 7, 8, 11, 20])
@pytest.mark.parametrize("name", ["w1.00-s16-t4", "w1.00-s16-t3", "w1.00-s16-t2", "w1.00-s16-t1"])
def test_windows_come_in_order_with_exactly_their_frames(name: str, hop: int) -> None:
    """Window k looks at k·hop + the picked places · stride, for every hop, also beyond a window."""
    network = FakeNetwork(name)
    results = run_all(network, 60, hop)
    places = [2 * i for i in pick_frames(4, network.configuration.frames)]
    expected = [[start + p for p in places] for start in range(0, 60, hop) if start + places[-1] < 60]
    assert network.classified == expected
    assert [result.window.start for result in results] == [window[0] for window in expected]
    assert [result.newest.index for result in results] == [window[-1] for window in expected]
    assert [result.oldest.index for result in results] == [window[0] for window in expected]


@pytest.mark.parametrize("hop", [1, 2, 3, 4, 5, 8, 11, 20])
@pytest.mark.parametrize("name", ["w1.00-s16-t4", "w1.00-s16-t2"])
def test_every_frame_is_encoded_once(name: str, hop: int) -> None:
    """Without a switch, and only frames that some window looks at."""
    network = FakeNetwork(name)
    run_all(network, 60, hop)
    assert len(network.encoded) == len(set(network.encoded))
    looked_at = {number for window in network.classified for number in window}
    assert looked_at <= set(network.encoded)
    late = {n for n in set(network.encoded) - looked_at if n < 60 - 8}
    assert not late, "encoded although no window looks at it"


@pytest.mark.parametrize("hop", [1, 3, 6, 9])
def test_a_prediction_does_not_depend_on_the_hop(hop: int) -> None:
    """The window that starts at an instant has the same scores whatever the hop is."""
    every = {r.window.start: r.scores.tolist() for r in run_all(FakeNetwork(), 60, 1)}
    for result in run_all(FakeNetwork(), 60, hop):
        assert result.scores.tolist() == every[result.window.start]


def test_a_smaller_t_answers_sooner() -> None:
    """A window is ready when its last picked frame has arrived, not when its last frame has."""
    ready_at = {}
    for name in ("w1.00-s16-t4", "w1.00-s16-t2", "w1.00-s16-t1"):
        stream, sampler = stream_of(FakeNetwork(name), 2), Sampler(SAMPLING, 2)
        for frame in frames(10):
            if push(stream, sampler, [frame]):
                ready_at[name] = frame.index
                break
    assert ready_at == {"w1.00-s16-t4": 6, "w1.00-s16-t2": 4, "w1.00-s16-t1": 0}


def test_a_switch_encodes_again_and_skips_nothing() -> None:
    """After it, the next windows are complete on the new network, from frames that are kept raw."""
    first, second = FakeNetwork(), FakeNetwork("w0.50-s24-t4")
    stream, sampler = stream_of(first, 2), Sampler(SAMPLING, 2)
    source = frames(40)
    before = push(stream, sampler, source[:20])
    stream.switch(second)
    after = push(stream, sampler, source[20:])
    assert [r.window.start for r in before + after] == list(range(0, 33, 2))
    assert second.classified == [[s, s + 2, s + 4, s + 6] for s in range(14, 33, 2)]
    assert sorted(second.encoded) == list(range(14, 40, 2))
    assert len(second.encoded) == len(set(second.encoded))


@pytest.mark.parametrize("hop", [1, 2, 3, 8, 11])
def test_a_switch_at_every_window_skips_nothing(hop: int) -> None:
    """Among networks of other sizes and frame counts: every window is run, on exactly its own frames."""
    networks = [FakeNetwork(name) for name in ("w1.00-s16-t4", "w0.50-s24-t2", "w0.50-s16-t3")]
    stream, sampler = stream_of(networks[0], hop), Sampler(SAMPLING, hop)
    starts = []
    for frame in frames(80):
        for sample in sampler.push(frame):
            stream.add(sample)
            while (window := stream.next_ready()) is not None:
                stream.run(window)
                starts.append(window.start)
                stream.switch(networks[len(starts) % 3])
    assert starts == list(range(0, starts[-1] + 1, hop))
    assert len(starts) > 6
    for number, network in enumerate(networks):
        places = [2 * i for i in pick_frames(4, network.configuration.frames)]
        assert network.classified == [[s + p for p in places] for s in starts[number::3]]


def test_a_window_after_a_larger_t_waits_for_its_frames() -> None:
    """Switching from T = 1 to T = 4: the next window is not ready until its four frames are there."""
    stream, sampler = stream_of(FakeNetwork("w1.00-s16-t1"), 2), Sampler(SAMPLING, 2)
    push(stream, sampler, frames(5))  # windows 0, 2 and 4 are answered
    larger = FakeNetwork()
    stream.switch(larger)
    assert stream.next_ready() is None
    push(stream, sampler, frames(10, first=5))
    assert larger.classified[0] == [6, 8, 10, 12]


@pytest.mark.parametrize(
    ("count", "hop", "held"),
    [(1, 2, [0, 0, 0, 0]), (3, 2, [0, 2, 2, 2]), (5, 2, [0, 2, 4, 4]), (4, 1, [0, 2, 3, 3])],
)
def test_a_short_stream_holds_its_last_frame(count: int, hop: int, held: list[int]) -> None:
    """One padded window, from the frames there are with the last one held."""
    network = FakeNetwork()
    stream, sampler = stream_of(network, hop), Sampler(SAMPLING, hop)
    assert push(stream, sampler, frames(count)) == []
    for sample in sampler.finish():
        stream.add(sample)
    window = stream.padded()
    assert window == ReadyWindow(0, 0, padded=True)
    result = stream.run(window)
    assert network.classified == [held]
    assert (result.oldest.index, result.newest.index) == (0, held[-1])
    assert result.window.padded


def test_without_a_frame_there_is_nothing_to_pad() -> None:
    """No sample at all, or none in the next window."""
    stream = stream_of(FakeNetwork("w1.00-s16-t1"), 20)
    assert stream.padded() is None
    push(stream, Sampler(SAMPLING, 20), frames(10))
    assert stream.padded() is None


def test_a_gap_begins_anew() -> None:
    """No window mixes frames from before and after; starts count from 0 in the next epoch."""
    network = FakeNetwork()
    stream, sampler = stream_of(network, 2), Sampler(SAMPLING, 2)
    results = push(stream, sampler, [*frames(13), *frames(13, first=13, late_s=5.0)])
    assert [(r.window.epoch, r.window.start) for r in results] == [
        *((0, start) for start in (0, 2, 4, 6)),
        *((1, start) for start in (0, 2, 4, 6)),
    ]
    assert network.classified[3] == [6, 8, 10, 12]
    assert network.classified[4] == [13, 15, 17, 19]


def test_a_skipped_window_is_gone_and_the_next_is_whole() -> None:
    """For sources that do not wait."""
    network = FakeNetwork()
    stream, sampler = stream_of(network, 2), Sampler(SAMPLING, 2)
    for frame in frames(11):
        for sample in sampler.push(frame):
            stream.add(sample)
    starts = []
    while (window := stream.next_ready()) is not None:
        starts.append((window.start, stream.is_ready_after(window)))
        if stream.is_ready_after(window):
            stream.skip(window)
        else:
            stream.run(window)
    assert starts == [(0, True), (2, True), (4, False)]
    assert network.classified == [[4, 6, 8, 10]]


def test_windows_are_run_in_order_only() -> None:
    """A window that is not the next one is refused: its frames are gone or its turn has not come."""
    stream, sampler = stream_of(FakeNetwork(), 2), Sampler(SAMPLING, 2)
    push(stream, sampler, frames(9))
    for window in (ReadyWindow(0, 0), ReadyWindow(6, 0), ReadyWindow(4, 1)):
        with pytest.raises(UsageError, match="is not the next one"):
            stream.run(window)


@pytest.mark.parametrize("hop", [1, 2, 5, 20])
def test_what_is_kept_is_bounded(hop: int) -> None:
    """Samples and features of one window and a hop at the most, however long the stream is."""
    network = FakeNetwork("w1.00-s16-t2")
    stream, sampler = stream_of(network, hop), Sampler(SAMPLING, hop)
    for frame in frames(300):
        push(stream, sampler, [frame])
        assert len(stream._samples) <= 8 + hop
        assert len(stream._features) <= 8 + hop


def test_motion_input_looks_back_beyond_the_window() -> None:
    """Companions of a sampled frame come with it; also after a switch."""
    spec = Preprocessing("motion", 1.0, MOTION_OFFSETS)
    network, other = FakeNetwork(), FakeNetwork("w0.50-s16-t4")
    stream, sampler = stream_of(network, 2, spec), Sampler(SAMPLING, 2, MOTION_OFFSETS)
    source = frames(30)
    push(stream, sampler, source[:15])
    stream.switch(other)
    results = push(stream, sampler, source[15:])
    # The picture brightens by 1 a frame: differences of 2 and 6 greys, over MOTION_STD = 0.1, and no texture.
    steady = round(255 * (2 + 6) / 255 / 0.1 / 3)
    assert other.classified[-1] == [steady] * 4
    assert len(results) > 3


def test_work_is_counted_since_the_prediction_before() -> None:
    """Encoding on arrival and classifying both count, once; time that is waited does not."""
    ticks = iter(range(1000))
    network = FakeNetwork()
    stream = WindowStream(SAMPLING, RGB, 2, network, clock=lambda: float(next(ticks)))
    results = push(stream, Sampler(SAMPLING, 2), frames(11))
    # Each piece of work lasts one tick: four encodings and one classification, then one of each.
    assert [r.work_ms for r in results] == [5000.0, 2000.0, 2000.0]
