"""``a3d-edge train``: mutual training with spatial–temporal distillation."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import typer

from a3d_edge.cli.common import (
    Report,
    check_labels,
    choose,
    emit,
    frame_cache,
    progress,
    require,
    spread,
    step,
    window_set,
)
from a3d_edge.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.training.batches import Batches
    from a3d_edge.training.clips import Clip
    from a3d_edge.training.loop import StepReport
    from a3d_edge.video.preprocess import Preprocessing


def train(
    data: list[Path] = typer.Option(None, "--data", help="Training clips: CSV or class folders; repeatable."),
    out: Path = typer.Option(..., "--out", help="Checkpoint to write (.pth)."),
    arch: str = typer.Option("slow_small", "--arch", help="Architecture."),
    classes: str = typer.Option(
        None, "--classes", help="Class names in order, comma-separated (default: sorted labels)."
    ),
    range_name: str = typer.Option("0.016", "--range", help="Range of configurations: 0.016 or 0.06."),
    fold: int = typer.Option(None, "--fold", help="Leave this fold out."),
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
    input_kind: str = typer.Option("rgb", "--input", help="rgb (the paper's) or motion (grey differences)."),
    aspect: float = typer.Option(1.0, "--aspect", help="Widest visible part; 1 is a centre crop.", min=1),
    no_mutual: bool = typer.Option(False, "--no-mutual", help="Train the full network alone, to compare."),
    seed: int = typer.Option(0, "--seed", help="Of weights, order and augmentation.", min=0),
    init: Path = typer.Option(None, "--init", help="Begin with the weights of this checkpoint."),
    resume: bool = typer.Option(False, "--resume", help="Continue the run whose checkpoint is --out."),
    calibration_clips: int = typer.Option(
        160, "--calibration-clips", help="Clips to calibrate on at the end; 0: none.", min=0
    ),
    device: str = typer.Option("cpu", "--device", help="cpu, cuda, cuda:1."),
    cache: Path = typer.Option(None, "--cache", help="Folder of decoded frames."),
    json_lines: bool = typer.Option(False, "--json", help="One JSON line an epoch on stdout."),
) -> None:
    """Train a network over a range of configurations and calibrate them. Ctrl-C saves, --resume continues."""
    require("train", "torch", "av")
    from a3d_edge.exporters.calibrate import calibrate
    from a3d_edge.models.checkpoint import save
    from a3d_edge.models.ranges import find_range
    from a3d_edge.training.clips import list_clips, rendered_clips
    from a3d_edge.training.loop import Settings
    from a3d_edge.training.loop import train as train_loop

    find_range(range_name)
    settings = Settings(
        epochs, lr, warmup, weight_decay, _optimizer(optimizer), smoothing, seed, not no_mutual
    )
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: no such folder {out.parent}")
    if not data and not (rendered and classes):
        raise UsageError(
            "name training clips with --data, or --rendered N and --classes for drawn ones alone"
        )
    clips = choose(list_clips(data), fold, held_out=False) if data else []
    names = tuple(classes.split(",")) if classes else tuple(sorted({clip.label for clip in clips}))
    check_labels(clips, names)
    checkpoint = _resumed(out) if resume else _fresh(arch, names, range_name, input_kind, aspect, seed)
    if init is not None and not resume:
        _initialise(checkpoint, init)
    names_of_data = [place.name for place in data or []]
    checkpoint.origin = {"data": names_of_data, "fold": fold, "rendered": rendered, "batch": batch}
    drawn = rendered_clips(names, rendered)
    batches = _batches(
        checkpoint, clips + drawn, cache, batch, seed, balanced, rendered_share if drawn else 0.0
    )
    with progress() as report:
        for done, clip in enumerate(batches.clips, start=1):
            batches.cache.get(clip)
            report("decode", done, len(batches.clips))
        if not (resume and checkpoint.resume is None):
            train_loop(
                checkpoint, batches, settings, out, device=device, report=_reporter(report, json_lines)
            )
        if calibration_clips:
            some = spread(clips, calibration_clips)
            calibrate(
                checkpoint.model.cpu(),
                checkpoint.grid(),
                window_set(checkpoint, some, cache, 1),
                step(report, "calibrate"),
            )
            save(checkpoint, out)
    if not json_lines:
        typer.echo(f"{out}: {checkpoint.description.name}, {len(names)} classes, {settings.epochs} epochs")


def _optimizer(name: str) -> Literal["sgd", "adamw"]:
    return cast(Literal["sgd", "adamw"], name.lower())  # Settings refuses others


def _fresh(
    arch: str, names: tuple[str, ...], range_name: str, input_kind: str, aspect: float, seed: int
) -> Checkpoint:
    import torch

    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.registry import describe
    from a3d_edge.video.preprocess import MOTION_OFFSETS, Preprocessing

    if input_kind not in ("rgb", "motion"):
        raise UsageError(f"unknown --input '{input_kind}'; there are rgb and motion")
    torch.manual_seed(seed)
    spec = (
        Preprocessing("motion", aspect, MOTION_OFFSETS)
        if input_kind == "motion"
        else Preprocessing("rgb", aspect)
    )
    return Checkpoint(describe(arch, len(names)).build(), names, spec, range_name)


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


def _batches(
    checkpoint: Checkpoint,
    clips: list[Clip],
    cache: Path | None,
    batch: int,
    seed: int,
    balanced: bool,
    share: float,
) -> Batches:
    from a3d_edge.training.batches import Batches

    description, frames = checkpoint.description, frame_cache(checkpoint, cache)
    sampling, spec = description.sampling, checkpoint.preprocessing
    return Batches(
        clips, checkpoint.classes, frames, description.size, sampling, spec, batch, seed, balanced, share
    )


class _reporter:  # noqa: N801 - used as a function
    """Shows steps on the progress bar and sums up every epoch as a JSON line."""

    def __init__(self, report: Report, json_lines: bool) -> None:
        self._report, self._json_lines = report, json_lines
        self._sums = [0.0, 0.0, 0.0]
        self._count = 0
        self._begun = time.monotonic()

    def __call__(self, step_report: StepReport) -> None:
        losses = step_report.losses
        self._report("train", step_report.step, step_report.steps)
        self._count += 1
        for i, value in enumerate((losses.cross_entropy, losses.distillation, losses.accuracy)):
            self._sums[i] += value
        if step_report.step % step_report.per_epoch == 0:
            means = [value / self._count for value in self._sums]
            self._sums, self._count = [0.0, 0.0, 0.0], 0
            if self._json_lines:
                fields = {
                    "epoch": step_report.step // step_report.per_epoch,
                    "step": step_report.step,
                    "steps": step_report.steps,
                    "lr": step_report.lr,
                    "seconds": round(time.monotonic() - self._begun, 1),
                }
                names = ("cross_entropy", "distillation", "accuracy")
                emit("epoch", {**fields, **dict(zip(names, means, strict=True))})
            elif not sys.stderr.isatty():  # no progress bar there: a log wants a line now and then
                place = f"step {step_report.step} of {step_report.steps}"
                typer.echo(f"{place}: cross entropy {means[0]:.3f}, accuracy {means[2]:.1%}", err=True)
