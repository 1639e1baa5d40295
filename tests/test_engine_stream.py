"""Windows over a stream: in order, none skipped, every frame encoded once, independent of the hop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from fixtures_bundle import TWO_PATHWAYS, pictures
from numpy.typing import NDArray

import a3d_edge.video.pictures as pictures_module
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration, pick_frames
from a3d_edge.engine.session import Network, open_network
from a3d_edge.engine.stream import ReadyWindow, WindowResult, WindowStream
from a3d_edge.errors import UsageError
from a3d_edge.video.frame import Frame
from a3d_edge.video.preprocess import (
    MOTION_OFFSETS,
    Fitted,
    InputKind,
    Preprocessing,
    View,
    fit,
    preprocess,
)
from a3d_edge.video.region import moving_region, thumbnail
from a3d_edge.video.sampler import Pathway, Sampler, Sampling, pathways

SAMPLING = Sampling(4, 2)
TWO = Sampling(4, 4, alpha=2, fast_size=16)
"""Slow sees 0, 4, 8, 12 of a window of 16; Fast 0, 2, …, 14."""
RGB = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class FakeNetwork:
    """Reads the number that `frames` has painted on a picture; its features are that number.

    ``encoded`` and ``classified`` are of the (slow) pathway, those named ``fast`` of the other one.
    """

    def __init__(self, name: str = "w1.00-s16-t4", sampling: Sampling = SAMPLING) -> None:
        self.configuration = Configuration.parse(name)
        self.pathways = pathways(sampling, self.configuration)
        self.encoded: list[int] = []
        self.classified: list[list[int]] = []
        self.fast_encoded: list[int] = []
        self.fast_classified: list[list[int]] = []

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> NDArray[np.float32]:
        size = self.pathways[pathway].size
        assert pictures.shape[1:] == (3, size, size)
        numbers = np.rint(pictures.mean(axis=(1, 2, 3)) * 255).astype(int)
        [self.encoded, self.fast_encoded][pathway].extend(numbers.tolist())
        return numbers.reshape(-1, 1, 1, 1).astype(np.float32)

    def classify(self, *features: NDArray[np.float32]) -> NDArray[np.float32]:
        for given, pathway, seen in zip(
            features,
            self.pathways,
            [self.classified, self.fast_classified][: len(self.pathways)],
            strict=True,
        ):
            assert given.shape == (len(pathway.instants), 1, 1, 1)
            seen.append([int(value) for value in given.ravel()])
        return np.array([np.mean([given.mean() for given in features]), 0.0], np.float32)

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


def test_after_a_switch_what_has_come_can_be_encoded_before_the_window_is_ready() -> None:
    """All that the next window looks at but its last frame, once; then the window is as ever."""
    first, second = FakeNetwork(), FakeNetwork("w0.50-s24-t4")
    stream, sampler = stream_of(first, 2), Sampler(SAMPLING, 2)
    source = frames(30)
    push(stream, sampler, source[:20])
    stream.switch(second)
    stream.encode_ahead()
    assert second.encoded == [14, 16, 18]
    stream.encode_ahead()
    push(stream, sampler, source[20:22])
    assert second.encoded == [14, 16, 18, 20]
    assert second.classified == [[14, 16, 18, 20]]


def test_before_the_first_frame_there_is_nothing_to_encode_ahead() -> None:
    """A network may be switched before any frame has come."""
    second = FakeNetwork("w0.50-s24-t4")
    stream = stream_of(FakeNetwork(), 2)
    stream.switch(second)
    stream.encode_ahead()
    assert second.encoded == []


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


@pytest.mark.parametrize(("hop", "fitted"), [(1, 1), (2, 1), (4, 2), (8, 3)])
def test_a_frame_that_samples_share_is_fitted_once(
    hop: int, fitted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Motion looks back 2 and 6: at hop 4 the sample 4 later looks at one of the same frames. Per sample
    ``fitted`` frames are new, and what was kept from earlier ones does not pile up."""
    taken: Counter[int] = Counter()

    def counting(image: np.ndarray, size: int, spec: Preprocessing, **shown: None) -> Fitted:
        taken[id(image)] += 1
        return fit(image, size, spec, **shown)

    monkeypatch.setattr(pictures_module, "fit", counting)
    eight = Sampling(2, 8)
    network = FakeNetwork("w1.00-s16-t2", eight)
    stream = WindowStream(eight, Preprocessing("motion", 1.0, MOTION_OFFSETS), hop, network)
    sampler, source = Sampler(eight, hop, MOTION_OFFSETS), frames(120)
    for frame in source:
        for sample in sampler.push(frame):
            before = sum(taken.values())
            stream.add(sample)
            run_ready(stream)
            assert sum(taken.values()) - before <= (fitted if sample.instant > 8 else 3)
            assert len(stream._pictures._fitted) <= 7
    assert set(taken.values()) == {1}


