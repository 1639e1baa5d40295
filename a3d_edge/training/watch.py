"""While a network trains: how well it does on clips it does not see, which moment was best, and when to stop.

every few epochs: the largest and the smallest configuration, calibrated on a few training clips
          ─ accuracy on the validation clips ─ a line of metrics.csv ─ NAME.best.pth, if none was better
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from a3d_edge.configuration import Configuration
from a3d_edge.errors import ResourceError
from a3d_edge.models.checkpoint import Checkpoint, norms, save
from a3d_edge.models.network import SlimNetwork, to_device
from a3d_edge.task import BOXES, is_multilabel
from a3d_edge.training.calibrate import calibrate_together
from a3d_edge.training.evaluation import Scores, WindowSet, evaluate
from a3d_edge.training.people_evaluation import PeopleScores, people_scores
from a3d_edge.training.reports import Note, StepReport, unheard

__all__ = ["Averages", "Validation", "Validator", "Watch", "best_of", "ends_of", "metrics_of"]

EVALUATIONS = 12
"""So many in a run, evenly: often enough to see where it goes, and a small part of its time."""


def best_of(out: Path) -> Path:
    """Where the best moment of a run is kept: ``net.best.pth`` beside ``net.pth``."""
    return out.with_name(f"{out.stem}.best{out.suffix}")


def metrics_of(out: Path) -> Path:
    """Where the figures of a run are: ``net.metrics.csv`` beside ``net.pth``."""
    return out.with_name(f"{out.stem}.metrics.csv")


@dataclass(frozen=True, slots=True)
class Validation:
    """Accuracy, or mean average precision, of the two ends of the range on the validation clips."""

    largest: float
    smallest: float

    @property
    def score(self) -> float:
        """What a run's moments are compared by: the mean of the two. Neither end may be given up."""
        return (self.largest + self.smallest) / 2


def ends_of(checkpoint: Checkpoint) -> tuple[Configuration, Configuration]:
    """The whole network, and the smallest configuration of its range: both ends of what is trained.

    The paper's 256γs (`Range.largest`) is larger than both, and only tested at.
    """
    grid = checkpoint.grid()
    trained = [c for c in grid if c.size <= checkpoint.description.size] or grid
    return trained[0], min(grid, key=lambda c: (c.size**2 * c.frames, c.width))


@dataclass(frozen=True, slots=True)
class Validator:
    """Measures the two ``ends``, with statistics of a few training clips that are forgotten afterwards."""

    ends: tuple[Configuration, Configuration]
    calibration: WindowSet
    windows: WindowSet
    classes: Sequence[str]

    def __call__(self, model: SlimNetwork) -> Validation:
        """The model is left as it was."""
        device = next(model.parameters()).device
        with _statistics_kept(model):
            ends = list(dict.fromkeys(self.ends))  # of a network trained alone they are the same
            for end in ends:
                batches = (to_device(clips, device) for _, clips in self.calibration.at_size(end.size))
                calibrate_together(model, [end], batches)
            measure = people_scores if self.windows.task == BOXES else evaluate
            found: Mapping[Configuration, Scores | PeopleScores]
            found = measure(model, ends, self.windows, self.classes)
        return Validation(*(found[end].quality for end in self.ends))


@contextmanager
def _statistics_kept(model: SlimNetwork) -> Iterator[None]:
    before = {name: dict(norm.calibrated) for name, norm in norms(model).items()}
    try:
        yield
    finally:
        for name, norm in norms(model).items():
            norm.calibrated = before[name]


