"""Clips put aside to validate on: by the split that the data has, else whole groups of every class."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from a3d_edge.errors import UsageError
from a3d_edge.training.clips import Clip

__all__ = ["split_by_group", "split_to_validate"]


def split_to_validate(
    clips: Sequence[Clip], share: float = 0.2, seed: int = 0
) -> tuple[list[Clip], list[Clip]]:
    """(training, validation) clips: by the split ``val``, else `split_by_group` of what is not ``test``.

    Clips of ``test`` are in neither: who chooses by them has no test any more. Raises `UsageError` when one
    side has no clip.
    """
    ours = [clip for clip in clips if clip.split != "test"]
    held = [clip for clip in ours if clip.split == "val"]
    if not held:
        return split_by_group(ours, share, seed)
    rest = [clip for clip in ours if clip.split != "val"]
    if not rest:
        raise UsageError("the data has clips of the split val and none to train on; add some, of train")
    return rest, held


def split_by_group(clips: Sequence[Clip], share: float = 0.2, seed: int = 0) -> tuple[list[Clip], list[Clip]]:
    """(training, held-out) clips, about ``share`` of every class held out, and never a part of a group.

    Clips without a group are one by their file. Groups are taken one by one, each time the one that brings
    the classes nearest to their shares; ``seed`` decides between equals. None is taken that would leave a
    class without training clips. Raises `UsageError` when one side is empty, or for a share that is none.
    """
    if not 0 < share < 1:
        raise UsageError(f"a share of {share} cannot be held out; name one between 0 and 1")
    members: dict[str, list[Clip]] = {}
    for clip in clips:
        members.setdefault(clip.belongs_to, []).append(clip)
    chosen = _groups(members, share, seed)
    rest = [clip for clip in clips if clip.belongs_to not in chosen]
    held = [clip for clip in clips if clip.belongs_to in chosen]
    if not rest or not held:
        raise UsageError(
            f"the clips are of {len(members)} groups, which cannot be split without leaving a class untrained"
            "; name other clips to validate on, or correct the column group"
        )
    return rest, held


def _groups(members: dict[str, list[Clip]], share: float, seed: int) -> set[str]:
    """The groups to hold out, greedily."""
    counts = {name: Counter(clip.label for clip in there) for name, there in members.items()}
    left = Counter(clip.label for there in members.values() for clip in there)
    missing = {label: share * count for label, count in left.items()}  # still to be held out, by class
    order = sorted(counts)
    random.Random(seed).shuffle(order)
    chosen: set[str] = set()
    while True:
        gains = [
            (_gain(missing, counts[name]), name)
            for name in order
            if name not in chosen and all(left[label] > n for label, n in counts[name].items())
        ]
        gain, name = max(gains, key=lambda one: one[0], default=(0.0, ""))
        if gain <= 0 and (chosen or not name):
            return chosen
        chosen.add(name)
        for label, count in counts[name].items():
            missing[label] -= count
            left[label] -= count


def _gain(missing: dict[str, float], counts: Counter[str]) -> float:
    """By how much the squared distances from the classes' shares shrink."""
    return sum(missing[label] ** 2 - (missing[label] - count) ** 2 for label, count in counts.items())
