"""What ``train`` tells while it works: progress, and a line an epoch. A reader who leaves does not end it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from a3d_edge.cli.common import emit
from a3d_edge.cli.notices import detail, say
from a3d_edge.errors import ResourceError

if TYPE_CHECKING:
    from a3d_edge.cli.common import DetailedReport
    from a3d_edge.training.reports import StepReport

__all__ = ["TrainLog"]


QUIET_S = 5.0
"""A small set has many epochs a minute: a log gets no more than a line in so many seconds, and the last."""


class TrainLog:
    """Shows steps on the progress bar and sums up every epoch, as a JSON line or for a log on stderr."""

    def __init__(
        self, report: DetailedReport, json_lines: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._report, self._json_lines, self._clock, self._dropped = report, json_lines, clock, False
        self._epoch: list[StepReport] = []
        self._begun = clock()
        self._told = -QUIET_S
        self._last, self._since = 0, (0, self._begun)

    def __call__(self, step: StepReport) -> None:
        if not 0 < self._last < step.step:  # the first of a run
            self._since, self._epoch = (step.step - 1, self._clock() - step.seconds), []
        self._last = step.step
        self._epoch.append(step)
        means = _means(self._epoch)
        self._report("train", step.step, step.steps, _in_words(means))
        detail("cross entropy %.4f, accuracy %.3f", step.losses.cross_entropy, step.losses.accuracy)
        if step.step % step.per_epoch == 0:
            self._epoch = []
            if not self._dropped:
                self._tell(step, means)

    def _tell(self, step: StepReport, means: dict[str, float]) -> None:
        if self._json_lines:
            fields = {
                "epoch": step.step // step.per_epoch,
                "step": step.step,
                "steps": step.steps,
                "lr": step.lr,
                "seconds": round(self._clock() - self._begun, 1),
            }
            self._emit({**fields, **means})
        elif sys.stderr is not None and not sys.stderr.isatty():  # no progress bar: a line now and then
            now = self._clock()
            if now - self._told >= QUIET_S or step.step == step.steps:
                self._told = now
                place = f"{time.strftime('%H:%M:%S')} step {step.step} of {step.steps}"
                say(f"{place}: {_in_words(means)}{self._left(step)}")

    def _left(self, step: StepReport) -> str:
        first, begun = self._since
        seconds = (self._clock() - begun) / (step.step - first) * (step.steps - step.step)
        return f", {seconds / 60:.1f} min left" if step.step < step.steps else ""

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


def _means(steps: Sequence[StepReport]) -> dict[str, float]:
    """Of some steps; ``waiting`` is the share of their time in which there was no data."""
    names = ("cross_entropy", "distillation", "accuracy")
    means = {name: sum(getattr(step.losses, name) for step in steps) / len(steps) for name in names}
    seconds = sum(step.seconds for step in steps)
    return {**means, "waiting": sum(step.waited for step in steps) / seconds if seconds else 0.0}


def _in_words(means: dict[str, float]) -> str:
    loss = means["cross_entropy"] + means["distillation"]
    return f"loss {loss:.3f}, accuracy {means['accuracy']:.1%}, {means['waiting']:.0%} waiting for data"


def leave_stdout() -> None:
    """Let stdout lead nowhere from here on, what is buffered for it included."""
    if sys.stdout is None:
        return
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path of ours
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
