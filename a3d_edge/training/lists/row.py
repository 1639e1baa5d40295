"""One clip of a list, as every reader gives it: text by the columns of our own CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from a3d_edge.training.lists.person import Person
from a3d_edge.training.lists.pictures import PictureList

__all__ = ["ListRow"]


@dataclass(frozen=True, slots=True)
class ListRow:
    """The cells by column, stripped; ``where`` is how a message calls it: ``list.csv:3``.

    ``needed``: whether a clip that is not there is an error; of a public list some always are not. ``many``:
    the label is a set, whatever it holds; ``acts``: of its labels, when each is seen: (label, first second,
    last second). ``key``, ``people``, ``frame`` and ``pictures`` as in `Clip`.
    """

    where: str
    cells: Mapping[str, str]
    needed: bool = True
    many: bool = False
    acts: tuple[tuple[str, float, float], ...] = ()
    key: float | None = None
    people: tuple[Person, ...] = ()
    frame: str = ""
    pictures: PictureList | None = None
