"""The drawn gestures: acted as their name says, on their side, from three distances, the same from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from a3d_edge.demo.actions import ACTIONS
from a3d_edge.demo.gestures import GESTURES
from a3d_edge.demo.hands import DIGITS, JOINTS_OF_A_DIGIT, hand_points
from a3d_edge.demo.rendered import (
    CLASSES,
    SETS,
    RenderedScene,
    RenderedStream,
    drawn_of,
    render_clip,
    set_of,
)
from a3d_edge.demo.scenery import DISTANCES, draw_facing_camera
from a3d_edge.demo.skeleton import RATE, Array, Joint, solve
from a3d_edge.errors import UsageError

SEEDS = range(8)
SIGNS = tuple(GESTURES)[:-1]
HELD = ("attention", "stop", "yes", "shrug")
REPEATED = ("back", "come", "continue", "greeting", "no", "slowdown", "turnback")


def _acted(label: str, seed: int) -> tuple[Array, Array, Array]:
    """The joints (N, J, 3) and both hands (N, 2, 5, 3, 3) at rest and while the gesture lasts."""
    act = GESTURES[label](np.random.default_rng(seed))
    clock = np.arange(-1.0, act.length + 1.0, 1 / RATE)
    [(script, body)] = act.perform(clock)
    joints = solve(script, body)
    hands = hand_points(script, joints).reshape(-1, 2, DIGITS, JOINTS_OF_A_DIGIT, 3)
    up = (clock > 0.75) & (clock < act.core[1])
    return joints[clock < 0], joints[up], hands[up]


def _wrists(joints: Array) -> Array:
    """Both wrists (N, 2, 3) from their shoulders: x to the right of the picture, up, towards the camera."""
    wrists: Array = joints[:, Joint.WRIST : Joint.WRIST + 2] - joints[:, Joint.SHOULDER : Joint.SHOULDER + 2]
    return wrists


def _main(joints: Array) -> int:
    """The hand that is higher."""
    return int(np.argmax(joints[:, Joint.WRIST : Joint.WRIST + 2, 1].mean(axis=0)))


def test_the_gestures_are_those_of_the_labels_in_a_fixed_order() -> None:
    """Thirteen and ``none``; interactions are another set with a ``none`` of its own."""
    assert SETS["gestures"] == (*SIGNS, "none")
    assert len(SIGNS) == 13
    assert sorted(SIGNS) == list(SIGNS)
    assert SETS["interactions"] == CLASSES == tuple(ACTIONS)
    assert set(CLASSES) & set(SETS["gestures"]) == {"none"}


@pytest.mark.parametrize("label", GESTURES)
def test_a_clip_is_the_same_from_its_seed_and_another_from_another(label: str) -> None:
    """(T, H, W, 3) uint8 that moves; noise included."""
    first, again, other = (
        render_clip(label, seed, frames=8, width=80, height=60, rate=3.0, of="gestures") for seed in (5, 5, 6)
    )
    assert first.shape == (8, 60, 80, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 5
    assert np.abs(np.diff(first.astype(int), axis=0)).mean() > 0.05


def test_both_sets_have_a_none_of_their_own() -> None:
    """The set decides what is drawn, not the name."""
    ours, theirs = (
        render_clip("none", 3, frames=2, width=80, height=60, of=of) for of in ("interactions", "gestures")
    )
    assert np.abs(ours.astype(int) - theirs).mean() > 5


@pytest.mark.parametrize("label", SIGNS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_hand_comes_up_from_the_rest_and_only_for_the_gesture(label: str, seed: int) -> None:
    """Hands hang below the chest before; then one is above the elbow's height at rest."""
    before, during, _ = _acted(label, seed)
    assert _wrists(before)[:, :, 1].max() < -0.2
    highest = _wrists(during)[:, :, 1].max(axis=1)
    assert np.median(highest) > -0.2


