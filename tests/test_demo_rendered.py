"""The rendered scenes: labelled, deterministic, of any size, quick to import, and acted as the label says."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from a3d_edge.demo.actions import ACTIONS
from a3d_edge.demo.rendered import CLASSES, RenderedScene, RenderedStream, render_clip
from a3d_edge.demo.skeleton import RATE, Array, Joint, solve
from a3d_edge.demo.stages import schedule
from a3d_edge.errors import UsageError

SEEDS = range(6)


def _acted(label: str, seed: int) -> tuple[Array, list[Array], tuple[float, float]]:
    """The action's clock, every actor's joints (N, J, 3), and its heart in seconds."""
    act = ACTIONS[label](np.random.default_rng(seed))
    clock = np.arange(-1.0, act.length + 1.0, 1 / RATE)
    return clock, [solve(script, body) for script, body in act.perform(clock)], act.core


def _gap(one: Array, two: Array) -> Array:
    """Distance (N,) between two tracks of points (N, 3)."""
    distance: Array = np.linalg.norm(one - two, axis=1)
    return distance


def test_every_action_is_a_known_class() -> None:
    """The classes are exactly the actions, in the fixed order that trained networks rely on."""
    assert CLASSES == ("handshake", "hug", "kick", "point", "punch", "push", "none")
    assert set(ACTIONS) == set(CLASSES)


@pytest.mark.parametrize("label", CLASSES)
def test_a_clip_has_the_asked_shape_and_moves(label: str) -> None:
    """(T, H, W, 3) uint8, neither blank nor frozen."""
    clip = render_clip(label, 5, frames=24, width=64, height=48, rate=10.0)
    assert clip.shape == (24, 48, 64, 3)
    assert clip.dtype == np.uint8
    assert clip.std() > 5
    assert np.abs(clip[1:].astype(int) - clip[:-1]).mean() > 0.05


def test_the_same_arguments_give_the_same_clip_and_another_seed_another() -> None:
    """Determinism, noise and shake included."""
    first = render_clip("push", 3, frames=6, width=80, height=60, rate=3.0)
    np.testing.assert_array_equal(first, render_clip("push", 3, frames=6, width=80, height=60, rate=3.0))
    other = render_clip("push", 4, frames=6, width=80, height=60, rate=3.0)
    assert np.abs(first.astype(int) - other).mean() > 5


def test_a_scene_is_stateless_in_time() -> None:
    """A moment looks the same whatever was drawn before it."""
    scene = RenderedScene("kick", 8, 96, 72, 3.0)
    late = scene.draw(2.0)
    scene.draw(0.3)
    np.testing.assert_array_equal(late, scene.draw(2.0))
    np.testing.assert_array_equal(late, RenderedScene("kick", 8, 96, 72, 3.0).draw(2.0))


def test_one_picture_or_any_shape_can_be_asked_for() -> None:
    """Very small, narrow, wide, short: no size or length is refused."""
    for width, height in ((1, 1), (7, 90), (150, 20), (101, 73), (640, 360)):
        assert render_clip("hug", 1, frames=2, width=width, height=height).shape == (2, height, width, 3)


def test_colour_of_a_picture_does_not_give_the_class_away() -> None:
    """Pictures of the same scene seed differ in more than the action; no class is brighter than the rest."""
    means = [np.mean([RenderedScene(c, s, 64, 48, 3.0).draw(0.0).mean() for s in range(8)]) for c in CLASSES]
    assert max(means) - min(means) < 60


@pytest.mark.parametrize("label", CLASSES)
def test_the_whole_action_lies_inside_a_clip_of_three_seconds(label: str) -> None:
    """It begins and ends inside, at other times in other clips, at a natural speed."""
    starts = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        act = ACTIONS[label](rng)
        start, pace = schedule(rng, act, 3.0)
        assert start >= 0.0
        assert start + act.length / pace <= 3.0 + 1e-9
        assert 0.75 <= pace <= 1.5
        starts.add(round(start, 2))
    assert len(starts) > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_shaken_hands_meet_between_the_two(seed: int) -> None:
    """In a handshake one hand of each is at the same place, at waist to chest height, going up and down."""
    clock, (one, two), (begin, end) = _acted("handshake", seed)
    held = (clock > begin + 0.65) & (clock < end - 0.1)
    gaps = [_gap(one[held, Joint.HAND + s], two[held, Joint.HAND + s]) for s in (0, 1)]
    side = int(np.argmin([gap.mean() for gap in gaps]))
    assert gaps[side].max() < 0.09
    height = one[held, Joint.HAND + side, 1]
    assert 0.4 < height.mean() < 0.8
    assert 0.02 < np.ptp(height) < 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_huggers_are_close_and_round_each_other(seed: int) -> None:
    """In a hug the trunks nearly touch and a hand of each is beyond the other's trunk."""
    clock, (one, two), (begin, end) = _acted("hug", seed)
    middle = int(np.searchsorted(clock, 0.5 * (begin + 0.4 + end)))
    now, then = one[middle], two[middle]
    assert _gap(one[:, Joint.PELVIS], two[:, Joint.PELVIS])[middle] < 0.3
    assert now[[Joint.HAND, Joint.HAND + 1], 0].max() > then[Joint.NECK, 0] - 0.02
    assert then[[Joint.HAND, Joint.HAND + 1], 0].min() < now[Joint.NECK, 0] + 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kick_raises_a_foot_to_the_other(seed: int) -> None:
    """One foot leaves the ground, comes near the other's trunk or leg and is down again at the end."""
    _, (one, two), _ = _acted("kick", seed)
    toes = one[:, [Joint.TOE, Joint.TOE + 1]]
    side = int(np.argmax(toes[:, :, 1].max(axis=0)))
    assert toes[:, side, 1].max() > 0.25
    marks = [Joint.PELVIS, Joint.NECK, Joint.KNEE, Joint.HIP, Joint.KNEE + 1, Joint.HIP + 1]
    nearest = min(_gap(toes[:, side], two[:, mark]).min() for mark in marks)
    assert nearest < 0.22
    assert toes[-1, side, 1] < 0.08