@dataclass(frozen=True, slots=True)
class Averages:
    """Means over the steps since the last look; ``waiting``: the share of the time without data."""

    epoch: int
    step: int
    loss: float
    cross_entropy: float
    distillation: float
    lr: float
    accuracy: float
    seconds: float
    waiting: float

    @classmethod
    def of(cls, reports: Sequence[StepReport]) -> Averages:
        """Those of some steps that follow each other."""
        last, count = reports[-1], len(reports)
        seconds = sum(report.seconds for report in reports)
        entropy, distilled, accuracy = (
            sum(getattr(report.losses, name) for report in reports) / count
            for name in ("cross_entropy", "distillation", "accuracy")
        )
        return cls(
            -(-last.step // last.per_epoch), last.step, entropy + distilled, entropy, distilled, last.lr,
            accuracy, seconds, sum(report.waited for report in reports) / max(seconds, 1e-9),
        )  # fmt: skip


COLUMNS = (*Averages.__dataclass_fields__, "val_largest", "val_smallest")


@dataclass(frozen=True, slots=True)
class Watch:
    """Told every ``every`` steps of a run. ``patience``: so many validations without a better one end it,
    counted from step ``patient_from`` on (0: never). ``tensorboard``: folder for its files."""

    out: Path
    every: int
    validator: Validator | None = None
    patience: int = 0
    patient_from: int = 0
    tensorboard: Path | None = None
    note: Note = unheard

    def begin(self, checkpoint: Checkpoint, first: int) -> None:
        """Keep what was told before step ``first``, and nothing that comes again; a new run keeps nothing."""
        kept = _rows(metrics_of(self.out)) if first else []
        _write(metrics_of(self.out), [row for row in kept if int(row["step"]) <= first])
        if not first:
            checkpoint.origin.pop("validation", None)
            best_of(self.out).unlink(missing_ok=True)

    def look(self, checkpoint: Checkpoint, since: Sequence[StepReport]) -> bool:
        """Validate, write the line, keep the best; whether to stop. ``since``: the steps since the last look.

        What was found is in the checkpoint's origin: a run that goes on knows it. A full disk is noted.
        """
        try:
            return self._look(checkpoint, since)
        except ResourceError as error:
            self.note(f"{error}; training goes on")
            return False

    def _look(self, checkpoint: Checkpoint, since: Sequence[StepReport]) -> bool:
        averages = Averages.of(since)
        found = None if self.validator is None else self.validator(checkpoint.model)
        row: dict[str, Any] = asdict(averages)
        if found is not None:
            row |= {"val_largest": found.largest, "val_smallest": found.smallest}
        _write(metrics_of(self.out), [*_rows(metrics_of(self.out)), row])
        if self.tensorboard is not None:
            _to_tensorboard(self.tensorboard, row)
        return found is not None and self._keep(checkpoint, since[-1], found)

    def _keep(self, checkpoint: Checkpoint, at: StepReport, found: Validation) -> bool:
        before = checkpoint.origin.get("validation", {})
        here = {"step": at.step, "largest": found.largest, "smallest": found.smallest, "score": found.score}
        better = (
            not before or found.score >= before["best"]["score"]
        )  # of equals, the one that learned longer
        in_vain = 0 if better or at.step < self.patient_from else before["in_vain"] + 1
        best = here if better else before["best"]
        checkpoint.origin["validation"] = {"best": best, "last": here, "in_vain": in_vain}
        epoch = f"epoch {-(-at.step // at.per_epoch)} of {-(-at.steps // at.per_epoch)}"
        said = f"{found.largest:.1%} at the largest and {found.smallest:.1%} at the smallest configuration"
        what = "mAP on the validation clips" if is_multilabel(checkpoint.task) else "of the validation clips"
        self.note(f"{epoch}: {what} {said}{', the best so far' if better else ''}")
        if better:
            origin = {**checkpoint.origin, "steps": at.step}
            save(replace(checkpoint, resume=None, origin=origin), best_of(self.out))
        stop = 0 < self.patience <= in_vain and at.step < at.steps
        if stop:
            self.note(
                f"stopped: {in_vain} validations in a row were no better than that of step {best['step']}"
            )
        return stop


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [dict(row) for row in csv.DictReader(file)]


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written ({error.strerror}); make room") from error


def _to_tensorboard(folder: Path, row: dict[str, Any]) -> None:
    from torch.utils.tensorboard import SummaryWriter  # needs the extra `tensorboard`

    with SummaryWriter(str(folder)) as writer:
        for name, value in row.items():
            if name not in ("epoch", "step"):
                writer.add_scalar(name.replace("val_", "validation/"), value, row["step"])
