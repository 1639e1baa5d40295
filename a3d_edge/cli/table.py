"""``a3d-edge table``: build and show configuration–budget tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from a3d_edge.cli.common import choose, emit, load_bundle, progress, require, spread, step, window_set

if TYPE_CHECKING:
    from a3d_edge.table import ConfigurationBudgetTable

app = typer.Typer(help="Configuration–budget tables.", no_args_is_help=True, rich_markup_mode=None)


@app.command("build")
def build(
    checkpoint: Path = typer.Argument(..., help="Checkpoint (.pth)."),
    data: list[Path] = typer.Option(
        ..., "--data", help="Validation clips: CSV or class folders; repeatable."
    ),
    out: Path = typer.Option(..., "--out", help="Table to write (.json)."),
    fold: int = typer.Option(None, "--fold", help="Only this fold of the data."),
    calibration: list[Path] = typer.Option(
        None, "--calibration", help="Training clips to calibrate on anew."
    ),
    calibration_clips: int = typer.Option(256, "--calibration-clips", help="Clips to calibrate on.", min=1),
    no_calibration: bool = typer.Option(
        False, "--no-calibration", help="Full-width statistics for all, to compare."
    ),
    all_rows: bool = typer.Option(
        False, "--all-rows", help="Keep every configuration, not only the Pareto front."
    ),
    views: int = typer.Option(4, "--views", help="Windows a clip.", min=1),
    cache: Path = typer.Option(None, "--cache", help="Folder of decoded frames."),
    json_lines: bool = typer.Option(False, "--json", help="Rows as JSON Lines on stdout."),
) -> None:
    """Measure the accuracy of every configuration, add its cost, select the Pareto front."""
    require("train", "torch", "av")
    from a3d_edge.exporters.build_table import build_table
    from a3d_edge.exporters.calibrate import calibrate
    from a3d_edge.files import write_atomically
    from a3d_edge.models.checkpoint import forget_statistics, load, statistics
    from a3d_edge.training.clips import list_clips

    loaded = load(checkpoint)
    clips = choose(list_clips(data), fold, held_out=True)
    validation = window_set(loaded, clips, cache, views)
    with progress() as report:
        if no_calibration:
            forget_statistics(loaded.model)
        elif calibration:
            training = spread(choose(list_clips(calibration), fold, held_out=False), calibration_clips)
            calibrate(
                loaded.model, loaded.grid(), window_set(loaded, training, cache, 1), step(report, "calibrate")
            )
        grid = loaded.grid()
        if not no_calibration and (bare := [c for c in grid if str(c) not in statistics(loaded.model)]):
            from a3d_edge.errors import UsageError

            raise UsageError(
                f"{bare[0]} and {len(bare) - 1} more are not calibrated; "
                "name training clips with --calibration"
            )
        where = ", ".join(str(place) for place in data) + (f", fold {fold}" if fold is not None else "")
        table = build_table(
            loaded, grid, validation, f"{len(clips)} clips of {where}", step(report, "evaluate")
        )
    kept = table if all_rows else table.pareto()
    write_atomically(out, lambda temporary: _write(kept, temporary))
    _print(kept, json_lines)


@app.command("show")
def show(
    what: Path = typer.Argument(None, help="Table (.json) or bundle; the built-in bundle if not given."),
    json_lines: bool = typer.Option(False, "--json", help="Rows as JSON Lines on stdout."),
) -> None:
    """Print a table."""
    from a3d_edge.table import ConfigurationBudgetTable

    if what is not None and not what.is_dir():
        _print(ConfigurationBudgetTable.load(what), json_lines)
    else:
        _print(load_bundle(what).table, json_lines)


def _write(table: ConfigurationBudgetTable, path: Path) -> None:
    path.write_text(table.to_json(), encoding="utf-8")


def _print(table: ConfigurationBudgetTable, json_lines: bool) -> None:
    if json_lines:
        for row in table.rows:
            emit("row", row.model_dump(mode="json"))
        return
    largest = max(row.gflops for row in table.rows)
    typer.echo(f"{table.architecture}{': accuracy on ' + table.measured_on if table.measured_on else ''}")
    typer.echo(f"{'configuration':16} {'GFLOPs':>9} {'budget':>7} {'params M':>9} {'accuracy':>9}")
    for row in table.rows:
        accuracy = f"{row.accuracy:9.1%}" if row.accuracy is not None else f"{'-':>9}"
        cost = f"{row.gflops:9.4f} {row.gflops / largest:7.3f} {row.params_m:9.3f}"
        typer.echo(f"{row.configuration:16} {cost} {accuracy}")
