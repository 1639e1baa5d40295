"""The sampler: which frame stands for which instant."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.video.frame import Frame
from a3d_edge.video.sampler import (
    Pathway,
    Sample,
    Sampler,
    Sampling,
    is_sampled,
    pathways,
    window_instants,
    window_starts,
)

IMAGE = np.zeros((2, 2, 3), np.uint8)
SLOW = Sampling(frames=8, stride=8)
SLOWFAST = Sampling(frames=4, stride=16, alpha=8, fast_size=224)
"""SlowFast 4×16 of the paper."""


def frames_at(times: list[float]) -> list[Frame]:
    return [Frame(i, t, IMAGE, captured_s=t) for i, t in enumerate(times)]


def run(sampler: Sampler, frames: list[Frame]) -> list[Sample]:
    return [s for frame in frames for s in sampler.push(frame)] + sampler.finish()


def chosen(samples: list[Sample]) -> dict[int, int]:
    return {s.instant: s.frames[0].index for s in samples}


@st.composite
def streams(draw: st.DrawFn) -> list[Frame]:
    """Any rate from 3 to 120 fps, jitter up to 45 % of an interval, dropped frames, no gap of a window."""
    interval = 1.0 / draw(st.floats(3.0, 120.0))
    count = draw(st.integers(1, 60))
    jitter = draw(st.lists(st.floats(-0.45, 0.45), min_size=count, max_size=count))
    kept = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    offset = draw(st.floats(0.0, 1e4))
    times = [
        offset + (i + j) * interval for i, (j, keep) in enumerate(zip(jitter, kept, strict=True)) if keep
    ]
    return frames_at(times or [offset])


samplings = st.one_of(
    st.builds(Sampling, frames=st.integers(1, 8), stride=st.integers(1, 8), rate=st.just(30.0)),
    st.builds(
        lambda frames, spacing, alpha: Sampling(frames, spacing * alpha, 30.0, alpha, 32),
        frames=st.integers(1, 4), spacing=st.integers(1, 3), alpha=st.integers(2, 8),
    ),
)  # fmt: skip
hops = st.integers(1, 80)


def one_epoch(frames: list[Frame], sampling: Sampling) -> bool:
    return all(b.time_s - a.time_s <= sampling.span_s for a, b in itertools.pairwise(frames))


@given(streams(), samplings, hops)
@settings(max_examples=200, deadline=None)
def test_every_sampled_instant_is_answered_exactly_once_and_in_order(
    frames: list[Frame], sampling: Sampling, hop: int
) -> None:
    """No sampled instant up to the last frame is missing, doubled or out of order, in any timeline."""
    for _, group in itertools.groupby(run(Sampler(sampling, hop), frames), key=lambda s: s.epoch):
        instants = [s.instant for s in group]
        assert instants == [m for m in range(instants[-1] + 1) if is_sampled(m, sampling, hop)]
    if one_epoch(frames, sampling):
        length = (frames[-1].time_s - frames[0].time_s) * sampling.rate
        samples = chosen(run(Sampler(sampling, hop), frames))
        assert set(samples) >= {m for m in range(int(length) + 1) if is_sampled(m, sampling, hop)}


@given(streams(), hops)
@settings(max_examples=200, deadline=None)
def test_the_chosen_frame_is_the_nearest_or_at_most_a_quarter_frame_early(
    frames: list[Frame], hop: int
) -> None:
    """No other frame is nearer by more than rounding, unless the chosen one came at most 1/120 s early."""
    origin = frames[0].time_s
    for instant, index in chosen(run(Sampler(SLOW, hop), frames)).items():
        if not one_epoch(frames, SLOW):
            return
        at = origin + instant / 30.0
        early = at - frames[index].time_s
        nearest = min(abs(at - frame.time_s) for frame in frames)
        assert abs(early) <= nearest + 1e-5 or 0 <= early <= 1 / 120 + 1e-5


@given(streams(), samplings, hops, hops)
@settings(max_examples=200, deadline=None)
def test_a_windows_frames_do_not_depend_on_the_hop(
    frames: list[Frame], sampling: Sampling, one: int, other: int
) -> None:
    """Instants that two hops share are answered by the same frames, companions included."""
    offsets = (0, 1, sampling.stride)
    first = {(s.epoch, s.instant): s.frames for s in run(Sampler(sampling, one, offsets), frames)}
    second = {(s.epoch, s.instant): s.frames for s in run(Sampler(sampling, other, offsets), frames)}
    assert first.keys() & second.keys()
    assert all(first[key] == second[key] for key in first.keys() & second.keys())


@given(streams(), samplings, hops, st.lists(st.integers(0, 20), max_size=3))
@settings(max_examples=100, deadline=None)
def test_companions_are_the_frames_of_earlier_instants_and_memory_stays_bounded(
    frames: list[Frame], sampling: Sampling, hop: int, back: list[int]
) -> None:
    """frames[i] is what instant - offsets[i] (at least 0) shows; `used` counts each delivered frame once."""
    offsets = (0, *back)
    every = {(s.epoch, s.instant): s.frames[0] for s in run(Sampler(sampling, 1, (0,)), frames)}
    sampler = Sampler(sampling, hop, offsets)
    samples = []
    for frame in frames:
        samples += sampler.push(frame)
        assert len(sampler._held) <= max(offsets) + 1
    for sample in samples:
        wanted = [every[(sample.epoch, max(sample.instant - o, 0))] for o in offsets]
        assert list(sample.frames) == wanted
    assert sampler.used == len({frame.index for sample in samples for frame in sample.frames})


@pytest.mark.parametrize("rounding", [9, 3])
@pytest.mark.parametrize("hop", [1, 8, 13])
def test_a_30_fps_source_maps_instant_m_to_frame_m(hop: int, rounding: int) -> None:
    """At the model's own rate nothing is resampled, also when the container rounds to milliseconds."""
    frames = frames_at([round(i / 30, rounding) for i in range(300)])
    samples = chosen(run(Sampler(SLOW, hop), frames))
    assert samples == {m: m for m in range(300) if is_sampled(m, SLOW, hop)}


