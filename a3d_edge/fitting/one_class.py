"""`fit` knows one class a clip: its page and its choice are about accuracy. What else is asked is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a3d_edge.errors import UsageError
from a3d_edge.task import SINGLE
from a3d_edge.training.clips import Clip, Data, LabelSetError, clips_of
from a3d_edge.training.recipe import RECIPES, Recipe

__all__ = ["one_class_each", "require_single"]

INSTEAD = (
    "fit knows one class a clip: run 'a3d-edge train' with `task` multilabel or boxes, then 'table build' "
    "and 'export'"
)


def require_single(recipe: Recipe | str, changes: Mapping[str, Any]) -> None:
    """Raise `UsageError` for a recipe of another task; one that is unknown is refused where it is used."""
    named = RECIPES.get(recipe, Recipe()) if isinstance(recipe, str) else recipe
    task = changes.get("task", named.task)
    if task != SINGLE:
        raise UsageError(f"`recipe`: its task is {task}; {INSTEAD}")


def one_class_each(data: Data) -> list[Clip]:
    """The clips of lists. Raises `UsageError` for sets of labels, and for people in boxes."""
    try:
        listed = clips_of(data)
    except LabelSetError as error:
        raise UsageError(f"{error}; {INSTEAD}") from error
    if many := next((clip for clip in listed if clip.many), None):
        raise UsageError(f"{many.name} has a set of labels; {INSTEAD}")
    return listed
