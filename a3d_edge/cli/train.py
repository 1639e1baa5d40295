"""``a3d-edge train``: mutual training with spatial–temporal distillation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from a3d_edge.cli.class_names import class_names
from a3d_edge.cli.common import BUILT_IN, progress, require, window_seconds
from a3d_edge.cli.notices import say, tell
from a3d_edge.cli.train_log import TrainLog

NOT_OF_THE_RECIPE = {
    "data", "out", "recipe", "val", "init", "resume", "overwrite", "calibration_clips", "device", "cache",
    "workers", "tensorboard", "json_lines",
}  # fmt: skip


def train(
    context: typer.Context,
    data: list[Path] | None = typer.Option(
        None, "--data", help="Training clips: CSV or class folders; repeatable."
    ),
    out: Path = typer.Option(..., "--out", help="Checkpoint to write (.pth)."),
    recipe: str = typer.Option(
        "auto",
        "--recipe",
        help="small, kinetics (the paper's), charades (its for many labels), people, ava (its for boxes) or "
        "auto; options below change it.",
    ),
    val: list[str] | None = typer.Option(
        None,
        "--val",
        help="Clips to validate on, repeatable; or a share of --data by group (default 0.2), 0 for none.",
    ),
    arch: str | None = typer.Option(None, "--arch", help="Architecture (default slow_small)."),
    task: str | None = typer.Option(
        None,
        "--task",
        help="single: one class a clip (default); multilabel: any number; boxes: of each person.",
    ),
    classes: str | None = typer.Option(
        None,
        "--classes",
        help="Class names in order, comma-separated, or a file, one a line (default: sorted labels).",
    ),
    range_name: str | None = typer.Option(
        None, "--range", help="Range of configurations: 0.016, 0.06 or 0.06-no-frames."
    ),
    size: int | None = typer.Option(
        None, "--size", help="Side of the input in pixels (default: as the architecture has it)."
    ),
    frames: int | None = typer.Option(
        None, "--frames", help="Pictures of a window (default: as the architecture has it)."
    ),
    window: str | None = typer.Option(
        None, "--window", help="What a window spans, such as 4s (default: as the architecture has it)."
    ),
    fold: int | None = typer.Option(None, "--fold", help="Leave this fold out."),
    epochs: int | None = typer.Option(None, "--epochs", help="Epochs.", min=0),
    batch: int | None = typer.Option(None, "--batch", help="Clips a step.", min=1),
    lr: float | None = typer.Option(None, "--lr", help="Highest learning rate."),
    warmup: float | None = typer.Option(
        None, "--warmup", help="Share of the run that the rate rises.", min=0, max=1
    ),
    weight_decay: float | None = typer.Option(
        None, "--weight-decay", help="On weights; none on batch norm and biases."
    ),
    optimizer: str | None = typer.Option(None, "--optimizer", help="sgd (Nesterov, 0.9) or adamw."),
    smoothing: float | None = typer.Option(
        None, "--label-smoothing", help="Label smoothing.", min=0, max=0.9
    ),
    dropout: float | None = typer.Option(None, "--dropout", help="Before the head.", min=0, max=0.99),
    balanced: bool | None = typer.Option(
        None, "--balanced/--not-balanced", help="Draw the classes equally often."
    ),
    rendered: int | None = typer.Option(
        None, "--rendered", help="Add so many rendered clips of every class that can be drawn.", min=0
    ),
    rendered_share: float | None = typer.Option(
        None, "--rendered-share", help="Share of draws that are rendered.", min=0, max=0.95
    ),
    draw: str | None = typer.Option(
        None, "--draw", help="Windows from anywhere in a clip, or where there is motion."
    ),
    mirror: str | None = typer.Option(
        None,
        "--mirror",
        help="Show half of the windows mirrored: on, off, or auto (if no class names a side).",
    ),
    input_kind: str | None = typer.Option(
        None,
        "--input",
        help="rgb (the paper's), motion (grey differences), change (their sizes alone), or local (beyond "
        "what the whole picture changes).",
    ),
    aspect: float | None = typer.Option(
        None, "--aspect", help="Widest visible part; 1 is a centre crop.", min=1
    ),
    view: str | None = typer.Option(
        None,
        "--view",
        help="whole, moving (the part where something moves) or close (what moves most, such as an arm).",
    ),
    mutual: bool | None = typer.Option(
        None,
        "--mutual/--no-mutual",
        help="Train narrower networks too, or the full one alone (default: mutual; of boxes not).",
    ),
    alone: str | None = typer.Option(
        None, "--alone", help="Train this configuration alone, to compare; such as w0.50-s64-t4."
    ),
    multi_resolution: bool | None = typer.Option(
        None, "--multi-resolution", help="Train the full width alone, at random sizes and frames, to compare."
    ),
    no_distillation: bool = typer.Option(
        False, "--no-distillation", help="Narrower networks learn from the labels, to compare."
    ),
    random_widths: int | None = typer.Option(
        None, "--random-widths", help="So many networks of random width a step (default 1).", min=0
    ),
    label_share: float | None = typer.Option(
        None, "--label-share", help="Share of what narrower networks learn that is by labels.", min=0, max=1
    ),
    switchable: bool | None = typer.Option(
        None,
        "--switchable-norms/--shared-norms",
        help="Batch norms of each width, size and number of frames their own, or the same ones.",
    ),
    students_from: float | None = typer.Option(
        None, "--students-from", help="Share of the run before narrower networks join.", min=0, max=0.99
    ),
    quickest: float | None = typer.Option(
        None, "--quickest", help="Show clips at up to so many times their speed (1.25).", min=1, max=4
    ),
    mixup: float | None = typer.Option(
        None, "--mixup", help="Mix clips of a batch, by shares drawn of Beta(α, α); 0: do not.", min=0
    ),
    tune: int | None = typer.Option(
        None, "--tune", help="Steps that tune each configuration's batch norms after the run (0).", min=0
    ),
    precision: str | None = typer.Option(
        None, "--precision", help="fp32, bf16 or auto (bf16 where this device is quicker in it)."
    ),
    patience: int | None = typer.Option(
        None, "--patience", help="Stop after so many validations in vain; 0: never.", min=0
    ),
    seed: int | None = typer.Option(None, "--seed", help="Of weights, order and augmentation.", min=0),
    init: str | None = typer.Option(
        None,
        "--init",
        help=f"Begin with the weights of this checkpoint, or bundle: a folder, or {BUILT_IN}.",
    ),
    resume: bool = typer.Option(
        False, "--resume", help="Continue the run whose checkpoint is --out, with its options."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a checkpoint that is there."),
    calibration_clips: int = typer.Option(
        160, "--calibration-clips", help="Clips to calibrate on at the end; 0: none.", min=0
    ),
    device: str = typer.Option("cpu", "--device", help="cpu, cuda, cuda:1."),
    cache: Path | None = typer.Option(None, "--cache", help="Folder of decoded frames, or their size (8GB)."),
    workers: int | None = typer.Option(
        None,
        "--workers",
        help="Processes that prepare batches; 0: a thread (default: cores - 1, at most 4).",
        min=0,
    ),
    tensorboard: Path | None = typer.Option(None, "--tensorboard", help="Folder for TensorBoard's files."),
    json_lines: bool = typer.Option(False, "--json", help="One JSON line an epoch on stdout."),
) -> None:
    """Train a network over a range of configurations and calibrate them. Ctrl-C saves, --resume continues."""
    require("train", "torch", "av")
    if tensorboard is not None:
        require("tensorboard", "tensorboard")
    from a3d_edge.training import train as train_network
    from a3d_edge.training.shards import Share

    first = Share.from_env().first  # of processes that train together; the others are silent
    share, lists = _validation(val)
    with progress(silent=not first) as report:
        trained = train_network(
            data or [], out, recipe, changes=_changes(context, share), val=lists, init=init, resume=resume,
            overwrite=overwrite, calibration_clips=calibration_clips, device=device, cache=cache,
            workers=workers, tensorboard=tensorboard, report=report, note=say,
            on_step=TrainLog(report, json_lines),
        )  # fmt: skip
    if first and not json_lines:
        epochs = trained.origin.get("settings", {}).get("epochs", epochs)
        tell(f"{out}: {trained.description.name}, {len(trained.classes)} classes, {epochs} epochs")


def _changes(context: typer.Context, share: float | None) -> dict[str, Any]:
    """What stands on the command line, by the names and in the kinds that `Recipe` has for it."""
    named = {name: value for name, value in context.params.items() if name not in NOT_OF_THE_RECIPE}
    changes = {name: value for name, value in named.items() if value is not None and name[:3] != "no_"}
    if named["no_distillation"]:
        changes["distillation"] = False
    if share is not None:
        changes["val"] = share
    if "classes" in changes:
        changes["classes"] = class_names(changes["classes"])
    if "window" in changes:
        changes["window"] = window_seconds(changes["window"])
    return changes


def _validation(given: list[str] | None) -> tuple[float | None, list[str] | None]:
    """A share, or places of clips: whichever ``--val`` says."""
    if not given:
        return None, None
    try:
        return (float(given[0]), None) if len(given) == 1 else (None, given)
    except ValueError:
        return None, given
