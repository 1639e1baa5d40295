"""``a3d-edge simulate``: what the controller does on a trace of signals, on a simulated clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from a3d_edge.cli.common import BUNDLE_HELP, emit, load_bundle, require
from a3d_edge.cli.notices import tell
from a3d_edge.errors import UsageError
from a3d_edge.outputs import claim

if TYPE_CHECKING:
    from a3d_edge.configuration import Configuration
    from a3d_edge.control.simulation import Simulation
    from a3d_edge.table import ConfigurationBudgetTable

CONFIG_HELP = "Settings of the controller (.toml; see 'a3d-edge config show')."


def simulate(
    trace: str = typer.Argument(
        ..., help="A trace's file, or the name of one that comes along, such as drain."
    ),
    bundle: str | None = typer.Option(None, "--bundle", help=BUNDLE_HELP),
    table: str | None = typer.Option(
        None, "--table", help="A table (a name or a .json file) in a bundle's place."
    ),
    profile: Path | None = typer.Option(
        None, "--profile", help="Device profile (.json) of the bundle: measured latencies."
    ),
    budget: str = typer.Option("auto", "--budget", help="auto, 0.25, 5GFLOPs, 80ms, or w0.50-s112-t4."),
    config: Path = typer.Option(None, "--config", help=CONFIG_HELP),
    against: bool = typer.Option(
        False, "--compare", help="Also without hysteresis, and fixed: the smallest, the largest, the best."
    ),
    plot: Path | None = typer.Option(
        None, "--plot", help="Draw budget, configuration and signal over time (.png, .svg)."
    ),
    json_lines: bool = typer.Option(False, "--json", help="JSON Lines on stdout."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a picture that is there at --plot."),
) -> None:
    """Replay signals over a table: accuracy, missed deadlines, switches, and regret against an oracle."""
    if table is not None and (bundle is not None or profile is not None):
        raise UsageError("--table stands in the place of --bundle and --profile; name one")
    if plot is not None:
        require("plot", "matplotlib")
        claim(plot, name="plot", overwrite=overwrite, suffixes=(".png", ".svg"))
    from a3d_edge.control.comparison import compare
    from a3d_edge.control.configured import configured
    from a3d_edge.control.simulation import simulate as run
    from a3d_edge.control.trace import find_trace

    found, latencies = _table(bundle, table, profile)
    replayed, settings = find_trace(trace), configured(config).settings
    if not against:
        results = [run(found, replayed, latencies=latencies, settings=settings, budget=budget)]
    else:
        made = compare(found, replayed, latencies=latencies, settings=settings, budget=budget)
        every = (made.controller, made.no_hysteresis, made.smallest, made.largest, made.best_fixed)
        results = [one for one in every if one is not None]
    for result in results:
        _say(result, json_lines)
    if plot is not None:
        from a3d_edge.plots.simulations import save_simulation

        save_simulation(results[0], plot)


def _table(
    bundle: str | None, table: str | None, profile: Path | None
) -> tuple[ConfigurationBudgetTable, dict[Configuration, float] | None]:
    """The table, and the latencies that were measured for it, if they are named."""
    if table is not None:
        from a3d_edge.table import find_table

        return find_table(table), None
    loaded = load_bundle(bundle)
    if profile is None:
        return loaded.table, None
    from a3d_edge.profiling.profiles import latencies
    from a3d_edge.table import DeviceProfile

    measured = DeviceProfile.load(profile)
    if measured.bundle_sha256 != loaded.manifest.sha256:
        raise UsageError(f"`profile` {profile} is of another bundle than {loaded.path}")
    return loaded.table, latencies(measured, loaded)


def _say(result: Simulation, json_lines: bool) -> None:
    if json_lines:
        emit("simulation", result.fields())
        return
    tell(
        f"{result.trace}, {result.name}: accuracy {result.expected_accuracy:.2%} "
        f"(oracle {result.oracle_accuracy:.2%}, regret {100 * result.regret:.2f} points), "
        f"{result.deadline_misses} of {len(result.steps)} predictions late, "
        f"{result.violation_time:.2%} of the time in violation, {result.switches} switches, "
        f"score {result.score:.2f}"
    )
