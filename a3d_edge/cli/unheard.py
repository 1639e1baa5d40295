"""A signal that nobody hears: Python tells the main thread of it, which does not come back from an engine.

signal ─ heard in time ─ the run ends in order
       └ not ─ the process ends at once, with the signal's code; what was recorded until then plays
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["ending_unheard"]

PATIENCE_S = 1.2
"""For a window that is being computed; of the two seconds in which an end is expected."""


@contextmanager
def ending_unheard(signals: tuple[int, ...]) -> Iterator[Callable[[], None]]:
    """Within it, one of ``signals`` whose handler has not run after `PATIENCE_S` ends the process.

    Handlers call what is yielded. For the main thread; nothing is saved and nobody is told of such an end but
    stderr, as the thread that would do it is lost.
    """
    heard = _Heard()
    ears, bell = os.pipe()
    os.set_blocking(bell, False)
    before = signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(ears, signals, heard), name="unheard", daemon=True).start()
    try:
        yield heard.now
    finally:
        signal.set_wakeup_fd(before)
        os.close(bell)  # the thread's last word


class _Heard:
    """When a handler ran last. Signals of one kind that come close together have one handler's call."""

    def __init__(self) -> None:
        self._at = -float("inf")

    def now(self) -> None:
        self._at = time.monotonic()

    def lately(self) -> bool:
        return time.monotonic() - self._at < 2 * PATIENCE_S


def _listen(ears: int, signals: tuple[int, ...], heard: _Heard) -> None:
    """Every signal of the process writes its number here, whatever its threads are doing."""
    with os.fdopen(ears, "rb", buffering=0) as numbered:
        while numbers := numbered.read(64):
            wanted = [number for number in numbers if number in signals]
            if wanted and not _in_time(heard):
                os.write(2, b"the engine does not return; ended without a summary\n")
                os._exit(128 + wanted[0])


def _in_time(heard: _Heard) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and not heard.lately():
        time.sleep(0.02)
    return heard.lately()
