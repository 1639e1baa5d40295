"""A whole training run: clips to a checkpoint, trained over a range of configurations and calibrated.

clips ─ a fresh network, or the checkpoint that goes on ─ decoded ─ trained (`loop`) ─ calibrated ─ out
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from a3d_edge.errors import DataWarning, UsageError
from a3d_edge.labels import sorted_labels
from a3d_edge.models.checkpoint import Checkpoint, load, save
from a3d_edge.models.ranges import find_range
from a3d_edge.outputs import claim, refuse_input, require_room
from a3d_edge.training import loop
from a3d_edge.training.batches import Batches
from a3d_edge.training.begin import fresh
from a3d_edge.training.calibrate import calibrate
from a3d_edge.training.clips import Clip, Data, check_labels, clips_of, paths_of, rendered_clips, spread
from a3d_edge.training.decode import FrameCache, readable
from a3d_edge.training.inputs import frame_cache, window_set
from a3d_edge.training.loop import StepReport
from a3d_edge.training.recipe import Recipe, check_same_clips, clips_digest, continued, recorded
from a3d_edge.training.reports import Note, Report, step, unheard, unseen
from a3d_edge.training.shards import Share, device_of

__all__ = ["train"]

BYTES_A_WEIGHT = 8  # in a checkpoint: a float, and the optimizer's momentum for it (AdamW: two, at most 12)


def train(
    data: Data,
    out: str | Path,
    recipe: Recipe | None = None,
    *,
    init: str | Path | None = None,
    resume: bool = False,
    named: Collection[str] | None = None,
    overwrite: bool = False,
    calibration_clips: int = 160,
    device: str = "cpu",
    cache: str | Path | None = None,
    report: Report = unseen,
    on_step: Callable[[StepReport], None] | None = None,
    note: Note = unheard,
) -> Checkpoint:
    """Train a network as ``recipe`` says, calibrate the candidates of its range, write it to ``out``.

    ``init``: begin with the weights of this checkpoint. ``resume``: go on with the run whose checkpoint is
    ``out``: the recipe is that one's, and what is ``named`` of the one given must agree with it (default:
    whatever is not the default). ``calibration_clips``: 0 for none. ``cache``: folder of decoded frames.
    ``on_step`` is told every step (default: ``report`` is). Ctrl-C saves, ``resume`` continues. Clips that
    cannot be read are left out, and named in a `DataWarning`. Raises `UsageError` before any work for what
    cannot be meant, `SourceError` when no clip can be read, `ResourceError` when the disk is full.
    """
    recipe, out, init = recipe or Recipe(), Path(out), None if init is None else Path(init)
    find_range(recipe.range_name)
    recipe.settings()
    _claim(out, data, init, resume=resume, overwrite=overwrite)
    device_of(device, Share())
    begun = load(out) if resume else None
    if begun is not None:
        recipe = continued(recipe, _not_default(recipe) if named is None else named, recorded(begun), out)
    checkpoint, clips, drawn = _begin(data, out, recipe, begun, init, note)
    frames, finished = frame_cache(checkpoint, cache), resume and checkpoint.resume is None
    with _advice(checkpoint, out, note):
        there = readable(clips + drawn, frames, step(report, "decode"))
        _warn_of_classes_without_clips(checkpoint.classes, (clip.label for clip in there))
        batches = _batches(checkpoint, there, frames, recipe)
        if not finished:
            told = on_step or (lambda done: report("train", done.step, done.steps))
            loop.train(checkpoint, batches, recipe.settings(), out, device=device, report=told)
        if calibration_clips:
            real = [clip for clip in there if clip.path is not None]
            windows = window_set(checkpoint, spread(real or there, calibration_clips), cache, 1)
            some, every = checkpoint.candidates(), checkpoint.grid()
            note(
                f"calibrating {len(some)} of the range's {len(every)} configurations on {len(windows.clips)} "
                "clips; where others are measured or exported, name `calibration` clips"
            )
            calibrate(checkpoint.model.cpu(), some, windows, step(report, "calibrate"))
            save(checkpoint, out)
    return checkpoint


def _claim(out: Path, data: Data, init: Path | None, *, resume: bool, overwrite: bool) -> None:
    """Refuse an ``out`` that cannot be begun, or gone on with, as is asked."""
    other = "init" if init is not None else "overwrite" if overwrite else None
    if resume and other is not None:
        raise UsageError(f"`resume` and `{other}` exclude each other: a run that goes on has its weights")
    if resume and not out.exists():
        raise UsageError(f"`resume`: there is no {out} to go on with; leave `resume` out to begin")
    instead = "`resume` to go on with it, "
    claim(out, inputs=[*paths_of(data), init], overwrite=overwrite or resume, instead=instead)


def _not_default(recipe: Recipe) -> set[str]:
    default = asdict(Recipe())
    return {name for name, value in asdict(recipe).items() if value != default[name]}


def _begin(
    data: Data, out: Path, recipe: Recipe, begun: Checkpoint | None, init: Path | None, note: Note
) -> tuple[Checkpoint, list[Clip], list[Clip]]:
    """The checkpoint that is trained, with its origin told; its clips, and those that are drawn."""
    if not data and (not (recipe.rendered and recipe.classes) or (begun and begun.origin.get("data"))):
        raise UsageError(
            "name training clips with `data`, or `rendered` N and `classes` for drawn ones alone"
        )
    clips, names = _clips(recipe, data)
    refuse_input(out, [clip.path for clip in clips])
    checkpoint = fresh(recipe, names, init, note) if begun is None else begun
    check_same_clips(checkpoint, clips, out)
    weights = sum(tensor.numel() for tensor in checkpoint.model.state_dict().values())
    require_room(out, weights * BYTES_A_WEIGHT)
    places = [Path(place).name for place in data if not isinstance(place, Clip)]
    checkpoint.origin |= {"data": places, "clips": clips_digest(clips), **recipe.origin()}
    return checkpoint, clips, _drawn(names, recipe.rendered)


def _clips(recipe: Recipe, data: Data) -> tuple[list[Clip], tuple[str, ...]]:
    """The clips to train on, and the classes: those of the whole lists, for a fold may lack one."""
    listed = clips_of(data) if data else []
    names = recipe.classes or sorted_labels(clip.label for clip in listed)
    check_labels(listed, names)
    if len(names) < 2:
        raise UsageError(
            f"there is one class, {names[0]}: name clips of another to tell it from, or `classes`"
        )
    return clips_of(listed, recipe.fold) if listed else [], names


def _drawn(names: Sequence[str], each: int) -> list[Clip]:
    drawn = rendered_clips(names, each)
    if each and not drawn:
        raise UsageError(f"`rendered`: no class of {', '.join(names)} can be drawn; leave it out")
    return drawn


@contextmanager
def _advice(checkpoint: Checkpoint, out: Path, note: Note) -> Iterator[None]:
    """After Ctrl-C, what was saved and how to go on."""
    before = checkpoint.resume
    try:
        yield
    except KeyboardInterrupt:
        state = checkpoint.resume
        if state is not None and state is not before:
            note(f"{out} is saved after step {state['step']}; the same command with `resume` goes on")
        elif "steps" in checkpoint.origin:
            note(f"{out} is trained, but not calibrated; the same command with `resume` does that")
        raise


def _warn_of_classes_without_clips(classes: Sequence[str], labels: Iterable[str]) -> None:
    """A class that nothing is trained on is never learnt: a `DataWarning` that names all of them."""
    there = set(labels)
    if bare := [name for name in classes if name not in there]:
        word, have, it = ("classes", "have", "them") if len(bare) > 1 else ("class", "has", "it")
        text = f"the {word} {', '.join(bare)} {have} no training clip, so the network cannot learn {it}"
        warnings.warn(text, DataWarning, stacklevel=3)


def _batches(checkpoint: Checkpoint, clips: list[Clip], frames: FrameCache, recipe: Recipe) -> Batches:
    description = checkpoint.description
    sampling, spec = description.sampling, checkpoint.preprocessing
    share = recipe.rendered_share if recipe.rendered else 0.0
    return Batches(
        clips, checkpoint.classes, frames, description.size, sampling, spec, recipe.batch, recipe.seed,
        recipe.balanced, share,
    )  # fmt: skip
