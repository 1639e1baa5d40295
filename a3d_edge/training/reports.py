"""How long work tells what it does: whoever starts it hands in functions; nothing here prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a3d_edge.training.distillation import StepLosses

__all__ = ["Note", "Report", "StepReport", "step", "unheard", "unseen"]

Report = Callable[[str, int, int], None]
"""Told (what, done, all) whenever a part of some step is done."""

Note = Callable[[str], None]
"""Told a sentence that is worth knowing, and no warning."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step did, for progress displays. ``lr`` is that of the step, ``seconds`` what it took."""

    step: int
    steps: int
    per_epoch: int
    losses: StepLosses
    lr: float
    seconds: float = field(default=0.0, compare=False)
    waited: float = field(default=0.0, compare=False)  # of those, without data


def unseen(what: str, done: int, total: int) -> None:
    """The `Report` of whoever looks at no progress."""


def unheard(sentence: str) -> None:
    """The `Note` of whoever wants none."""


def step(report: Report, what: str) -> Callable[[int, int], None]:
    """A (done, all) callback for one named step."""
    return lambda done, total: report(what, done, total)
