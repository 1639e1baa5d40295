"""The testbed: classes in pairs that differ in one thing alone, the same to the byte, and quick to draw."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from a3d_edge.demo.props import PROPS
from a3d_edge.demo.rendered import SETS, RenderedScene, drawn_of, render_clip, set_of
from a3d_edge.demo.skeleton import RATE, Array, Joint, solve
from a3d_edge.demo.testbed import TESTBED

SEEDS = range(8)
CLOCK = np.arange(0.0, 4.0, 1 / RATE)


def hands(label: str, seed: int) -> Array:
    """Every hand (people, N, 2 sides, 3) of a plot."""
    cast, _ = TESTBED[label](np.random.default_rng(seed))(CLOCK)
    return np.stack([solve(*actor)[:, [Joint.HAND, Joint.HAND + 1]] for actor in cast])


def moving(label: str, seed: int) -> Array:
    """The track (N, 3) of the hand that moves most."""
    every = hands(label, seed)
    spread = every.std(axis=1).sum(axis=2)
    person, side = np.unravel_index(int(spread.argmax()), spread.shape)
    track: Array = every[person, :, side]
    return track


def test_the_classes_are_a_set_of_their_own() -> None:
    """In an order that trained networks rely on; no name is also one of another set."""
    assert SETS["testbed"] == (
        "disc", "ring", "bar", "fork", "clockwise", "anticlockwise", "quick_up", "quick_down",
        "even", "double", "left_waves", "right_waves",
    )  # fmt: skip
    others = {name for of, names in SETS.items() if of != "testbed" for name in names}
    assert not others & set(SETS["testbed"])
    assert set_of(SETS["testbed"]) == set_of(("ring", "even", "mine")) == "testbed"
    assert drawn_of(("even", "disc")) == ("disc", "even")


@pytest.mark.parametrize("label", SETS["testbed"])
def test_a_clip_is_the_same_to_the_byte_and_another_seed_another(label: str) -> None:
    """Whatever was drawn before."""
    first, other, again = (
        render_clip(label, seed, frames=4, width=64, height=64, rate=4.0, of="testbed") for seed in (3, 4, 3)
    )
    assert hashlib.sha256(first.tobytes()).digest() == hashlib.sha256(again.tobytes()).digest()
    assert np.abs(first.astype(int) - other).mean() > 5


@pytest.mark.parametrize("seed", SEEDS)
def test_things_that_are_held_differ_in_what_is_small(seed: int) -> None:
    """The same plot with another thing: nothing else of who holds it changes, and few pixels do."""
    tracks = {kind: hands(kind, seed) for kind in PROPS}
    np.testing.assert_array_equal(tracks["disc"], tracks["ring"])
    np.testing.assert_array_equal(tracks["bar"], tracks["fork"])
    _, props = TESTBED["ring"](np.random.default_rng(seed))(CLOCK)
    assert sorted(prop.kind for prop in props if prop is not None) == ["ring"]


def test_a_ring_is_a_disc_with_a_dark_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the picture: the same scene but for some pixels, which are darker."""
    from a3d_edge.demo import rendered, stages

    scene = RenderedScene("disc", 5, 192, 192, 2.6, "testbed").draw(1.0).astype(int)
    monkeypatch.setitem(stages.TESTBED, "disc", TESTBED["ring"])
    ring = rendered.RenderedScene("disc", 5, 192, 192, 2.6, "testbed").draw(1.0).astype(int)
    changed = (scene != ring).any(axis=2)
    assert 10 < changed.sum() < 0.01 * changed.size
    assert ring[changed].mean() < scene[changed].mean() - 20


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("label", "sense"), [("clockwise", 1), ("anticlockwise", -1)])
def test_hands_go_round_as_the_class_says(label: str, sense: int, seed: int) -> None:
    """Seen from the camera, where x goes right and y up: the area that is gone round, clockwise above 0."""
    track = moving(label, seed)[:, :2]
    away = track - track.mean(axis=0)
    area = 0.5 * np.sum(away[1:, 0] * away[:-1, 1] - away[:-1, 0] * away[1:, 1])
    assert sense * area > 0.005


@pytest.mark.parametrize("seed", SEEDS)
def test_saws_are_each_other_backwards(seed: int) -> None:
    """Up quickly and down slowly, or the other way; as high, as often, at the same speeds."""
    for label, sense in (("quick_up", 1), ("quick_down", -1)):
        speed = sense * np.diff(moving(label, seed)[:, 1])
        assert (speed > 0).mean() < 0.4
        assert speed[speed > 0].mean() > -1.8 * speed[speed < 0].mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_beats_are_even_or_in_pairs(seed: int) -> None:
    """As many, as quick; what differs is the pauses between."""
    pauses = {}
    for label in ("even", "double"):
        height = moving(label, seed)[:, 1]
        low, high = np.quantile(height, [0.05, 0.99])
        up = height > low + 0.6 * (high - low)
        starts = np.flatnonzero(up[1:] & ~up[:-1]) / RATE
        pauses[label] = np.diff(starts)
    assert np.ptp(pauses["even"]) < 0.25 * pauses["even"].mean()
    assert np.ptp(pauses["double"]) > 0.5 * pauses["double"].mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_person_of_the_class_waves(seed: int) -> None:
    """The left one on the picture or the right one; a hand of the other is up too, and still."""
    for who, label in enumerate(("left_waves", "right_waves")):
        every = hands(label, seed)
        swing = np.ptp(every[..., 0], axis=1).max(axis=1)
        assert swing[who] > 1.5 * swing[1 - who]
        assert every[1 - who, ..., 1].mean(axis=0).max() > every[1 - who, ..., 1].mean(axis=0).min() + 0.2
        assert every[0, ..., 0].mean() < every[1, ..., 0].mean()


@pytest.mark.parametrize("label", ["bar", "clockwise", "even"])
def test_what_is_acted_is_in_the_picture(label: str) -> None:
    """The hand that acts, or holds something, is what the classes differ in; it is the higher one."""
    for seed in range(20):
        scene = RenderedScene(label, seed, 96, 96, 2.6, "testbed")
        for joints in scene._joints:
            both = joints[30:, [Joint.HAND, Joint.HAND + 1], :2]
            there = both[:, both[..., 1].mean(axis=0).argmin()]
            assert there.min() > 3
            assert there.max() < 93
