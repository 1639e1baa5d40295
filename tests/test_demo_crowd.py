"""The drawn crowd: several people, each of whom does one thing; what is drawn is a set of classes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from a3d_edge.demo.crowd import CROWD, MOST, crowd
from a3d_edge.demo.rendered import SETS, RenderedScene, RenderedStream, drawn_of, render_clip, set_of
from a3d_edge.demo.skeleton import RATE, Array, Joint, solve
from a3d_edge.errors import UsageError
from a3d_edge.labels import labels_in
from a3d_edge.training.clips import crowd_clip

CLOCK = np.arange(0.0, 4.0, 1 / RATE)
NAMES = tuple(CROWD)


def moves(act: str | None, seed: int = 0) -> dict[str, float]:
    """How far the parts of two people go who stand there, one of whom does that: the larger of the two."""
    cast = crowd(np.random.default_rng(seed), () if act is None else (act,), CLOCK)
    joints = [solve(*actor) for actor in cast]

    def most(rows: list[int], of: str = "std") -> float:
        def far(track: Array) -> float:
            return float(track.std(axis=0).max() if of == "std" else track[..., 1].mean())

        return max(far(one[:, row]) for one in joints for row in rows)

    return {
        "hands": most([Joint.HAND, Joint.HAND + 1]),
        "head": most([Joint.HEAD]),
        "pelvis": most([Joint.PELVIS]),
    }


def test_the_classes_are_a_set_of_their_own() -> None:
    """In an order that trained networks rely on; no name is also one of another set, but of the same people
    in boxes."""
    assert SETS["crowd"] == ("waves", "circles", "lifts", "points", "cheers", "bows", "squats", "sways")
    others = {name for of, names in SETS.items() if of not in ("crowd", "people") for name in names}
    assert not others & set(SETS["crowd"])
    assert set_of(("waves", "bows", "mine")) == "crowd"
    assert drawn_of(("bows", "waves")) == ("waves", "bows")


def test_who_does_something_moves_as_the_class_says() -> None:
    """Against people who stand: hands, head or knees; who only holds an arm somewhere does not."""
    still = moves(None)
    assert max(still.values()) < 0.03
    for act in ("waves", "circles", "lifts"):
        assert moves(act)["hands"] > 0.05 > moves(act)["pelvis"]
    for act in ("bows", "sways"):
        assert moves(act)["head"] > 0.05 > moves(act)["pelvis"]
    assert moves("squats")["pelvis"] > 0.04
    for act in ("points", "cheers"):
        assert moves(act)["hands"] < 0.05


@pytest.mark.parametrize("acts", [(), ("waves",), NAMES[:2], NAMES[2:5], NAMES[4:8]])
def test_there_is_somebody_for_every_act(acts: tuple[str, ...]) -> None:
    """Two to four people, more than there are acts at times, beside each other."""
    for seed in range(6):
        cast = crowd(np.random.default_rng(seed), acts, CLOCK)
        assert max(2, len(acts)) <= len(cast) <= MOST
        middles = [float(script.x.mean()) for script, _ in cast]
        assert middles == sorted(middles)
        assert np.diff(middles).min() > 0.4


def test_a_set_is_the_same_picture_in_any_order_of_its_actors() -> None:
    """By its spelling and the seed; another set, and another seed, are others."""

    def digest(label: str, seed: int) -> str:
        drawn = render_clip(label, seed, frames=3, width=96, height=64, rate=4.0, of="crowd")
        return hashlib.sha256(drawn.tobytes()).hexdigest()

    assert digest("bows;waves", 3) == digest("bows;waves", 3)
    assert (
        len({digest("bows;waves", 3), digest("bows;waves", 4), digest("bows;sways", 3), digest("", 3)}) == 4
    )


def test_what_cannot_be_drawn() -> None:
    """An unknown act, five people, one act twice."""
    for label, said in (
        ("flies;waves", "cannot render label 'flies'"),
        (";".join(NAMES[:5]), "at most 4 people"),
        ("waves;waves", "do different things"),
    ):
        with pytest.raises(UsageError, match=said):
            RenderedScene(label, 0, 96, 64, 2.0, "crowd")


def test_clips_draw_their_sets_from_their_seeds() -> None:
    """None to three acts, each class about as often, and what is listed is what is drawn."""
    clips = [crowd_clip(NAMES, seed) for seed in range(400)]
    assert clips[7] == crowd_clip(NAMES, 7)
    counts = [sum(name in clip.labels for clip in clips) for name in NAMES]
    assert {len(clip.labels) for clip in clips} == {0, 1, 2, 3}
    assert min(counts) > 0.6 * max(counts)
    assert all(clip.many and clip.drawn == "crowd" for clip in clips)


def test_the_demo_shows_sets() -> None:
    """Every class once a cycle, with up to two others; the same whenever it is asked."""
    stream = RenderedStream(5, 96, 64, 5.0, NAMES)
    truths = {stream.take(index): stream.frame(index)[1] for index in range(0, 150, 2)}
    sets = [labels_in(truth) for truth in list(truths.values())[:8]]
    assert set().union(*sets) == set(NAMES)
    assert {len(one) for one in sets} <= {1, 2, 3}
    assert max(len(one) for one in sets) > 1
    assert RenderedStream(5, 96, 64, 5.0, NAMES).frame(40)[1] == stream.frame(40)[1]
