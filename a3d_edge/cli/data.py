"""``a3d-edge data``: what a data set holds, and what of it is odd."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from a3d_edge.cli.common import emit, progress
from a3d_edge.cli.flags import as_flags
from a3d_edge.cli.help import Command
from a3d_edge.cli.notices import say, tell
from a3d_edge.errors import UsageError

if TYPE_CHECKING:
    from a3d_edge.task import Task
    from a3d_edge.training.data_check import DataReport

app = typer.Typer(help="Data sets.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Data sets."""


@app.command("check", cls=Command)
def check(
    data: Annotated[
        list[Path], typer.Argument(help="Lists or folders of class folders.", show_default=False)
    ],
    task: Annotated[
        str, typer.Option("--task", help="single: one class a clip; multilabel: sets of labels.")
    ] = "single",
    window: Annotated[
        str | None,
        typer.Option("--window", help="What a window is to span, such as 4s; clips should be longer."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder of decoded frames, or their size (8GB).")
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON line on stdout.")] = False,
) -> None:
    """Count classes, groups, lengths and rates, and say what is odd: unreadable clips, duplicates, …"""
    from a3d_edge.training.data_check import WINDOW_S
    from a3d_edge.training.data_check import check as look

    if task not in ("single", "multilabel"):
        raise UsageError(f"unknown --task '{task}'; there are single and multilabel")
    seconds = WINDOW_S if window is None else _seconds(window)
    with progress() as report:
        found = look(data, task=cast("Task", task), window_s=seconds, cache=cache, report=report)
    if json_lines:
        emit("data", _fields(found))
    else:
        _print(found)
    found.require_trainable()


def _seconds(text: str) -> float:
    """Seconds of ``4s`` or ``4``. Raises `UsageError`."""
    from a3d_edge.training.lists.seconds import seconds_of

    try:
        seconds = seconds_of(text.strip().removesuffix("s"))
    except ValueError:
        seconds = None
    if not seconds:
        raise UsageError(f"--window {text}: is no time; write seconds above 0, such as 4s")
    return seconds


def _fields(found: DataReport) -> dict[str, Any]:
    lengths = dict(zip(("min", "median", "max"), found.lengths, strict=True)) if found.lengths else None
    return {
        "listed": len(found.listed),
        "readable": len(found.clips),
        "trainable": found.trainable,
        "classes": dict(found.classes),
        "groups": dict(found.groups),
        "splits": dict(found.splits),
        "folds": {str(fold): count for fold, count in found.folds.items()},
        "seconds": lengths,
        "rates": {f"{rate:g}": count for rate, count in found.rates.items()},
        "findings": [
            {"kind": one.kind, "message": as_flags(one.message), "clips": list(one.clips)}
            for one in found.findings
        ],
    }


def _print(found: DataReport) -> None:
    tell(f"{len(found.clips)} of {len(found.listed)} clips, {len(found.classes)} classes")
    for label, count in found.classes.items():
        tell(f"  {label:24} {count:6}")
    if sizes := found.groups.values():
        tell(f"groups: {len(sizes)}, of {min(sizes)} to {max(sizes)} clips")
    for what, counts in (("splits", found.splits), ("folds", found.folds)):
        if counts:
            tell(f"{what}: " + ", ".join(f"{name} ({count})" for name, count in counts.items()))
    if found.lengths:
        least, middle, most = found.lengths
        tell(f"seconds: {least:.1f} to {most:.1f}, median {middle:.1f}")
        tell("rates: " + ", ".join(f"{rate:g} ({count})" for rate, count in found.rates.items()))
    for one in found.findings:
        say(f"warning: {one.message}")
