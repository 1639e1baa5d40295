"""How long work tells what it does: whoever starts it hands in functions; nothing here prints."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Note", "Report", "step", "unheard", "unseen"]

Report = Callable[[str, int, int], None]
"""Told (what, done, all) whenever a part of some step is done."""

Note = Callable[[str], None]
"""Told a sentence that is worth knowing, and no warning."""


def unseen(what: str, done: int, total: int) -> None:
    """The `Report` of whoever looks at no progress."""


def unheard(sentence: str) -> None:
    """The `Note` of whoever wants none."""


def step(report: Report, what: str) -> Callable[[int, int], None]:
    """A (done, all) callback for one named step."""
    return lambda done, total: report(what, done, total)
