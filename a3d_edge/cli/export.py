"""``a3d-edge export``: checkpoint to bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from a3d_edge.cli.common import (
    Report,
    choose,
    emit,
    progress,
    require,
    spread,
    step,
    unlabelled_set,
    warn_if_untrained,
    window_set,
)
from a3d_edge.cli.outputs import claim_folder
from a3d_edge.errors import UsageError

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Configuration, Precision
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.network import Clips
    from a3d_edge.table import ConfigurationBudgetTable
    from a3d_edge.training.clips import Clip
    from a3d_edge.training.evaluation import WindowSet


def export(
    checkpoint: Path = typer.Argument(..., help="Checkpoint (.pth)."),
    out: Path = typer.Option(..., "--out", help="Bundle directory to write."),
    range_name: str = typer.Option(
        None, "--range", help="Range of configurations (default: the one trained)."
    ),
    table: str = typer.Option(
        None, "--table", help="Export the rows of this table (.json, or a name), with their accuracy."
    ),
    configuration: list[str] = typer.Option(
        None, "--configuration", help="Export only this one; repeatable."
    ),
    calibration: list[Path] = typer.Option(
        None, "--calibration", help="Training clips: CSV or class folders."
    ),
    fold: int = typer.Option(None, "--fold", help="Leave this fold of the calibration data out."),
    calibration_clips: int = typer.Option(256, "--calibration-clips", help="Clips to calibrate on.", min=1),
    parity_clips: int = typer.Option(8, "--parity-clips", help="Clips to compare with PyTorch on.", min=1),
    precision: str = typer.Option(
        None, "--precision", help="fp32, int8, or both in one bundle (default: fp32, or what is named)."
    ),
    range_clips: int = typer.Option(
        48, "--range-clips", help="Clips to measure int8's activation ranges on.", min=1
    ),
    validation: list[Path] = typer.Option(
        None, "--validation", help="Labelled clips to measure the accuracy of every exported row on."
    ),
    cache: Path = typer.Option(None, "--cache", help="Folder of decoded frames."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a bundle that is there."),
    json_lines: bool = typer.Option(False, "--json", help="JSON Lines on stdout."),
) -> None:
    """Write one bundle: a subgraph per width over one weights file, calibrated and proved on real clips."""
    precisions = _precisions(precision, configuration)
    require("export", "torch", "onnx_ir")
    from a3d_edge.exporters.parity import sizes_of
    from a3d_edge.exporters.write_bundle import (
        export_bundle,
        in_precisions,
        require_calibrated,
        require_replaceable,
    )
    from a3d_edge.models.checkpoint import load
    from a3d_edge.models.ranges import find_range
    from a3d_edge.training.calibrate import calibrate
    from a3d_edge.training.clips import list_clips

    if range_name is not None:
        find_range(range_name)
    require_replaceable(out)
    claim_folder(out, inputs=[checkpoint, *(calibration or []), *(validation or [])], overwrite=overwrite)
    loaded = load(checkpoint)
    warn_if_untrained(loaded)
    loaded.range_name = range_name or loaded.range_name
    clips = (
        spread(choose(list_clips(calibration), fold, held_out=False), calibration_clips)
        if calibration
        else []
    )
    rows = _rows(loaded, table, configuration)
    if not _names_precision(precision, configuration):
        rows = in_precisions(rows, precisions)
    fp32 = sorted({c.at("fp32") for c in rows.configurations})
    labelled = choose(list_clips(validation), fold, held_out=True) if validation else []
    if not clips:
        require_calibrated(loaded, rows)
    windows = window_set(loaded, labelled, cache, 4) if labelled else None  # refuses unknown labels
    with progress() as report:
        if clips:
            training = unlabelled_set(loaded, clips, cache, 1)
            clips = list(training.clips)
            calibrate(loaded.model, fp32, training, step(report, "calibrate"))
        sizes = sizes_of(rows.configurations)
        few = _windows(loaded, clips[:parity_clips] or _rendered(parity_clips), sizes, cache)
        more = {}
        if "int8" in precisions:
            more = _windows(loaded, clips[:range_clips] or _rendered(range_clips), sizes, cache)
        measured = _measured(loaded, rows, windows, validation, report) if windows else None
        bundle = export_bundle(loaded, rows, few, out, report, range_clips=more, measured=measured)
    entries = bundle.manifest.configurations
    for one, entry in entries.items():
        if json_lines:
            emit("parity", {"configuration": str(one), **entry.parity.model_dump()})
    total = sum(entry.bytes for entry in bundle.manifest.files.values())
    errors = {
        kind: max(entry.parity.relative_error for one, entry in entries.items() if one.precision == kind)
        for kind in precisions
    }
    worst = " and ".join(f"{error:.1e} ({kind})" for kind, error in errors.items())
    fields = {
        "path": str(bundle.path),
        "configurations": len(entries),
        "bytes": total,
        "relative_error": max(errors.values()),
        "relative_error_by_precision": errors,
    }
    if json_lines:
        emit("exported", fields)
    else:
        typer.echo(
            f"{bundle.path}: {len(entries)} configurations, {total / 1e6:.2f} MB, parity within {worst}"
        )


def _names_precision(text: str | None, names: list[str] | None) -> bool:
    """Whether the configurations themselves say in which precision they are wanted."""
    return text is None and bool(names)


def _precisions(text: str | None, names: list[str] | None) -> tuple[Precision, ...]:
    """Those of ``--precision``; without it, those of the configurations that are named, else fp32."""
    from a3d_edge.configuration import Configuration

    if text is None:
        named = {Configuration.parse(name).precision for name in names or ()} or {"fp32"}
        text = "both" if len(named) == 2 else named.pop()
    known: dict[str, tuple[Precision, ...]] = {
        "fp32": ("fp32",), "int8": ("int8",), "both": ("fp32", "int8"), "fp32,int8": ("fp32", "int8"),
    }  # fmt: skip
    if text.lower() not in known:
        raise UsageError(f"unknown --precision '{text}'; there are fp32, int8 and both")
    return known[text.lower()]


def _windows(loaded: Checkpoint, clips: list[Clip], sizes: list[int], cache: Path | None) -> dict[int, Clips]:
    """The most central window of every clip, at every size; fewer where memory allows no larger batch."""
    few = replace(unlabelled_set(loaded, clips, cache, 1), batch_size=len(clips))
    return {size: next(iter(few.at_size(size)))[1] for size in sizes}


def _measured(
    loaded: Checkpoint,
    rows: ConfigurationBudgetTable,
    windows: WindowSet,
    places: list[Path],
    report: Report,
) -> Callable[[Bundle], ConfigurationBudgetTable]:
    """The table with the accuracy of every row as its own graphs compute it, in both precisions alike."""
    from a3d_edge.training.bundle_model import BundleModel
    from a3d_edge.training.evaluation import evaluate

    def measure(bundle: Bundle) -> ConfigurationBudgetTable:
        model = BundleModel(bundle)
        scores = evaluate(model, rows.configurations, windows, loaded.classes, step(report, "accuracy"))
        measured = [
            row.model_copy(update={"accuracy": round(scores[row.configuration].accuracy, 6)})
            for row in rows.rows
        ]
        where = (
            f"{len(windows.clips)} clips of {', '.join(str(place) for place in places)}, 4 views (runtime)"
        )
        return rows.with_rows(measured, measured_on=where)

    return measure


def _rows(loaded: Checkpoint, table: str | None, names: list[str] | None) -> ConfigurationBudgetTable:
    """The table to export: the named one, else the whole grid without accuracy; or a part of either."""
    from a3d_edge.configuration import Configuration
    from a3d_edge.exporters.write_bundle import unmeasured_table
    from a3d_edge.table import find_table

    wanted: list[Configuration] = [Configuration.parse(name) for name in names or []]
    if table is None:
        return unmeasured_table(loaded, wanted or loaded.grid())
    rows = find_table(table)
    if rows.architecture != loaded.description.name:
        raise UsageError(
            f"--table {table} is of {rows.architecture}, the checkpoint is {loaded.description.name}"
        )
    return rows.with_rows(rows.row(c) for c in wanted) if wanted else rows


def _rendered(count: int) -> list[Clip]:
    """Without clips of the user's, parity is shown on rendered ones, whatever the network's classes are."""
    from a3d_edge.demo.rendered import CLASSES
    from a3d_edge.training.clips import Clip

    return [Clip(CLASSES[i % len(CLASSES)], None, seed=i) for i in range(count)]
