"""``a3d-edge train``: mutual training with spatial–temporal distillation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from a3d_edge.cli.class_names import class_names, warn_of_classes_without_clips
from a3d_edge.cli.common import (
    Report,
    check_labels,
    choose,
    frame_cache,
    progress,
    require,
    spread,
    step,
    window_set,
)
from a3d_edge.cli.notices import say
from a3d_edge.cli.outputs import claim, refuse_input, require_room
from a3d_edge.cli.train_log import TrainLog
from a3d_edge.cli.train_options import Run, check_same_clips, clips_digest, continued, recorded
from a3d_edge.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.training.batches import Batches
    from a3d_edge.training.clips import Clip
    from a3d_edge.training.decode import FrameCache
    from a3d_edge.video.preprocess import Preprocessing

BYTES_A_WEIGHT = 8  # in a checkpoint: a float, and the optimizer's momentum for it (AdamW: two, at most 12)


def train(
    context: typer.Context,
    data: list[Path] | None = typer.Option(
        None, "--data", help="Training clips: CSV or class folders; repeatable."
    ),
    out: Path = typer.Option(..., "--out", help="Checkpoint to write (.pth)."),
    arch: str = typer.Option("slow_small", "--arch", help="Architecture."),
    classes: str | None = typer.Option(
        None,
        "--classes",
        help="Class names in order, comma-separated, or a file, one a line (default: sorted labels).",
    ),
    range_name: str = typer.Option("0.016", "--range", help="Range of configurations: 0.016 or 0.06."),
    fold: int | None = typer.Option(None, "--fold", help="Leave this fold out."),
    epochs: int = typer.Option(196, "--epochs", help="Epochs.", min=0),
    batch: int = typer.Option(16, "--batch", help="Clips a step.", min=1),
    lr: float = typer.Option(0.1, "--lr", help="Highest learning rate."),
    warmup: float = typer.Option(
        0.17, "--warmup", help="Share of the run that the rate rises.", min=0, max=1
    ),
    weight_decay: float = typer.Option(
        1e-4, "--weight-decay", help="On weights; none on batch norm and biases."
    ),
    optimizer: str = typer.Option("sgd", "--optimizer", help="sgd (Nesterov, 0.9) or adamw."),
    smoothing: float = typer.Option(0.0, "--label-smoothing", help="Label smoothing.", min=0, max=0.9),
    balanced: bool = typer.Option(False, "--balanced", help="Draw the classes equally often."),
    rendered: int = typer.Option(
        0, "--rendered", help="Add so many rendered clips of every class that can be drawn.", min=0
    ),
    rendered_share: float = typer.Option(
        0.3, "--rendered-share", help="Share of draws that are rendered.", min=0, max=0.95
    ),
    input_kind: str = typer.Option(
        "rgb", "--input", help="rgb (the paper's), motion (grey differences) or change (their sizes alone)."
    ),
    aspect: float = typer.Option(1.0, "--aspect", help="Widest visible part; 1 is a centre crop.", min=1),
    no_mutual: bool = typer.Option(False, "--no-mutual", help="Train the full network alone, to compare."),
    seed: int = typer.Option(0, "--seed", help="Of weights, order and augmentation.", min=0),
    init: Path | None = typer.Option(None, "--init", help="Begin with the weights of this checkpoint."),
    resume: bool = typer.Option(
        False, "--resume", help="Continue the run whose checkpoint is --out, with its options."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a checkpoint that is there."),
    calibration_clips: int = typer.Option(
        160, "--calibration-clips", help="Clips to calibrate on at the end; 0: none.", min=0
    ),
    device: str = typer.Option("cpu", "--device", help="cpu, cuda, cuda:1."),
    cache: Path | None = typer.Option(None, "--cache", help="Folder of decoded frames."),
    json_lines: bool = typer.Option(False, "--json", help="One JSON line an epoch on stdout."),
) -> None:
    """Train a network over a range of configurations and calibrate them. Ctrl-C saves, --resume continues."""
    require("train", "torch", "av")
    from a3d_edge.models.ranges import find_range
    from a3d_edge.training.decode import readable
    from a3d_edge.training.loop import train as train_loop
    from a3d_edge.training.shards import Share, device_of

    names = class_names(classes) if classes is not None else None
    run = Run(
        arch, names, range_name, input_kind, aspect, fold, batch, balanced, rendered, rendered_share, epochs,
        lr, warmup, weight_decay, optimizer, smoothing, seed, not no_mutual,
    )  # fmt: skip
    find_range(range_name)
    run.settings()
    _claim(out, data or [], init, resume=resume, overwrite=overwrite)
    device_of(device, Share())
    begun = _resumed(out) if resume else None
    if begun is not None:
        run = continued(run, _named(context), recorded(begun), out)
    if not data and (not (run.rendered and run.classes) or (begun is not None and begun.origin.get("data"))):
        raise UsageError(
            "name training clips with --data, or --rendered N and --classes for drawn ones alone"
        )
    clips, names = _clips(run, data or [])
    refuse_input(out, [clip.path for clip in clips])
    checkpoint = _fresh(run, names, init) if begun is None else begun
    check_same_clips(checkpoint, clips, out)
    weights = sum(tensor.numel() for tensor in checkpoint.model.state_dict().values())
    require_room(out, weights * BYTES_A_WEIGHT)
    checkpoint.origin |= {"data": [place.name for place in data or []], "clips": clips_digest(clips)}
    checkpoint.origin |= run.origin()
    drawn = _drawn(names, run.rendered)
    frames, settings = frame_cache(checkpoint, cache), run.settings()
    finished = resume and checkpoint.resume is None
    with progress() as report, _advice(checkpoint, out):
        there = readable(clips + drawn, frames, step(report, "decode"))
        warn_of_classes_without_clips(names, [clip.label for clip in there])
        batches = _batches(checkpoint, there, frames, run)
        if not finished:
            log = TrainLog(report, json_lines)
            train_loop(checkpoint, batches, settings, out, device=device, report=log)
        if calibration_clips:
            real = [clip for clip in there if clip.path is not None]
            _calibrate(checkpoint, spread(real or there, calibration_clips), cache, out, report)
    if not json_lines:
        typer.echo(f"{out}: {checkpoint.description.name}, {len(names)} classes, {settings.epochs} epochs")


def _claim(out: Path, data: Sequence[Path], init: Path | None, *, resume: bool, overwrite: bool) -> None:
    """Refuse an ``out`` that cannot be begun, or gone on with, as the options say."""
    other = "--init" if init is not None else "--overwrite" if overwrite else None
    if resume and other is not None:
        raise UsageError(f"--resume and {other} exclude each other: a run that goes on has its weights")
    if resume and not out.exists():
        raise UsageError(f"--resume: there is no {out} to go on with; leave --resume out to begin")
    instead = "--resume to go on with it, "
    claim(out, inputs=[*data, init], overwrite=overwrite or resume, instead=instead)


def _named(context: typer.Context) -> set[str]:
    """The options that stand on the command line, by the names that `Run` gives them."""
    names = {"no_mutual": "mutual"}
    there = {p.name for p in context.command.params if p.name and _is_named(context, p.name)}
    return {names.get(name, name) for name in there}


def _is_named(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP")


def _clips(run: Run, data: Sequence[Path]) -> tuple[list[Clip], tuple[str, ...]]:
    """The clips to train on, and the classes: those of the whole lists, for a fold may lack one."""
    from a3d_edge.labels import sorted_labels
    from a3d_edge.training.clips import list_clips

    listed = list_clips(data) if data else []
    names = run.classes or sorted_labels(clip.label for clip in listed)
    check_labels(listed, names)
    if len(names) < 2:
        raise UsageError(
            f"there is one class, {names[0]}: name clips of another to tell it from, or --classes"
        )
    return choose(listed, run.fold, held_out=False) if listed else [], names


def _drawn(names: Sequence[str], each: int) -> list[Clip]:
    from a3d_edge.training.clips import rendered_clips

    drawn = rendered_clips(names, each)
    if each and not drawn:
        raise UsageError(f"--rendered: no class of {', '.join(names)} can be drawn; leave it out")
    return drawn


@contextmanager
def _advice(checkpoint: Checkpoint, out: Path) -> Iterator[None]:
    """After Ctrl-C, what was saved and how to go on."""
    before = checkpoint.resume
    try:
        yield
    except KeyboardInterrupt:
        state = checkpoint.resume
        if state is not None and state is not before:
            say(f"{out} is saved after step {state['step']}; the same command with --resume goes on")
        elif "steps" in checkpoint.origin:
            say(f"{out} is trained, but not calibrated; the same command with --resume does that")
        raise


def _calibrate(
    checkpoint: Checkpoint, clips: list[Clip], cache: Path | None, out: Path, report: Report
) -> None:
    from a3d_edge.models.checkpoint import save
    from a3d_edge.training.calibrate import calibrate

    windows = window_set(checkpoint, clips, cache, 1)
    calibrate(checkpoint.model.cpu(), checkpoint.grid(), windows, step(report, "calibrate"))
    save(checkpoint, out)


def _fresh(run: Run, names: tuple[str, ...], init: Path | None) -> Checkpoint:
    import torch

    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.registry import describe
    from a3d_edge.video.preprocess import OFFSETS, Preprocessing

    kind = next((kind for kind in OFFSETS if kind == run.input_kind), None)
    if kind is None:
        raise UsageError(f"unknown --input '{run.input_kind}'; there are {', '.join(OFFSETS)}")
    spec = Preprocessing(kind, run.aspect, OFFSETS[kind])
    torch.manual_seed(run.seed)
    checkpoint = Checkpoint(describe(run.arch, len(names)).build(), names, spec, run.range_name)
    if init is not None:
        _initialise(checkpoint, init)
    return checkpoint


def _resumed(out: Path) -> Checkpoint:
    from a3d_edge.models.checkpoint import load

    return load(out)


def _initialise(checkpoint: Checkpoint, path: Path) -> None:
    """Take over another checkpoint's weights; the head stays fresh if that one has more or fewer classes.

    Raises `UsageError` when it is of another architecture, or was trained on other input.
    """
    from a3d_edge.models.checkpoint import load

    other = load(path)
    counts = len(other.classes), len(checkpoint.classes)
    theirs, ours = other.model.state_dict(), checkpoint.model.state_dict()
    fresh = {name for name in theirs.keys() & ours.keys() if _per_class(theirs[name], ours[name], counts)}
    odd = next((n for n in (*ours, *theirs) if n not in fresh and _shape(theirs, n) != _shape(ours, n)), None)
    if odd is not None:
        raise UsageError(
            f"--init {path}: is of architecture {other.description.name}, whose {odd} does not fit "
            f"--arch {checkpoint.description.name}; name a checkpoint of the same architecture"
        )
    _require_same_input(path, other.preprocessing, checkpoint.preprocessing)
    taken = {name: ours[name] if name in fresh else tensor for name, tensor in theirs.items()}
    checkpoint.model.load_state_dict(taken)
    if fresh:
        typer.echo(
            f"--init {path}: has {counts[0]} classes, this run {counts[1]}: the head starts fresh", err=True
        )


def _require_same_input(path: Path, theirs: Preprocessing, ours: Preprocessing) -> None:
    there, here = asdict(theirs), asdict(ours)
    differing = [f"{key} {there[key]}, here {here[key]}" for key in here if there[key] != here[key]]
    if differing:
        raise UsageError(
            f"--init {path}: was trained on other input ({'; '.join(differing)}); "
            "match --input and --aspect, or name another checkpoint"
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


def _batches(checkpoint: Checkpoint, clips: list[Clip], frames: FrameCache, run: Run) -> Batches:
    from a3d_edge.training.batches import Batches

    description = checkpoint.description
    sampling, spec = description.sampling, checkpoint.preprocessing
    share = run.rendered_share if run.rendered else 0.0
    return Batches(
        clips, checkpoint.classes, frames, description.size, sampling, spec, run.batch, run.seed,
        run.balanced, share,
    )  # fmt: skip
