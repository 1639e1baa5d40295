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
from types import TracebackType

from a3d_edge.errors import UsageError
from a3d_edge.video.frame import Frame
from a3d_edge.video.sampler import Calm
from a3d_edge.video.source import Source

__all__ = ["FILE_CAPACITY", "LIVE_CAPACITY", "Reader", "any_abandoned"]

LIVE_CAPACITY = 64
"""About two seconds: the longest that preparing a configuration may hold up the loop without a gap."""
FILE_CAPACITY = 32
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
    but for the calm ones that `get` was told to let pass.
    """

    def __init__(self, source: Source, capacity: int | None = None) -> None:
        self.frames_captured = 0
        self.dropped = {"overrun": 0, "closed": 0}
        self._source = source
        self._capacity = capacity or (LIVE_CAPACITY if source.live else FILE_CAPACITY)
        self._queue: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._calm: Calm | None = None  # of the `get` that waits
        self._closing = False
        self._finished = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"read {source.name}", daemon=True)
        self._thread.start()

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
                return self._queue.popleft()
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
            self.dropped["closed"] += len(self._queue)
            self._queue.clear()
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
            if self._source.live and len(self._queue) >= self._capacity:
                self._queue.popleft()
                self.dropped["overrun"] += 1
            self._changed.wait_for(lambda: len(self._queue) < self._capacity or self._closing)
            self.frames_captured += 1
            if self._closing:
                self.dropped["closed"] += 1
                return
            if len(self._queue) > 1 and self._is_calm(frame) and self._is_calm(self._queue[-2]):
                del self._queue[-2]
            self._queue.append(frame)
            if not self._is_calm(frame):
                self._changed.notify_all()

    def _is_calm(self, frame: Frame) -> bool:
        return self._calm is not None and self._calm.has(frame)
