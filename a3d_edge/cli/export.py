"""``a3d-edge export``: checkpoint to bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from a3d_edge.cli.common import emit, progress, require
from a3d_edge.cli.notices import say, tell
from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Precision

PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "fp32": ("fp32",), "int8": ("int8",), "both": ("fp32", "int8"), "fp32,int8": ("fp32", "int8"),
}  # fmt: skip


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
    whole_range: bool = typer.Option(
        False, "--all", help="Export every configuration of the range, not about 12 that stand for it."
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
    cache: Path = typer.Option(None, "--cache", help="Folder of decoded frames, or their size (8GB)."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a bundle that is there."),
    json_lines: bool = typer.Option(False, "--json", help="JSON Lines on stdout."),
) -> None:
    """Write one bundle: a subgraph per width over one weights file, calibrated and proved on real clips."""
    precisions = () if precision is None else _precisions(precision)
    require("export", "torch", "onnx_ir")
    from a3d_edge.exporters import Exporting, export_bundle

    what = Exporting(
        table=table,
        configurations=[Configuration.parse(name) for name in configuration or []],
        whole_range=whole_range,
        precisions=precisions,
        range_name=range_name,
        calibration=calibration or [],
        validation=validation or [],
        fold=fold,
        calibration_clips=calibration_clips,
        parity_clips=parity_clips,
        range_clips=range_clips,
        cache=cache,
    )
    with progress() as report:
        bundle = export_bundle(checkpoint, out, what, overwrite=overwrite, report=report, note=say)
    _tell(bundle, json_lines)


def _precisions(text: str) -> tuple[Precision, ...]:
    if text.lower() not in PRECISIONS:
        raise UsageError(f"unknown --precision '{text}'; there are fp32, int8 and both")
    return PRECISIONS[text.lower()]


def _tell(bundle: Bundle, json_lines: bool) -> None:
    entries = bundle.manifest.configurations
    errors: dict[str, float] = {}
    for one, entry in entries.items():
        if json_lines:
            emit("parity", {"configuration": str(one), **entry.parity.model_dump()})
        errors[one.precision] = max(entry.parity.relative_error, errors.get(one.precision, 0.0))
    errors = dict(sorted(errors.items()))
    total = sum(entry.bytes for entry in bundle.manifest.files.values())
    if json_lines:
        fields = {
            "path": str(bundle.path),
            "configurations": len(entries),
            "bytes": total,
            "relative_error": max(errors.values()),
            "relative_error_by_precision": errors,
        }
        emit("exported", fields)
        return
    worst = " and ".join(f"{error:.1e} ({kind})" for kind, error in errors.items())
    tell(f"{bundle.path}: {len(entries)} configurations, {total / 1e6:.2f} MB, parity within {worst}")
