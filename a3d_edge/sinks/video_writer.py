"""A recording that appears whole under its name, or not at all."""

from __future__ import annotations

import math
import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.files import sync
from a3d_edge.video.opencv import Image, cv2

__all__ = ["VideoSink"]

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
FRAMES_BETWEEN_CHECKS = 15
RESERVE_BYTES = 2**20
"""Free space below which recording stops; OpenCV does not report a disk that is full."""


class VideoSink:
    """Writes frames to a file next to ``path``, renamed to it by `close`; ``rate`` frames a second.

    The first frame fixes the size; others are resized to it. On failure nothing is left behind and an older
    file of that name stays as it was; a recording without a frame leaves none. Raises `UsageError` for a name
    or rate that cannot be meant, `ResourceError` when the disk is full or the recording cannot be read back.
    """

    def __init__(self, path: Path | str, rate: float) -> None:
        self.path = Path(path)
        self.frames = 0
        _check(self.path, rate)
        self._rate = rate
        self._writer: Any = None
        self._size = (0, 0)
        self._partial = self.path.with_name(
            f".{self.path.stem}.{secrets.token_hex(4)}.part{self.path.suffix}"
        )

    def write(self, image: Image) -> None:
        """Append one picture (H, W, 3) BGR."""
        if self._writer is None:
            self._open(image)
        if self.frames % FRAMES_BETWEEN_CHECKS == 0:
            self._check_space(image)
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(image)
        self.frames += 1

    def close(self) -> None:
        """Finish the recording and give it its name. Idempotent; also after an interruption."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        try:
            if self.frames:
                self._check_readable()
                sync(self._partial)
                self._partial.replace(self.path)
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from error
        finally:
            self._partial.unlink(missing_ok=True)

    def discard(self) -> None:
        """End without a recording."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, image: Image) -> None:
        height, width = image.shape[:2]
        self._size = (max(2, width - width % 2), max(2, height - height % 2))  # codecs want even sizes
        self._check_space(image)
        codec = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._partial.absolute()), codec, self._rate, self._size)
        if not self._writer.isOpened():
            raise self._failed("OpenCV cannot write there")

    def _check_space(self, image: Image) -> None:
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from error
        if free < RESERVE_BYTES + image.nbytes:
            raise self._failed("the disk is full")

    def _check_readable(self) -> None:
        """The last frame can be read back and is the one that was written last: nothing went missing."""
        capture = cv2.VideoCapture(str(self._partial.absolute()), cv2.CAP_FFMPEG)
        count = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.set(cv2.CAP_PROP_POS_FRAMES, max(0, self.frames - 1))
        whole = count == self.frames and bool(capture.read()[0])
        capture.release()
        if not whole:
            raise self._failed(f"{max(0, count)} of {self.frames} frames can be read back")

    def _failed(self, reason: str) -> ResourceError:
        self.discard()
        return ResourceError(f"{self.path}: cannot record ({reason}); free space or choose another place")


def _check(path: Path, rate: float) -> None:
    if path.suffix.lower() not in CODECS:
        raise UsageError(f"{path}: cannot record to '{path.suffix}'; name the file {' or '.join(CODECS)}")
    if not 0.0 < rate < math.inf:
        raise UsageError(f"{path}: a rate of {rate} frames a second cannot be recorded")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise ResourceError(f"{path}: the folder {path.parent} cannot be written; choose another place")
