"""``a3d-edge bench``: every configuration of a bundle measured on this device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a3d_edge.cli.common import BUNDLE_HELP, load_bundle, progress, require
from a3d_edge.cli.notices import say
from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.training.reports import step

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle
    from a3d_edge.cli.bench_output import Conditions
    from a3d_edge.profiling.bench import Failure, Result
    from a3d_edge.table import Row


def bench(
    bundle: Annotated[str | None, typer.Argument(help=BUNDLE_HELP)] = None,
    configuration: Annotated[
        list[str] | None, typer.Option("--configuration", help="Only this one; repeatable.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="Inference engine.")] = "ort:CPU",
    threads: Annotated[
        int | None, typer.Option("--threads", help="Threads of the network (default: the cores).", min=1)
    ] = None,
    windows: Annotated[
        int, typer.Option("--windows", help="Windows back to back, a pass, at the most.", min=1)
    ] = 50,
    seconds: Annotated[
        float, typer.Option("--seconds", help="Longest a pass measures one thing; the paced run's length.")
    ] = 5.0,
    paced: Annotated[bool, typer.Option("--paced/--no-paced", help="Also run at the camera's rate.")] = True,
    json_lines: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")] = False,
    save_profile: Annotated[
        bool, typer.Option("--save-profile", help="Keep the device profile: 'run' uses it from now on.")
    ] = False,
    save_profile_as: Annotated[
        Path | None, typer.Option("--save-profile-as", help="Write the device profile to this file (.json).")
    ] = None,
    keep_noisy: Annotated[
        bool, typer.Option("--keep-noisy", help="Keep noisy rows in the profile too; else they are left out.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Picture to write (.png or .svg).")] = None,
) -> None:
    """Latency, memory, CPU and energy of every configuration on this device, each in a process of its own.

    Two passes; where they differ by more than 10 %, the figures are marked noisy and no profile keeps them.
    """
    places = [None] * save_profile + [save_profile_as] * (save_profile_as is not None)
    if not seconds > 0:
        raise UsageError(f"--seconds {seconds} is not above 0")
    if keep_noisy and not places:
        raise UsageError(
            "--keep-noisy says what a profile keeps; add --save-profile or --save-profile-as FILE"
        )
    _check_files(out, save_profile_as)
    if save_profile:
        _check_home()
    from a3d_edge.cli.bench_output import JsonOutput, Output, TextOutput
    from a3d_edge.device.cores import checked_threads
    from a3d_edge.engine.engines import find_engine
    from a3d_edge.profiling.apart import Task
    from a3d_edge.profiling.bench import Failure, Result, left_out_note, measure_all

    threads, name, loaded = checked_threads(threads), find_engine(engine).name, load_bundle(bundle)
    rows, told = _rows(loaded, configuration), _conditions(loaded, name, threads, windows, seconds)

    def task(row: Row) -> Task:
        path = str(loaded.path.absolute())
        return Task(path, str(row.configuration), name, threads, windows, seconds, paced)

    output: Output = JsonOutput() if json_lines else TextOutput()
    output.begin(told)
    measured: list[Result | Failure] = []
    with progress() as report:
        for one in measure_all(rows, task, step(report, "measure")):
            output.found(one)
            measured.append(one)
    results = [one for one in measured if isinstance(one, Result)]
    failed = [one for one in measured if isinstance(one, Failure)]
    kept = [one for one in results if keep_noisy or not one.row.noisy]
    written = ([_draw(out, results, told)] if out and results else []) + _save(kept, loaded, told, places)
    output.end(told, results, failed, written)
    _conclude(failed, left_out_note(results, kept) if places else None, kept)


def _conclude(failed: Sequence[Failure], left_out: str | None, kept: Sequence[Result]) -> None:
    """What is left out of a profile is said; what failed, and a profile that would be empty, is an error."""
    if left_out and kept:
        say(left_out)
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise ResourceError(f"{failed[0].why}{more}")
    if left_out and not kept:
        raise ResourceError(f"no profile was saved: {left_out}")


def _check_files(out: Path | None, profile: Path | None) -> None:
    """Refuse, before minutes of measuring, what could not be written after them."""
    if out is not None:
        from a3d_edge.cli.plotting import picture_format

        require("plot", "matplotlib")
        picture_format(out)
    for option, path in (("--out", out), ("--save-profile-as", profile)):
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"{option} {path}: no such folder {path.parent}; make it first")


def _check_home() -> None:
    from a3d_edge.folders import usable_folder
    from a3d_edge.profiling.profiles import profile_folder

    try:
        usable_folder(profile_folder())
    except OSError as error:
        raise ResourceError(
            f"--save-profile: {profile_folder()} cannot be written ({error.strerror}); "
            "name a file by --save-profile-as, and give it to run by --profile"
        ) from error


def _rows(bundle: Bundle, wanted: Sequence[str] | None) -> list[Row]:
    """The named rows of the table, or all of them, cheapest first. Raises `UsageError`."""
    from a3d_edge.configuration import Configuration

    if not wanted:
        return list(bundle.table.rows)
    chosen = {bundle.table.row(Configuration.parse(text)).configuration for text in wanted}
    return [row for row in bundle.table.rows if row.configuration in chosen]


def _conditions(bundle: Bundle, engine: str, threads: int, windows: int, seconds: float) -> Conditions:
    from a3d_edge.cli.bench_output import Conditions
    from a3d_edge.profiling.bench import PASSES
    from a3d_edge.profiling.paced import PACED_WARM_UP
    from a3d_edge.profiling.profiles import describe_device, fingerprint
    from a3d_edge.profiling.windows import SIDES, WARM_UP

    device, sampling = describe_device(engine, threads), bundle.sampling
    return Conditions(
        bundle=str(bundle.path),
        bundle_sha256=bundle.manifest.sha256,
        fingerprint=fingerprint(device),
        device=device,
        passes=PASSES,
        warm_up_windows=WARM_UP,
        warm_up_paced=PACED_WARM_UP,
        windows=windows,
        seconds=seconds,
        frame_size=SIDES,
        frame_rate=sampling.rate,
        hop_ms=1e3 * sampling.stride / sampling.rate,
    )


def _save(
    kept: Sequence[Result], bundle: Bundle, told: Conditions, places: Sequence[Path | None]
) -> list[Path]:
    """The profile in all places (None: where `run` finds it), unless it would be empty; what was written."""
    from a3d_edge.profiling.bench import device_profile
    from a3d_edge.profiling.profiles import save_profile

    if not kept:
        return []
    engine, threads = told.device["engine"], int(told.device["threads"])
    profile = device_profile(kept, bundle, told.device, engine, threads)
    return [save_profile(profile, place) for place in places]


def _draw(out: Path, results: Sequence[Result], told: Conditions) -> Path:
    """The picture; where it is."""
    from a3d_edge.files import write_atomically
    from a3d_edge.plots.curves import save
    from a3d_edge.plots.latencies import figure

    device = told.device
    threads = f"{device['threads']} thread{'s' if device['threads'] != '1' else ''}"
    title = f"{device['name']}, {device['engine']} {device['engine_version']}, {threads}"
    drawing = figure([one.row for one in results], title=title, hop_ms=told.hop_ms)
    write_atomically(out, lambda temporary: save(drawing, temporary, out.suffix[1:].lower()))
    return out
