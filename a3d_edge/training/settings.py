"""What a training run is, and so what each of its steps trains."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any, Literal

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.ranges import Range
from a3d_edge.training.distillation import Precision, subnetworks

__all__ = ["Settings", "drawn"]


LATE = ("tenth_at", "mixup", "label_share")
"""What older versions lack."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is; stored in its checkpoints, and compared on resume.

    Rates are per step: linear warm-up from a tenth of ``lr`` over ``warmup`` of the run, then cosine to 0;
    or with ``tenth_at``, shares of the run, as it is, a tenth from the first of them on, and so on.
    ``students_from``: the share of the run before sub-networks join; a teacher that knows nothing yet has
    nothing to teach, and its steps then cost half.

    ``random_widths``: so many sub-networks of random width beside the narrowest one (the paper: 1). To
    compare with mutual training: ``distillation`` off (students learn from the labels); ``alone``: a
    configuration, which alone is trained, from the labels; ``multi_resolution``: the full width alone, at a
    random size and number of frames of the range (the paper's Table 7).
    ``label_share``: the share of a student's loss that is by the labels, not by the teacher (the paper: 0).
    ``mixup``: the α of the share by which clips of a batch are mixed (`a3d_edge.training.mixup`; 0: they are
    not).
    """

    epochs: int = 196
    lr: float = 0.1
    warmup: float = 0.17
    weight_decay: float = 1e-4
    optimizer: Literal["sgd", "adamw"] = "sgd"
    smoothing: float = 0.0
    seed: int = 0
    mutual: bool = True
    precision: Precision = "fp32"
    students_from: float = 0.0
    random_widths: int = 1
    distillation: bool = True
    multi_resolution: bool = False
    alone: str | None = None
    tenth_at: tuple[float, ...] = ()
    mixup: float = 0.0
    label_share: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise UsageError(f"`epochs` {self.epochs} is below 0")
        if not 0 < self.lr < 100:
            raise UsageError(f"`lr` {self.lr} is out of range")
        if self.optimizer not in ("sgd", "adamw"):
            raise UsageError(f"unknown `optimizer` '{self.optimizer}'; there are sgd and adamw")
        if not 0 <= self.students_from < 1:
            raise UsageError(f"`students_from` {self.students_from} is outside [0, 1)")
        if self.precision not in ("fp32", "bf16"):
            raise UsageError(f"unknown `precision` '{self.precision}'; there are fp32 and bf16")
        if any(not 0 < share < 1 for share in self.tenth_at) or list(self.tenth_at) != sorted(self.tenth_at):
            raise UsageError(f"`tenth_at` {self.tenth_at}: name shares of the run between 0 and 1, ascending")
        if self.random_widths < 0:
            raise UsageError(f"`random_widths` {self.random_widths} is below 0")
        if self.mixup < 0:
            raise UsageError(f"`mixup` {self.mixup} is below 0")
        if not 0 <= self.label_share <= 1:
            raise UsageError(f"`label_share` {self.label_share} is outside [0, 1]")
        if self.alone is not None:
            Configuration.parse(self.alone)
            if self.multi_resolution:
                raise UsageError("`alone` and `multi_resolution` exclude each other: one resolution, or many")

    def told(self) -> dict[str, Any]:
        """By field, as a checkpoint keeps them: what older versions lack only where it is used."""
        return {name: value for name, value in asdict(self).items() if name not in LATE or value}

    @property
    def labels_of_students(self) -> float:
        """The share of a student's loss that is by the labels: all of it where there is no distillation."""
        return self.label_share if self.distillation else 1.0

    @property
    def teaches(self) -> bool:
        """Whether narrower networks are trained beside the full one."""
        return self.mutual and self.alone is None and not self.multi_resolution


def drawn(
    settings: Settings, budget_range: Range, size: int, frames: int, step: int, steps: int
) -> tuple[Configuration | None, tuple[Configuration, ...]]:
    """What a step trains, a pure function of (settings, step): at what the first network runs, which learns
    from the labels, and the students that run after it. None: full width on the whole clip as it comes."""
    if settings.alone is not None:
        return Configuration.parse(settings.alone), ()
    if settings.multi_resolution:
        rng = random.Random(f"{settings.seed}:{step}")
        return budget_range.draw_full(size, frames, rng), ()
    if not settings.mutual or step < settings.students_from * steps:
        return None, ()
    return None, subnetworks(budget_range, size, frames, settings.seed, step, settings.random_widths)
