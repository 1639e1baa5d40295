"""A recording behind a URL, decoded by a capture process as a live stream is, but lossless: the process waits
until its pictures are taken."""

from __future__ import annotations

import threading

from a3d_edge.errors import SourceError
from a3d_edge.video.capture import CaptureProcess, EndedError, Opened
from a3d_edge.video.causes import Cause
from a3d_edge.video.opencv import Image

__all__ = ["Recorded"]

PATIENT_S = 35.0
"""A server that gives nothing for so long has failed; FFmpeg's own limit is shorter."""


class Recorded:
    """As `a3d_edge.video.decoder.Decoder`: pictures and their positions, in order, every one of them."""

    def __init__(self, name: str, capture: CaptureProcess, opened: Opened) -> None:
        self.name, self.rate = name, opened.rate
        self.unreadable = 0
        self._capture = capture
        self._over = threading.Event()

    def read(self) -> tuple[Image, float | None] | None:
        """The next one; None at the end and after `close`. Raises `SourceError` when it breaks off."""
        if self._over.is_set():
            return None
        try:
            taken = self._capture.read(PATIENT_S)
        except EndedError as error:
            self.unreadable = error.unreadable
            self.close()
            return None
        except SourceError as error:
            if self._over.is_set():
                return None
            self.close()
            raise SourceError(f"{self.name}: {error}", cause=error.cause) from None
        if taken is None:
            self.close()
            raise SourceError(
                f"{self.name}: no picture for {PATIENT_S:.0f} s; check the network", cause=Cause.TIMEOUT
            )
        self.unreadable = taken.unreadable
        return taken.image, taken.position_s

    def close(self) -> None:
        """End the process."""
        self._over.set()
        self._capture.kill()