def test_a_30_fps_sample_is_delivered_with_its_own_frame() -> None:
    """No extra frame of delay at the model's rate: instant m is answered when frame m is pushed."""
    sampler = Sampler(Sampling(4, 2), hop=1)
    for frame in frames_at([i / 30 for i in range(20)]):
        assert [s.instant for s in sampler.push(frame)] == [frame.index]


@pytest.mark.parametrize(("early_s", "waits"), [(0.008, False), (0.009, True)])
def test_a_frame_at_most_a_quarter_frame_early_answers_at_once(early_s: float, waits: bool) -> None:
    """8 ms early: instant 1 is its own, without waiting; 9 ms early: the next frame decides, being nearer."""
    first, early, exact = frames_at([0.0, 1 / 30 - early_s, 1 / 30 + 0.001])
    sampler = Sampler(SLOW, hop=1)
    sampler.push(first)
    assert chosen(sampler.push(early)) == ({} if waits else {1: early.index})
    assert chosen(sampler.push(exact)) == ({1: exact.index} if waits else {})


def test_a_faster_source_is_thinned_and_a_slower_one_repeated() -> None:
    """60 fps: every second frame; 15 fps: the instant half way between two frames goes to the earlier one."""
    every = Sampling(64, 1)
    assert chosen(run(Sampler(every, 1), frames_at([i / 60 for i in range(9)]))) == {
        i: 2 * i for i in range(5)
    }
    slow = chosen(run(Sampler(every, 1), frames_at([i / 15 for i in range(4)])))
    assert slow == {0: 0, 1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 3}


def test_the_end_of_a_file_is_answered_for_half_a_source_interval() -> None:
    """10 fps: the last frame, at 0.2 s, stands until 0.25 s; after that finish has nothing more to give."""
    sampler = Sampler(Sampling(8, 1), 1)
    for frame in frames_at([0.0, 0.1, 0.2]):
        sampler.push(frame)
    assert chosen(sampler.finish()) == {7: 2}
    assert sampler.finish() == []
    assert sampler.push(Frame(3, 0.3, IMAGE, 0.3))[0].epoch == 1


def test_a_gap_of_more_than_a_window_starts_a_new_timeline() -> None:
    """Instants restart at 0 in the next epoch and companions do not reach back across the gap."""
    sampling = Sampling(frames=2, stride=3)
    sampler = Sampler(sampling, hop=3, offsets=(0, 3))
    times = [i / 30 for i in range(4)] + [5.0 + i / 30 for i in range(4)]
    samples = run(sampler, frames_at(times))
    assert [(s.epoch, s.instant, [f.index for f in s.frames]) for s in samples] == [
        (0, 0, [0, 0]),
        (0, 3, [3, 0]),
        (1, 0, [4, 4]),
        (1, 3, [7, 4]),
    ]


def test_another_take_starts_a_new_timeline() -> None:
    """A cut, or a camera that came back: no window and no companion reaches across it."""
    sampling = Sampling(frames=2, stride=3)
    sampler = Sampler(sampling, hop=3, offsets=(0, 3))
    frames = [replace(frame, take=int(frame.index >= 5)) for frame in frames_at([i / 30 for i in range(9)])]
    samples = run(sampler, frames)
    assert [(s.epoch, s.instant, [f.index for f in s.frames]) for s in samples] == [
        (0, 0, [0, 0]),
        (0, 3, [3, 0]),
        (1, 0, [5, 5]),
        (1, 3, [8, 5]),
    ]


