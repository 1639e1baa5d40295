"""What ``train`` tells while it works: progress, and a line an epoch. A reader who leaves does not end it."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from a3d_edge.cli.common import emit
from a3d_edge.cli.notices import detail, say
from a3d_edge.errors import ResourceError

if TYPE_CHECKING:
    from a3d_edge.training.loop import StepReport
    from a3d_edge.training.reports import Report

__all__ = ["TrainLog"]


class TrainLog:
    """Shows steps on the progress bar and sums up every epoch, as a JSON line or for a log on stderr."""

    def __init__(self, report: Report, json_lines: bool) -> None:
        self._report, self._json_lines, self._dropped = report, json_lines, False
        self._sums = [0.0, 0.0, 0.0]
        self._count = 0
        self._begun = time.monotonic()

    def __call__(self, step: StepReport) -> None:
        losses = step.losses
        self._report("train", step.step, step.steps)
        detail("cross entropy %.4f, accuracy %.3f", losses.cross_entropy, losses.accuracy)
        self._count += 1
        for i, value in enumerate((losses.cross_entropy, losses.distillation, losses.accuracy)):
            self._sums[i] += value
        if step.step % step.per_epoch == 0:
            means = [value / self._count for value in self._sums]
            self._sums, self._count = [0.0, 0.0, 0.0], 0
            if not self._dropped:
                self._tell(step, means)

    def _tell(self, step: StepReport, means: list[float]) -> None:
        if self._json_lines:
            fields = {
                "epoch": step.step // step.per_epoch,
                "step": step.step,
                "steps": step.steps,
                "lr": step.lr,
                "seconds": round(time.monotonic() - self._begun, 1),
            }
            names = ("cross_entropy", "distillation", "accuracy")
            self._emit({**fields, **dict(zip(names, means, strict=True))})
        elif sys.stderr is not None and not sys.stderr.isatty():  # no progress bar: a line now and then
            place = f"step {step.step} of {step.steps}"
            say(f"{place}: cross entropy {means[0]:.3f}, accuracy {means[2]:.1%}")

    def _emit(self, fields: dict[str, object]) -> None:
        try:
            emit("epoch", fields)
        except (OSError, ResourceError) as error:
            self._dropped = True
            leave_stdout()
            why = error if isinstance(error, OSError) else error.__cause__
            say(
                f"stdout takes no more lines ({getattr(why, 'strerror', why)}); training goes on without them"
            )


def leave_stdout() -> None:
    """Let stdout lead nowhere from here on, what is buffered for it included."""
    if sys.stdout is None:
        return
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path of ours
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