def test_work_is_counted_since_the_prediction_before() -> None:
    """Encoding on arrival and classifying both count, once; time that is waited does not."""
    ticks = iter(range(1000))
    network = FakeNetwork()
    stream = WindowStream(SAMPLING, RGB, 2, network, clock=lambda: float(next(ticks)))
    results = push(stream, Sampler(SAMPLING, 2), frames(11))
    # Each piece of work lasts one tick: four encodings and one classification, then one of each.
    assert [r.work_ms for r in results] == [5000.0, 2000.0, 2000.0]


# Two pathways


def two_stream(network: Network, hop: int) -> tuple[WindowStream, Sampler]:
    """A stream of windows of `TWO` and the sampler before it."""
    return WindowStream(TWO, RGB, hop, network), Sampler(TWO, hop)


@pytest.mark.parametrize("hop", [1, 2, 3, 4, 5, 16, 21])
@pytest.mark.parametrize("name", ["w1.00-s16-t4", "w0.50-s20-t3", "w0.50-s16-t1"])
def test_each_pathway_sees_exactly_its_frames(name: str, hop: int) -> None:
    """For every hop: what γt picks of the slow ones, and always all of the Fast ones; each encoded once."""
    network = FakeNetwork(name, TWO)
    stream, sampler = two_stream(network, hop)
    results = push(stream, sampler, frames(80))
    starts = range(0, 80 - 14, hop)
    places = [4 * i for i in pick_frames(4, network.configuration.frames)]
    assert [r.window.start for r in results] == list(starts)
    assert network.classified == [[k + p for p in places] for k in starts]
    assert network.fast_classified == [list(range(k, k + 16, 2)) for k in starts]
    assert [(r.oldest.index, r.newest.index) for r in results] == [(k, k + 14) for k in starts]
    for encoded in (network.encoded, network.fast_encoded):
        assert len(encoded) == len(set(encoded)), "a frame was encoded twice"
    later = {k + p for k in range(0, 80, hop) for p in places}
    assert set(network.encoded) <= later, "the slow pathway encoded what only the Fast one looks at"


def test_a_smaller_t_still_waits_for_the_last_frame_of_the_fast_pathway() -> None:
    """Unlike with one pathway: the Fast one is always whole."""
    ready_at = set()
    for name in ("w1.00-s16-t4", "w1.00-s16-t2", "w1.00-s16-t1"):
        stream, sampler = two_stream(FakeNetwork(name, TWO), 4)
        for frame in frames(20):
            if push(stream, sampler, [frame]):
                ready_at.add(frame.index)
                break
    assert ready_at == {14}


@pytest.mark.parametrize("hop", [1, 3, 4, 16, 21])
def test_a_switch_at_every_window_of_two_pathways_loses_none(hop: int) -> None:
    """Among networks whose slow and Fast pictures differ: each window has exactly its frames of both."""
    networks = [FakeNetwork(name, TWO) for name in ("w1.00-s16-t4", "w0.50-s24-t2", "w0.50-s16-t3")]
    assert [network.pathways[1].size for network in networks] == [16, 24, 16]
    stream, sampler = two_stream(networks[0], hop)
    starts: list[int] = []
    for frame in frames(120):
        for sample in sampler.push(frame):
            stream.add(sample)
            while (window := stream.next_ready()) is not None:
                stream.run(window)
                starts.append(window.start)
                stream.switch(networks[len(starts) % 3])
    assert starts == list(range(0, 120 - 14, hop))
    for number, network in enumerate(networks):
        places = [4 * i for i in pick_frames(4, network.configuration.frames)]
        mine = starts[number::3]
        assert network.classified == [[s + p for p in places] for s in mine]
        assert network.fast_classified == [list(range(s, s + 16, 2)) for s in mine]


