"""Ctrl-C and SIGTERM: what runs is ended in order, with the signal's code, whoever does not read our output.

a signal ─ what runs is interrupted ─ swallowed by a callback of a library? interrupted again
         └ 0.4 s later: a stream whose reader stalls is let go of, and what waits to be written is lost
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

__all__ = [
    "STOPPING", "Terminated", "came", "closes_itself", "interrupting", "let_go_soon", "may_leave_at_once",
]  # fmt: skip

GRACE_S = 0.4
"""For a reader that is only slow. A second is left of the two in which an end is expected."""
AGAIN_S = 0.01
STOPPING = (signal.SIGINT, signal.SIGTERM)

_came: list[int] = []
_swallowed: list[BaseException] = []
_closing: list[bool] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends what runs as Ctrl-C does, so that nothing half-done is left behind."""


def came() -> int | None:
    """The signal that has interrupted this command, also if a library made something else of it."""
    return _came[0] if _came else None


def closes_itself() -> None:
    """Of this command all is closed when its code is known: nothing is left to the interpreter's own end."""
    _closing.append(True)


def may_leave_at_once(code: int) -> bool:
    """Whether a signal ended a command that closes what it has opened."""
    return bool(_closing) and code in {128 + number for number in STOPPING}


@contextmanager
def interrupting() -> Iterator[None]:
    """SIGTERM and SIGINT raise `Terminated` and `KeyboardInterrupt`; one that is ignored stays so."""
    _came.clear()
    _closing.clear()
    _swallowed.clear()
    before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGALRM)}
    usual = sys.unraisablehook
    for number in STOPPING:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    signal.signal(signal.SIGALRM, _alarm)
    sys.unraisablehook = lambda told: _unraisable(told, usual)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = usual
        for number, handler in before.items():
            signal.signal(number, handler)


def let_go_soon() -> None:
    """Whatever waits for a reader of our output waits for `GRACE_S` more. For a signal handler.

    Outside `interrupting` nothing is done: nobody would hear the alarm, and it would end the process.
    """
    if signal.getsignal(signal.SIGALRM) is _alarm:
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _came.append(number)
    let_go_soon()
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _unraisable(told: Any, usual: Any) -> None:
    """Python only prints what is raised in a callback (while modules are loaded there are many)."""
    if not isinstance(told.exc_value, KeyboardInterrupt):
        usual(told)
        return
    _swallowed.append(told.exc_value)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_S)


def _alarm(number: int, frame: FrameType | None) -> None:
    if _swallowed:
        error = _swallowed.pop()
        let_go_soon()
        raise type(error)
    for descriptor in (1, 2):
        with suppress(OSError):
            if _stalls(descriptor):
                # A write that waits was interrupted by this signal: it is tried again, and goes nowhere.
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _stalls(descriptor: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    return not waiting.poll(0)
