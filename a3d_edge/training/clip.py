"""One labelled clip: a file or a part of it, or one that is drawn."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from a3d_edge.labels import labels_in
from a3d_edge.training.lists.person import Person
from a3d_edge.training.lists.pictures import PictureList

__all__ = ["Clip"]


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled clip: a file, or a rendered one (``path`` None) drawn from ``seed``.

    ``drawn``: the set of `a3d_edge.demo.rendered.SETS` that a rendered one's label is of.
    ``start`` and ``end``: the seconds of the file that it is; None where the file begins and ends. ``split``:
    ``train``, ``val``, ``test`` or nothing. ``where``: how messages call the place that listed it.
    ``many``: ``label`` is a set of labels, spelled ``hug;wave``, or nothing for none of the classes;
    ``acts``: of its labels, when each is seen (label, first second, last second), where that is known.
    Of the task ``boxes``: ``people`` who are there at the moment ``key``, in seconds of it, and the
    ``proposals`` of a detector, if one has looked; its labels are those of all. ``frame``: what a list calls
    that moment; ``pictures``: of a video that is listed picture by picture.
    """

    label: str
    path: Path | None
    group: str = ""
    fold: int | None = None
    seed: int = 0
    start: float | None = None
    end: float | None = None
    split: str = ""
    where: str = field(default="", compare=False)
    drawn: str = "interactions"
    many: bool = False
    acts: tuple[tuple[str, float, float], ...] = ()
    key: float | None = None
    people: tuple[Person, ...] = ()
    proposals: tuple[Person, ...] | None = None
    frame: str = ""
    pictures: PictureList | None = field(default=None, compare=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """All that is true of it: its one label, or the set of them, which may be empty."""
        return labels_in(self.label) if self.many else (self.label,)

    @property
    def part(self) -> str:
        """Which part of its file it is, as a fragment of a URL (``#t=1.5,3.0``); nothing for the whole."""
        if self.start is None and self.end is None:
            return "" if self.key is None else f"#t={self.key}"
        start = "" if self.start is None else self.start
        return f"#t={start}" if self.end is None else f"#t={start},{self.end}"

    @property
    def name(self) -> str:
        """Its file, or what a list calls one that is drawn."""
        return f"drawn:{self.drawn}:{self.seed}" if self.path is None else str(self.path)

    @property
    def belongs_to(self) -> str:
        """What must stay on one side of a split: its group, else its file."""
        if self.group:
            return f"group {self.group}"
        return f"rendered {self.label} {self.seed}" if self.path is None else os.path.realpath(self.path)
