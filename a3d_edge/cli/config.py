"""``a3d-edge config``: what the controller is set to, and by whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a3d_edge.cli.common import emit
from a3d_edge.cli.help import Command
from a3d_edge.cli.notices import say, tell

app = typer.Typer(
    help="The controller's settings: defaults, a file, the environment.",
    no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip


@app.callback()
def _group() -> None:
    """A group, though it has one command."""


@app.command("show", cls=Command)
def show(
    config: Annotated[Path | None, typer.Option("--config", help="A file of settings (.toml).")] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")] = False,
) -> None:
    """Every setting, its value, and its origin: default, a file, or a variable A3D_EDGE_CONTROL_…."""
    from a3d_edge.control.configured import configured, default_file, usual_file

    for name, value, origin in configured(config).rows():
        if json_lines:
            emit("setting", {"name": name, "value": value, "origin": origin})
        else:
            tell(f"{name} = {_written(value)}  ({origin})")
    if not json_lines:
        say(f"what they mean: {default_file()}; read unasked if it is there: {usual_file()}")


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f"[{reading:g}, {share:g}]" for reading, share in value) + "]"
    return f"{value:g}"
