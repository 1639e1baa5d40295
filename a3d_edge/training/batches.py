"""Training batches, each a pure function of (seed, epoch, place): a resumed run sees what it would have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from a3d_edge.errors import UsageError
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.network import Clips
from a3d_edge.task import BOXES, SINGLE, Task, is_multilabel
from a3d_edge.training.activity import activity
from a3d_edge.training.augmentation import QUICKEST, drawn_indices, shown_window
from a3d_edge.training.clips import Clip, class_of, classes_in
from a3d_edge.training.decode import DecodedClip, FrameCache
from a3d_edge.training.people import training_window
from a3d_edge.training.prefetch import ahead
from a3d_edge.training.windows import Window
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

__all__ = ["Batches", "stacked"]


@dataclass(frozen=True, slots=True)
class Batches:
    """Augmented batches of a clip list.

    ``balanced`` draws the classes equally often; ``rendered_share`` of the draws are rendered clips, where
    there are both kinds; ``mirror`` shows half of them from the other side; ``busy`` draws windows where
    something moves (`a3d_edge.training.activity`), and ``moved`` keeps what it found; ``quickest``: as in
    `drawn_indices`. So many ``workers``
    (processes) make batches (0: a thread). Of ``processes`` that train together this is the one of ``rank``,
    which gets its share of each batch. The last, incomplete batch of an epoch is dropped. ``task``: whether
    labels are classes or sets of them.
    Raises `UsageError` for a share outside [0, 1).
    """

    clips: Sequence[Clip]
    classes: Sequence[str]
    cache: FrameCache
    size: int
    sampling: Sampling
    preprocessing: Preprocessing
    batch_size: int
    seed: int
    balanced: bool = False
    rendered_share: float = 0.0
    mirror: bool = True
    busy: bool = False
    quickest: float = QUICKEST
    workers: int = 0
    rank: int = 0
    processes: int = 1
    task: Task = SINGLE
    moved: dict[Clip, NDArray[np.float64]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.rendered_share < 1:
            raise UsageError(f"`rendered_share` {self.rendered_share} is outside [0, 1)")

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch: once through as many draws as there are real clips (all, if all are drawn)."""
        real = sum(clip.path is not None for clip in self.clips)
        mixed = 0 < real < len(self.clips)
        draws = real / (1 - self.rendered_share) if mixed else len(self.clips)
        return max(1, round(draws) // self.batch_size)

    def order(self, epoch: int) -> list[int]:
        """Indices of the clips of an epoch's draws."""
        rng = np.random.default_rng([self.seed, epoch])
        total = self.per_epoch * self.batch_size
        if not self.balanced and self.rendered_share == 0.0:
            return [int(i) for i in rng.permutation(len(self.clips))][:total]
        pools = {
            rendered: [i for i, clip in enumerate(self.clips) if (clip.path is None) == rendered]
            for rendered in (False, True)
        }
        drawn = round(total * self.rendered_share) if pools[True] else 0
        drawn = drawn if pools[False] else total
        order = self._draws(pools[False], total - drawn, rng) + self._draws(pools[True], drawn, rng)
        return [order[i] for i in rng.permutation(len(order))]

    def _draws(self, pool: list[int], count: int, rng: np.random.Generator) -> list[int]:
        """``count`` indices from a pool, in equal shares by class when balanced, without early repeats."""
        groups = [[i for i in pool if name in self.clips[i].labels] for name in self.classes]
        groups.append([i for i in pool if not self.clips[i].labels])  # those of none of the classes
        groups = [group for group in groups if group] if self.balanced else [pool]
        decks: list[list[int]] = [[] for _ in groups]
        chosen: list[int] = []
        for n in range(count if pool else 0):
            place = n % len(groups)
            if not decks[place]:
                decks[place] = [groups[place][i] for i in rng.permutation(len(groups[place]))]
            chosen.append(decks[place].pop())
        return chosen

    def make(self, epoch: int, place: int) -> tuple[Clips, Tensor]:
        """Batch number ``place`` of an epoch: clips, one tensor or one a pathway, and labels ``(N,)``, or of
        many ``(N, classes)`` of 0 and 1; of people ``(K, classes)``, and their boxes with the clips."""
        if self.task == BOXES:
            return self._of_people(epoch, place)
        windows, labels, many = [], [], is_multilabel(self.task)
        for position, clip in self._drawn(epoch, place):
            rng = np.random.default_rng([self.seed, epoch, position, 1])
            decoded = self.cache.get(clip)
            moved = self._activity(clip, decoded) if self.busy else None
            indices = drawn_indices(decoded, self.sampling, self.preprocessing, rng, moved, self.quickest)
            windows.append(
                shown_window(
                    decoded, indices, self.size, self.sampling, self.preprocessing, rng, mirror=self.mirror
                )
            )
            seconds = decoded.times[indices[:, 0]]
            labels.append(self._seen(clip, seconds) if many else class_of(clip, self.classes))
        return stacked(windows), torch.tensor(labels, dtype=torch.float32 if many else torch.int64)

    def _of_people(self, epoch: int, place: int) -> tuple[BoxedClips, Tensor]:
        windows: list[list[Window]] = []
        boxes, sets, owners = [], [], list[int]()
        for position, clip in self._drawn(epoch, place):
            rng = np.random.default_rng([self.seed, epoch, position, 1])
            window, there, true = training_window(
                clip, self.cache.get(clip), self.size, self.sampling, self.preprocessing, rng, self.classes,
                mirror=self.mirror,
            )  # fmt: skip
            owners += [len(windows)] * len(there)
            windows.append(window)
            boxes.append(there)
            sets.append(true)
        placed = torch.from_numpy(np.concatenate(boxes).astype(np.float32))
        clips = BoxedClips.of(stacked(windows), placed, torch.tensor(owners, dtype=torch.int64))
        return clips, torch.from_numpy(np.concatenate(sets))

    def _drawn(self, epoch: int, place: int) -> Iterator[tuple[int, Clip]]:
        """This process's share of a batch: places in the epoch's order, and their clips."""
        order = self.order(epoch)
        first, last = place * self.batch_size, min((place + 1) * self.batch_size, len(order))
        for position in range(first + self.rank, last, self.processes):
            yield position, self.clips[order[position]]

    def _seen(self, clip: Clip, seconds: NDArray[np.float64]) -> list[bool]:
        """Which classes a window shows that looks at these seconds: where it is known when each label is
        seen, those that are in between, as PySlowFast trains on Charades; else all of the clip's."""
        if not clip.acts:
            return classes_in(clip, self.classes)
        first, last = seconds.min() + (clip.start or 0.0), seconds.max() + (clip.start or 0.0)
        there = {label for label, start, end in clip.acts if start <= last and end >= first}
        return [name in there for name in self.classes]

    def _activity(self, clip: Clip, decoded: DecodedClip) -> NDArray[np.float64]:
        if clip not in self.moved:
            self.moved[clip] = activity(decoded)
        return self.moved[clip]

    def stream(self, first_step: int, last_step: int) -> Iterator[tuple[int, Clips, Tensor]]:
        """(step, clips, labels) from one global step up to another, the next batches made meanwhile."""
        steps = range(first_step, last_step)
        made = ahead(self.make, [divmod(step, self.per_epoch) for step in steps], self.workers)
        with closing(made):
            for step, (clips, labels) in zip(steps, made, strict=True):
                yield step, clips, labels


def stacked(windows: Sequence[Sequence[Window]]) -> Tensor | list[Tensor]:
    """Windows, each one array per pathway, as one batch, or one per pathway."""
    by_pathway = [torch.from_numpy(np.stack(arrays)) for arrays in zip(*windows, strict=True)]
    clips = [x.contiguous(memory_format=torch.channels_last_3d) for x in by_pathway]
    return clips[0] if len(clips) == 1 else clips
