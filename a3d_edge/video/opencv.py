"""OpenCV with its own chatter off, and cameras by number, which it reads.

OpenCV, and FFmpeg inside it, print to stderr, which belongs to people. Both read these settings from the
environment, FFmpeg when the first capture opens; whoever has set them already keeps the say.
"""

from __future__ import annotations

import atexit
import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.child import forget_working_folder
from a3d_edge.errors import SourceError
from a3d_edge.video.addresses import shown
from a3d_edge.video.causes import Cause
from a3d_edge.video.guarded import Guarded
from a3d_edge.video.limits import MAX_PIXELS

_QUIET = "OPENCV_LOG_LEVEL" not in os.environ
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))  # by a picture's header, before memory

with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # a page of text before an ImportError
    import cv2

forget_working_folder()  # into which importing cv2 would have every program look for libraries

if _QUIET:
    # For when somebody imported cv2 before us; up to OpenCV 4.12 it is not in utils.logging.
    getattr(cv2.utils, "logging", cv2).setLogLevel(0)

__all__ = ["Capture", "Image", "cv2", "shown"]

Image = NDArray[np.uint8]

LONGEST_READ_S = 12.0
"""OpenCV gives up a camera that is silent after 10 s."""


class Capture(Guarded[tuple[Image, float | None]]):
    """A camera by its number: pictures (H, W, 3) BGR without a position: our own clock is the better one."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self._name = f"camera {index}"
        try:
            self._capture: Any = cv2.VideoCapture(index)
        except cv2.error as error:
            raise SourceError(f"{self._name}: OpenCV cannot open it ({_reason(error)})") from error
        if not self._capture.isOpened():
            raise SourceError(
                f"{self._name}: cannot be opened; check that it is connected, on, and not used elsewhere",
                cause=Cause.OTHER if Path(f"/dev/video{index}").exists() else Cause.NOT_FOUND,
            )
        atexit.register(self._wait)

    def _read(self) -> tuple[Image, float | None] | None:
        try:
            done, image = self._capture.read()
        except cv2.error as error:
            raise SourceError(f"{self._name}: OpenCV cannot read it ({_reason(error)})") from error
        if not done or image is None:
            return None
        return (cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image), None

    def _release(self) -> None:
        atexit.unregister(self._wait)
        self._capture.release()

    def _wait(self) -> None:
        """A read that comes back from C++ into an interpreter that has ended aborts the process."""
        self._closed = True
        self._busy.acquire(timeout=LONGEST_READ_S)


def _reason(error: cv2.error) -> str:
    return " ".join((getattr(error, "err", None) or str(error)).split())[:200]
