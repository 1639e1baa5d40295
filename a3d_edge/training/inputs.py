"""What a checkpoint's network is fed: clips chosen from lists, their windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.training.clips import Clip, check_labels
from a3d_edge.training.decode import PARTS_SIDE, WHOLE_SIDE, FrameCache, open_cache, readable
from a3d_edge.training.evaluation import WindowSet

__all__ = ["frame_cache", "unlabelled_set", "window_set"]


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
