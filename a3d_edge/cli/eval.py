"""``a3d-edge eval``: accuracy of configurations on labelled clips."""

from __future__ import annotations

from pathlib import Path

import typer

from a3d_edge.cli.common import choose, emit, progress, require, spread, step, window_set
from a3d_edge.errors import UsageError


def evaluate(
    checkpoint: Path = typer.Argument(..., help="Checkpoint (.pth)."),
    data: list[Path] = typer.Option(..., "--data", help="Clips: CSV or class folders; repeatable."),
    configuration: list[str] = typer.Option(
        None, "--configuration", help="Such as w0.50-s112-t4; repeatable; default all."
    ),
    fold: int = typer.Option(None, "--fold", help="Only this fold of the data."),
    calibration: list[Path] = typer.Option(
        None, "--calibration", help="Training clips to calibrate on anew."
    ),
    calibration_clips: int = typer.Option(256, "--calibration-clips", help="Clips to calibrate on.", min=1),
    no_calibration: bool = typer.Option(
        False, "--no-calibration", help="Full-width statistics for all, to compare."
    ),
    views: int = typer.Option(4, "--views", help="Windows a clip, softmax summed.", min=1),
    cache: Path = typer.Option(None, "--cache", help="Folder of decoded frames."),
    json_lines: bool = typer.Option(False, "--json", help="JSON Lines on stdout."),
) -> None:
    """Accuracy of configurations: the label of a clip is the highest summed score over its windows."""
    require("train", "torch", "av")
    from a3d_edge.configuration import Configuration
    from a3d_edge.exporters.calibrate import calibrate
    from a3d_edge.models.checkpoint import forget_statistics, load, statistics
    from a3d_edge.training.clips import list_clips
    from a3d_edge.training.evaluation import evaluate as measure

    wanted = [Configuration.parse(name) for name in configuration or []]
    loaded = load(checkpoint)
    wanted = wanted or loaded.grid()
    clips = choose(list_clips(data), fold, held_out=True)
    with progress() as report:
        if no_calibration:
            forget_statistics(loaded.model)
        elif calibration:
            training = spread(choose(list_clips(calibration), fold, held_out=False), calibration_clips)
            calibrate(loaded.model, wanted, window_set(loaded, training, cache, 1), step(report, "calibrate"))
        bare = [c for c in wanted if str(c) not in statistics(loaded.model)]
        if bare and not no_calibration:
            raise UsageError(f"{bare[0]} is not calibrated; name training clips with --calibration")
        scores = measure(
            loaded.model,
            wanted,
            window_set(loaded, clips, cache, views),
            loaded.classes,
            step(report, "evaluate"),
        )
    for c, found in scores.items():
        fields = {
            "configuration": str(c),
            "top1": found.accuracy,
            "top5": found.top(5),
            "clips": len(found.truth),
            "per_class": found.per_class(loaded.classes),
        }
        if json_lines:
            emit("accuracy", fields)
        else:
            typer.echo(
                f"{c!s:16} top-1 {found.accuracy:6.1%}  top-5 {found.top(5):6.1%}  {len(found.truth)} clips"
            )
