"""Which clips are trained on and which are validated on, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from a3d_edge.errors import UsageError
from a3d_edge.training.clips import Clip
from a3d_edge.training.recipe import Recipe
from a3d_edge.training.reports import unheard
from a3d_edge.training.sides import sides_of

CLIPS = [
    Clip(label, Path(f"{person}-{label}.mp4"), f"p{person}", fold=person % 2)
    for person in range(10)
    for label in ("hug", "kick")
]


def test_a_fifth_of_the_groups_is_put_aside_and_said() -> None:
    """Of what the fold leaves."""
    notes: list[str] = []
    sides = sides_of(Recipe(), CLIPS, None, notes.append)
    assert (len(sides.train), len(sides.validate)) == (16, 4)
    assert not {clip.group for clip in sides.train} & {clip.group for clip in sides.validate}
    assert notes == ["validating on 4 of 20 clips (2 whole groups or files); `val` 0 trains on them too"]
    folded = sides_of(Recipe(fold=1), CLIPS, None, unheard)
    assert {clip.fold for clip in (*folded.train, *folded.validate)} == {0}
    assert (len(folded.train), len(folded.validate)) == (8, 2)


def test_none_and_lists_of_one_s_own() -> None:
    """A share of 0 trains on everything; clips to validate on are taken as they are."""
    assert sides_of(Recipe(val=0.0), CLIPS, None, unheard).train == CLIPS
    sides = sides_of(Recipe(), CLIPS[:10], CLIPS[10:], unheard)
    assert (sides.train, sides.validate) == (CLIPS[:10], CLIPS[10:])
    with pytest.raises(UsageError, match="the data has the label run"):
        sides_of(Recipe(), CLIPS, [Clip("run", Path("x.mp4"))], unheard)


def test_the_data_s_own_split_comes_first() -> None:
    """Clips of ``val`` are validated on, those of ``test`` are not touched."""
    splits = {"p0": "val", "p1": "test"}
    clips = [replace(clip, split=splits.get(clip.group, "train")) for clip in CLIPS]
    sides = sides_of(Recipe(), clips, None, unheard)
    assert {clip.group for clip in sides.validate} == {"p0"}
    assert len(sides.train) == 16


def test_too_few_groups_are_no_error_unless_asked_for() -> None:
    """A run of one person's clips goes on, and says that nothing is validated on."""
    notes: list[str] = []
    one = CLIPS[:2]
    assert sides_of(Recipe(), one, None, notes.append).train == one
    assert notes[0].startswith("nothing is validated on: the clips are of 1 groups")
    with pytest.raises(UsageError, match="which cannot be split"):
        sides_of(Recipe(), one, None, notes.append, needed=True)
