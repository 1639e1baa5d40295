"""``a3d-edge doctor``: whether this device is ready, and what to do where it is not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from a3d_edge.cli.common import BUNDLE_HELP, emit
from a3d_edge.cli.notices import tell

if TYPE_CHECKING:
    from a3d_edge.doctor import Check

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    bundle: str = typer.Option("default", "--bundle", help=BUNDLE_HELP),
    engine: str = typer.Option("ort:CPU", "--engine", help="ort:CPU, ort:<execution provider>, or openvino."),
    json_lines: bool = typer.Option(False, "--json", help="JSON Lines on stdout."),
) -> None:
    """Look at versions, processor, memory, sensors, cameras, display, bundle, engine, caches, disk, clock."""
    from a3d_edge.doctor import FAIL, examine

    made: list[Check] = []
    for check in examine(bundle, engine):
        made.append(check)
        if json_lines:
            emit("check", dict(check.fields()))
    if not json_lines:
        _show(made)
    if any(check.status == FAIL for check in made):
        raise typer.Exit(1)


def _show(made: Sequence[Check]) -> None:
    """As a table on a terminal; else a line each."""
    if not sys.stdout.isatty():
        for check in made:
            fix = f"; {check.fix}" if check.fix else ""
            tell(f"{check.status:<4}  {check.name}: {check.found}{fix}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "check", "found", "what to do", box=None, padding=(0, 1))
    for check in made:
        status = Text(check.status, style=COLOURS[check.status])
        table.add_row(status, Text(check.name), Text(check.found), Text(check.fix or ""))
    Console().print(table)
