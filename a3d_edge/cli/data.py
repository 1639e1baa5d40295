"""``a3d-edge data``: what a data set holds, and what of it is odd."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a3d_edge.cli.common import emit, progress
from a3d_edge.cli.flags import as_flags
from a3d_edge.cli.help import Command
from a3d_edge.cli.measuring import ProposalScoreOption, ProposalsOption
from a3d_edge.cli.notices import say, tell
from a3d_edge.errors import UsageError

if TYPE_CHECKING:
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
        str,
        typer.Option(
            "--task", help="single: one class a clip; multilabel: sets of labels; boxes: people, who do what."
        ),
    ] = "single",
    proposals: ProposalsOption = None,
    proposal_score: ProposalScoreOption = 0.8,
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
    from a3d_edge.task import TASKS
    from a3d_edge.training.data_check import WINDOW_S
    from a3d_edge.training.data_check import check as look

    if task not in TASKS:
        raise UsageError(f"unknown --task '{task}'; there are {', '.join(TASKS)}")
    seconds = WINDOW_S if window is None else _seconds(window)
    with progress() as report:
        found = look(
            data, task=task, window_s=seconds, proposals=proposals, least=proposal_score,
            cache=cache, report=report,
        )  # fmt: skip
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
        "labels_a_clip": _by_text(found.labels_a_clip),
        "people": None if found.people is None else {"count": found.people.count, "idle": found.people.idle},
        "groups": dict(found.groups),
        "splits": dict(found.splits),
        "folds": _by_text(found.folds),
        "seconds": lengths,
        "rates": {f"{rate:g}": count for rate, count in found.rates.items()},
        "findings": [
            {"kind": one.kind, "message": as_flags(one.message), "clips": list(one.clips)}
            for one in found.findings
        ],
    }


def _by_text(counts: Mapping[int, int] | None) -> dict[str, int] | None:
    return None if counts is None else {str(key): count for key, count in counts.items()}


def _print(found: DataReport) -> None:
    readable = f"{len(found.clips)} of {len(found.listed)}"
    if found.people is None:
        tell(f"{readable} clips, {len(found.classes)} classes")
    else:
        people = f"{found.people.count} people, {found.people.idle} of whom do none of it"
        tell(f"{readable} key frames, {len(found.classes)} classes, {people}")
    if found.labels_a_clip is not None:
        tell("labels a clip: " + ", ".join(f"{n} ({count})" for n, count in found.labels_a_clip.items()))
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
