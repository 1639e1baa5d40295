"""Clips put aside to validate on: by the split that the data has, else whole groups of every class."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from a3d_edge.errors import UsageError
from a3d_edge.training.clips import Clip

__all__ = ["split_by_group", "split_to_validate"]

ORDERS, TRIED = 64, 200_000
"""How many orders are tried at the most, and groups in all of them together."""


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

    Clips without a group are one by their file. Groups are taken in an order that ``seed`` draws, if they
    bring the classes nearer to their shares; the best of several orders counts. None is taken that would
    leave a class without training clips. Raises `UsageError` when one side is empty, or for a share that is
    none.
    """
    if not 0 < share < 1:
        raise UsageError(f"a share of {share} cannot be held out; name one between 0 and 1")
    names = [clip.belongs_to for clip in clips]
    members: dict[str, list[Clip]] = {}
    for name, clip in zip(names, clips, strict=True):
        members.setdefault(name, []).append(clip)
    chosen = _groups(members, share, seed)
    rest = [clip for name, clip in zip(names, clips, strict=True) if name not in chosen]
    held = [clip for name, clip in zip(names, clips, strict=True) if name in chosen]
    if not rest or not held:
        raise UsageError(
            f"the clips are of {len(members)} groups, which cannot be split without leaving a class untrained"
            "; name other clips to validate on, or correct the column group"
        )
    return rest, held


def _groups(members: dict[str, list[Clip]], share: float, seed: int) -> set[str]:
    """The groups to hold out: of several orders to take them in, the one that ends nearest to the shares, and
    with the most groups."""
    counts = {name: Counter(_labels(there)) for name, there in members.items()}
    totals = Counter(label for there in members.values() for label in _labels(there))
    draw = random.Random(seed)
    best: tuple[float, int, set[str]] | None = None
    for _ in range(max(1, min(ORDERS, TRIED // max(1, len(counts))))):
        order = draw.sample(sorted(counts), len(counts))
        chosen, off = _taken(order, counts, totals, share)
        if chosen and (best is None or (off, -len(chosen)) < best[:2]):
            best = off, -len(chosen), chosen
    return best[2] if best else _least(counts, totals)


def _labels(clips: Sequence[Clip]) -> Iterator[str]:
    """What is true of each of them; an empty label of those of no class, which are shared out too."""
    for clip in clips:
        yield from clip.labels or ("",)


def _taken(
    order: Sequence[str], counts: dict[str, Counter[str]], totals: Counter[str], share: float
) -> tuple[set[str], float]:
    """The groups that bring the classes nearer to their shares, taken one by one; how far off that ends, in
    squared shares."""
    held: Counter[str] = Counter()
    chosen: set[str] = set()
    off = len(totals) * share**2
    for name in order:
        there = counts[name]
        if any(held[label] + count >= totals[label] for label, count in there.items()):
            continue  # a class would be left without training clips
        change = sum(
            ((held[label] + count) / totals[label] - share) ** 2 - (held[label] / totals[label] - share) ** 2
            for label, count in there.items()
        )
        if change < 0:
            chosen.add(name)
            held.update(there)
            off += change
    return chosen, off


def _least(counts: dict[str, Counter[str]], totals: Counter[str]) -> set[str]:
    """Where every group is more than twice the share: the smallest that leaves every class some clips."""
    fit = [n for n, there in counts.items() if all(totals[label] > count for label, count in there.items())]
    return {min(fit, key=lambda name: (counts[name].total(), name))} if fit else set()
