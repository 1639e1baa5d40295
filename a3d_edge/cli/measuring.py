"""The options that ``eval`` and ``table build`` share: on which clips, and how, accuracy is measured."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a3d_edge.cli.common import progress

if TYPE_CHECKING:
    from a3d_edge.training.reports import Report

DataOption = Annotated[list[Path], typer.Option("--data", help="Clips: CSV or class folders; repeatable.")]
FoldOption = Annotated[int | None, typer.Option("--fold", help="Only this fold of the data.")]
CalibrationOption = Annotated[
    list[Path] | None, typer.Option("--calibration", help="Training clips to calibrate on anew.")
]
CalibrationClipsOption = Annotated[
    int, typer.Option("--calibration-clips", help="Clips to calibrate on.", min=1)
]
NoCalibrationOption = Annotated[
    bool, typer.Option("--no-calibration", help="Full-width statistics for all, to compare.")
]
WholeRangeOption = Annotated[
    bool, typer.Option("--all", help="Every configuration of the range, not about 12 that stand for it.")
]
ViewsOption = Annotated[
    int,
    typer.Option(
        "--views", help="Windows a clip, softmax averaged; of many labels the highest sigmoid.", min=1
    ),
]
ProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        help="runtime: windows as run sees them, spread evenly. paper: 1, 10 or 30 views as the paper tests "
        "(30: 10 starts, each left, centre and right). charades: 10 or 30, as Charades is tested. Default: "
        "paper for 1, 10 and 30 views, else runtime.",
    ),
]
ScoresOption = Annotated[
    Path | None,
    typer.Option("--scores", help="File that keeps every clip's scores; run again to continue from it."),
]
ProposalsOption = Annotated[
    Path | None,
    typer.Option("--proposals", help="CSV of boxes that a detector found, to ask about (task boxes)."),
]
ProposalScoreOption = Annotated[
    float, typer.Option("--proposal-score", help="Least score of a box to be asked about.", min=0, max=1)
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder of decoded frames, or their size (8GB).")
]


def measuring_progress(*, log: bool) -> AbstractContextManager[Report]:
    """Progress in the first of the processes that share a measurement; none in the others."""
    from a3d_edge.training.shards import Share

    return progress(log=log, silent=not Share.from_env().first)
