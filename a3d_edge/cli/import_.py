"""``a3d-edge import``: a checkpoint of PySlowFast or pytorchvideo becomes one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from a3d_edge.cli.common import emit, require, warn_if_untrained
from a3d_edge.errors import UsageError

if TYPE_CHECKING:
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.foreign import ImportReport


def import_checkpoint(
    file: Path = typer.Argument(..., help="Checkpoint of PySlowFast (.pyth) or pytorchvideo."),
    arch: str = typer.Option(
        None, "--arch", help="slow_r50, slow_r101, slowfast_r50, slowfast_r50_4x16, … (default: what fits)."
    ),
    out: Path = typer.Option(..., "--out", help="Checkpoint to write (.pth)."),
    classes: str = typer.Option(
        None, "--classes", help="Class names in order: a file, one a line, or comma-separated."
    ),
    json_lines: bool = typer.Option(False, "--json", help="JSON on stdout."),
) -> None:
    """Read another library's checkpoint, tensor by tensor, and write it as one of ours."""
    require("export", "torch")
    _require_writable(file, out)
    names = None if classes is None else class_names(classes)
    from a3d_edge.models.checkpoint import save
    from a3d_edge.models.foreign import read

    checkpoint, report = read(file, arch, names)
    save(checkpoint, out)
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    warn_if_untrained(checkpoint)
    _tell(out, checkpoint, report, json_lines)


def class_names(text: str) -> list[str]:
    """Names from a comma-separated list, or else from a file, one a line. Raises `UsageError`."""
    try:
        lines = text.split(",") if "," in text else Path(text).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--classes {text}: cannot be read as a file of names, one a line") from error
    names = [line.strip() for line in lines if line.strip()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise UsageError(f"--classes {text}: " + (f"'{twice[0]}' is there twice" if twice else "no names"))
    return names


def _require_writable(file: Path, out: Path) -> None:
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: no such folder {out.parent}")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a file to write, such as {out / 'net.pth'}")
    if out.exists() and file.exists() and out.samefile(file):
        raise UsageError(f"--out {out}: is the file to import; name another")


def _tell(out: Path, checkpoint: Checkpoint, report: ImportReport, json_lines: bool) -> None:
    description = checkpoint.description
    fields = {
        "path": str(out),
        "imported_from": report.library,
        "architecture": report.architecture,
        "classes": description.classes,
        "params_m": round(sum(p.numel() for p in checkpoint.model.parameters()) / 1e6, 4),
        "head": description.head,
        "mutually_trained": False,
        "notes": list(report.notes),
    }
    if json_lines:
        emit("imported", fields)
        return
    typer.echo(
        f"{out}: {report.architecture} from {report.library}, {description.classes} classes, "
        f"{fields['params_m']:.2f} M parameters, head '{description.head}'"
    )
