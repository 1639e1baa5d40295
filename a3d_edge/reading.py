"""Reads files that somebody else may have put there: regular ones only, and no more than they may be.

A pipe without a writer never ends, a device never runs out, and a file of 2 TB need take no room
on its disk. Links are followed: installers and model hubs use them. What is opened is what was looked at.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = ["NotReadableError", "open_regular", "read_regular", "why"]


class NotReadableError(OSError):
    """Why a file is not read, as ``strerror``."""

    def __init__(self, why: str) -> None:
        super().__init__(0, why)


def open_regular(path: Path, most: int) -> BinaryIO:
    """A file of at most so many bytes, opened. Raises `OSError`, whose ``strerror`` says why."""
    _check(path.stat(), most)  # before it is opened: opening may already wait, or set a device going
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check(os.fstat(handle), most)  # it may have been exchanged meanwhile
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path, most: int) -> bytes:
    """All of it. Raises `OSError` as `open_regular`."""
    with open_regular(path, most) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise NotReadableError(f"grew beyond the {_size(most)} that are read")
    return data


def why(error: Exception) -> str:
    """What is wrong with a file that could not be read, or is not what it should be, in a few words."""
    return (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())[:160]


def _check(status: os.stat_result, most: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise NotReadableError("is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise NotReadableError("is no regular file")
    if status.st_size > most:
        raise NotReadableError(f"has {_size(status.st_size)}, more than the {_size(most)} that are read")


def _size(count: int) -> str:
    return f"{count / 1e6:.3g} MB" if count >= 1e6 else f"{count} bytes"
