"""What a training run begins with: a fresh network, or one that takes over another checkpoint's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor

from a3d_edge.errors import UsageError
from a3d_edge.models.checkpoint import Checkpoint, load
from a3d_edge.models.registry import describe, layers_of
from a3d_edge.training.recipe import Recipe
from a3d_edge.training.reports import Note
from a3d_edge.video.preprocess import MOTION_OFFSETS, Preprocessing

__all__ = ["fresh"]


def fresh(recipe: Recipe, names: tuple[str, ...], init: Path | None, note: Note) -> Checkpoint:
    """A network of a recipe, for these classes; ``init``: a checkpoint whose weights it begins with.

    Raises `UsageError` for an unknown architecture or input, and an ``init`` of another one.
    """
    if recipe.input_kind not in ("rgb", "motion"):
        raise UsageError(f"unknown `input_kind` '{recipe.input_kind}'; there are rgb and motion")
    offsets = (MOTION_OFFSETS,) if recipe.input_kind == "motion" else ()
    spec = Preprocessing(cast(Literal["rgb", "motion"], recipe.input_kind), recipe.aspect, *offsets)
    description = describe(recipe.arch, len(names))
    other = None if init is None else load(init)  # before the seed: loading draws numbers too
    if other is not None:
        description = layers_of(other.description, description)
        spec = replace(spec, mean=other.preprocessing.mean, std=other.preprocessing.std)
    torch.manual_seed(recipe.seed)
    checkpoint = Checkpoint(description.build(), names, spec, recipe.range_name)
    if init is not None and other is not None:
        _initialise(checkpoint, init, other, note)
    return checkpoint


def _initialise(checkpoint: Checkpoint, path: Path, other: Checkpoint, note: Note) -> None:
    """Take over another checkpoint's weights; the head stays fresh if that one has more or fewer classes.

    Raises `UsageError` when it is of another architecture, or was trained on other input.
    """
    counts = len(other.classes), len(checkpoint.classes)
    theirs, ours = other.model.state_dict(), checkpoint.model.state_dict()
    fresh = {name for name in theirs.keys() & ours.keys() if _per_class(theirs[name], ours[name], counts)}
    odd = next((n for n in (*ours, *theirs) if n not in fresh and _shape(theirs, n) != _shape(ours, n)), None)
    if odd is not None:
        raise UsageError(
            f"`init` {path}: is of architecture {other.description.name}, whose {odd} does not fit "
            f"`arch` {checkpoint.description.name}; name a checkpoint of the same architecture"
        )
    _require_same_input(path, other.preprocessing, checkpoint.preprocessing)
    taken = {name: ours[name] if name in fresh else tensor for name, tensor in theirs.items()}
    checkpoint.model.load_state_dict(taken)
    if fresh:
        note(f"`init` {path}: has {counts[0]} classes, this run {counts[1]}: the head starts fresh")


def _require_same_input(path: Path, theirs: Preprocessing, ours: Preprocessing) -> None:
    there, here = asdict(theirs), asdict(ours)
    differing = [f"{key} {there[key]}, here {here[key]}" for key in here if there[key] != here[key]]
    if differing:
        raise UsageError(
            f"`init` {path}: was trained on other input ({'; '.join(differing)}); "
            "match `input_kind` and `aspect`, or name another checkpoint"
        )


def _per_class(theirs: Tensor, ours: Tensor, counts: tuple[int, int]) -> bool:
    """Whether two tensors differ in nothing but a row for every class, of which there are ``counts``."""
    return (
        counts[0] != counts[1]
        and theirs.dim() > 0
        and (theirs.shape[:1], ours.shape[:1]) == ((counts[0],), (counts[1],))
        and theirs.shape[1:] == ours.shape[1:]
    )


def _shape(state: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(state[name].shape) if name in state else None
