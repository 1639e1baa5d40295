"""``a3d-edge info``: what a bundle or a checkpoint holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from a3d_edge.bundles import as_path, is_bundle
from a3d_edge.cli.common import BUNDLE_HELP, emit, load_bundle, require
from a3d_edge.cli.notices import tell


def info(
    what: str = typer.Argument(None, help=f"Checkpoint (.pth) or {BUNDLE_HELP[0].lower()}{BUNDLE_HELP[1:]}"),
    json_lines: bool = typer.Option(False, "--json", help="JSON on stdout."),
) -> None:
    """Show classes, configurations and origin of a bundle or checkpoint."""
    path = None if what is None else as_path(what)
    fields = _of_bundle(path) if path is None or is_bundle(path) else _of_checkpoint(path)
    if json_lines:
        emit("info", fields)
        return
    for key, value in fields.items():
        tell(f"{key:15} {_text(value)}")


def _of_bundle(path: Path | None) -> dict[str, Any]:
    from a3d_edge.task import written

    bundle = load_bundle(path)
    manifest = bundle.manifest
    return {
        "kind": "bundle",
        "path": str(bundle.path),
        "architecture": manifest.architecture,
        "created_by": manifest.created_by,
        "classes": list(manifest.classes),
        "sampling": {
            "frames": bundle.sampling.frames,
            "stride": bundle.sampling.stride,
            "rate": bundle.sampling.rate,
        },
        **written({"task": manifest.task}),
        "input": manifest.preprocessing.input,
        "configurations": [str(row.configuration) for row in bundle.table.rows],
        "accuracy_on": bundle.table.measured_on,
        "bytes": sum(entry.bytes for entry in manifest.files.values()),
        "parity": max(entry.parity.relative_error for entry in manifest.configurations.values()),
    }


def _of_checkpoint(path: Path) -> dict[str, Any]:
    require("export", "torch")
    from a3d_edge.models.checkpoint import load, statistics
    from a3d_edge.task import written

    checkpoint = load(path)
    return {
        "kind": "checkpoint",
        "path": str(path),
        "architecture": checkpoint.description.name,
        "classes": list(checkpoint.classes),
        "range": checkpoint.range_name,
        **written({"task": checkpoint.task}),
        "input": checkpoint.preprocessing.input,
        "configurations": sorted(statistics(checkpoint.model)),
        "resumable_at": checkpoint.resume["step"] if checkpoint.resume else None,
        "origin": checkpoint.origin,
    }


def _text(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