def test_a_gap_of_one_window_exactly_keeps_the_timeline() -> None:
    """Instants inside a pause that a window can bridge go to the nearer side of it."""
    sampling = Sampling(frames=2, stride=3)
    samples = run(Sampler(sampling, hop=1), frames_at([0.0, 6 / 30]))
    assert [(s.epoch, s.instant, s.frames[0].index) for s in samples[:7]] == [
        (0, m, 0 if m <= 3 else 1) for m in range(7)
    ]


def test_a_hop_longer_than_the_window_skips_the_instants_between() -> None:
    """Frames that no window looks at are neither delivered nor counted."""
    sampling = Sampling(frames=2, stride=2)
    sampler = Sampler(sampling, hop=10)
    samples = run(sampler, frames_at([i / 30 for i in range(24)]))
    assert [s.instant for s in samples] == [0, 2, 10, 12, 20, 22]
    assert sampler.used == 6


def test_time_that_does_not_advance_is_refused() -> None:
    """Two frames with one time stamp are a source's mistake, and said so."""
    sampler = Sampler(SLOW, 8)
    sampler.push(Frame(0, 1.0, IMAGE, 0.0))
    with pytest.raises(UsageError, match=r"frame 1 at 1\.0 s is not later"):
        sampler.push(Frame(1, 1.0, IMAGE, 0.0))


@pytest.mark.parametrize("values", [(0, 8, 30.0), (8, 0, 30.0), (8, 8, 0.0), (8, 8, float("nan"))])
def test_a_sampling_that_no_network_has_is_refused(values: tuple[int, int, float]) -> None:
    """Zero frames, stride or rate is a UsageError."""
    with pytest.raises(UsageError, match="at least 1"):
        Sampling(*values)


@pytest.mark.parametrize(("alpha", "size"), [(0, 224), (-8, 224), (3, 224), (32, 224), (8, -1)])
def test_a_fast_pathway_that_no_network_has_is_refused(alpha: int, size: int) -> None:
    """alpha divides the stride: the slow pathway's frames are some of the Fast one's."""
    with pytest.raises(UsageError, match=f"alpha {alpha} and fast_size {size}: alpha divides the stride 16"):
        Sampling(4, 16, alpha=alpha, fast_size=size)


@pytest.mark.parametrize(("hop", "offsets"), [(0, (0,)), (8, ()), (8, (1,)), (8, (0, -1))])
def test_a_hop_or_offsets_that_cannot_be_meant_are_refused(hop: int, offsets: tuple[int, ...]) -> None:
    """A hop below 1, or offsets that look ahead, is a UsageError."""
    with pytest.raises(UsageError):
        Sampler(SLOW, hop, offsets)


@given(samplings, hops, st.integers(0, 300))
def test_window_starts_inverts_window_instants(sampling: Sampling, hop: int, instant: int) -> None:
    """The starts given for an instant are exactly those whose windows contain it."""
    wanted = [k for k in range(0, instant + 1, hop) if instant in window_instants(sampling, k)]
    assert window_starts(instant, sampling, hop) == wanted
    assert is_sampled(instant, sampling, hop) == bool(wanted)


# Two pathways (paper §3.2)


@pytest.mark.parametrize(
    ("name", "slow", "fast_size"),
    [
        ("w1.00-s224-t4", (0, 16, 32, 48), 224),
        ("w0.63-s142-t2", (0, 32), 224),
        ("w0.63-s178-t3", (0, 16, 32), 224),
        ("w0.50-s224-t1", (0,), 224),
        ("w1.00-s256-t4", (0, 16, 32, 48), 256),
        ("w0.83-s256-t2", (0, 32), 256),
    ],
)
def test_pathways_of_slowfast_4x16(name: str, slow: tuple[int, ...], fast_size: int) -> None:
    """Slow: what γt picks of 4 frames, 16 apart. Fast: always 32, 2 apart, 224², or 256² in those rows."""
    configuration = Configuration.parse(name)
    found = pathways(SLOWFAST, configuration)
    assert found == (Pathway(slow, configuration.size), Pathway(tuple(range(0, 64, 2)), fast_size))
    assert set(found[0].instants) <= set(found[1].instants)


def test_without_alpha_there_is_one_pathway() -> None:
    """Slow 8×8: the frames that γt picks, 8 apart."""
    assert pathways(SLOW, Configuration(0.5, 128, 4)) == (Pathway((0, 16, 32, 48), 128),)
    assert pathways(SLOW, Configuration(1.0, 256, 8)) == (Pathway(tuple(range(0, 64, 8)), 256),)


def test_what_a_window_of_two_pathways_stands_for() -> None:
    """As long as without the Fast pathway; it looks at 32 instants instead of 4."""
    plain = Sampling(4, 16)
    assert (SLOWFAST.samples, SLOWFAST.spacing, SLOWFAST.span_s) == (32, 2, plain.span_s)
    assert (plain.samples, plain.spacing) == (4, 16)


