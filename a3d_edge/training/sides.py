"""Which clips a run trains on, which it validates on, and what its classes are.

data ─ classes ─ without the fold ─ validation: lists, the data's own split, or a share by group ─ training
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from a3d_edge.errors import UsageError
from a3d_edge.labels import sorted_labels
from a3d_edge.task import BOXES, is_multilabel
from a3d_edge.training.clips import Clip, Data, check_labels, clips_of, rendered_clips
from a3d_edge.training.drawn import drawn_people
from a3d_edge.training.lists import charades
from a3d_edge.training.recipe import Recipe
from a3d_edge.training.reports import Note
from a3d_edge.training.splits import split_to_validate

__all__ = ["Sides", "sides_of"]


@dataclass(frozen=True, slots=True)
class Sides:
    """The classes, in order; the clips of either side, and those that are drawn to train on too."""

    classes: tuple[str, ...]
    train: Sequence[Clip]
    validate: Sequence[Clip]
    drawn: Sequence[Clip] = ()


def sides_of(
    recipe: Recipe, listed: Sequence[Clip], val: Data | None, note: Note, *, needed: bool = False
) -> Sides:
    """The sides of the clips that were listed. ``val``: clips to validate on, instead of a share of them.

    Clips without groups enough to put some aside are all trained on, which is noted, or a `UsageError` if
    validating is ``needed``. The classes are those of the whole lists, for one side may lack some.
    """
    names = recipe.classes or classes_of(listed)
    check_labels(listed, names)
    if not names:
        raise UsageError("no clip has a label: nothing can be learnt; name clips with labels, or `classes`")
    if len(names) < 2 and not is_multilabel(recipe.task):
        raise UsageError(
            f"there is one class, {names[0]}: name clips of another to tell it from, or `classes`"
        )
    ours = clips_of(listed, recipe.fold) if listed else []
    if recipe.task == BOXES:
        drawn = drawn_people(names, recipe.rendered)
    else:
        drawn = rendered_clips(names, recipe.rendered, many=is_multilabel(recipe.task))
    if recipe.rendered and not drawn:
        raise UsageError(f"`rendered`: no class of {', '.join(names)} can be drawn; leave it out")
    if val is not None:
        validate = clips_of(val, task=recipe.task)
        check_labels(validate, names)
        return Sides(names, [clip for clip in ours if clip.split != "test"], validate, drawn)
    if not recipe.val or not ours:
        return Sides(names, ours, (), drawn)
    return Sides(names, *_put_aside(ours, recipe.val, note, needed), drawn)


def classes_of(clips: Sequence[Clip]) -> tuple[str, ...]:
    """All labels, in order; of Charades all its classes, whichever occur."""
    labels = {label for clip in clips for label in clip.labels}
    of_charades = bool(labels) and labels <= set(charades.CLASSES) and any(clip.many for clip in clips)
    return charades.CLASSES if of_charades else sorted_labels(labels)


def _put_aside(clips: list[Clip], share: float, note: Note, needed: bool) -> tuple[list[Clip], list[Clip]]:
    try:
        rest, held = split_to_validate(clips, share)
    except UsageError as error:
        if needed:
            raise
        note(f"nothing is validated on: {error}")
        return clips, []
    groups = len({clip.belongs_to for clip in held})
    by = "split val" if any(clip.split == "val" for clip in held) else f"{groups} whole groups or files"
    note(f"validating on {len(held)} of {len(rest) + len(held)} clips ({by}); `val` 0 trains on them too")
    return rest, held
