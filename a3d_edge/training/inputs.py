"""What a checkpoint's network is fed: clips chosen from lists, their frames kept on disk, their windows."""

from __future__ import annotations

import atexit
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from a3d_edge.errors import DataWarning, ResourceError
from a3d_edge.folders import usable_folder, user_folder
from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.training.clips import Clip, check_labels
from a3d_edge.training.decode import FrameCache, readable
from a3d_edge.training.evaluation import WindowSet

__all__ = ["cache_folder", "frame_cache", "unlabelled_set", "window_set"]


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
    return WindowSet(clips, frame_cache(checkpoint, cache), sampling, checkpoint.preprocessing, views)


def frame_cache(checkpoint: Checkpoint, folder: str | Path | None) -> FrameCache:
    """Decoded frames as large as any configuration of the network looks at, and no larger."""
    sides = [c.size for c in checkpoint.grid()]
    return FrameCache(cache_folder(folder), max(160, checkpoint.description.sampling.fast_size, *sides))


def cache_folder(folder: str | Path | None) -> Path:
    """Where decoded frames are kept if no ``folder`` is named; for this process only where that cannot be.

    Raises `ResourceError` when there is no other place either.
    """
    if folder is not None:
        return Path(folder)
    usual = user_folder("XDG_CACHE_HOME", ".cache") / "frames"
    try:
        return usable_folder(usual)
    except OSError as error:
        place = _folder_of_this_process()
        warnings.warn(
            f"{usual}: cannot keep decoded frames ({error.strerror}); they are in {place} until the end, see "
            "`cache`", DataWarning, stacklevel=2,
        )  # fmt: skip
        return place


def _folder_of_this_process() -> Path:
    try:
        place = mkdtemp(prefix="a3d-edge-frames-")
    except OSError as error:
        raise ResourceError(f"no folder for decoded frames ({error}); name one by `cache`") from error
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)
