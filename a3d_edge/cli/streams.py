"""The standard streams as whoever started us left them: closed, full, or unable to write every letter.

stdout is data: what cannot be written there ends the command, with one line. stderr is for people: what they
cannot be told is lost, and the work goes on.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any

__all__ = ["drop_unwritten", "prepare_streams"]

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""By their descriptors."""


class _Lossy(io.FileIO):
    """A file that takes everything; what cannot be written is lost."""

    def write(self, data: Any, /) -> int:
        try:
            written = super().write(data)
        except OSError:  # a full disk, a reader that has left
            written = None
        return len(data) if written is None else written


def prepare_streams() -> None:
    """To be called before anything is opened. Leaves streams alone that are not the process' own."""
    for number in range(len(STREAMS)):
        _open_closed(number)
    for name, mode in STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if stream in (sys.__stdout__, sys.__stderr__) and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # also a name whose bytes are not text
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _lossy(sys.stderr)


def drop_unwritten() -> None:
    """Before the process ends: Python would try again to write what could not be, and complain."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_closed(number: int) -> None:
    """Nothing in the place of a closed descriptor, or the next file that is opened would take it.

    Messages would be written into that file: a video, a database, a connection.
    """
    try:
        os.fstat(number)
    except OSError:
        # The lowest that is free is opened: this one, as those below it are open by now.
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _lossy(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _Lossy(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=True
    )
