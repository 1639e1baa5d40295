"""Accuracy of configurations on labelled clips: a clip is decoded once, a window prepared once per size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.models.slow import Slow
from a3d_edge.training.clips import Clip, class_of
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.windows import plain_window, window_starts_of
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

__all__ = ["Scores", "WindowSet", "evaluate"]


@dataclass(frozen=True, slots=True)
class WindowSet:
    """The windows of a clip list, ``views`` a clip spread evenly, prepared as the runtime prepares them."""

    clips: Sequence[Clip]
    cache: FrameCache
    sampling: Sampling
    preprocessing: Preprocessing
    views: int = 4
    batch_size: int = 32

    def at_size(self, size: int) -> Iterator[tuple[NDArray[np.intp], Tensor]]:
        """(index of the clip, window) in batches: ``(N,)`` and ``(N, 3, T_max, S, S)``, in clip order."""
        owners: list[int] = []
        windows: list[NDArray[np.float32]] = []
        for number, clip in enumerate(self.clips):
            decoded = self.cache.get(clip)
            for start in window_starts_of(decoded, self.sampling, self.views):
                owners.append(number)
                windows.append(plain_window(decoded, start, size, self.sampling, self.preprocessing))
                if len(windows) == self.batch_size:
                    yield np.array(owners), _stack(windows)
                    owners, windows = [], []
        if windows:
            yield np.array(owners), _stack(windows)


@dataclass(frozen=True, slots=True)
class Scores:
    """Summed softmax scores of every clip ``(clips, classes)`` and its true class ``(clips,)``."""

    summed: NDArray[np.float64]
    truth: NDArray[np.intp]

    @property
    def accuracy(self) -> float:
        """Share of clips whose highest summed score is the truth."""
        return float((self.summed.argmax(axis=1) == self.truth).mean())

    def per_class(self, classes: Sequence[str]) -> dict[str, tuple[int, int]]:
        """(named correctly, all) of every class that occurs."""
        right = self.summed.argmax(axis=1) == self.truth
        here = [(i, name) for i, name in enumerate(classes) if (self.truth == i).any()]
        return {name: (int(right[self.truth == i].sum()), int((self.truth == i).sum())) for i, name in here}

    def top(self, k: int) -> float:
        """Share of clips whose truth is among the k highest summed scores."""
        best = np.argsort(-self.summed, axis=1)[:, :k]
        return float((best == self.truth[:, None]).any(axis=1).mean())


def evaluate(
    model: Slow,
    configurations: Sequence[Configuration],
    windows: WindowSet,
    classes: Sequence[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Configuration, Scores]:
    """Clip scores of every configuration, with the statistics the network holds for it.

    The model is left as it was; ``progress`` is told (configurations done, all). Raises `UsageError` for a
    clip of an unknown class.
    """
    truth = np.array([class_of(clip, classes) for clip in windows.clips])
    summed = {c: np.zeros((len(windows.clips), len(classes))) for c in configurations}
    was_training, done = model.training, 0
    model.eval()
    try:
        for size in sorted({c.size for c in configurations}):
            here = [c for c in configurations if c.size == size]
            for owners, clips in windows.at_size(size):
                for configuration in here:
                    with torch.inference_mode():
                        scores = model(clips, configuration).softmax(dim=1).double().numpy()
                    np.add.at(summed[configuration], owners, scores)
            done += len(here)
            progress(done, len(configurations))
    finally:
        model.train(was_training)
    return {c: Scores(summed[c], truth) for c in configurations}


def _stack(windows: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(windows)).contiguous(memory_format=torch.channels_last_3d)
