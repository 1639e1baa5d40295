"""``a3d-edge verify``: is every byte of a bundle what was exported, and does every configuration run?"""

from __future__ import annotations

from pathlib import Path

import typer

from a3d_edge.cli.common import emit, progress


def verify(
    bundle: Path = typer.Argument(..., help="Bundle directory."),
    json_lines: bool = typer.Option(False, "--json", help="JSON Lines on stdout."),
) -> None:
    """Check all SHA-256 sums, then load every configuration and compare its probe with the export's."""
    from a3d_edge.bundle import Bundle

    loaded = Bundle.load(bundle)
    with progress() as report:
        for done, configuration in enumerate(loaded.configurations, start=1):
            loaded.open(configuration)
            report("configurations", done, len(loaded.configurations))
    fields = {
        "path": str(loaded.path),
        "files": len(loaded.manifest.files),
        "configurations": len(loaded.configurations),
    }
    if json_lines:
        emit("verified", fields)
    else:
        counts = f"{fields['files']} files and {fields['configurations']} configurations"
        typer.echo(f"{loaded.path}: {counts} are as exported")
