"""``a3d-edge cache``: what is kept on this disk to be quick, and its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a3d_edge.cli.common import emit
from a3d_edge.cli.help import Command

app = typer.Typer(
    help="What is kept on this disk: decoded frames, prepared networks.",
    no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip
FolderOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder of decoded frames, if it was named to a command.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")]


@app.command("show", cls=Command)
def show(folder: FolderOption = None, json_lines: JsonOption = False) -> None:
    """What is kept where, how much it is, and what it may be at the most."""
    from a3d_edge.engine.cache.prepared import PreparedNetworks
    from a3d_edge.training.frame_store import FrameStore, usual_folder

    frames, prepared = FrameStore(folder or usual_folder()), PreparedNetworks()
    _say("frames", frames.root, *frames.usage(), json_lines)
    _say("prepared", prepared.folder, *prepared.usage(), json_lines)


@app.command("clear", cls=Command)
def clear(folder: FolderOption = None, json_lines: JsonOption = False) -> None:
    """Delete it; what is needed is made again. With --cache only the frames in that folder."""
    from a3d_edge.engine.cache.prepared import PreparedNetworks
    from a3d_edge.training.frame_store import FrameStore, usual_folder

    frames = FrameStore(folder or usual_folder())
    _say("frames", frames.root, *frames.clear(), json_lines, "deleted")
    if folder is None:
        prepared = PreparedNetworks()
        _say("prepared", prepared.folder, *prepared.clear(), json_lines, "deleted")


def _say(
    what: str, folder: Path, entries: int, size: int, limit: int, json_lines: bool, done: str = "kept"
) -> None:
    if json_lines:
        fields = {"kind": what, "folder": str(folder), "entries": entries, "bytes": size, "limit": limit}
        emit("cache", {**fields, "deleted": done == "deleted"})
        return
    name = {"frames": "decoded clips", "prepared": "prepared networks"}[what]
    most = f" of at most {limit / 1e6:.0f} MB" if done == "kept" else ""
    typer.echo(f"{folder}: {entries} {name} {done}, {size / 1e6:.1f} MB{most}")
