"""A thread that reads a source ahead of the network.

Capture overlaps inference, and a read that blocks for seconds (a camera gone, a stalled network) can be
abandoned. Full-queue rule: a live source's oldest frame is dropped and counted, so that what is seen is never
more than two seconds old; a file's reader waits, so that nothing is lost.

Of eight frames of a camera about one is looked at. To wake for each of them costs more than to sample it, so
the consumer may say which frames it need not be woken for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType

from a3d_edge.errors import UsageError
from a3d_edge.video.frame import Frame
from a3d_edge.video.health import Health
from a3d_edge.video.limits import QUEUE_BYTES
from a3d_edge.video.sampler import Calm
from a3d_edge.video.source import Source

__all__ = ["FILE_CAPACITY", "LIVE_CAPACITY", "Reader", "any_abandoned"]

LIVE_CAPACITY = 64
"""About two seconds: the longest that preparing a configuration may hold up the loop without a gap."""
FILE_CAPACITY = 32
FEWEST = 2
"""Frames that there is always room for, however large they are."""
JOIN_S = 1.0

_abandoned: set[threading.Thread] = set()


def any_abandoned() -> bool:
    """Whether a read still blocks that a `Reader` has abandoned. Who owns the process then leaves by
    `os._exit`: a thread that comes back from C++ into an interpreter that has ended aborts it."""
    return any(thread.is_alive() for thread in _abandoned)


class Reader:
    """Frames of ``source`` in order, read by a daemon thread that starts here.

    ``frames_captured`` counts frames read; each is handed out by `get` or counted in ``dropped``, by reason:
    ``overrun`` (a live source's frames came faster than they were taken), ``closed`` (left over at `close`);
    but for the calm ones that `get` was told to let pass. Those that the source itself had to let go (its
    ``missed``) count as captured, and as ``overrun``.

    The queue is bounded in frames, and in bytes (`QUEUE_BYTES`), but holds two of any size.
    """

    def __init__(self, source: Source, capacity: int | None = None) -> None:
        self._captured = 0
        self._dropped = {"overrun": 0, "closed": 0}
        self._source = source
        self._capacity = capacity or (LIVE_CAPACITY if source.live else FILE_CAPACITY)
        self._queue: deque[Frame] = deque()
        self._bytes = 0  # of what is in it
        self._changed = threading.Condition()
        self._calm: Calm | None = None  # of the `get` that waits
        self._closing = False
        self._finished = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"read {source.name}", daemon=True)
        self._thread.start()

    @property
    def frames_captured(self) -> int:
        """Frames that the source has captured."""
        return self._captured + self._missed

    @property
    def dropped(self) -> dict[str, int]:
        """How many of them nobody will get, by reason."""
        return {**self._dropped, "overrun": self._dropped["overrun"] + self._missed}

    @property
    def _missed(self) -> int:
        return getattr(self._source, "missed", 0)

    def health(self) -> list[Health]:
        """What has changed of the source's health since this was asked last."""
        ask: Callable[[], list[Health]] | None = getattr(self._source, "health", None)
        return [] if ask is None else ask()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come; False while an error waits to be raised by `get`."""
        with self._changed:
            return self._closing or (self._finished and not self._queue and self._error is None)

    @property
    def waiting(self) -> int:
        """Frames read and not taken yet."""
        return len(self._queue)

    @property
    def unreadable(self) -> int:
        """Pictures that the source could not decode so far."""
        return self._source.unreadable

    def get(self, timeout: float | None = None, calm: Calm | None = None) -> Frame | None:
        """The next frame; None when none came within ``timeout`` seconds (None: no limit) or at the end.

        Of ``calm`` frames that come meanwhile all but the last two are let go, and none ends the wait.
        Raises, after the last frame before it, what ended the source (`SourceError`).
        """
        with self._changed:
            self._calm = calm
            self._changed.wait_for(self._has_news, timeout)
            self._calm = None
            if self._queue:
                self._changed.notify_all()
                return self._popped()
            if self._error is not None and not self._closing:
                raise self._error
            return None

    def _has_news(self) -> bool:
        over = self._finished or self._closing
        return over or (bool(self._queue) and not self._is_calm(self._queue[-1]))

    def close(self) -> None:
        """Stop reading and close the source. A read that blocks is abandoned after a second. Idempotent."""
        with self._changed:
            self._closing = True
            self._dropped["closed"] += len(self._queue)
            self._queue.clear()
            self._bytes = 0
            self._changed.notify_all()
        self._source.close()
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            _abandoned.add(self._thread)

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._read_all()
        except Exception as caught:  # handed to the caller of `get`
            error = caught
        with self._changed:
            self._error = error
            self._finished = True
            self._changed.notify_all()
        self._source.close()

    def _read_all(self) -> None:
        while not self._closing:
            frame = self._source.read()
            if frame is None:
                return
            if not isinstance(frame, Frame):
                raise UsageError(
                    f"{self._source.name}: a source gives a3d_edge.video.frame.Frame, its image (H, W, 3) "
                    f"of uint8, BGR; this one gave {type(frame).__qualname__}"
                )
            self._put(frame)

    def _put(self, frame: Frame) -> None:
        with self._changed:
            while self._source.live and not self._has_room(frame):
                self._popped()
                self._dropped["overrun"] += 1
            self._changed.wait_for(lambda: self._has_room(frame) or self._closing)
            self._captured += 1
            if self._closing:
                self._dropped["closed"] += 1
                return
            if len(self._queue) > 1 and self._is_calm(frame) and self._is_calm(self._queue[-2]):
                self._bytes -= self._queue[-2].image.nbytes
                del self._queue[-2]
            self._queue.append(frame)
            self._bytes += frame.image.nbytes
            if not self._is_calm(frame):
                self._changed.notify_all()

    def _has_room(self, frame: Frame) -> bool:
        if len(self._queue) < FEWEST:
            return len(self._queue) < self._capacity
        return len(self._queue) < self._capacity and self._bytes + frame.image.nbytes <= QUEUE_BYTES

    def _popped(self) -> Frame:
        frame = self._queue.popleft()
        self._bytes -= frame.image.nbytes
        return frame

    def _is_calm(self, frame: Frame) -> bool:
        return self._calm is not None and self._calm.has(frame)
