"""Differences of two ways to train, paired over the same clips, and how sure they are.

A clip is hard for both ways, and a seed is good or bad for all its clips: so each resample draws seeds and
clips, each with replacement and independently, and takes the mean of what they have in common. Clips that
belong together (a person) are drawn together. Three seeds tell little of how seeds differ: an interval of
few seeds is rather too narrow, and says how many there were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "difference", "mean_of"]

Values = NDArray[np.float64]
"""Of seeds by clips ``(S, N)``: 1 where a clip is named correctly, or differences of that."""

RESAMPLES, LEVEL = 4000, 0.95
CHUNK = 200  # resamples at once


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its interval, of so many seeds and clips."""

    mean: float
    low: float
    high: float
    seeds: int
    clips: int

    def __str__(self) -> str:
        """In points: ``+1.3 (+0.2 to +2.4)``."""
        return f"{100 * self.mean:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"

    @property
    def share(self) -> str:
        """In per cent: ``71.3 % (70.1 to 72.5)``."""
        return f"{100 * self.mean:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"


def difference(
    ours: Values, theirs: Values, groups: NDArray[np.intp] | None = None, seed: int = 0
) -> Interval:
    """How much higher the mean of ``ours`` is than that of ``theirs``, paired by seed and clip."""
    if ours.shape != theirs.shape:
        raise ValueError(f"{ours.shape} and {theirs.shape} are not of the same seeds and clips")
    return mean_of(ours - theirs, groups, seed)


def mean_of(values: Values, groups: NDArray[np.intp] | None = None, seed: int = 0) -> Interval:
    """The mean of values ``(S, N)`` with its percentile interval; ``groups`` ``(N,)``: drawn together.

    Of a single seed, only clips are drawn. A group counts as often as it is drawn, with all its clips.
    """
    seeds, clips = values.shape
    sums, sizes = _by_group(values, groups)
    rng = np.random.default_rng(seed)
    count = sums.shape[1]
    found = []
    for first in range(0, RESAMPLES, CHUNK):
        so_many = min(CHUNK, RESAMPLES - first)
        of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=so_many) / seeds
        of_groups = rng.multinomial(count, np.full(count, 1 / count), size=so_many)
        totals = np.einsum("bs,sg,bg->b", of_seeds, sums, of_groups, optimize=True)
        found.append(totals / (of_groups @ sizes))
    low, high = np.quantile(np.concatenate(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high), seeds, clips)


def _by_group(values: Values, groups: NDArray[np.intp] | None) -> tuple[Values, Values]:
    """Sums ``(S, G)`` and sizes ``(G,)`` of the groups."""
    if groups is None:
        return values, np.ones(values.shape[1])
    _, place = np.unique(groups, return_inverse=True)
    member = np.eye(int(place.max()) + 1)[place]
    return values @ member, member.sum(axis=0)