@pytest.mark.parametrize("seed", SEEDS)
def test_a_punch_lands_fast_and_the_head_snaps_back(seed: int) -> None:
    """A fist reaches the other's head or chest within natural speed, and the struck head moves away."""
    clock, (one, two), _ = _acted("punch", seed)
    target = 0.5 * (two[:, Joint.HEAD] + two[:, Joint.NECK])
    gaps = np.stack([_gap(one[:, Joint.HAND + s], target) for s in (0, 1)])
    hit = int(np.argmin(gaps.min(axis=0)))
    assert gaps[:, hit].min() < 0.2
    hand = one[:, Joint.HAND + int(np.argmin(gaps[:, hit]))]
    speed = np.linalg.norm(np.diff(hand, axis=0), axis=1).max() * RATE
    assert 1.5 < speed < 9.0
    later = int(np.searchsorted(clock, clock[hit] + 0.3))
    assert two[later, Joint.HEAD, 0] - two[hit - 3, Joint.HEAD, 0] > 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_a_push_uses_both_hands_and_the_other_staggers_back(seed: int) -> None:
    """Both hands are on the chest at once; the pushed one ends much farther away."""
    _, (one, two), _ = _acted("push", seed)
    chest = two[:, Joint.NECK] * 0.75 + two[:, Joint.PELVIS] * 0.25
    both = np.maximum(*[_gap(one[:, Joint.HAND + s], chest) for s in (0, 1)])
    touch = int(np.argmin(both))
    assert both[touch] < 0.2
    assert two[-1, Joint.PELVIS, 0] - two[touch, Joint.PELVIS, 0] > 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pointing_arm_is_held_out(seed: int) -> None:
    """One arm is stretched near or above the level for at least half a second; nobody is touched."""
    clock, actors, _ = _acted("point", seed)
    one = actors[0]
    out = np.zeros(len(clock), bool)
    for side in (0, 1):
        arm = one[:, Joint.HAND + side] - one[:, Joint.SHOULDER + side]
        out |= (np.linalg.norm(arm, axis=1) > 0.3) & (arm[:, 1] > -0.12)
    assert out.sum() / RATE > 0.5
    assert not out[0]
    assert not out[-1]


