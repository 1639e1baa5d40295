"""What a training run is; and how one that goes on is held against what its checkpoint tells."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from a3d_edge.errors import UsageError
from a3d_edge.models.ranges import find_range
from a3d_edge.task import BOXES, SINGLE, TASKS, Task
from a3d_edge.training.augmentation import QUICKEST
from a3d_edge.video.preprocess import View
from a3d_edge.video.sampler import MOST_FRAMES, Sampling

if TYPE_CHECKING:
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.network import NetworkDescription
    from a3d_edge.training.clips import Clip
    from a3d_edge.training.loop import Settings

__all__ = [
    "RECIPES",
    "Recipe",
    "adopted",
    "check_same_clips",
    "clips_digest",
    "continued",
    "epochs_for",
    "recipe_for",
    "recorded",
    "stride_of",
]

SETTINGS = (
    "epochs", "lr", "warmup", "weight_decay", "optimizer", "smoothing", "seed", "mutual", "precision",
    "students_from", "random_widths", "distillation", "multi_resolution", "alone", "tenth_at", "mixup",
    "label_share",
)  # fmt: skip
KEPT = (
    "fold", "batch", "balanced", "rendered", "rendered_share", "dropout", "awake", "draw", "mirror", "window",
    "val", "patience", "size", "frames", "alone", "tune", "switchable", "quickest",
)  # fmt: skip
"""What only ``origin`` tells of a checkpoint's run; an older checkpoint has fewer of them."""

CHOICES: dict[str, tuple[str, ...]] = {
    "task": TASKS, "draw": ("anywhere", "motion"), "mirror": ("auto", "on", "off"),
    "view": get_args(View),
}  # fmt: skip

BEFORE: dict[str, Any] = {
    "precision": "fp32", "students_from": 0.0, "dropout": None, "awake": False, "draw": "anywhere",
    "mirror": "on", "window": None, "val": 0.0, "patience": 0, "size": None, "frames": None,
    "random_widths": 1, "distillation": True, "multi_resolution": False, "alone": None, "tenth_at": (),
    "mixup": 0.0, "tune": 0, "label_share": 0.0, "switchable": False, "quickest": QUICKEST,
}  # fmt: skip
"""What runs did before these could be chosen."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a run's result depends on, but for the clips themselves. The defaults are the paper's.

    ``task``: one class of a clip, or many labels (`a3d_edge.task`). ``classes``: in order (default: the
    labels, sorted). ``fold`` of the clips is left out; ``val`` of the others, by group, is validated on
    (0: none). ``view``: the ``whole`` picture is shown, or the part that is ``moving``, or ``close`` up
    what moves most. ``window``: seconds that one spans, ``size``: the input side of γs = 1 in pixels,
    ``frames``: pictures of a window at γt = 1 (default: as the architecture has them). ``rendered``: so
    many drawn clips of every class that can be drawn, in ``rendered_share`` of the draws. ``draw``:
    windows from ``anywhere`` in a clip, or where there is ``motion``, at up to ``quickest`` times their
    speed (people in boxes: 1.25). ``mirror``: ``auto`` (where no class names a side), ``on`` or ``off``.
    ``dropout``: None is the architecture's. ``awake``: blocks begin awake (`a3d_edge.training.start`).
    ``lr`` rises over ``warmup`` of the run. ``mutual``: train narrower networks too, from the share
    ``students_from`` of the run on. ``tenth_at``: shares of the run at which the rate is divided by 10
    (none: half a cosine). ``random_widths``, ``distillation``, ``multi_resolution``, ``alone``: as in
    `Settings`, to compare with that. ``mixup``, ``label_share``: as there. ``switchable``: batch norms
    have affine parameters of their own for each width, size and number of frames below the full ones
    (`a3d_edge.models.levels`), where narrower networks are trained.
    ``precision``: ``auto`` (what is quicker here), ``fp32`` or ``bf16``. ``patience``: so many validations
    without a better one end the run (0: never). ``tune``: so many steps after the run tune the batch norms of
    each candidate (`a3d_edge.training.tuning`; 0: none).
    """

    arch: str = "slow_small"
    task: Task = SINGLE
    classes: tuple[str, ...] | None = None
    range_name: str = "0.016"
    input_kind: str = "rgb"
    aspect: float = 1.0
    view: str = "whole"
    window: float | None = None
    size: int | None = None
    frames: int | None = None
    fold: int | None = None
    val: float = 0.2
    batch: int = 16
    balanced: bool = False
    rendered: int = 0
    rendered_share: float = 0.3
    draw: str = "anywhere"
    quickest: float = QUICKEST
    mirror: str = "auto"
    dropout: float | None = None
    awake: bool = False
    epochs: int = 196
    lr: float = 0.1
    warmup: float = 0.17
    weight_decay: float = 1e-4
    optimizer: str = "sgd"
    smoothing: float = 0.0
    seed: int = 0
    mutual: bool = True
    students_from: float = 0.0
    random_widths: int = 1
    distillation: bool = True
    multi_resolution: bool = False
    alone: str | None = None
    precision: str = "auto"
    patience: int = 0
    tenth_at: tuple[float, ...] = ()
    mixup: float = 0.0
    label_share: float = 0.0
    switchable: bool = False
    tune: int = 0

    def settings(self, device: str = "cpu") -> Settings:
        """What the training loop is told. Raises `UsageError` for a value that cannot be meant."""
        from a3d_edge.training.loop import Settings
        from a3d_edge.training.precision import precision_of

        values = {name: getattr(self, name) for name in SETTINGS}
        optimizer = cast(Literal["sgd", "adamw"], self.optimizer.lower())  # Settings refuses others
        return Settings(
            **{**values, "optimizer": optimizer, "precision": precision_of(self.precision, device)}
        )

    def check(self) -> None:
        """Raise `UsageError` for a value that cannot be meant."""
        find_range(self.range_name)
        self.settings()
        for name, there in CHOICES.items():
            if getattr(self, name) not in there:
                raise UsageError(f"unknown `{name}` '{getattr(self, name)}'; there are {', '.join(there)}")
        if self.task == BOXES and self.view != "whole":
            raise UsageError(f"`view` {self.view}: people in boxes are looked for in the `whole` picture")
        if not 0 <= self.val < 1:
            raise UsageError(f"`val` {self.val}: name a share below 1, lists of clips, or 0 for none")
        if not 1 <= self.quickest <= MOST_QUICK:
            raise UsageError(f"`quickest` {self.quickest} is outside 1 to {MOST_QUICK:g}")
        if self.task == BOXES and self.mixup:
            raise UsageError("`mixup`: boxes of two clips are not those of their mixture; leave it at 0")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError(f"`dropout` {self.dropout} is outside [0, 1)")
        if self.size is not None and self.size < SMALLEST_SIDE:
            raise UsageError(f"`size` {self.size} is below {SMALLEST_SIDE} pixels")
        if self.frames is not None and not 1 <= self.frames <= MOST_FRAMES:
            raise UsageError(f"`frames` {self.frames} is outside 1 to {MOST_FRAMES}")
        if self.patience < 0:
            raise UsageError(f"`patience` {self.patience} is below 0")
        if self.tune < 0:
            raise UsageError(f"`tune` {self.tune} is below 0")

    def origin(self) -> dict[str, Any]:
        """What a checkpoint keeps so that `recorded` finds it."""
        return {name: getattr(self, name) for name in KEPT}


