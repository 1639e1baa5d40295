"""``a3d-edge import``: a checkpoint of another library becomes one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from a3d_edge.cli.class_names import class_names
from a3d_edge.cli.common import OverwriteOption, emit, require
from a3d_edge.cli.flags import as_flags
from a3d_edge.cli.notices import say, tell
from a3d_edge.errors import CheckpointError
from a3d_edge.outputs import claim, refuse_existing

if TYPE_CHECKING:
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.foreign import ImportReport
    from a3d_edge.task import Task


def import_checkpoint(
    file: Path = typer.Argument(..., help="Checkpoint of PySlowFast, pytorchvideo, mmaction2; or a ResNet."),
    arch: str = typer.Option(
        None, "--arch", help="slow_r50, slowfast_r50, slowfast_r50_4x16, x3d_s, … (default: what fits)."
    ),
    out: Path = typer.Option(..., "--out", help="Checkpoint to write (.pth)."),
    classes: str = typer.Option(
        None, "--classes", help="Class names in order: a file, one a line, or comma-separated."
    ),
    key: str = typer.Option(
        None, "--key", help="Which of the networks that the file holds, such as state_dict_ema."
    ),
    task: str = typer.Option(
        None, "--task", help="single, multilabel (Charades) or boxes (AVA); default: what the file says."
    ),
    overwrite: OverwriteOption = False,
    json_lines: bool = typer.Option(False, "--json", help="JSON on stdout."),
) -> None:
    """Read another library's checkpoint, tensor by tensor, and write it as one of ours.

    A ResNet for pictures, of torchvision or timm, is inflated into a Slow one.
    """
    require("export", "torch")
    claim(out, inputs=[file], overwrite=True)
    names = None if classes is None else class_names(classes)
    from a3d_edge.models.checkpoint import save, untrained_note
    from a3d_edge.models.foreign import read

    checkpoint, report = read(file, arch, names, key, cast("Task | None", task))
    if not overwrite and not _same(out, checkpoint):
        refuse_existing(out)
    save(checkpoint, out)
    for note in report.notes:
        say(f"note: {note}")
    if untrained := untrained_note(checkpoint):
        say(untrained)
    _tell(out, checkpoint, report, json_lines)


def _same(out: Path, checkpoint: Checkpoint) -> bool:
    """Whether the very network is there already, so that nothing is lost by writing it again."""
    from a3d_edge.models.checkpoint import load, statistics

    try:
        old = load(out)
    except CheckpointError:
        return False
    there, here = old.model.state_dict(), checkpoint.model.state_dict()
    return (
        (old.description, old.classes, old.preprocessing, statistics(old.model))
        == (checkpoint.description, checkpoint.classes, checkpoint.preprocessing, {})
        and there.keys() == here.keys()
        and all(bool((tensor == here[name]).all()) for name, tensor in there.items())
    )


def _tell(out: Path, checkpoint: Checkpoint, report: ImportReport, json_lines: bool) -> None:
    description = checkpoint.description
    fields = {
        "path": str(out),
        "imported_from": report.library,
        "architecture": report.architecture,
        "classes": description.classes,
        "params_m": round(sum(p.numel() for p in checkpoint.model.parameters()) / 1e6, 4),
        "head": description.head,
        "task": description.task,
        "mutually_trained": False,
        "notes": [as_flags(note) for note in report.notes],
    }
    if json_lines:
        emit("imported", fields)
        return
    tell(
        f"{out}: {report.architecture} from {report.library}, {description.classes} classes, "
        f"{fields['params_m']:.2f} M parameters, head '{description.head}'"
    )
