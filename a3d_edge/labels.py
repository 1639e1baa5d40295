"""A label's one spelling, wherever it is written: data lists, class folders, options, checkpoints.

Two labels that a reader cannot tell apart are one: white space at the ends and of any kind or length inside,
invisible characters, and composed or decomposed accents do not count. Labels that differ in what can be seen,
such as ``Walk`` and ``walk``, stay two; `look_alikes` finds them, for a word to their author.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

__all__ = [
    "SEPARATOR",
    "joined_labels",
    "label_of",
    "labels_in",
    "labels_of",
    "look_alikes",
    "same_labels",
    "sorted_labels",
]

SEPARATOR = ";"
"""Between the labels of a set where it stands as one text, such as in a cell of a list: ``hug;wave``."""
MISSING = frozenset(("nan", "null", "n/a"))
"""What other programs write where nothing is known."""

INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"))
"""Soft hyphen, zero-width space, marks of direction, word joiner, byte order mark. Not the (zero-width)
joiners, with which some scripts spell."""
ENDS = " \u200c\u200d"  # joiners join nothing there


@lru_cache(maxsize=4096)
def label_of(text: str) -> str:
    """The spelling of a label: NFC, single plain spaces, nothing at the ends. Empty if nothing is to see."""
    visible = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text.translate(INVISIBLE)).strip(ENDS)
    return unicodedata.normalize("NFC", visible)


def labels_of(names: Iterable[str]) -> tuple[str, ...]:
    """Class names as they were stored, spelled so; as they are where two would become one, or one nothing."""
    there = tuple(names)
    spelled = tuple(label_of(name) for name in there)
    return spelled if len(set(spelled)) == len(there) and all(spelled) else there


def same_labels(names: Iterable[str]) -> list[str]:
    """Those that occur more than once, spelled alike."""
    spelled = [label_of(name) for name in names]
    return sorted({name for name in spelled if spelled.count(name) > 1})


def look_alikes(labels: Iterable[str]) -> list[list[str]]:
    """Groups of labels that differ only in case, compatibility forms, joiners, or space, hyphen, ``_``."""
    groups: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        groups.setdefault(_likeness(label), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def sorted_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """All of them once, in order: whole numbers by value, so that 10 comes after 9, others by letters."""
    there = set(labels)
    numbers = all(label.isascii() and label.isdigit() for label in there)
    return tuple(sorted(there, key=lambda label: (int(label), label) if numbers else (0, label)))


def _likeness(label: str) -> str:
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    seen = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return re.sub(r"[\s_-]+", " ", seen).strip()


def joined_labels(labels: Iterable[str]) -> str:
    """A set's one spelling: each label once, spelled as `label_of` does, in order, with ``;`` between.

    Raises `ValueError` for an empty label, or one that says that a value is missing.
    """
    spelled = {label_of(label) for label in labels}
    if "" in spelled:
        raise ValueError("a label of the set is empty; write 'hug;wave', or nothing where no class is seen")
    if missing := sorted(label for label in spelled if label.casefold() in MISSING):
        raise ValueError(f"'{missing[0]}' is no label of a set; leave the cell empty where no class is seen")
    return SEPARATOR.join(sorted_labels(spelled))


def labels_in(text: str) -> tuple[str, ...]:
    """The labels of a set that `joined_labels` has spelled."""
    return tuple(text.split(SEPARATOR)) if text else ()