def test_a_switch_makes_again_only_what_the_next_window_needs() -> None:
    """Of both pathways, from the frames that are kept raw; what comes later is made as it comes."""
    first, second = FakeNetwork(sampling=TWO), FakeNetwork("w0.50-s24-t2", TWO)
    stream, sampler = two_stream(first, 4)
    push(stream, sampler, frames(31))  # windows 0 to 16 are answered
    stream.switch(second)
    results = push(stream, sampler, frames(10, first=31))
    assert [r.window.start for r in results] == [20, 24]
    assert second.classified == [[20, 28], [24, 32]]
    assert sorted(second.encoded) == [20, 24, 28, 32, 36, 40]
    assert second.fast_classified[0] == list(range(20, 36, 2))
    assert sorted(second.fast_encoded) == list(range(20, 41, 2))


@pytest.mark.parametrize(
    ("count", "slow", "fast"), [(1, [0] * 4, [0] * 8), (8, [0, 4, 7, 7], [0, 2, 4, 6, 7, 7, 7, 7])]
)
def test_a_short_stream_holds_its_last_frame_in_both_pathways(
    count: int, slow: list[int], fast: list[int]
) -> None:
    """At hop 1 the last instant is sampled too."""
    network = FakeNetwork(sampling=TWO)
    stream, sampler = two_stream(network, 1)
    assert push(stream, sampler, frames(count)) == []
    window = stream.padded()
    assert window is not None
    stream.run(window)
    assert (network.classified, network.fast_classified) == ([slow], [fast])


@pytest.mark.parametrize("hop", [1, 4, 21])
def test_what_is_kept_of_two_pathways_is_bounded(hop: int) -> None:
    """Samples of a window and a hop at the most, features of either pathway at the most as many."""
    stream, sampler = two_stream(FakeNetwork("w1.00-s16-t2", TWO), hop)
    for frame in frames(300):
        push(stream, sampler, [frame])
        assert len(stream._samples) <= 16 + hop
        assert len(stream._features) <= 2 * (16 + hop)


# A real network of two pathways


def video(count: int) -> list[Frame]:
    """Frames no two windows of which are alike, at 30 a second."""
    return [Frame(i, i / 30, image, 0.0) for i, image in enumerate(pictures(count))]


def from_scratch(bundle: Bundle, network: Network, source: list[Frame], start: int) -> NDArray[np.float32]:
    """Scores of the window that begins at a frame: every picture prepared and encoded anew, all at once."""
    window = []
    for place, pathway in enumerate(network.pathways):
        images = [source[start + i].image for i in pathway.instants]
        made = np.stack([preprocess([image], pathway.size, bundle.preprocessing) for image in images])
        window.append(network.encode(made, place))
    return network.classify(*window)


