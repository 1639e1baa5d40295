"""What a training run is; and how one that goes on is held against what its checkpoint tells."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from a3d_edge.errors import UsageError

if TYPE_CHECKING:
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.training.clips import Clip
    from a3d_edge.training.loop import Settings

__all__ = ["Recipe", "check_same_clips", "clips_digest", "continued", "recorded"]

SETTINGS = ("epochs", "lr", "warmup", "weight_decay", "optimizer", "smoothing", "seed", "mutual")
KEPT = ("fold", "batch", "balanced", "rendered", "rendered_share")
"""What only ``origin`` tells of a checkpoint's run; an older checkpoint has fewer of them."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a run's result depends on, but for the clips themselves.

    ``classes``: in order (default: the labels, sorted). ``fold`` of the clips is left out. ``rendered``: so
    many drawn clips of every class that can be drawn, in ``rendered_share`` of the draws. ``lr`` rises over
    ``warmup`` of the run. ``mutual``: train narrower networks too, not the full one alone.
    """

    arch: str = "slow_small"
    classes: tuple[str, ...] | None = None
    range_name: str = "0.016"
    input_kind: str = "rgb"
    aspect: float = 1.0
    fold: int | None = None
    batch: int = 16
    balanced: bool = False
    rendered: int = 0
    rendered_share: float = 0.3
    epochs: int = 196
    lr: float = 0.1
    warmup: float = 0.17
    weight_decay: float = 1e-4
    optimizer: str = "sgd"
    smoothing: float = 0.0
    seed: int = 0
    mutual: bool = True

    def settings(self) -> Settings:
        """What the training loop is told. Raises `UsageError` for a value that cannot be meant."""
        from a3d_edge.training.loop import Settings

        values = {name: getattr(self, name) for name in SETTINGS}
        optimizer = cast(Literal["sgd", "adamw"], self.optimizer.lower())  # Settings refuses others
        return Settings(**{**values, "optimizer": optimizer})

    def origin(self) -> dict[str, Any]:
        """What a checkpoint keeps so that `recorded` finds it."""
        return {name: getattr(self, name) for name in KEPT}


def recorded(checkpoint: Checkpoint) -> dict[str, Any]:
    """The parts of the `Recipe` that a checkpoint was begun with, as far as it tells."""
    settings = (checkpoint.resume or checkpoint.origin).get("settings", {})
    return {
        "arch": checkpoint.description.name,
        "classes": checkpoint.classes,
        "range_name": checkpoint.range_name,
        "input_kind": checkpoint.preprocessing.input,
        "aspect": checkpoint.preprocessing.aspect,
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
    return f"`{name}` {','.join(value) if isinstance(value, tuple) else value}"


def clips_digest(clips: Sequence[Clip]) -> str:
    """Tells lists of training clips apart, by names and labels in order: a data set may move."""
    names = "\n".join(f"{clip.path.name if clip.path else clip.seed}\t{clip.label}" for clip in clips)
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
