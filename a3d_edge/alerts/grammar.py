"""One line to a rule: ``CLASS[>SCORE] [for TIME] [over N] [release TIME] [cooldown TIME]``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from a3d_edge.alerts.rule import MOST_AVERAGED, AlertRule, check_label
from a3d_edge.alerts.units import seconds_of
from a3d_edge.errors import UsageError

__all__ = ["parse_alert"]

WORDS = {"for": "hold_s", "over": "average", "release": "release_s", "cooldown": "cooldown_s"}
EXAMPLE = "fight>0.7 for 1s"
LONGEST = 400  # characters


def parse_alert(text: str, classes: Sequence[str]) -> AlertRule:
    """The rule that ``fight>0.7 for 1s`` means. Raises `UsageError` that says which part is not understood.

    ``over N`` averages over so many predictions; without ``>SCORE`` the table's thresholds count.
    """
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    where = f"alert '{line[:80]}'"
    if not line or len(line) > LONGEST:
        raise UsageError(f"{where}: write a class, a score and how long, such as '{EXAMPLE}'")
    label, rest = _label(line, classes, where)
    score, words = _score(rest, where)
    return AlertRule(label=label, threshold=score, **_settings(words, where))


def _label(line: str, classes: Sequence[str], where: str) -> tuple[str, str]:
    """The class that the line begins with, the longest, for names may hold any word; and the rest."""
    for name in sorted(classes, key=len, reverse=True):
        spelt = " ".join(name.split())
        rest = line[len(spelt) :]
        if line.startswith(spelt) and (not rest or rest[0] in " >"):
            check_label(name, classes, where)
            return name, rest.strip()
    label = line.partition(">")[0]
    for word in WORDS:
        label = label.partition(f" {word} ")[0]
    check_label(label.strip(), classes, where)
    raise AssertionError("a class that begins the line is found above")


def _score(rest: str, where: str) -> tuple[float | None, list[str]]:
    if not rest.startswith(">"):
        return None, rest.split()
    given, *words = rest[1:].split() or [""]
    try:
        score = float(given)
    except ValueError:
        score = math.nan
    if not 0.0 < score < 1.0:
        raise UsageError(f"{where}: score '{given[:40]}' is not a number between 0 and 1, such as 0.7")
    return score, words


def _settings(words: list[str], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place in range(0, len(words), 2):
        word, value = words[place], " ".join(words[place + 1 : place + 2])
        if word not in WORDS:
            raise UsageError(
                f"{where}: '{word[:40]}' is not understood; after the score come {', '.join(WORDS)}"
            )
        if WORDS[word] in found:
            raise UsageError(f"{where}: '{word}' is there twice; leave one out")
        found[WORDS[word]] = _count(value, where) if word == "over" else _seconds(word, value, where)
    return found


def _seconds(word: str, value: str, where: str) -> float:
    try:
        return seconds_of(value)
    except ValueError as error:
        raise UsageError(f"{where}: after '{word}' {error}") from error


def _count(value: str, where: str) -> int:
    count = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0
    if not 1 <= count <= MOST_AVERAGED:
        raise UsageError(
            f"{where}: after 'over' '{value[:40]}' is not a number of predictions from 1 to {MOST_AVERAGED}"
        )
    return count
