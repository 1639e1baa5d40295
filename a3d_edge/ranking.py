"""Labels with their scores, best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from numpy.typing import NDArray

__all__ = ["Ranking"]


class Ranking(Sequence[tuple[str, float]]):
    """Labels with their scores, best first, made when asked for: of 400 hardly ever more than ten are.

    Equal to a tuple of the same pairs. ``scores`` ``(classes,)`` are those of ``labels``.
    """

    __slots__ = ("_labels", "_order", "_scores")

    def __init__(self, labels: Sequence[str], scores: NDArray[Any]) -> None:
        self._labels, self._scores = labels, scores
        self._order = scores.argsort()[::-1]

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, place: int) -> tuple[str, float]: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[tuple[str, float], ...]: ...
    def __getitem__(self, place: int | slice) -> tuple[str, float] | tuple[tuple[str, float], ...]:
        if isinstance(place, slice):
            return tuple(self._pair(i) for i in self._order[place].tolist())
        return self._pair(int(self._order[place]))

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Ranking, tuple)) and self[:] == other[:]

    def __hash__(self) -> int:
        return hash(self[:])

    def __repr__(self) -> str:
        return repr(self[:])

    def _pair(self, index: int) -> tuple[str, float]:
        return self._labels[index], float(self._scores[index])
