"""A recording that appears whole under its name, or not at all."""

from __future__ import annotations

import math
import os
import secrets
import shutil
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.files import sync
from a3d_edge.video.opencv import Image, cv2
from a3d_edge.video.timeline import GAP_S

__all__ = ["VideoSink"]

H264 = {"preset": "ultrafast", "tune": "zerolatency"}
ENCODERS: dict[str, tuple[tuple[str, str, dict[str, str]], ...]] = {
    ".mp4": (("libx264", "yuv420p", H264), ("mpeg4", "yuv420p", {})),
    ".avi": (("mjpeg", "yuvj420p", {}),),
}
"""The first that PyAV was built with: browsers play H.264."""
TICK = Fraction(1, 1000)
"""Of an .mp4; an .avi has nothing between two pictures of its rate."""
FRAMES_BETWEEN_CHECKS = 15
RESERVE_BYTES = 2**20
"""Free space below which recording stops, so that a recording can still be finished."""


class VideoSink:
    """Writes frames to a file next to ``path``, renamed to it by `close`, at their own times; ``rate`` frames
    a second where they have none. ``faststart``: an .mp4 that plays while it is still being fetched.

    The first frame fixes the size; others are resized to it. On failure nothing is left behind and an older
    file of that name stays as it was; a recording without a frame leaves none. Raises `UsageError` for a name
    or rate that cannot be meant, `ResourceError` when the disk is full or the recording cannot be read back.
    """

    def __init__(self, path: Path | str, rate: float, *, faststart: bool = False) -> None:
        self.path = Path(path)
        self.frames = 0
        _check(self.path, rate)
        self._rate = rate
        self._options = {"movflags": "+faststart"} if faststart and self.path.suffix.lower() == ".mp4" else {}
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._tick = TICK
        self._last: int | None = None  # of the last picture
        self._cut_s = 0.0  # what was cut out before it
        self._partial = self.path.with_name(
            f".{self.path.stem}.{secrets.token_hex(4)}.part{self.path.suffix}"
        )

    def write(self, image: Image, time_s: float | None = None) -> None:
        """Append one picture (H, W, 3) BGR, shown from ``time_s`` on; one interval after the last if None.

        A picture within a millisecond of the one before it is left out; a pause of more than `GAP_S` is cut.
        """
        if self._container is None:
            self._open(image)
        if self.frames % FRAMES_BETWEEN_CHECKS == 0:
            self._check_space(image)
        at = self._place(time_s)
        if at is None:
            return
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._encode(image, at)
        self.frames += 1

    def _place(self, time_s: float | None) -> int | None:
        """When a picture is shown, in the stream's ticks; None where there is no room for it."""
        last, interval = self._last, 1.0 / self._rate
        if time_s is None:
            time_s = self._cut_s + (0.0 if last is None else float(last * self._tick) + interval)
        if last is None:
            self._cut_s = time_s
        elif time_s - self._cut_s - float(last * self._tick) > GAP_S:
            self._cut_s = time_s - float(last * self._tick) - interval
        at = round((time_s - self._cut_s) / float(self._tick))
        if last is not None and at <= last:
            return None
        self._last = at
        return at

    def _encode(self, image: Image | None, at: int = 0) -> None:
        """Encode and write one picture; None: what the encoder still holds."""
        import av

        frame = None
        if image is not None:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = at, self._tick
        try:
            self._container.mux(self._stream.encode(frame))
        except (OSError, av.error.FFmpegError) as error:
            raise self._failed(getattr(error, "strerror", None) or str(error)) from error

    def close(self) -> None:
        """Finish the recording and give it its name. Idempotent; also after an interruption."""
        if self._container is None:
            return
        try:
            self._encode(None)
            self._container.close()
            self._container = None
            if self.frames:
                self._check_readable()
                sync(self._partial)
                self._partial.replace(self.path)
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """End without a recording."""
        container, self._container = self._container, None
        if container is not None:
            with suppress(OSError):
                container.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, image: Image) -> None:
        import av

        height, width = image.shape[:2]
        self._size = (max(2, width - width % 2), max(2, height - height % 2))  # codecs want even sizes
        self._check_space(image)
        kind = self.path.suffix.lower()
        encoder, pixels, options = next(one for one in ENCODERS[kind] if one[0] in av.codecs_available)
        self._tick = TICK if kind == ".mp4" else 1 / Fraction(self._rate).limit_denominator(1001)
        try:
            self._container = av.open(str(self._partial.absolute()), "w", options=self._options)
            self._stream = self._container.add_stream(
                encoder, rate=Fraction(self._rate).limit_denominator(1001), options=dict(options)
            )
        except (OSError, av.error.FFmpegError) as error:
            raise self._failed(getattr(error, "strerror", None) or str(error)) from error
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = pixels
        self._stream.thread_count = 1  # the others are the network's
        self._stream.time_base = self._stream.codec_context.time_base = self._tick

    def _check_space(self, image: Image) -> None:
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from error
        if free < RESERVE_BYTES + image.nbytes:
            raise self._failed("the disk is full")

    def _check_readable(self) -> None:
        """As many pictures can be read back as were written: nothing went missing."""
        import av

        count = 0
        with suppress(OSError, av.error.FFmpegError), av.open(str(self._partial.absolute())) as written:
            count = sum(packet.size > 0 for packet in written.demux(video=0))
        if count != self.frames:
            raise self._failed(f"{count} of {self.frames} frames can be read back")

    def _failed(self, reason: str) -> ResourceError:
        self.discard()
        return ResourceError(f"{self.path}: cannot record ({reason}); free space or choose another place")


def _check(path: Path, rate: float) -> None:
    if path.suffix.lower() not in ENCODERS:
        raise UsageError(f"{path}: cannot record to '{path.suffix}'; name the file {' or '.join(ENCODERS)}")
    if not 0.0 < rate < math.inf:
        raise UsageError(f"{path}: a rate of {rate} frames a second cannot be recorded")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise ResourceError(f"{path}: the folder {path.parent} cannot be written; choose another place")
