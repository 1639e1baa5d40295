"""Several things measured in turns, so that what disturbs the machine meets them all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["in_turns", "timed_ms"]

Name = TypeVar("Name")
Found = TypeVar("Found")


def in_turns(
    sides: Mapping[Name, Callable[[], Found]], rounds: int, warm_up: int = 0
) -> dict[Name, list[Found]]:
    """What each side gives, one turn a round; each round begins one side further on.

    ``warm_up``: rounds before them that do not count.
    """
    found: dict[Name, list[Found]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(-warm_up, rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            given = sides[name]()
            if number >= 0:
                found[name].append(given)
    return found


def timed_ms(run: Callable[[], Any]) -> float:
    """Milliseconds of one call; what it gives is let go after them."""
    begun = time.perf_counter()
    given = run()
    taken = 1e3 * (time.perf_counter() - begun)
    del given
    return taken
