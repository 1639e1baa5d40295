"""The latest pictures, as JPEG, in a bounded number of bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Picture", "Ring"]


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, and its time (s of the stream)."""

    time_s: float
    data: bytes


class Ring:
    """Keeps pictures of the last ``span_s``, and of these only the newest that fit into ``limit`` bytes."""

    def __init__(self, span_s: float, limit: int) -> None:
        self._span_s, self._limit = span_s, limit
        self._pictures: deque[Picture] = deque()
        self.bytes = 0
        self.short = False  # whether the bytes ever were too few for the span

    def add(self, picture: Picture) -> None:
        """The next; a time that falls back begins anew."""
        if self._pictures and picture.time_s <= self._pictures[-1].time_s:
            self.clear()
        self._pictures.append(picture)
        self.bytes += len(picture.data)
        while self._pictures and picture.time_s - self._pictures[0].time_s > self._span_s:
            self._leave()
        while self.bytes > self._limit:
            self.short = True
            self._leave()

    def since(self, time_s: float) -> Iterator[Picture]:
        """Those from that time on, oldest first."""
        return (picture for picture in self._pictures if picture.time_s >= time_s)

    def nearest(self, time_s: float) -> Picture | None:
        """The picture nearest to a time."""
        return min(self._pictures, key=lambda one: abs(one.time_s - time_s), default=None)

    def clear(self) -> None:
        """Forget all."""
        self._pictures.clear()
        self.bytes = 0

    def _leave(self) -> None:
        self.bytes -= len(self._pictures.popleft().data)
