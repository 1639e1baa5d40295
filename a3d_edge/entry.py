"""The program ``a3d-edge``: what a signal does while it is still loading, before there is anything to finish.

Python would answer Ctrl-C with a traceback of whatever it was importing, and libraries swallow it there.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType

__all__ = ["main"]

WORDS = {signal.SIGINT: b"interrupted\n", signal.SIGTERM: b"terminated\n"}


def main() -> None:
    """What the console script calls. Signals are the command line's own from `a3d_edge.cli.main` on."""
    for number in WORDS:
        if signal.getsignal(number) in (
            signal.SIG_DFL,
            signal.default_int_handler,
        ):  # not where it is ignored
            signal.signal(number, _leave)
    from a3d_edge.cli import main as run

    run()


def _leave(number: int, frame: FrameType | None) -> None:
    """Nothing was begun: end at once, with the code that a shell gives to this signal."""
    with suppress(OSError):
        os.write(2, WORDS[signal.Signals(number)])
    os._exit(128 + number)