@pytest.mark.parametrize("hop", [16, 64, 80])
def test_the_fast_pathway_s_instants_are_delivered(hop: int) -> None:
    """Every second frame of every window; of a hop longer than a window, none between."""
    samples = run(Sampler(SLOWFAST, hop), frames_at([i / 30 for i in range(200)]))
    windows = range(0, 200, hop)
    wanted = sorted({k + i for k in windows for i in range(0, 64, 2) if k + i < 200})
    assert chosen(samples) == {m: m for m in wanted}


def test_an_odd_hop_needs_the_instants_between_too() -> None:
    """Windows that start at odd instants look at odd ones."""
    samples = run(Sampler(SLOWFAST, 5), frames_at([i / 30 for i in range(30)]))
    assert [s.instant for s in samples] == [0, 2, 4, *range(5, 30)]


def test_starts_of_the_windows_that_look_at_an_instant() -> None:
    """Those of the Fast pathway: 60 is seen by the windows from 0, 16, 32 and 48, also 62; 63 by none."""
    assert window_starts(60, SLOWFAST, 16) == [0, 16, 32, 48]
    assert window_starts(62, SLOWFAST, 16) == [0, 16, 32, 48]
    assert window_starts(64, SLOWFAST, 16) == [16, 32, 48, 64]
    assert window_starts(63, SLOWFAST, 16) == []
    assert window_starts(48, Sampling(4, 16), 16) == [0, 16, 32, 48]
    assert window_starts(50, Sampling(4, 16), 16) == []


def without_calm(sampler: Sampler, frames: list[Frame]) -> tuple[list[Sample], int]:
    """As a reader does: of calm frames only the last two are pushed. And how many were."""
    samples: list[Sample] = []
    waiting: list[Frame] = []
    pushed = 0
    for frame in frames:
        calm = sampler.calm
        waiting.append(frame)
        if calm is not None and calm.has(frame):
            del waiting[:-2]
            continue
        samples += [s for one in waiting for s in sampler.push(one)]
        pushed += len(waiting)
        waiting = []
    samples += [s for one in waiting for s in sampler.push(one)]
    return samples + sampler.finish(), pushed + len(waiting)


@given(streams(), samplings, hops, st.sampled_from([(0,), (0, 2, 6)]), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_letting_calm_frames_go_changes_no_sample(
    frames: list[Frame], sampling: Sampling, hop: int, offsets: tuple[int, ...], cut: int
) -> None:
    """At any rate and hop, with gaps and cuts: every sample has the same frames, as many count as used."""
    frames = [replace(frame, take=int(frame.index >= cut)) for frame in frames]
    whole, thinned = Sampler(sampling, hop, offsets), Sampler(sampling, hop, offsets)
    expected = run(whole, frames)
    got, _ = without_calm(thinned, frames)
    assert got == expected
    assert thinned.used == whole.used


def test_most_frames_of_a_camera_are_calm() -> None:
    """At 30 fps and a hop of 8, three of eight are looked at: the sampled one and the two before it."""
    _, pushed = without_calm(Sampler(SLOW, 8), frames_at([i / 30 for i in range(8 * 50)]))
    assert pushed == 3 * 50


def test_before_any_frame_nothing_is_calm() -> None:
    """The first frame is sampled, whatever its time; nor is a frame of another take calm."""
    sampler = Sampler(SLOW, 8)
    assert sampler.calm is None
    first, second, *_ = frames_at([0.0, 1 / 30])
    sampler.push(first)
    assert sampler.calm is not None
    assert sampler.calm.has(second)
    assert not sampler.calm.has(replace(second, take=1))


@pytest.mark.parametrize(("interval_s", "told"), [(0.05, False), (0.06, False), (0.08, True), (5.0, True)])
def test_frames_far_apart_are_told(interval_s: float, told: bool) -> None:
    """Farther than the window's instants (2/30 s) four times: how far; also where each begins a timeline."""
    sampler = Sampler(Sampling(frames=4, stride=2), 2)
    for number in range(4):
        assert sampler.far_apart_s is None
        sampler.push(Frame(number, number * interval_s, np.zeros((2, 2, 3), np.uint8), 0.0))
    assert sampler.far_apart_s == (pytest.approx(interval_s) if told else None)


def test_a_cut_is_no_slow_source() -> None:
    """Other takes tell nothing of how far apart pictures are."""
    sampler = Sampler(Sampling(frames=4, stride=2), 2)
    for number in range(8):
        sampler.push(Frame(number, float(number), np.zeros((2, 2, 3), np.uint8), 0.0, take=number))
    assert sampler.far_apart_s is None
