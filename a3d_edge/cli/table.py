"""``a3d-edge table``: build, show and plot configuration–budget tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a3d_edge.bundles import DEFAULT
from a3d_edge.cli import plotting
from a3d_edge.cli.common import OverwriteOption, emit, require
from a3d_edge.cli.help import Command
from a3d_edge.cli.measuring import (
    CacheOption,
    CalibrationClipsOption,
    CalibrationOption,
    DataOption,
    DeviceOption,
    FoldOption,
    NoCalibrationOption,
    ProposalScoreOption,
    ProposalsOption,
    ProtocolOption,
    ScoresOption,
    ViewsOption,
    WholeRangeOption,
    measuring_progress,
)
from a3d_edge.cli.notices import say, tell
from a3d_edge.outputs import claim

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from a3d_edge.table import ConfigurationBudgetTable, Row

app = typer.Typer(help="Configuration–budget tables.", no_args_is_help=True, rich_markup_mode=None)


@app.command("build", cls=Command)
def build(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint (.pth).")],
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="Table to write (.json).")],
    fold: FoldOption = None,
    calibration: CalibrationOption = None,
    calibration_clips: CalibrationClipsOption = 256,
    no_calibration: NoCalibrationOption = False,
    views: ViewsOption = 4,
    protocol: ProtocolOption = None,
    scores: ScoresOption = None,
    device: DeviceOption = "cpu",
    cache: CacheOption = None,
    whole_range: WholeRangeOption = False,
    proposals: ProposalsOption = None,
    proposal_score: ProposalScoreOption = 0.8,
    all_rows: Annotated[
        bool, typer.Option("--all-rows", help="Keep every measured row, not only the Pareto front.")
    ] = False,
    overwrite: OverwriteOption = False,
    json_lines: Annotated[bool, typer.Option("--json", help="Rows as JSON Lines on stdout.")] = False,
) -> None:
    """Measure the accuracy of configurations, add their cost, select the Pareto front."""
    require("train", "torch", "av")
    from a3d_edge.files import write_atomically
    from a3d_edge.training import Measuring, build_table

    claim(out, inputs=[scores, checkpoint, *data, *(calibration or [])], overwrite=overwrite)
    how = Measuring(
        fold, calibration or [], calibration_clips, no_calibration, views, protocol, scores, device, cache,
        proposals, proposal_score,
    )  # fmt: skip
    with measuring_progress(log=not json_lines) as report:
        table = build_table(checkpoint, data, how, whole_range=whole_range, report=report, note=say)
    if table is None:  # under torchrun the first process writes
        return
    kept = table if all_rows else table.pareto()
    write_atomically(out, lambda temporary: _write(kept, temporary))
    _print(kept, json_lines)


@app.command("show", cls=Command)
def show(
    what: Annotated[
        str | None,
        typer.Argument(
            help=f"Table (a name or a .json file) or bundle (a folder or a name); {DEFAULT} if not given."
        ),
    ] = None,
    names: Annotated[bool, typer.Option("--names", help="List the tables that have a name.")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="Rows as JSON Lines on stdout.")] = False,
) -> None:
    """Print a table: one of your own, a bundle's, or one of the paper's by name."""
    if names:
        _print_names(json_lines)
    else:
        _print((plotting.default_bundle() if what is None else plotting.find(what)).table, json_lines)


app.command("plot", cls=Command)(plotting.plot)


def _print_names(json_lines: bool) -> None:
    from a3d_edge.table import find_table, shipped_tables

    for name in shipped_tables():
        table = find_table(name)
        fields = {"name": name, "rows": len(table.rows), "measured_on": table.measured_on}
        if json_lines:
            emit("table", {**fields, "architecture": table.architecture})
        else:
            tell(f"{name:28} {len(table.rows):3} rows, {table.measured_on}")


def _write(table: ConfigurationBudgetTable, path: Path) -> None:
    path.write_text(table.to_json(), encoding="utf-8")


def _print(table: ConfigurationBudgetTable, json_lines: bool) -> None:
    if json_lines:
        for row in table.rows:
            emit("row", row.model_dump(mode="json"))
        return
    largest, more = max(row.cost for row in table.rows), _columns(table)
    tell(f"{table.architecture}{f': {table.metric} on {table.measured_on}' if table.measured_on else ''}")
    head = " ".join(head for head, _ in more)
    tell(f"{'configuration':20} {'GFLOPs':>9} {'budget':>7} {'params M':>9} {head}")
    for row in table.rows:
        cost = f"{row.gflops:9.4f} {row.cost / largest:7.3f} {row.params_m:9.3f}"
        tell(f"{row.configuration:20} {cost} {' '.join(tell(row) for _, tell in more)}".rstrip())


def _columns(table: ConfigurationBudgetTable) -> list[tuple[str, Callable[[Row], str]]]:
    """What is told of accuracy, and how: a column only where some row has it."""
    columns: list[tuple[str, bool, Callable[[Row], str]]] = [
        (f"{table.metric:>9}", not any(row.accuracy_interval for row in table.rows), _share),
        (f"{'accuracy':>13}", any(row.accuracy_interval for row in table.rows), _accuracy),
        (f"{'calibration error':>17}", any(r.calibration_error is not None for r in table.rows), _error),
        (f"{'temperature':>11}", any(row.temperature is not None for row in table.rows), _temperature),
        ("  lowest average precision", any(row.average_precision for row in table.rows), _lowest_precision),
        ("  lowest recall", any(row.recall for row in table.rows), _lowest_recall),
    ]
    return [(head, tell) for head, shown, tell in columns if shown]


def _share(row: Row) -> str:
    return f"{row.quality:9.1%}" if row.quality is not None else f"{'-':>9}"


def _accuracy(row: Row) -> str:
    """Such as ``74.1 % ± 5``: half of the interval of 95 % confidence."""
    if row.accuracy is None:
        return f"{'-':>13}"
    interval = row.accuracy_interval
    return (
        f"{row.accuracy * 100:.1f} %{f' ± {(interval[1] - interval[0]) * 50:.0f}' if interval else ''}".rjust(
            13
        )
    )


def _error(row: Row) -> str:
    return f"{'-' if row.calibration_error is None else format(row.calibration_error, '.3f'):>17}"


def _temperature(row: Row) -> str:
    return f"{1.0 if row.temperature is None else row.temperature:11.2f}"


def _lowest_recall(row: Row) -> str:
    return _lowest(row.recall)


def _lowest_precision(row: Row) -> str:
    return _lowest(row.average_precision)


def _lowest(by_class: Mapping[str, float] | None) -> str:
    if not by_class:
        return "  -"
    name = min(by_class, key=by_class.__getitem__)
    return f"  {by_class[name]:.0%} {name}"
