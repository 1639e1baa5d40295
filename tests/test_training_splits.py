"""Clips to validate on: never a part of a group, classes in balance, the data's own split first."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from a3d_edge.errors import UsageError
from a3d_edge.training.clips import Clip
from a3d_edge.training.splits import split_by_group, split_to_validate


def clips_of(people: int, each: int = 2, labels: tuple[str, ...] = ("hug", "kick", "none")) -> list[Clip]:
    """So many clips of every class of each person."""
    return [
        Clip(label, Path(f"{person}-{label}-{n}.mp4"), f"p{person}")
        for person in range(people)
        for label in labels
        for n in range(each)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_is_held_out_and_no_group_is_split(seed: int) -> None:
    """Two of ten people, every class in its share; every clip on one side."""
    clips = clips_of(10)
    rest, held = split_by_group(clips, seed=seed)
    assert Counter(clip.label for clip in held) == {"hug": 4, "kick": 4, "none": 4}
    assert not {clip.group for clip in rest} & {clip.group for clip in held}
    assert sorted(map(str, rest + held)) == sorted(map(str, clips))
    assert split_by_group(clips, seed=seed) == (rest, held)


def test_the_seed_chooses_between_equals() -> None:
    """Other people, the same number."""
    chosen = {frozenset(c.group for c in split_by_group(clips_of(10), seed=seed)[1]) for seed in range(8)}
    assert len(chosen) > 1


def test_classes_are_balanced_as_well_as_groups_allow() -> None:
    """A group with one class alone is taken together with one that has the other."""
    clips = [Clip("hug", Path(f"h{n}.mp4"), f"h{n // 5}") for n in range(25)]
    clips += [Clip("kick", Path(f"k{n}.mp4"), f"k{n // 2}") for n in range(10)]
    _, held = split_by_group(clips)
    assert Counter(clip.label for clip in held) == {"hug": 5, "kick": 2}


def test_clips_without_group_are_one_by_their_file() -> None:
    """Parts of a file stay together; drawn clips are each their own."""
    clips = [Clip("kick", Path(f"{n // 2}.mp4"), start=float(n % 2), end=n % 2 + 1.0) for n in range(20)]
    rest, held = split_by_group(clips)
    assert len(held) == 4
    assert not {clip.path for clip in rest} & {clip.path for clip in held}
    assert len(split_by_group([Clip("a", None, seed=n) for n in range(5)])[1]) == 1


def test_no_class_is_left_untrained() -> None:
    """The only person who kicks stays in training; where that leaves nothing to hold out, it is said."""
    clips = [*clips_of(5, labels=("hug",)), Clip("kick", Path("k.mp4"), "only")]
    rest, held = split_by_group(clips)
    assert "kick" in {clip.label for clip in rest}
    assert {clip.label for clip in held} == {"hug"}
    with pytest.raises(UsageError, match="the clips are of 1 groups, which cannot be split"):
        split_by_group(clips_of(1))
    with pytest.raises(UsageError, match="a share of 1 cannot be held out"):
        split_by_group(clips, 1)


def test_the_split_of_the_data_comes_first() -> None:
    """``val`` is held out, ``test`` is in neither; without ``val`` a fifth of the rest is."""
    clips = [
        Clip("hug", Path(f"{n}.mp4"), split=split) for n, split in enumerate(["", "train", "val", "test"])
    ]
    rest, held = split_to_validate(clips)
    assert ([c.split for c in rest], [c.split for c in held]) == (["", "train"], ["val"])
    others = [Clip("hug", Path(f"{n}.mp4"), split="train" if n else "test") for n in range(11)]
    rest, held = split_to_validate(others)
    assert (len(rest), len(held)) == (8, 2)
    assert {clip.split for clip in rest + held} == {"train"}
    with pytest.raises(UsageError, match="clips of the split val and none to train on"):
        split_to_validate(clips[2:])