def test_point_and_none_have_one_person_or_two() -> None:
    """The number of people gives neither class away."""
    for label in ("point", "none"):
        assert {len(_acted(label, seed)[1]) for seed in range(20)} == {1, 2}


@pytest.mark.parametrize("label", CLASSES)
def test_bones_keep_their_length(label: str) -> None:
    """No limb is stretched, however far a hand or foot is drawn."""
    _, actors, _ = _acted(label, 2)
    for joints in actors:
        for start, end in ((Joint.HIP, Joint.KNEE), (Joint.KNEE, Joint.ANKLE), (Joint.SHOULDER, Joint.ELBOW)):
            for side in (0, 1):
                assert np.ptp(_gap(joints[:, start + side], joints[:, end + side])) < 0.01


def test_the_stream_shuffles_all_classes_with_a_new_cast_each_time() -> None:
    """Each run of seven scenes has every class once, each 3.2 to 4.5 s long, and no two scenes look alike."""
    stream = RenderedStream(seed=1, width=32, height=24, rate=4.0)
    labels = [stream.frame(index)[1] for index in range(240)]
    starts = [0] + [i for i in range(1, 240) if labels[i] != labels[i - 1]]
    lengths = np.diff(starts) / 4.0
    assert sorted(labels[i] for i in starts[:7]) == sorted(CLASSES)
    assert lengths[:6].min() >= 3.0
    assert lengths[:6].max() <= 4.75
    pictures = [stream.frame(i)[0].astype(int) for i in starts]
    assert min(np.abs(a - b).mean() for a, b in pairwise(pictures)) > 3


def test_the_stream_is_stateless_in_the_index() -> None:
    """Any frame can be asked for first, far ahead or again."""
    stream = RenderedStream(seed=2, width=48, height=36)
    far, label = stream.frame(100_000)
    stream.frame(3)
    again = RenderedStream(seed=2, width=48, height=36).frame(100_000)
    np.testing.assert_array_equal(far, again[0])
    assert label == again[1]
    assert stream.frame(100_000)[1] == label


def test_an_unknown_label_is_refused_with_the_known_ones() -> None:
    """The message lists what can be asked for."""
    with pytest.raises(UsageError, match=r"'dance'.*handshake, hug, kick, point, punch, push, none"):
        render_clip("dance", 0)


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"width": 0}, {"height": -3}, {"rate": 0.0}])
def test_sizes_lengths_and_rates_must_be_positive(wrong: dict[str, int]) -> None:
    """Named in the message."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        render_clip("hug", 0, **wrong)


def test_a_stream_refuses_wrong_sizes_seeds_and_indices() -> None:
    """The same errors as a clip."""
    with pytest.raises(UsageError, match="rate"):
        RenderedStream(rate=0)
    with pytest.raises(UsageError, match="seed"):
        RenderedStream(seed=-1)
    with pytest.raises(UsageError, match="index"):
        RenderedStream().frame(-1)


def test_importing_needs_only_numpy_and_opencv() -> None:
    """No torch, onnx or matplotlib comes with the renderer."""
    code = "import sys, a3d_edge.demo.rendered\n"
    code += "print(sorted({'torch', 'onnx', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stream_tells_its_takes_apart() -> None:
    """The number goes up by one where another scene begins, and only there."""
    stream = RenderedStream(seed=3, width=64, height=48)
    takes = [stream.take(index) for index in range(0, 1200)]
    labels = [stream._locate(index)[2] for index in range(0, 1200)]
    assert takes[0] == 0
    assert all(b - a == (c != d) for a, b, c, d in zip(takes, takes[1:], labels, labels[1:], strict=False))
    assert takes[-1] >= 8
