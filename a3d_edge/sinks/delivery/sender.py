"""A thread that delivers what an outbox holds, oldest first, and tries again, later and later, what fails."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from a3d_edge.sinks.delivery.outbox import Outbox

__all__ = ["AwayError", "Deliverer", "RefusedError", "Sender"]

FIRST_S, LONGEST_S = 1.0, 60.0
"""Before the second try, and between tries that went on failing; each is jittered down by up to a half."""


class AwayError(Exception):
    """Not delivered; it may work later. The text has no address and no credentials."""


class RefusedError(Exception):
    """Never to be taken: it is left out."""


class Deliverer(Protocol):
    """One place that alerts go to. Its ``name`` is shown, and so has no credentials."""

    @property
    def name(self) -> str: ...

    def begin(self, sender: Sender) -> None:
        """Before the first message, in the sender's thread; what it raises is tried again."""

    def send(self, alert: dict[str, Any], stopping: threading.Event) -> str:
        """Deliver an alert's fields; what it is counted as. Raises `AwayError`, `RefusedError`."""

    def end(self) -> None:
        """After the last."""


class Sender:
    """``say``: takes one line about the first thing that goes wrong. ``counts``: what was done so far."""

    def __init__(self, to: Deliverer, outbox: Outbox, say: Callable[[str], None]) -> None:
        self.to, self.outbox = to, outbox
        self._say, self._said = say, False
        self.failing = False  # the latest try failed
        self._counts: Counter[str] = Counter(delivered=0, retries=0, refused=0)
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"alerts to {to.name}", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> dict[str, int]:
        """By outcome; what is still ``queued``, and what was ``dropped`` because too much was."""
        return {**self._counts, "queued": len(self.outbox), "dropped": self.outbox.dropped}

    @property
    def idle(self) -> bool:
        """Whether there is nothing to deliver."""
        return len(self.outbox) == 0

    def hurry(self) -> None:
        """There is something new, or what was away is back."""
        self._wake.set()

    def stop(self) -> None:
        """Deliver no more; what is left stays in the outbox."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end; one that is blocked longer is left to itself."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        failed, begun = 0, False
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if not begun:
                    self.to.begin(self)
                    begun = True
                self._deliver_all()
                failed, self.failing = 0, False
            except AwayError as error:
                failed, self.failing = failed + 1, True
                self._counts["retries"] += 1
                self._tell(f"{error}; trying again")
            except Exception as error:  # a fault of ours must not end the thread: nobody would deliver
                failed, self.failing = failed + 1, True
                self._counts["retries"] += 1
                self._tell(f"{type(error).__name__}; trying again")
            self._wake.wait(None if failed == 0 else _pause_s(failed))
        self.to.end()

    def _deliver_all(self) -> None:
        while not self._stopping.is_set() and (message := self.outbox.oldest()) is not None:
            try:
                self._counts[self.to.send(message.alert, self._stopping)] += 1
            except RefusedError as error:
                self._counts["refused"] += 1
                self._tell(f"{error}; it is left out")
            self.outbox.done(message)

    def _tell(self, what: str) -> None:
        if not self._said and not self._stopping.is_set():
            self._said = True
            self._say(f"alerts to {self.to.name}: {what} (said once; the summary counts)")


def _pause_s(failed: int) -> float:
    longest = min(LONGEST_S, FIRST_S * 2.0 ** min(failed - 1, 10))
    return longest * random.uniform(0.5, 1.0)
