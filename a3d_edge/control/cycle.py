"""All configurations in turn, in the place of a controller."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from a3d_edge.configuration import Configuration
from a3d_edge.control.policy import Decision
from a3d_edge.errors import UsageError

__all__ = ["Cycle"]


class Cycle:
    """A controller that goes through all configurations, one every ``every`` windows: for soak tests."""

    def __init__(self, configurations: Sequence[Configuration], every: int = 1) -> None:
        if every < 1:
            raise UsageError(f"`every` {every} is below 1")
        self._order = cycle(c for c in configurations for _ in range(every))
        self._before: Configuration | None = None

    def decide(self) -> Decision:
        """The next one in turn."""
        configuration = next(self._order)
        changed, self._before = configuration != self._before, configuration
        return Decision(configuration, changed, "the next of all configurations in turn", "none")

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        """Not used."""

    def refuse(self, configuration: Configuration) -> None:
        """Not used: the next window has another."""
