"""``a3d-edge table plot``: accuracy against GFLOPs or latency as a picture, with a deadline on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a3d_edge.bundles import DEFAULT, as_path, names
from a3d_edge.cli.common import OverwriteOption, load_bundle, progress, require
from a3d_edge.cli.notices import tell
from a3d_edge.errors import UsageError
from a3d_edge.outputs import claim
from a3d_edge.training.reports import step

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Configuration
    from a3d_edge.plots.curves import Deadline
    from a3d_edge.table import ConfigurationBudgetTable, DeviceProfile

AXES = ("gflops", "latency")


@dataclass(frozen=True, slots=True)
class Named:
    """A table as the user named it, with the bundle that it comes from, if it does."""

    name: str
    table: ConfigurationBudgetTable
    bundle: Bundle | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """Measured latencies: p50 in ms of every configuration, and the device's ms a GFLOP."""

    name: str
    latency_ms: Mapping[Configuration, float]
    ms_per_gflop: float


def plot(
    out: Annotated[Path, typer.Option("--out", help="Picture to write (.png or .svg).")],
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Tables (a name or a .json file) and bundles (a folder or a name); {DEFAULT} if not given."
        ),
    ] = None,
    x: Annotated[str, typer.Option("--x", help="The cost axis: gflops or latency.")] = "gflops",
    profile: Annotated[
        Path | None, typer.Option("--profile", help="Device profile (.json): latencies measured before.")
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Measure the bundle's latencies now.")] = False,
    deadline: Annotated[
        str | None, typer.Option("--deadline", help="Draw this latency as a line, such as 80ms.")
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", help="Heading (default: what was measured).")
    ] = None,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Only rows that no row of at most their cost matches.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw accuracy against cost; a line's colour is the dimension given up (paper Fig. 6-8)."""
    require("plot", "matplotlib")
    from a3d_edge.files import write_atomically
    from a3d_edge.plots.curves import curve, figure, save

    check_options(x, profile, measure, deadline)
    format, limit_ms = picture_format(out), None if deadline is None else milliseconds(deadline)
    claim(out, inputs=[profile, *map(as_path, what or [])], overwrite=overwrite)
    tables = [find(text) for text in what] if what else [default_bundle()]
    curves = [curve(one.name, one.table, pareto=pareto) for one in tables]  # refuses before measuring
    devices, by_latency = devices_of(tables, profile, measure, x), x == "latency"
    if by_latency:
        curves = [
            curve(one.name, one.table, None if device is None else device.latency_ms, pareto=pareto)
            for one, device in zip(tables, devices, strict=True)
        ]
    device = next((device for device in devices if device is not None), None)
    drawing = figure(
        curves,
        x_label=axis_label(device.name if by_latency and device else None),
        title=heading(tables) if title is None else title,
        deadline=None if limit_ms is None or device is None else line_at(limit_ms, device, by_latency),
    )
    write_atomically(out, lambda temporary: save(drawing, temporary, format))
    points = sum(len(one.joined) + len(one.loose) for one in curves)
    tell(f"{out}: {points} configurations of {', '.join(one.name for one in tables)}")


def default_bundle() -> Named:
    """The bundle that comes with the package."""
    bundle = load_bundle(None)
    return Named("default bundle", bundle.table, bundle)


def find(text: str) -> Named:
    """A bundle's folder or name, a table's file or name. Raises `UsageError` or `BundleError`."""
    from a3d_edge.table import find_table

    path = as_path(text)
    if path.is_dir():
        bundle = load_bundle(path)
        return Named(text, bundle.table, bundle)
    try:
        return Named(text, find_table(text))
    except UsageError as error:
        raise UsageError(f"{error}; built-in bundles are {names()}") from error


def check_options(x: str, profile: Path | None, measure: bool, deadline: str | None) -> None:
    """Raise `UsageError` for options that do not go together."""
    if x not in AXES:
        raise UsageError(f"unknown --x '{x}'; there are {', '.join(AXES)}")
    if profile is not None and measure:
        raise UsageError("--profile and --measure both say where latencies come from; give one of them")
    if profile is None and not measure and (x == "latency" or deadline is not None):
        what = "--x latency" if x == "latency" else "--deadline"
        raise UsageError(f"{what} needs latencies: give --profile FILE, or a bundle and --measure")


def picture_format(out: Path) -> str:
    """``png`` or ``svg``, by the file's name. Raises `UsageError`."""
    from a3d_edge.plots.curves import FORMATS

    format = out.suffix.removeprefix(".").lower()
    if format not in FORMATS:
        raise UsageError(f"--out {out}: unknown kind of picture; name it .png or .svg")
    return format


def milliseconds(deadline: str) -> float:
    """``80ms`` or ``0.08s``. Raises `UsageError`."""
    from a3d_edge.configuration import Budget, BudgetKind

    budget = Budget.parse(deadline)
    if budget.kind is not BudgetKind.LATENCY:
        raise UsageError(f"--deadline '{deadline}' is not a latency; write it as 80ms")
    return budget.amount


def devices_of(tables: Sequence[Named], profile: Path | None, measure: bool, x: str) -> list[Device | None]:
    """For every table where its latencies come from: the profile, or its bundle measured now."""
    from a3d_edge.table import DeviceProfile

    if profile is not None:
        loaded = DeviceProfile.load(profile)
        if x == "latency":
            check_bundles(tables, loaded, profile)
        return [profiled(loaded)] * len(tables)
    if not measure:
        return [None] * len(tables)
    if not any(one.bundle for one in tables):
        raise UsageError("--measure needs a bundle: name the bundle's directory, or give --profile FILE")
    for one in tables:
        if one.bundle is None and x == "latency":
            raise UsageError(f"{one.name} is a table, which cannot be measured; name its bundle's directory")
    with progress() as report:
        return [
            None if one.bundle is None else measured(one.bundle, step(report, f"measure {one.name}"))
            for one in tables
        ]


def check_bundles(tables: Sequence[Named], profile: DeviceProfile, path: Path) -> None:
    """Raise `UsageError` where a bundle is not the one that was profiled."""
    for one in tables:
        if one.bundle is not None and one.bundle.manifest.sha256 != profile.bundle_sha256:
            raise UsageError(f"--profile {path} is of another bundle than {one.name}; profile this one")


def profiled(profile: DeviceProfile) -> Device:
    """A loaded profile as a device."""
    latencies = {row.configuration: row.latency_ms.p50 for row in profile.rows}
    return Device(profile.device.get("name", "the profiled device"), latencies, profile.ms_per_gflop)


def measured(bundle: Bundle, report: Callable[[int, int], None]) -> Device:
    """Every configuration of a bundle run now: the median of a few windows."""
    from statistics import median

    from a3d_edge.profiling.windows import window_latencies_ms
    from a3d_edge.table import slope

    rows, latencies = bundle.table.rows, {}
    for done, row in enumerate(rows, start=1):
        latencies[row.configuration] = median(*window_latencies_ms(bundle.open(row.configuration)))
        report(done, len(rows))
    rate = slope([(row.gflops, latencies[row.configuration]) for row in rows])
    return Device("this device", latencies, rate)


def axis_label(device: str | None) -> str:
    """What the cost axis says: GFLOPs, or the latency on a device."""
    if device is None:
        return "GFLOPs of one window (multiply–accumulates)"
    return f"latency of one window on {device} (ms, median)"


def heading(tables: Sequence[Named]) -> str:
    """What accuracy was measured on, where all tables say the same."""
    said = {one.table.measured_on for one in tables}
    return said.pop() if len(said) == 1 else ""


def line_at(limit_ms: float, device: Device, by_latency: bool) -> Deadline:
    """A deadline on the latency axis; on the GFLOPs axis at what the device's rate does in that time."""
    from a3d_edge.plots.curves import Deadline

    if by_latency:
        return Deadline(limit_ms, f"deadline {limit_ms:g} ms")
    gflops = limit_ms / device.ms_per_gflop
    return Deadline(gflops, f"{limit_ms:g} ms ≈ {gflops:.3g} GFLOPs on {device.name}")
