"""Which sets of classes can be drawn, and which labels are of them."""

from __future__ import annotations

from collections.abc import Sequence

from a3d_edge.demo.crowd import CROWD, FOUR, MOST
from a3d_edge.demo.gestures import GESTURES
from a3d_edge.demo.testbed import TESTBED
from a3d_edge.errors import UsageError
from a3d_edge.labels import SEPARATOR, labels_in

__all__ = [
    "CLASSES", "CROWDED", "INTERACTIONS", "PEOPLE", "SETS", "SIGNALS", "TESTS", "check_label", "drawn_of",
    "number_of", "set_of",
]  # fmt: skip

CLASSES: tuple[str, ...] = ("handshake", "hug", "kick", "point", "punch", "push", "none")

INTERACTIONS, SIGNALS, TESTS, CROWDED = "interactions", "gestures", "testbed", "crowd"
PEOPLE = "people"

SETS: dict[str, tuple[str, ...]] = {
    INTERACTIONS: CLASSES, SIGNALS: tuple(GESTURES), TESTS: tuple(TESTBED), CROWDED: tuple(CROWD),
    PEOPLE: FOUR,
}  # fmt: skip
"""What can be drawn: sets of classes that are acted alike. The first two have a ``none`` of their own. Of a
crowd several can be seen at once, or none: labels are sets, ``bows;waves``. Of people they say what each
does, from left to right: ``bows;;waves;bows`` (`a3d_edge.demo.crowd.four_acts`)."""


def set_of(classes: Sequence[str]) -> str:
    """The set of `SETS` that ``classes`` mean, ``none`` aside.

    That which most are of, if it is at least half of them; else, and of equals, interactions.
    """
    named = set(classes) - {"none"}
    count = {name: len(named & set(there)) for name, there in SETS.items()}
    most = max(SETS, key=count.__getitem__)
    return most if 2 * count[most] >= len(named) else INTERACTIONS


def drawn_of(classes: Sequence[str]) -> tuple[str, ...]:
    """Those ``classes`` that can be drawn, in the order of their set (see `set_of`)."""
    return tuple(label for label in SETS[set_of(classes)] if label in classes)


def check_label(label: str, of: str) -> None:
    """Raise `UsageError` for a label that a set cannot be drawn with."""
    acts = labels_in(label) if of == CROWDED else (label,)
    if of == PEOPLE:
        acts = tuple(act for act in label.split(SEPARATOR) if act)
    if other := [act for act in acts if act not in SETS[of]]:
        raise UsageError(f"cannot render label '{other[0]}'; known are {', '.join(SETS[of])}")
    if len(acts) > MOST or (len(set(acts)) < len(acts) and of != PEOPLE):
        raise UsageError(f"cannot render '{label}': at most {MOST} people do different things at once")


def number_of(label: str, of: str) -> int:
    """Which of a set's random streams is a label's: another one for each set of classes, or cast."""
    if of == PEOPLE:
        digits = [(*SETS[of], "").index(act) for act in label.split(SEPARATOR)]
        return sum(digit * (len(SETS[of]) + 1) ** place for place, digit in enumerate(digits))
    if of != CROWDED:
        return SETS[of].index(label)
    return sum(1 << SETS[of].index(act) for act in labels_in(label))
