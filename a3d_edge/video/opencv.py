"""OpenCV with its own chatter off, and a capture that one thread reads while another may close it.

OpenCV, and FFmpeg inside it, print to stderr, which belongs to people. Both read these settings from the
environment, FFmpeg when the first capture opens; whoever has set them already keeps the say.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from a3d_edge.errors import SourceError

_QUIET = "OPENCV_LOG_LEVEL" not in os.environ
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # a page of text before an ImportError
    import cv2

if _QUIET:
    # For when somebody imported cv2 before us; up to OpenCV 4.12 it is not in utils.logging.
    getattr(cv2.utils, "logging", cv2).setLogLevel(0)

__all__ = ["NETWORK_LIMITS", "Capture", "Image", "cv2", "shown"]

Image = NDArray[np.uint8]

NETWORK_LIMITS = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 5000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 2000)
"""Capture options: FFmpeg alone would wait 30 s; these still end a stalled read only after about 6 s."""


class Capture:
    """A `cv2.VideoCapture`; ``where`` is a camera index, an absolute path or a URL.

    Releasing a capture under another thread's read crashes the process, so `close` releases at once only when
    nobody reads; else the read that is under way does it when it returns.
    """

    def __init__(self, where: str | int, backend: int = cv2.CAP_ANY, options: Sequence[int] = ()) -> None:
        self._where = where
        self._busy = threading.Lock()
        self._closed = False
        try:
            self._capture: Any = cv2.VideoCapture(where, backend, list(options))
        except cv2.error as error:
            raise SourceError(f"{shown(where)}: OpenCV cannot open it ({_reason(error)})") from error

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def opened(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._capture.isOpened())

    def number(self, prop: int) -> float:
        """A property of the capture; 0 or less where it is unknown."""
        return float(self._capture.get(prop))

    def read(self) -> tuple[Image, float] | None:
        """The next picture (H, W, 3) BGR and its position in seconds (0: unknown); None if there is none.

        Raises `SourceError` when OpenCV itself fails.
        """
        with self._busy:
            try:
                return None if self._closed else self._read()
            finally:
                if self._closed:
                    self._capture.release()

    def close(self) -> None:
        """Read no more. Never blocks; may be called from any thread and more than once."""
        self._closed = True
        if self._busy.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._busy.release()

    def _read(self) -> tuple[Image, float] | None:
        try:
            done, image = self._capture.read()
        except cv2.error as error:
            raise SourceError(f"{shown(self._where)}: OpenCV cannot read it ({_reason(error)})") from error
        if not done or image is None:
            return None
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return image, float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0


def _reason(error: cv2.error) -> str:
    return " ".join((getattr(error, "err", None) or str(error)).split())[:200]


def shown(where: str | int) -> str:
    """A camera, path or URL as it may be printed: without the URL's user and password."""
    parts = urlsplit(str(where))
    if not parts.scheme or "@" not in parts.netloc:
        return str(where)
    return parts._replace(netloc="…@" + parts.netloc.rpartition("@")[2]).geturl()
