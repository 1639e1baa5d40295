"""Waiting that another thread can end."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Clock", "Pause", "Sleep"]

Clock = Callable[[], float]
Sleep = Callable[[float], object]


class Pause:
    """Waits on behalf of one source; `stop` ends the wait under way and every later one.

    ``clock`` gives seconds; ``sleep`` replaces the waiting itself (a test's clock steps in it).
    """

    def __init__(self, clock: Clock, sleep: Sleep | None = None) -> None:
        self._stop = threading.Event()
        self._clock = clock
        self._sleep: Sleep = sleep or self._stop.wait

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> None:
        """Wait that long, or until `stop`."""
        self.until(self._clock() + seconds)

    def until(self, time_s: float) -> None:
        """Wait until the clock shows that time, or until `stop`."""
        while not self.stopped and (left := time_s - self._clock()) > 0:
            self._sleep(left)

    def stop(self) -> None:
        """End all waiting."""
        self._stop.set()