RECIPES = {
    "kinetics": Recipe(),
    "small": Recipe(
        input_kind="change", aspect=1.5, view="moving", batch=16, balanced=True, draw="motion", dropout=0.2,
        awake=True, epochs=60, lr=2e-3, warmup=0.1, weight_decay=0.05, optimizer="adamw", smoothing=0.1,
        students_from=0.4, label_share=0.5, switchable=True,
    ),
    "ava": Recipe(
        task=BOXES, arch="slow_r50", batch=32, epochs=20, lr=0.05, warmup=0.25, weight_decay=1e-7,
        tenth_at=(0.5, 0.75), mutual=False,
    ),
    "charades": Recipe(
        task="multilabel", arch="slow_r50", window=2.67, batch=8, epochs=57, lr=0.01875, warmup=4 / 57,
        tenth_at=(41 / 57, 49 / 57), mutual=False,
    ),
    "people": Recipe(
        task=BOXES, aspect=1.5, batch=16, dropout=0.2, awake=True, epochs=60, lr=2e-3, warmup=0.1,
        weight_decay=0.05, optimizer="adamw", students_from=0.2, mutual=False,
    ),
}  # fmt: skip
"""``kinetics`` is the paper's; ``small`` learns from tens of clips a class, in minutes. Of the task ``boxes``
``ava`` is the paper's (weight decay: SlowFast's), and ``people`` what ``small`` is; both train plainly, as
the paper fine-tunes, unless ``mutual`` is asked for. ``charades`` is the paper's for many labels: SlowFast's
with half the batch and rate, of every 8th of 24 pictures a second."""
FINE_TUNING = ("ava", "charades")
"""Their rates are meant for weights that know something."""
OF_BOXES = {"kinetics": "ava", "small": "people"}

