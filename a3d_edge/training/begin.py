"""What a training run begins with: a fresh network, or one that takes over another checkpoint's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from a3d_edge.bundle import Bundle
from a3d_edge.bundles import as_path, names
from a3d_edge.errors import CheckpointError, UsageError
from a3d_edge.models.checkpoint import Checkpoint, load
from a3d_edge.models.from_bundle import checkpoint_of
from a3d_edge.models.levels import is_switched
from a3d_edge.models.network import NetworkDescription
from a3d_edge.models.ranges import find_range
from a3d_edge.models.registry import ARCHITECTURES, describe, layers_of
from a3d_edge.training.augmentation import may_mirror
from a3d_edge.training.recipe import Recipe, stride_of
from a3d_edge.training.reports import Note
from a3d_edge.training.start import awaken
from a3d_edge.video.preprocess import OFFSETS, Preprocessing, View

__all__ = ["fresh", "initial"]


def initial(init: str | Path) -> Checkpoint:
    """The network to begin with: a checkpoint, the folder of a bundle, or a built-in bundle's name.

    A bundle has no batch norms that switch: they are in its statistics.
    """
    path = as_path(init)
    if path.is_file():
        return load(path)
    if path.is_dir():
        bundle = Bundle.load(path)
        exact = [one for one in bundle.configurations if one.precision == "fp32"]
        return checkpoint_of(bundle, exact[:1])
    raise CheckpointError(
        f"`init` {init}: no such checkpoint or bundle; name a .pth file, a bundle's folder, or a built-in "
        f"bundle ({names()})"
    )


def fresh(
    recipe: Recipe, names: tuple[str, ...], init: str | Path | None, other: Checkpoint | None, note: Note
) -> Checkpoint:
    """A network of a recipe, for these classes; ``other``, read from ``init``: whose weights it begins with.

    Raises `UsageError` for an unknown architecture or input, and an ``other`` that does not fit.
    """
    kind = next((kind for kind in OFFSETS if kind == recipe.input_kind), None)
    if kind is None:
        raise UsageError(f"unknown `input_kind` '{recipe.input_kind}'; there are {', '.join(OFFSETS)}")
    if recipe.mirror == "on" and not may_mirror(names):
        raise UsageError("`mirror` on: a class names a side, and would be taught as another; leave it out")
    view = cast(View, recipe.view)  # `Recipe.check` refuses others
    spec = Preprocessing(kind, recipe.aspect, OFFSETS[kind], view=view)
    description = _description(recipe.arch, len(names), other)
    if other is not None:
        seen = other.preprocessing
        same = (seen.input, seen.aspect, seen.view) == (kind, recipe.aspect, recipe.view)
        spec = seen if same else replace(spec, mean=seen.mean, std=seen.std)
    torch.manual_seed(recipe.seed)
    model = _changed(description, recipe).build()
    if recipe.switchable and recipe.settings().teaches:
        size, frames = model.description.size, model.description.frames
        model.switch_norms(find_range(recipe.range_name).levels(size, frames))
    checkpoint = Checkpoint(model, names, spec, recipe.range_name)
    if other is not None:
        _initialise(checkpoint, str(init), other, note)
    if recipe.awake:
        awaken(checkpoint.model)
    return checkpoint


def _description(arch: str, classes: int, other: Checkpoint | None) -> NetworkDescription:
    """The architecture, with the layers and the window of the network that is begun with, if it is of it."""
    if other is not None and other.description.name == arch and arch not in ARCHITECTURES:
        return other.description.model_copy(update={"classes": classes})  # a program's own
    described = describe(arch, classes)
    return described if other is None else layers_of(other.description, described)


def _changed(description: NetworkDescription, recipe: Recipe) -> NetworkDescription:
    changes: dict[str, object] = {"task": recipe.task}
    if recipe.dropout is not None:
        changes["dropout"] = recipe.dropout
    if recipe.size is not None:
        changes["size"] = recipe.size
    if recipe.frames is not None:
        changes["frames"] = recipe.frames
    changed, window = description.model_copy(update=changes), recipe.window
    if window is None and changed.frames != description.frames:  # more of the same seconds
        window = description.sampling.span_s
    if window is None:
        return changed
    return changed.model_copy(update={"stride": stride_of(window, changed.sampling)})


def _initialise(checkpoint: Checkpoint, path: str, other: Checkpoint, note: Note) -> None:
    """Take over another checkpoint's weights; the head stays fresh if that one has other classes, or is of
    another task.

    Raises `UsageError` when it is of another architecture, or was trained on other input.
    """
    counts = len(other.classes), len(checkpoint.classes)
    ours = checkpoint.model.state_dict()
    theirs = _with_levels_of(ours, other.model.state_dict())
    differ = other.classes != checkpoint.classes or other.task != checkpoint.task
    fresh = {
        name for name in theirs.keys() & ours.keys() if differ and _per_class(name, theirs, ours, counts)
    }
    odd = next((n for n in (*ours, *theirs) if n not in fresh and _shape(theirs, n) != _shape(ours, n)), None)
    if odd is not None:
        raise UsageError(
            f"`init` {path}: is of architecture {other.description.name}, whose {odd} does not fit "
            f"`arch` {checkpoint.description.name}; name a checkpoint of the same architecture"
        )
    _require_same_input(path, other.preprocessing, checkpoint.preprocessing)
    taken = {name: ours[name] if name in fresh else tensor for name, tensor in theirs.items()}
    checkpoint.model.load_state_dict(taken)
    if left_out := [one for one in _levels(other) if one not in _levels(checkpoint)]:
        note(
            f"`init` {path}: what its batch norms have for {', '.join(left_out)} is left out, as this run's "
            "do not switch there"
        )
    if counts[0] != counts[1]:
        note(f"`init` {path}: has {counts[0]} classes, this run {counts[1]}: the head starts fresh")
    elif other.classes == checkpoint.classes and differ:
        note(f"`init` {path}: is of the task {other.task}, this run {checkpoint.task}: the head starts fresh")
    elif differ:
        note(f"`init` {path}: has other classes ({', '.join(other.classes)}): the head starts fresh")


def _levels(checkpoint: Checkpoint) -> tuple[str, ...]:
    levels = checkpoint.model.levels
    return () if levels is None else levels.names


def _with_levels_of(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Another network's state with what belongs to `Levels` as this one has it: theirs where they have the
    same level, else fresh."""
    kept = {name: tensor for name, tensor in theirs.items() if not is_switched(name) or name in ours}
    return {**{name: tensor for name, tensor in ours.items() if is_switched(name)}, **kept}


def _require_same_input(path: str, theirs: Preprocessing, ours: Preprocessing) -> None:
    there, here = asdict(theirs), asdict(ours)
    differing = [f"{key} {there[key]}, here {here[key]}" for key in here if there[key] != here[key]]
    if differing:
        raise UsageError(
            f"`init` {path}: was trained on other input ({'; '.join(differing)}); "
            "match `input_kind`, `aspect` and `view`, or name another checkpoint"
        )


def _per_class(
    name: str, theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor], counts: tuple[int, int]
) -> bool:
    """Whether a tensor of the head has a row for every class, and is alike but for their number."""
    there, here = theirs[name], ours[name]
    if not name.startswith("head.") or there.dim() == 0 or there.shape[1:] != here.shape[1:]:
        return False
    return (len(there), len(here)) == counts


def _shape(state: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(state[name].shape) if name in state else None
