"""What a checkpoint's network is fed: clips chosen from lists, their windows, batches to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from a3d_edge.device.cores import available_threads
from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.training.augmentation import may_mirror
from a3d_edge.training.batches import Batches
from a3d_edge.training.clips import Clip, check_labels
from a3d_edge.training.decode import PARTS_SIDE, WHOLE_SIDE, FrameCache, open_cache, readable
from a3d_edge.training.evaluation import WindowSet
from a3d_edge.training.prefetch import workers_for
from a3d_edge.training.recipe import Recipe
from a3d_edge.training.share import Share

__all__ = ["batches_for", "frame_cache", "unlabelled_set", "window_set"]


def window_set(
    checkpoint: Checkpoint, clips: Sequence[Clip], cache: str | Path | None, views: int
) -> WindowSet:
    """The windows of clips as a checkpoint's network wants them. Raises `UsageError` for an unknown label."""
    check_labels(clips, checkpoint.classes)
    return _set(checkpoint, clips, cache, views)


def unlabelled_set(
    checkpoint: Checkpoint, clips: Sequence[Clip], cache: str | Path | None, views: int
) -> WindowSet:
    """The same where it does not matter what the clips are called; without those that cannot be read."""
    return _set(checkpoint, readable(list(clips), frame_cache(checkpoint, cache)), cache, views)


def _set(checkpoint: Checkpoint, clips: Sequence[Clip], cache: str | Path | None, views: int) -> WindowSet:
    sampling = checkpoint.description.sampling
    frames, task = frame_cache(checkpoint, cache), checkpoint.task
    return WindowSet(clips, frames, sampling, checkpoint.preprocessing, views, task=task)


def frame_cache(checkpoint: Checkpoint, cache: str | Path | None) -> FrameCache:
    """Decoded frames as large as any configuration of the network looks at; larger if at parts of them."""
    sides = [c.size for c in checkpoint.grid()]
    least = WHOLE_SIDE if checkpoint.preprocessing.view == "whole" else PARTS_SIDE
    side = max(least, checkpoint.description.sampling.fast_size, *sides)
    return open_cache(cache, side, grey=checkpoint.preprocessing.input != "rgb")


def batches_for(
    checkpoint: Checkpoint, clips: list[Clip], frames: FrameCache, recipe: Recipe, workers: int | None,
    share: Share,
) -> Batches:  # fmt: skip
    """Augmented batches of clips as a recipe has them, for the network of a checkpoint."""
    description = checkpoint.description
    sampling, spec = description.sampling, checkpoint.preprocessing
    drawn = recipe.rendered_share if recipe.rendered else 0.0
    mirror = recipe.mirror == "on" or (recipe.mirror == "auto" and may_mirror(checkpoint.classes))
    alone, size = checkpoint.alone, description.size
    if alone is not None and sampling.alpha == 1:  # as it is run; a Fast pathway keeps its own size
        size = alone.size
    batches = Batches(
        clips, checkpoint.classes, frames, size, sampling, spec, recipe.batch, recipe.seed,
        recipe.balanced, drawn, mirror=mirror, busy=recipe.draw == "motion", quickest=recipe.quickest,
        task=checkpoint.task,
    )  # fmt: skip
    if workers is None:
        workers = workers_for(available_threads(), recipe.epochs * batches.per_epoch)
    return replace(batches, workers=workers, rank=share.rank, processes=share.size)
