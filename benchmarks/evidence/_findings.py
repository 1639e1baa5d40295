"""From logs to paired findings: which runs belong together, and how two of them compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from _costs import gflops
from _logs import Log
from _paired import Interval, Values, mean_of
from _plan import REAL_SEEDS, Scale, at, of_fold
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration

__all__ = ["Findings", "Side", "scale_of"]


@dataclass(frozen=True, slots=True)
class Side:
    """A kind of run (``testbed-a3d``) at a configuration."""

    kind: str
    configuration: str


def scale_of(logs: Mapping[str, Log]) -> Scale:
    """The scale that logs were made at; what an older one does not tell was as it is by default.

    Raises ValueError where they are of several, or there are none.
    """
    found = {_scale(log.content["scale"]) for log in logs.values()}
    if len(found) != 1:
        raise ValueError(f"the logs are of {len(found)} scales; keep those of one in a folder")
    [there] = found
    return there


def _scale(told: Mapping[str, Any]) -> Scale:
    return Scale(**{name: tuple(v) if isinstance(v, list) else v for name, v in told.items()})


@dataclass(frozen=True)
class Findings:
    """All logs, and the questions that are asked of them. None answers what is not there yet."""

    logs: Mapping[str, Log]
    steps: Mapping[str, Any] = field(default_factory=dict)  # what `steps.py` measured

    @cached_property
    def scale(self) -> Scale:
        """What they were made at."""
        return scale_of(self.logs)

    def named(self, one: tuple[float, int, int], frames: int = 8) -> str:
        """The configuration that the paper writes for 224 pixels and 8 frames."""
        return at(one, self.scale.size, frames)

    def gflops(self, name: str, arch: str = "slow_small") -> float:
        """Of a window."""
        return gflops(arch, self.scale.size, Configuration.parse(name))

    def cpu_s(self, kind: str) -> float:
        """CPU-seconds of a run, mean of the seeds that are there; NaN where none is."""
        runs = (self.logs.get(f"{kind}-s{seed}") for seed in self.scale.seeds)
        there = [log.content["cpu_s"] for log in runs if log is not None]
        return sum(there) / len(there) if there else float("nan")

    def accuracy(self, side: Side, test: str = "test", beside: Sequence[str] = ()) -> Interval | None:
        """On the drawn clips, over the seeds of which it is there, and what was tested ``beside`` it."""
        seeds = self._seeds([side], test)
        for other in beside:
            seeds = [seed for seed in seeds if seed in self._seeds([side], other)]
        values = self._of_seeds(side, seeds, test)
        return None if values is None else mean_of(values)

    def mean(self, pairs: Sequence[tuple[Side, Side]]) -> Interval | None:
        """How much better the first sides are than the second ones, on average, on the same drawn clips."""
        seeds = self._seeds([side for pair in pairs for side in pair], "test")
        if not pairs or not seeds:
            return None
        differences = [self._of(ours, seeds) - self._of(theirs, seeds) for ours, theirs in pairs]
        return mean_of(np.mean(differences, axis=0))

    def best(self, kind: str, among: Sequence[str], at_most: float) -> str | None:
        """Of the configurations that cost no more, the one that is best on the validation clips."""
        cheap = [name for name in among if self.gflops(name) <= at_most * (1 + 1e-6)]
        scores = {name: self.accuracy(Side(kind, name), "val") for name in cheap}
        known = {name: one.mean for name, one in scores.items() if one is not None}
        return max(known, key=known.__getitem__, default=None)

    def of_folds(self, name: str, pairs: Sequence[tuple[str, str, str]]) -> Interval | None:
        """The same of a real set: (run of ours, run of theirs, configuration) without ``-f0``, on average.

        The folds that are there in all runs, one after the other, of the seeds that have as many as the
        first; people are drawn whole.
        """
        whole = self._folds(pairs, REAL_SEEDS[0])
        seeds = [each for seed in REAL_SEEDS if set(each := self._folds(pairs, seed)) == set(whole)]
        if not whole:
            return None
        values = [np.concatenate([differences for differences, _ in each.values()]) for each in seeds]
        groups, before = [], 0
        for differences, own in whole.values():
            own = np.arange(len(differences)) if own is None else own
            groups.append(own + before)
            before += int(own.max()) + 1
        return mean_of(np.stack(values), np.concatenate(groups))

    def _folds(
        self, pairs: Sequence[tuple[str, str, str]], seed: int
    ) -> dict[int, tuple[NDArray[np.float64], NDArray[np.intp] | None]]:
        """By fold that is there in all runs: the mean difference of every clip, and whose it is."""
        found = {}
        for fold in range(self.scale.folds):
            runs = [(self._fold(a, fold, seed), self._fold(b, fold, seed), c) for a, b, c in pairs]
            if all(a and b and a.has(c) and b.has(c) for a, b, c in runs):
                each = [a.correct(c) - b.correct(c) for a, b, c in runs if a and b]
                found[fold] = np.mean(each, axis=0), runs[0][0].groups if runs[0][0] else None
        return found

    def _fold(self, run: str, fold: int, seed: int) -> Log | None:
        return self.logs.get(of_fold(run, fold, seed))

    def _seeds(self, sides: Sequence[Side], test: str) -> list[int]:
        """Those of which all sides are there."""
        there = []
        for seed in self.scale.seeds:
            runs = [(self.logs.get(f"{side.kind}-s{seed}"), side) for side in sides]
            if all(log is not None and log.has(side.configuration, test) for log, side in runs):
                there.append(seed)
        return there

    def _of(self, side: Side, seeds: Sequence[int], test: str = "test") -> Values:
        logs = [self.logs[f"{side.kind}-s{seed}"] for seed in seeds]
        found: NDArray[np.float64] = np.stack([log.correct(side.configuration, test) for log in logs])
        return found

    def _of_seeds(self, side: Side, seeds: Sequence[int], test: str) -> Values | None:
        return self._of(side, seeds, test) if seeds else None
