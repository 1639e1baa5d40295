"""Accuracy of configurations on labelled clips: a clip is decoded once, a window prepared once per size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from a3d_edge.configuration import Configuration
from a3d_edge.errors import SourceError
from a3d_edge.models.network import Clips, to_device
from a3d_edge.task import SINGLE, Task, is_multilabel
from a3d_edge.training.average_precision import mean_average_precision
from a3d_edge.training.clips import Clip, class_of, classes_in
from a3d_edge.training.decode import DecodedClip, FrameCache, Image, warn_of_unreadable
from a3d_edge.training.windows import (
    Protocol,
    Window,
    charades_views,
    paper_views,
    runtime_views,
    view_window,
)
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

__all__ = [
    "ClipScores",
    "Scores",
    "WindowSet",
    "by_configuration",
    "clip_scores",
    "evaluate",
    "leaving_out",
    "truth_of",
]

HELD_VALUES = 2**24
"""Input values that one forward pass of an evaluation takes at most, unless a single window has more: 64 MiB,
and some tens of times that in features."""

BATCH_VALUES = 2**26
"""The same for a batch that batch norms are calibrated on, which is to be large: 256 MiB, 14 windows of
SlowFast 4×16 at 224²."""

KEPT_SCORES = 2**28
"""Scores of single windows that a measurement keeps apart at most, 1 GiB; of more, only their sums."""

KEPT_PICTURES = 128
"""Pictures of a clip that stay unpacked from one size to the next."""

VIEWS = {"runtime": runtime_views, "paper": paper_views, "charades": charades_views}

Summed = NDArray[np.float64]
Windows = NDArray[np.float32]
Truth = NDArray[np.intp]
ClipScores = Summed | Windows
"""Of one clip: of each of its windows ``(configurations, windows, classes)``, or summed
``(configurations, classes)``."""


@dataclass(frozen=True, slots=True)
class WindowSet:
    """The windows of a clip list, prepared as the runtime prepares them.

    ``views`` a clip, of a protocol: ``runtime`` spreads windows of the runtime's evenly over the clip,
    ``paper`` has 1, 10 or 30 (`paper_views`), ``charades`` 10 or 30. At most ``batch_size`` windows come at
    once. ``task``: what the clips' labels are, and so how scores are made and put together.
    """

    clips: Sequence[Clip]
    cache: FrameCache
    sampling: Sampling
    preprocessing: Preprocessing
    views: int = 4
    batch_size: int = 32
    protocol: Protocol = "runtime"
    task: Task = SINGLE

    def at_size(self, size: int) -> Iterator[tuple[NDArray[np.intp], Clips]]:
        """(index of each window's clip, windows) in batches, in clip order.

        Windows are ``(N, 3, T_max, S, S)``, or ``[slow (N, 3, T_max, S, S), fast (N, 3, T_max·α, F, F)]``.
        """
        owners: list[int] = []
        windows: list[list[Window]] = []
        for number, clip in enumerate(self.clips):
            for window in self._windows(self.cache.get(clip), size):
                owners.append(number)
                windows.append(window)
                if self._is_full(windows, BATCH_VALUES):
                    yield np.array(owners), _stack(windows)
                    owners, windows = [], []
        if windows:
            yield np.array(owners), _stack(windows)

    def of_clip(self, decoded: DecodedClip, size: int) -> Iterator[Clips]:
        """The windows of one clip, as `at_size` gives them, at most `HELD_VALUES` at once."""
        windows: list[list[Window]] = []
        for window in self._windows(decoded, size):
            windows.append(window)
            if self._is_full(windows, HELD_VALUES):
                yield _stack(windows)
                windows = []
        if windows:
            yield _stack(windows)

    def _is_full(self, windows: list[list[Window]], most: int) -> bool:
        values = sum(pathway.size for pathway in windows[0])
        return len(windows) == self.batch_size or (len(windows) + 1) * values > most

    def _windows(self, decoded: DecodedClip, size: int) -> Iterator[list[Window]]:
        spread = VIEWS[self.protocol]
        for view in spread(decoded, self.sampling, self.preprocessing, self.views):
            yield view_window(decoded, view, size, self.sampling, self.preprocessing)


@dataclass(frozen=True, slots=True)
class Scores:
    """Summed softmax scores of every clip ``(clips, classes)`` and its true class ``(clips,)``.

    ``windows``: those of each window ``(clips, windows, classes)``, if they were kept apart. Of many labels
    (`a3d_edge.task`) ``summed`` is each class's highest sigmoid score of all windows, and ``truth`` is
    ``(clips, classes)`` of 0 and 1; such scores have no accuracy.
    """

    summed: Summed
    truth: Truth
    windows: Windows | None = None

    @property
    def is_multilabel(self) -> bool:
        """Whether several classes can be true of a clip."""
        return self.truth.ndim == 2

    @property
    def quality(self) -> float:
        """What configurations are compared by: the accuracy, or of many labels the mean average precision.

        Raises what `mean_average_precision` raises.
        """
        if not self.is_multilabel:
            return self.accuracy
        return mean_average_precision(self.summed, self.truth)

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
        """Share of clips whose truth is among the k highest summed scores, or all where there are fewer."""
        best = np.argsort(-self.summed, axis=1, kind="stable")[:, :k]
        return float((best == self.truth[:, None]).any(axis=1).mean())


def evaluate(
    model: nn.Module,
    configurations: Sequence[Configuration],
    windows: WindowSet,
    classes: Sequence[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Configuration, Scores]:
    """Clip scores of every configuration, with the statistics the network holds for it.

    The model is left as it was; ``progress`` is told (clips done, all). Clips that cannot be read are left
    out, and named in a `DataWarning`. Raises `UsageError` for a clip of an unknown class, before anything is
    computed, `SourceError` when no clip can be read.
    """
    truth = truth_of(windows.clips, classes, windows.task)
    found: dict[int, ClipScores] = {}
    with leaving_out(len(windows.clips)) as tried:
        for number in range(len(windows.clips)):
            with tried():
                found[number] = clip_scores(model, configurations, windows, number)
            progress(number + 1, len(windows.clips))
    return by_configuration(configurations, found, truth)


@contextmanager
def leaving_out(clips: int) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """A context for the work on one of so many clips, which passes over one that cannot be read.

    At the end all of them are named, as by `warn_of_unreadable`.
    """
    errors: list[SourceError] = []

    @contextmanager
    def tried() -> Iterator[None]:
        try:
            yield
        except SourceError as error:
            errors.append(error)

    yield tried
    warn_of_unreadable(errors, clips)


def clip_scores(
    model: nn.Module, configurations: Sequence[Configuration], windows: WindowSet, number: int
) -> ClipScores:
    """Softmax scores of one clip: of each window as run sees them, unless that is too much; else summed.
    Of many labels sigmoid scores, and of all windows the highest (as PySlowFast tests Charades).

    Runs on the model's device, in eval mode; the model is left in the mode it was in. The clip is decoded
    once, and its windows are prepared once per size.
    """
    device, many = next(model.parameters()).device, is_multilabel(windows.task)
    decoded = windows.cache.get(windows.clips[number])
    decoded = replace(decoded, frames=_Kept(lru_cache(KEPT_PICTURES)(decoded.frames.__getitem__)))
    found: dict[int, list[Tensor]] = {place: [] for place in range(len(configurations))}
    with _eval_mode(model), torch.inference_mode():
        for size in sorted({c.size for c in configurations}):
            here = [(place, c) for place, c in enumerate(configurations) if c.size == size]
            for clips in windows.of_clip(decoded, size):
                moved = to_device(clips, device)
                for place, configuration in here:
                    logits = model(moved, configuration)
                    found[place].append((logits.sigmoid() if many else logits.softmax(dim=1)).float().cpu())
    scores = torch.stack([torch.cat(parts) for parts in found.values()])
    if windows.protocol == "runtime" and scores.numel() * len(windows.clips) <= KEPT_SCORES:
        return scores.numpy()
    return (scores.double().amax(dim=1) if many else scores.double().sum(dim=1)).numpy()


@dataclass(frozen=True, slots=True)
class _Kept:
    """Pictures of a clip, some of them at hand."""

    get: Callable[[int], Image]

    def __getitem__(self, place: int, /) -> Image:
        return self.get(place)


def truth_of(clips: Sequence[Clip], classes: Sequence[str], task: Task = SINGLE) -> Truth:
    """The true class of every clip ``(clips,)``, or of many labels which are ``(clips, classes)``.

    Raises `UsageError` for an unknown one.
    """
    if is_multilabel(task):
        return np.array([classes_in(clip, classes) for clip in clips], dtype=np.intp)
    return np.array([class_of(clip, classes) for clip in clips], dtype=np.intp)


def by_configuration(
    configurations: Sequence[Configuration], found: Mapping[int, ClipScores], truth: Truth
) -> dict[Configuration, Scores]:
    """The `clip_scores` by clip number, sorted into `Scores` of every configuration.

    Where a file of an older version holds the sums of some clips, there are none but sums. A short clip has
    fewer windows: apart, they come more than once, so that each clip counts as much as any other.
    """
    numbers = sorted(found)
    every = [found[number] for number in numbers]
    many = truth.ndim == 2
    summed: Summed = np.stack([_of_all_windows(one, many) if one.ndim == 3 else one for one in every])
    apart: Windows | None = None
    if all(one.ndim == 3 for one in every):
        most = max(one.shape[1] for one in every)
        evenly = [one[:, np.arange(most) % one.shape[1]] for one in every]
        apart = np.stack(evenly).astype(np.float32, copy=False)
    return {
        c: Scores(summed[:, place], truth[numbers], None if apart is None else apart[:, place])
        for place, c in enumerate(configurations)
    }


def _of_all_windows(scores: ClipScores, many: bool) -> Summed:
    """One clip's ``(configurations, windows, classes)``, the windows put together."""
    if many:
        return np.asarray(scores.max(axis=1), np.float64)
    return np.asarray(scores.sum(axis=1, dtype=np.float64))


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _stack(windows: Sequence[Sequence[Window]]) -> Clips:
    """Windows, each one array per pathway, as one batch per pathway."""
    batches = [
        torch.from_numpy(np.stack(pathway)).contiguous(memory_format=torch.channels_last_3d)
        for pathway in zip(*windows, strict=True)
    ]
    return batches[0] if len(batches) == 1 else batches