@pytest.mark.parametrize(("label", "sign"), [("left", 1.0), ("right", -1.0)])
def test_left_and_right_go_to_their_side_of_the_picture(label: str, sign: float) -> None:
    """The actor's left is the right of the picture, whichever hand points and whatever the camera."""
    for seed in range(30):
        _, during, hands = _acted(label, seed)
        side = _main(during)
        finger = hands[:, side, 1, 2] - hands[:, side, 1, 0]
        assert np.median(sign * finger[:, 0]) > 0.02
        assert np.median(sign * _wrists(during)[:, side, 0]) > 0.03
        scene = RenderedScene(label, seed, 160, 120, 3.0, "gestures")
        joints = scene._joints[0][_late(scene)]
        tip = Joint.COUNT + (side * DIGITS + 1) * JOINTS_OF_A_DIGIT
        assert np.isfinite(joints[tip]).all()
        assert not scene._camera.mirrored


def _late(scene: RenderedScene) -> int:
    """A moment late in the scene."""
    return int(0.8 * len(scene._joints[0]))


@pytest.mark.parametrize("seed", SEEDS)
def test_attention_is_above_the_shoulder_and_shrug_has_both_hands_out(seed: int) -> None:
    """Where people hold them."""
    _, during, _ = _acted("attention", seed)
    assert np.median(_wrists(during)[:, _main(during), 1]) > 0.1
    _, during, hands = _acted("shrug", seed)
    out = np.median(_wrists(during)[:, :, 0], axis=0)
    assert out[0] < -0.03
    assert out[1] > 0.03
    palms = hands[:, :, 1, 0] - hands[:, :, 4, 0]
    assert np.abs(np.median(palms[..., 1])) < 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thumb_is_up_for_yes_and_the_fingers_are_for_stop(seed: int) -> None:
    """Thumb above a closed hand; open fingers above the wrist, palm to the camera."""
    _, during, hands = _acted("yes", seed)
    hand = np.median(hands[:, _main(during)], axis=0)
    assert hand[0, 2, 1] - hand[0, 0, 1] > 0.03
    wrist = np.median(during[:, Joint.WRIST + _main(during)], axis=0)
    assert np.dot(hand[2, 2] - hand[2, 0], hand[2, 0] - wrist) < 0, "the fingers come back to the palm"
    _, during, hands = _acted("stop", seed)
    side = _main(during)
    hand = np.median(hands[:, side], axis=0)
    assert hand[2, 2, 1] - hand[2, 0, 1] > 0.03
    thumb = hand[0, 2, 0] - hand[4, 0, 0]
    assert (thumb > 0) == (side == 0), "the thumb is on the inner side when the palm looks at the camera"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_wags_across_and_slowdown_presses_down(seed: int) -> None:
    """The fingertip goes to and fro for the one; the wrist up and down for the other."""
    _, during, hands = _acted("no", seed)
    tip = hands[:, _main(during), 1, 2] - hands[:, _main(during), 1, 0]
    assert np.ptp(tip[:, 0]) > 0.02
    _, during, _ = _acted("slowdown", seed)
    wrist = _wrists(during)[:, _main(during)]
    assert wrist[:, 1].std() > 1.5 * wrist[:, 0].std()


def test_repeated_gestures_move_on_and_held_ones_are_still() -> None:
    """Half a second in, a held hand hardly moves, any other goes on."""

    def travel(label: str) -> float:
        found = []
        for seed in SEEDS:
            _, during, hands = _acted(label, seed)
            tip = hands[:, _main(during), 2, 2]
            found.append(float(np.linalg.norm(np.diff(tip, axis=0), axis=1).mean() * RATE))
        return float(np.median(found))

    assert max(travel(label) for label in HELD) < 0.7 * min(travel(label) for label in REPEATED)


def test_people_differ() -> None:
    """Either hand, one or both, slow and quick."""
    hands = {_main(_acted("greeting", seed)[1]) for seed in range(20)}
    assert hands == {0, 1}
    both = [(_wrists(_acted("back", seed)[1])[:, :, 1].mean(axis=0) > -0.2).all() for seed in range(20)]
    assert 0 < sum(both) < 20
    assert len({round(GESTURES["no"](np.random.default_rng(seed)).length, 2) for seed in range(20)}) > 10


