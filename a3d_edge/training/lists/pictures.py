"""A video as a list of its pictures: each is read when it is looked at, for a window needs few of many."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["RATE", "PictureList"]

RATE = 30.0
"""Of AVA's lists, pictures a second."""


@dataclass(frozen=True, slots=True, eq=False)
class PictureList:
    """Names of pictures, in their order, below a folder."""

    folder: Path
    names: tuple[str, ...] = field(repr=False)
    rate: float = RATE

    def path(self, place: int) -> Path:
        """One of them."""
        return self.folder / self.names[place]
