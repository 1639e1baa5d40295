"""A whole training run: clips to a checkpoint, trained over a range of configurations and calibrated.

clips ─ a fresh network, or the checkpoint that goes on ─ decoded ─ trained (`loop`), and looked at (`watch`)
      ─ its configurations tuned, if that is asked for ─ calibrated ─ out
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from a3d_edge.bundles import as_path
from a3d_edge.errors import DataWarning, ResourceError, UsageError
from a3d_edge.models.checkpoint import Checkpoint, load
from a3d_edge.models.registry import describe
from a3d_edge.outputs import claim, refuse_input, require_room
from a3d_edge.training import loop
from a3d_edge.training.average_precision import require_library
from a3d_edge.training.begin import fresh, initial
from a3d_edge.training.clips import Clip, Data, clips_of, paths_of, spread
from a3d_edge.training.decode import FrameCache, readable
from a3d_edge.training.finish import finish
from a3d_edge.training.inputs import batches_for, frame_cache, window_set
from a3d_edge.training.precision import precision_of
from a3d_edge.training.recipe import (
    FINE_TUNING,
    RECIPES,
    Recipe,
    adopted,
    check_same_clips,
    clips_digest,
    continued,
    epochs_for,
    recipe_for,
    recorded,
)
from a3d_edge.training.reports import Note, Report, StepReport, step, unheard, unseen
from a3d_edge.training.shards import Share, device_of
from a3d_edge.training.sides import Sides, sides_of
from a3d_edge.training.threads import chosen_threads
from a3d_edge.training.together import joined, turn
from a3d_edge.training.watch import EVALUATIONS, Validator, Watch, best_of, ends_of, metrics_of

__all__ = ["train"]

BYTES_A_WEIGHT = 8  # in a checkpoint: a float, and the optimizer's momentum for it (AdamW: two, at most 12)
WATCH_CALIBRATION = 48  # training clips that a validation calibrates its two configurations on


def train(
    data: Data,
    out: str | Path,
    recipe: Recipe | str = "auto",
    *,
    changes: Mapping[str, Any] | None = None,
    val: Data | None = None,
    init: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    calibration_clips: int = 160,
    device: str = "cpu",
    cache: str | Path | None = None,
    workers: int | None = 0,
    tensorboard: str | Path | None = None,
    report: Report = unseen,
    on_step: Callable[[StepReport], None] | None = None,
    note: Note = unheard,
    again: str = "the same command with `resume`",
) -> Checkpoint:
    """Train a network as ``recipe`` says, calibrate the candidates of its range, write it to ``out``.

    ``recipe``: one of your own, or a name (`RECIPES`); ``changes`` are made to it. ``val``: clips to validate
    on, instead of a share of ``data``; what was best of them is in ``OUT.best.pth``, the figures in
    ``OUT.metrics.csv``. ``init``: begin with the weights of this checkpoint or bundle (its folder, or a
    built-in one's name), its architecture and input, unless those are changed. ``resume``: go on with the run
    whose checkpoint is ``out``: the recipe is that one's, and what is named here must agree with it.
    ``calibration_clips``: 0 for none. ``cache``: as in `open_cache`. So many processes, ``workers``, prepare
    batches (0: a thread; None: as suits): a program that asks for some must be importable, as
    `multiprocessing` says. ``on_step`` is told every step (default: ``report`` is). Ctrl-C saves, and notes
    that ``again`` goes on. Under torchrun the processes share each batch; the first one writes. Clips that
    cannot be read are left out, named in a `DataWarning`. Raises `UsageError` before any work for what cannot
    be meant, `SourceError` when no clip can be read, `ResourceError` when the disk is full.
    """
    out, changes = Path(out), changes or {}
    _claim(out, [*paths_of(data), *paths_of(val or ())], init, resume=resume, overwrite=overwrite)
    share = Share.from_env()
    if not share.first:  # the first one speaks for all
        report, on_step, note = unseen, lambda _: None, unheard
    device = str(device_of(device, share))
    checkpoint, given, sides = _begun(data, out, recipe, changes, val, init, resume, device, note)
    if given.batch % share.size:
        raise UsageError(f"`batch` {given.batch} is no multiple of the {share.size} processes; name one")
    frames, finished = frame_cache(checkpoint, cache), resume and checkpoint.resume is None
    with _advice(checkpoint, out, again, note):
        settings, steps = given.settings(device), given.epochs * len(sides.train) // given.batch
        with joined(share, device), chosen_threads(checkpoint, settings.precision, device, steps, note):
            there, held = _read(checkpoint, sides, share, frames, report)
            if not finished:
                batches = batches_for(checkpoint, there, frames, given, workers, share)
                watch = _watch(checkpoint, there, held, batches.per_epoch, given, out, cache)
                board = None if tensorboard is None else Path(tensorboard)
                loop.train(
                    checkpoint, batches, settings, out, device=device, note=note,
                    report=on_step or (lambda done: report("train", done.step, done.steps)),
                    watch=replace(watch, note=note, tensorboard=board),
                )  # fmt: skip
        if share.first:
            finish(checkpoint, there, given, calibration_clips, cache, workers, device, out, report, note)
    return checkpoint


def _begun(
    data: Data,
    out: Path,
    recipe: Recipe | str,
    changes: Mapping[str, Any],
    val: Data | None,
    init: str | Path | None,
    resume: bool,
    device: str,
    note: Note,
) -> tuple[Checkpoint, Recipe, Sides]:
    """The checkpoint that is trained, a fresh one or that which goes on; by which recipe, on which clips."""
    given, named = _given(recipe, changes)
    begun, other = load(out) if resume else None, None if init is None else initial(init)
    if begun is not None:
        given = continued(given, named, recorded(begun), out)
    elif other is not None and "task" not in named:  # lists are read as its task has them
        given = replace(given, task=other.task)
    given.check()
    if given.task == "multilabel":
        require_library()
    _require_clips(data, given, begun)
    listed = clips_of(data, task=given.task) if data else []
    chosen: list[str] = []  # told once nothing is refused any more
    sides = sides_of(given, listed, val, chosen.append, needed="val" in named)
    if begun is None:
        changes = {**changes, "task": given.task}
        given = _completed(recipe, given, changes, other, len(sides.train), device, chosen.append)
    checkpoint = fresh(given, sides.classes, init, other, chosen.append) if begun is None else begun
    _begin(checkpoint, sides, data, given, out)
    for sentence in chosen:
        note(sentence)
    return checkpoint, given, sides


def _read(
    checkpoint: Checkpoint, sides: Sides, share: Share, frames: FrameCache, report: Report
) -> tuple[list[Clip], list[Clip]]:
    """The clips of either side that can be read, decoded by one process after the other."""
    with turn(share):
        everything = [*sides.train, *sides.drawn, *sides.validate]
        readables = set(readable(everything, frames, step(report, "decode")))
    there = [clip for clip in (*sides.train, *sides.drawn) if clip in readables]
    _warn_of_classes_without_clips(checkpoint.classes, (label for clip in there for label in clip.labels))
    return there, [clip for clip in sides.validate if clip in readables]


def _claim(
    out: Path, read: Sequence[Path], init: str | Path | None, *, resume: bool, overwrite: bool
) -> None:
    """Refuse an ``out`` that cannot be begun, or gone on with, as is asked."""
    other = "init" if init is not None else "overwrite" if overwrite else None
    if resume and other is not None:
        raise UsageError(f"`resume` and `{other}` exclude each other: a run that goes on has its weights")
    if resume and not out.exists():
        raise UsageError(f"`resume`: there is no {out} to go on with; leave `resume` out to begin")
    inputs = [*read, None if init is None else as_path(init)]
    instead = "`resume` to go on with it, "
    claim(out, inputs=inputs, overwrite=overwrite or resume, instead=instead)
    for beside in (best_of(out), metrics_of(out)):
        claim(beside, inputs=inputs, overwrite=overwrite or resume)


def _given(recipe: Recipe | str, changes: Mapping[str, Any]) -> tuple[Recipe, set[str]]:
    """The recipe as far as it is told, and what of it is named. Raises `UsageError` for an unknown one."""
    if isinstance(recipe, str):
        if recipe not in ("auto", *RECIPES):
            raise UsageError(f"unknown `recipe` '{recipe}'; there are auto, {', '.join(RECIPES)}")
        return replace(RECIPES.get(recipe, Recipe()), **changes), set(changes)
    default = asdict(Recipe())
    named = {name for name, value in asdict(recipe).items() if value != default[name]}
    return replace(recipe, **changes), named | set(changes)


def _completed(
    recipe: Recipe | str,
    given: Recipe,
    changes: Mapping[str, Any],
    other: Checkpoint | None,
    clips: int,
    device: str,
    note: Note,
) -> Recipe:
    """A new run's recipe: the one that suits, what it begins with adopted, and changed as is asked."""
    if isinstance(recipe, str):
        same = other is not None and changes.get("arch", other.description.name) == other.description.name
        description = other.description if other is not None and same else describe(given.arch)
        suits = recipe_for(description, clips, given.task) if recipe == "auto" else recipe
        named = {*changes, "lr"} if suits in FINE_TUNING else changes
        adopting = RECIPES[suits] if other is None else adopted(RECIPES[suits], named, other)
        given = replace(adopting, **changes)
        if suits in ("small", "people") and "epochs" not in changes:
            given = replace(given, epochs=epochs_for(clips, given.batch))
        if recipe == "auto":
            note(f"recipe {suits}: {given.optimizer}, {given.epochs} epochs of batches of {given.batch}")
    if given.precision == "auto":
        given = replace(given, precision=precision_of("auto", device))
        if given.precision != "fp32":
            note(f"training in {given.precision}, which is quicker on this device; see `precision`")
    given.check()
    return given


def _require_clips(data: Data, recipe: Recipe, begun: Checkpoint | None) -> None:
    if not data and (not (recipe.rendered and recipe.classes) or (begun and begun.origin.get("data"))):
        raise UsageError(
            "name training clips with `data`, or `rendered` N and `classes` for drawn ones alone"
        )


def _begin(checkpoint: Checkpoint, sides: Sides, data: Data, recipe: Recipe, out: Path) -> None:
    """Tell the checkpoint's origin; refuse to go on with other clips, or without room."""
    refuse_input(out, [clip.path for clip in (*sides.train, *sides.validate)])
    check_same_clips(checkpoint, sides.train, out)
    weights = sum(tensor.numel() for tensor in checkpoint.model.state_dict().values())
    require_room(out, weights * BYTES_A_WEIGHT)
    places = [Path(place).name for place in data if not isinstance(place, Clip)]
    checkpoint.origin |= {"data": places, "clips": clips_digest(sides.train), **recipe.origin()}


def _watch(
    checkpoint: Checkpoint,
    there: Sequence[Clip],
    held: Sequence[Clip],
    per_epoch: int,
    recipe: Recipe,
    out: Path,
    cache: str | Path | None,
) -> Watch:
    """Looks a dozen times, at the ends of epochs; patience counts from where sub-networks have joined."""
    every = max(1, -(-recipe.epochs // EVALUATIONS)) * per_epoch
    joined = round(recipe.students_from * recipe.epochs * per_epoch) if recipe.settings().teaches else 0
    if not held:
        return Watch(out, every)
    few = spread([clip for clip in there if clip.path is not None] or there, WATCH_CALIBRATION)
    validator = Validator(
        ends_of(checkpoint), window_set(checkpoint, few, cache, 1), window_set(checkpoint, held, cache, 2),
        checkpoint.classes,
    )  # fmt: skip
    return Watch(out, every, validator, recipe.patience, joined)


@contextmanager
def _advice(checkpoint: Checkpoint, out: Path, again: str, note: Note) -> Iterator[None]:
    """After Ctrl-C, or for want of something, what was saved and how to go on."""
    before = checkpoint.resume
    try:
        yield
    except (KeyboardInterrupt, ResourceError):
        state = checkpoint.resume
        if state is not None and state is not before:
            note(f"{out} is saved after step {state['step']}; {again} goes on")
        elif "steps" in checkpoint.origin:
            note(f"{out} is trained, but not calibrated; {again} does that")
        raise


def _warn_of_classes_without_clips(classes: Sequence[str], labels: Iterable[str]) -> None:
    """A class that nothing is trained on is never learnt: a `DataWarning` that names all of them."""
    there = set(labels)
    if bare := [name for name in classes if name not in there]:
        word, have, it = ("classes", "have", "them") if len(bare) > 1 else ("class", "has", "it")
        text = f"the {word} {', '.join(bare)} {have} no training clip, so the network cannot learn {it}"
        warnings.warn(text, DataWarning, stacklevel=3)
