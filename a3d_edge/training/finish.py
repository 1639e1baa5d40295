"""What a trained network still needs: its configurations tuned, if that is asked for, and calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from a3d_edge.configuration import Configuration
from a3d_edge.models.checkpoint import Checkpoint, load, norms, save
from a3d_edge.training.calibrate import calibrate
from a3d_edge.training.clips import Clip, spread
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.inputs import batches_for, frame_cache, window_set
from a3d_edge.training.recipe import Recipe
from a3d_edge.training.reports import Note, Report, step, unseen
from a3d_edge.training.share import Share
from a3d_edge.training.threads import chosen_threads
from a3d_edge.training.tuning import tune
from a3d_edge.training.watch import best_of

__all__ = ["finish", "tune_at"]


def finish(
    checkpoint: Checkpoint, there: list[Clip], recipe: Recipe, calibration_clips: int,
    cache: str | Path | None, workers: int | None, device: str, out: Path, report: Report, note: Note,
) -> None:  # fmt: skip
    """The candidates of the range, of the last weights and of the best ones, in the files of ``out``."""
    if recipe.tune:
        frames = frame_cache(checkpoint, cache)
        _tune(checkpoint, there, frames, recipe, workers, device, out, report, note)
    if calibration_clips:
        _calibrate(checkpoint, there, calibration_clips, cache, out, report, note)


def _tune(
    checkpoint: Checkpoint, there: list[Clip], frames: FrameCache, recipe: Recipe, workers: int | None,
    device: str, out: Path, report: Report, note: Note,
) -> None:  # fmt: skip
    for one, files in _last_and_best(checkpoint, out):
        known = [norm.tuned for norm in norms(one.model).values()]
        some = [c for c in one.candidates() if any(str(c) not in tuned for tuned in known)]
        if not some:  # a finished run that goes on
            continue
        note(f"tuning the batch norms of {len(some)} configurations in {recipe.tune} steps")
        with chosen_threads(one, recipe.settings(device).precision, device, recipe.tune, note):
            tune_at(some, one, there, frames, recipe, workers, device, report)
        for file in files:
            save(one, file)


def tune_at(
    configurations: Sequence[Configuration], checkpoint: Checkpoint, there: list[Clip], frames: FrameCache,
    recipe: Recipe, workers: int | None = 0, device: str = "cpu", report: Report = unseen,
) -> None:  # fmt: skip
    """Tune some configurations on the batches that come after those of the recipe's run."""
    batches = batches_for(checkpoint, there, frames, recipe, workers, Share())
    first = recipe.epochs * batches.per_epoch
    stream, model = batches.stream(first, first + recipe.tune), checkpoint.model.to(device)
    tune(model, configurations, stream, recipe.tune, recipe.settings(device), step(report, "tune"))
    model.cpu()


def _calibrate(
    checkpoint: Checkpoint, there: Sequence[Clip], clips: int, cache: str | Path | None, out: Path,
    report: Report, note: Note,
) -> None:  # fmt: skip
    real = [clip for clip in there if clip.path is not None]
    windows = window_set(checkpoint, spread(real or there, clips), cache, 1)
    some, every = checkpoint.candidates(), checkpoint.grid()
    note(
        f"calibrating {len(some)} of the range's {len(every)} configurations on {len(windows.clips)} "
        "clips; where others are measured or exported, name `calibration` clips"
    )
    for one, files in _last_and_best(checkpoint, out):
        what = "calibrate" if one is checkpoint else "calibrate the best"
        calibrate(one.model.cpu(), some, windows, step(report, what))
        for file in files:
            save(one, file)


def _last_and_best(checkpoint: Checkpoint, out: Path) -> Iterator[tuple[Checkpoint, tuple[Path, ...]]]:
    """A finished run's networks, and the files that each belongs in."""
    best, file = checkpoint.origin.get("validation", {}).get("best"), best_of(out)
    kept = best is not None and file.is_file()
    same = kept and best["step"] == checkpoint.origin.get("steps")
    yield checkpoint, (out, file) if same else (out,)
    if kept and not same:
        yield load(file), (file,)
