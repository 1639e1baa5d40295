"""Clips that are drawn, as lists name them (``drawn:SET:SEED``) and as training adds them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from a3d_edge.errors import SourceError
from a3d_edge.labels import joined_labels, labels_in
from a3d_edge.training.clip import Clip

__all__ = [
    "PEOPLE",
    "check_drawn",
    "crowd_clip",
    "drawn_people",
    "people_clip",
    "people_row",
    "rendered_clips",
]

PEOPLE = "people"
"""Of the sets that are drawn the one that tells who does what (`a3d_edge.demo.rendered`)."""


def rendered_clips(
    labels: Sequence[str], each: int, first_seed: int = 1000, *, many: bool = False
) -> list[Clip]:
    """``each`` rendered clips of every label that can be drawn, of consecutive seeds.

    All are of the one set that the ``labels`` mean (`set_of`): its figures act ``none`` too. ``many``: clips
    of a crowd, as many in all, each with a set of labels that its seed draws, the empty one now and then.
    """
    from a3d_edge.demo.rendered import CROWDED, drawn_of, set_of

    known, drawn = drawn_of(labels), set_of(labels)
    if many:
        there = known if drawn == CROWDED else ()
        return [crowd_clip(there, first_seed + i) for i in range(each * len(there))]
    return [
        Clip(label, None, seed=first_seed + i, drawn=drawn)
        for label in labels
        if label in known
        for i in range(each)
    ]


def crowd_clip(labels: Sequence[str], seed: int) -> Clip:
    """A drawn clip of several people: none to three of the ``labels``, each as likely."""
    rng = random.Random(f"crowd:{seed}")
    acts = rng.sample(list(labels), min(len(labels), rng.choice((0, 1, 2, 2, 3, 3))))
    return Clip(joined_labels(acts), None, seed=seed, drawn="crowd", many=True)


def people_clip(seed: int) -> Clip:
    """A drawn clip of four people, each of whom does something, or nothing; its labels are those of all."""
    from a3d_edge.demo.crowd import four_acts

    acts = {act for act in four_acts(seed) if act}
    return Clip(joined_labels(acts) if acts else "", None, seed=seed, drawn=PEOPLE, many=True)


def drawn_people(labels: Sequence[str], each: int, first_seed: int = 1000) -> list[Clip]:
    """``each`` clips of people for every label; none where the labels lack what they do."""
    from a3d_edge.demo.crowd import FOUR

    if not set(FOUR) <= set(labels):
        return []
    return [people_clip(first_seed + i) for i in range(each * len(labels))]


def people_row(where: str, label: str, seed: int, many: bool) -> Clip:
    """A drawn clip of people as a list names it: with what they do, or without."""
    clip = replace(people_clip(seed), where=where)
    if not many:
        raise SourceError(f"{where}: who does what is asked with `task` boxes")
    if label and label != clip.label:
        raise SourceError(f"{where}: those of drawn:{PEOPLE}:{seed} do '{clip.label}'; leave the label empty")
    return clip


def check_drawn(where: str, of: str, label: str, start: float | None, end: float | None) -> None:
    from a3d_edge.demo.rendered import CROWDED, SETS

    if of not in SETS:
        raise SourceError(f"{where}: there is no set '{of}' to be drawn; known are {', '.join(SETS)}")
    if of == PEOPLE:
        return
    if other := [one for one in labels_in(label) if one not in SETS[of]]:
        raise SourceError(f"{where}: '{other[0]}' cannot be drawn; {of} has {', '.join(SETS[of])}")
    if len(labels_in(label)) != 1 and of != CROWDED:
        raise SourceError(f"{where}: a clip of {of} is of one class; a set of them is drawn of {CROWDED}")
    if start is not None or end is not None:
        raise SourceError(f"{where}: a drawn clip has no start nor end; leave them empty")
