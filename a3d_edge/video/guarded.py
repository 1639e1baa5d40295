"""Something that one thread reads while another may close it.

What OpenCV and FFmpeg read with must not be released under a read: the process would crash.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

__all__ = ["Guarded"]

T = TypeVar("T")


class Guarded(ABC, Generic[T]):
    """Reads are let through until `close`, which releases at once only when nobody reads; else the read that
    is under way does it when it returns."""

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def read(self) -> T | None:
        """The next one; None when there is none, and after `close`."""
        with self._busy:
            try:
                return None if self._closed else self._read()
            finally:
                if self._closed:
                    self._release()

    def close(self) -> None:
        """Read no more. Never blocks; may be called from any thread and more than once."""
        self._closed = True
        if self._busy.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._busy.release()

    @abstractmethod
    def _read(self) -> T | None: ...

    @abstractmethod
    def _release(self) -> None:
        """Let go; may come more than once."""
