"""``a3d-edge train``: mutual training with spatial–temporal distillation."""

from __future__ import annotations

from pathlib import Path

import typer

from a3d_edge.cli.class_names import class_names
from a3d_edge.cli.common import progress, require
from a3d_edge.cli.notices import say
from a3d_edge.cli.train_log import TrainLog


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
    cache: Path | None = typer.Option(None, "--cache", help="Folder of decoded frames, or their size (8GB)."),
    json_lines: bool = typer.Option(False, "--json", help="One JSON line an epoch on stdout."),
) -> None:
    """Train a network over a range of configurations and calibrate them. Ctrl-C saves, --resume continues."""
    require("train", "torch", "av")
    from a3d_edge.training import Recipe
    from a3d_edge.training import train as train_network

    recipe = Recipe(
        arch=arch,
        classes=None if classes is None else class_names(classes),
        range_name=range_name,
        input_kind=input_kind,
        aspect=aspect,
        fold=fold,
        batch=batch,
        balanced=balanced,
        rendered=rendered,
        rendered_share=rendered_share,
        epochs=epochs,
        lr=lr,
        warmup=warmup,
        weight_decay=weight_decay,
        optimizer=optimizer,
        smoothing=smoothing,
        seed=seed,
        mutual=not no_mutual,
    )
    with progress() as report:
        trained = train_network(
            data or [], out, recipe, init=init, resume=resume, named=_named(context), overwrite=overwrite,
            calibration_clips=calibration_clips, device=device, cache=cache, report=report,
            on_step=TrainLog(report, json_lines), note=say,
        )  # fmt: skip
    if not json_lines:
        epochs = trained.origin.get("settings", {}).get("epochs", epochs)
        typer.echo(f"{out}: {trained.description.name}, {len(trained.classes)} classes, {epochs} epochs")


def _named(context: typer.Context) -> set[str]:
    """The options that stand on the command line, by the names that `Recipe` gives them."""
    names = {"no_mutual": "mutual"}
    there = {p.name for p in context.command.params if p.name and _is_named(context, p.name)}
    return {names.get(name, name) for name in there}


def _is_named(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP")