@pytest.mark.parametrize("hop", [1, 3, 4, 20])
def test_every_window_equals_a_whole_window_computation(
    slowfast: Bundle, hop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the real SlowFast, switched every third window; between two switches no frame is prepared twice at
    one size, also not for two pathways."""
    networks = [
        open_network(slowfast.files_of(c), threads=1)
        for c in (TWO_PATHWAYS[1], TWO_PATHWAYS[4], TWO_PATHWAYS[2])
    ]
    prepared: Counter[tuple[int, int]] = Counter()

    def counting(image: np.ndarray, size: int, spec: Preprocessing, **shown: None) -> Fitted:
        prepared[id(image), size] += 1
        return fit(image, size, spec, **shown)

    monkeypatch.setattr(pictures_module, "fit", counting)
    source = video(64)
    stream = WindowStream(slowfast.sampling, slowfast.preprocessing, hop, networks[0])
    sampler = Sampler(slowfast.sampling, hop)
    starts: list[int] = []
    spread = []
    for frame in source:
        for sample in sampler.push(frame):
            stream.add(sample)
            while (window := stream.next_ready()) is not None:
                expected = from_scratch(slowfast, stream.network, source, window.start)
                got = stream.run(window).scores
                np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
                spread.append(expected)
                starts.append(window.start)
                if len(starts) % 3 == 0:
                    assert set(prepared.values()) == {1}
                    prepared.clear()
                    stream.switch(networks[len(starts) // 3 % 3])
    assert starts == list(range(0, 64 - 15, hop))
    assert len({tuple(np.round(scores, 3)) for scores in spread}) == len(spread), "windows that look alike"


class Seeing(FakeNetwork):
    """Its features are the pictures themselves, made small."""

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> NDArray[np.float32]:
        return pictures[:, :1, ::2, ::2].copy()

    def classify(self, *features: NDArray[np.float32]) -> NDArray[np.float32]:
        return features[0].ravel().copy()


def square(at: int) -> np.ndarray:
    """A bright square on a dark picture, ``at`` pixels from the left."""
    image = np.full((60, 120, 3), 20, np.uint8)
    image[24:34, at : at + 10] = 200
    return image


@pytest.mark.parametrize(("kind", "view"), [("change", "moving"), ("local", "close")])
def test_a_view_that_follows_motion_shows_each_window_as_if_it_were_alone(
    kind: InputKind, view: View
) -> None:
    """Also where the square has wandered on, rests, and where a window is skipped before."""
    moving = Preprocessing(kind, 1.5, (0, 1, 2, 3), view=view)
    network = Seeing("w1.00-s16-t4")
    stream = WindowStream(SAMPLING, moving, 2, network)
    sampler = Sampler(SAMPLING, 2, moving.offsets)
    places = [*range(0, 60, 3), *[60] * 12, *range(60, 100, 4)]
    images = [square(at) for at in places]
    looked: set[bytes] = set()
    for index, image in enumerate(images):
        for sample in sampler.push(Frame(index, index / 30, image, 0.0)):
            stream.add(sample)
            while (window := stream.next_ready()) is not None:
                if window.start == 8:
                    stream.skip(window)
                    continue
                got = stream.run(window).scores
                start = window.start
                region = moving_region([thumbnail(images[start + i]) for i in (0, 2, 4, 6)], view)
                expected = [
                    preprocess(
                        [images[max(0, start + i - o)] for o in moving.offsets], 16, moving, region=region
                    )[0, ::2, ::2].ravel()
                    for i in (0, 2, 4, 6)
                ]
                np.testing.assert_array_equal(got, np.concatenate(expected))
                looked.add(repr(region).encode())
    assert len(looked) > 4
    assert b"None" in looked


def test_pathways_of_one_size_share_pictures(slowfast: Bundle) -> None:
    """The slow pathway's frames are some of the Fast one's; at one size each is made once, for both."""
    network = open_network(slowfast.files_of(TWO_PATHWAYS[3]), threads=1)
    assert network.pathways == (Pathway((0, 4, 8, 12), 32), Pathway(tuple(range(16)), 32))
    source = video(17)
    stream = WindowStream(slowfast.sampling, slowfast.preprocessing, 4, network)
    results = push(stream, Sampler(slowfast.sampling, 4), source)
    np.testing.assert_allclose(
        results[0].scores, from_scratch(slowfast, network, source, 0), rtol=1e-4, atol=1e-6
    )


class WithoutFrameStage(FakeNetwork):
    """Keeps the pictures themselves, as a network without a frame stage does."""

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> NDArray[np.float32]:
        return pictures

    def classify(self, *features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.classified.append([round(float(picture.mean()) * 255) for picture in features[0]])
        return np.zeros(2, np.float32)


def test_pictures_that_are_kept_are_not_written_over() -> None:
    """The memory of a picture is used again only where the network keeps nothing of it."""
    network = WithoutFrameStage()
    run_all(network, 40, 2)
    numbers = FakeNetwork()
    run_all(numbers, 40, 2)
    assert network.classified == numbers.classified
    assert len(network.classified) > 3


def test_a_picture_s_memory_is_used_again() -> None:
    """All pictures of a size are written to the same place, one after the other."""
    network = FakeNetwork()
    places = set()
    encode = network.encode

    def watched(pictures: NDArray[np.float32], pathway: int = 0) -> NDArray[np.float32]:
        places.add(pictures.ctypes.data)
        return encode(pictures, pathway)

    network.encode = watched  # type: ignore[method-assign]
    run_all(network, 40, 2)
    assert len(network.encoded) > 10
    assert len(places) == 1