MOST_QUICK = 4.0  # times: beyond, a clip is over within a few pictures
SMALLEST_SIDE = 32  # of an input: what the networks' strides leave one position of
SMALL_NETWORK = 3e6  # parameters; slow_small has 0.5 million, slow_r50 32
SMALL_SET = 10_000  # clips
SMALL_STEPS = 700
"""Of the small recipe: 500 to 660 were enough on 190 clips of two classes, and nearly on 14 of them."""
INIT_LR = 0.25
"""Weights that already know something are changed by smaller steps."""


def recipe_for(description: NetworkDescription, clips: int, task: Task = SINGLE) -> str:
    """The name of the recipe that suits: ``small`` for a small network or a small set, else ``kinetics``; of
    people in boxes ``people`` and ``ava``."""
    import torch

    with torch.device("meta"):
        parameters = sum(each.numel() for each in description.build().parameters())
    found = "small" if parameters < SMALL_NETWORK or clips < SMALL_SET else "kinetics"
    return OF_BOXES[found] if task == BOXES else found


def epochs_for(clips: int, batch: int) -> int:
    """Epochs of the small recipe: about `SMALL_STEPS` steps, and neither few nor endless epochs."""
    return min(max(round(SMALL_STEPS / max(1, clips // batch)), 20), 200)


def adopted(recipe: Recipe, named: Collection[str], other: Checkpoint) -> Recipe:
    """The run that begins with another checkpoint's weights: its network and input, unless ``named``."""
    there: dict[str, Any] = {
        "arch": other.description.name,
        "input_kind": other.preprocessing.input,
        "aspect": other.preprocessing.aspect,
        "view": other.preprocessing.view,
        "size": other.origin.get("size"),  # where it was named: that of an import is how it was tested
        "lr": recipe.lr * INIT_LR,
        "awake": False,
    }
    return replace(recipe, **{name: value for name, value in there.items() if name not in named})


def stride_of(window: float, sampling: Sampling) -> int:
    """τ so that a window of a network spans about ``window`` seconds. Raises `UsageError` for one too short.

    A Fast pathway takes τ / α: τ is a multiple of α.
    """
    stride = round(window * sampling.rate / sampling.frames / sampling.alpha) * sampling.alpha
    if stride < 1:
        least = sampling.frames * sampling.alpha / sampling.rate
        need = f"{sampling.frames} frames need {least:.2g} s or more"
        raise UsageError(f"`window` {window:g} s: {need}; name a longer one, or fewer `frames`")
    return stride


def recorded(checkpoint: Checkpoint) -> dict[str, Any]:
    """The parts of the `Recipe` that a checkpoint was begun with, as far as it tells."""
    settings = (checkpoint.resume or checkpoint.origin).get("settings", {})
    return {
        **BEFORE,
        "arch": checkpoint.description.name,
        "task": checkpoint.task,
        "classes": checkpoint.classes,
        "range_name": checkpoint.range_name,
        "input_kind": checkpoint.preprocessing.input,
        "aspect": checkpoint.preprocessing.aspect,
        "view": checkpoint.preprocessing.view,
        **{name: checkpoint.origin[name] for name in KEPT if name in checkpoint.origin},
        **{name: settings[name] for name in SETTINGS if name in settings},
    }


def continued(given: Recipe, named: Collection[str], there: Mapping[str, Any], out: Path) -> Recipe:
    """The run that goes on: what was not ``named`` is taken from the checkpoint.

    Raises `UsageError` that lists everything that differs, with both values.
    """
    here = {**asdict(given), "optimizer": given.optimizer.lower()}
    if differing := [name for name in here if name in named and name in there and here[name] != there[name]]:
        were, are = (", ".join(_shown(name, run[name]) for name in differing) for run in (there, here))
        raise UsageError(
            f"`resume`: {out} was begun with {were}, now with {are}; leave what differs out, or begin anew "
            "with another `out`"
        )
    return replace(given, **there)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} `{name}`"
    if value is None:
        return f"without `{name}`"
    return f"`{name}` {','.join(map(str, value)) if isinstance(value, tuple) else value}"


def clips_digest(clips: Sequence[Clip]) -> str:
    """Tells lists of training clips apart, by names and labels in order: a data set may move."""
    named = ((clip.path.name if clip.path else clip.seed, clip) for clip in clips)
    names = "\n".join(f"{name}{clip.part}\t{clip.label}" for name, clip in named)
    digest = hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{len(clips)} clips, sha256 {digest}"


def check_same_clips(checkpoint: Checkpoint, clips: Sequence[Clip], out: Path) -> None:
    """Raise `UsageError` when a run is to go on with other clips than it began with, if that is known."""
    then, now = checkpoint.origin.get("clips"), clips_digest(clips)
    if then is not None and then != now:
        raise UsageError(
            f"`resume`: {out} was begun with other `data` ({then}; now {now}); name the same lists in the "
            "same order, or begin anew with another `out`"
        )