def test_none_is_half_standing_and_never_a_pointing_arm() -> None:
    """Hands stay down in many clips; no arm is stretched to the side, as ``left`` and ``right`` have it."""
    quiet = 0
    for seed in range(40):
        _, during, _ = _acted("none", seed)
        wrists = _wrists(during)
        quiet += bool((wrists[:, :, 1] < -0.2).all())
        for side, sign in ((0, -1.0), (1, 1.0)):
            assert np.median(sign * wrists[:, side, 0]) < 0.22
    assert 10 < quiet < 35


def test_the_distance_decides_the_height_in_the_picture() -> None:
    """1 m: more than the picture; 4 and 6 m: whole people of two sizes."""
    heights = []
    for seed in range(40):
        scene = RenderedScene("stop", seed, 320, 240, 3.0, "gestures")
        joints = scene._joints[0][0]
        feet = joints[[Joint.ANKLE, Joint.ANKLE + 1], 1].max()
        heights.append((feet - joints[Joint.CROWN, 1]) / 240)
        if heights[-1] < 1.0:
            assert joints[Joint.CROWN, 1] > 0
            assert feet < 240
    found = np.array(heights)
    for low, high in DISTANCES.values():
        assert ((found > 0.85 * low) & (found < 1.2 * high)).sum() > 5


@pytest.mark.parametrize("label", SIGNS)
def test_hands_stay_inside_the_picture(label: str) -> None:
    """The wrist that signals, at 4:3, from any distance; a stretched arm may leave by a hand."""
    for seed in range(12):
        scene = RenderedScene(label, seed, 320, 240, 3.0, "gestures")
        joints = scene._joints[0][int(0.55 * len(scene._joints[0])) :: 10]
        side = int(np.argmin(joints[:, Joint.WRIST : Joint.WRIST + 2, 1].mean(axis=0)))
        x = joints[:, Joint.WRIST + side, 0]
        assert ((x > -8) & (x < 328)).all()


def test_a_camera_never_mirrors_a_gesture() -> None:
    """For left is not right."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.3, 0.3, (20, 3)) + np.array([0.0, 0.5, 0.0])
    assert not any(draw_facing_camera(rng, points, 320, 240).mirrored for _ in range(50))


def test_the_set_is_chosen_by_the_names() -> None:
    """Gestures when half of the names are; interactions otherwise, and for ``none`` alone."""
    assert set_of(SETS["gestures"]) == "gestures"
    assert set_of(("left", "right", "none")) == "gestures"
    assert set_of(("left", "mine")) == "gestures"
    for names in (
        CLASSES,
        ("hug", "mine", "other"),
        ("none",),
        (),
        ("right", "down", "still"),
        ("left", "hug"),
    ):
        assert set_of(names) == "interactions"
    assert drawn_of(("mine", "stop", "none", "left")) == ("left", "stop", "none")
    assert drawn_of(("right", "down", "still")) == ()


def test_the_stream_shows_the_classes_it_is_given() -> None:
    """Those that can be drawn; interactions, as ever, where none can."""
    stream = RenderedStream(seed=1, width=32, height=24, rate=4.0, classes=("none", "stop", "mine", "left"))
    assert {stream.frame(index)[1] for index in range(0, 120, 4)} == {"none", "stop", "left"}
    usual = RenderedStream(seed=1, width=32, height=24, rate=4.0)
    other = RenderedStream(seed=1, width=32, height=24, rate=4.0, classes=("none", "mine"))
    for index in (0, 40, 90):
        np.testing.assert_array_equal(usual.frame(index)[0], other.frame(index)[0])


def test_an_unknown_set_or_label_is_refused_with_the_known_ones() -> None:
    """A label of the other set too."""
    with pytest.raises(UsageError, match=r"'dances'.*interactions, gestures"):
        render_clip("none", 0, of="dances")
    with pytest.raises(UsageError, match=r"'hug'.*attention, back.*none"):
        render_clip("hug", 0, of="gestures")
    with pytest.raises(UsageError, match=r"'stop'.*handshake"):
        render_clip("stop", 0)


def test_one_picture_or_any_shape_can_be_asked_for() -> None:
    """Very small, narrow, wide, short."""
    for width, height in ((1, 1), (7, 90), (150, 20), (640, 360)):
        clip = render_clip("left", 1, frames=2, width=width, height=height, of="gestures")
        assert clip.shape == (2, height, width, 3)
