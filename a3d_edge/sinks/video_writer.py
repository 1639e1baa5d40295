"""A recording that can be played whatever happens: while it is written, after a full disk or ``kill -9``.

An .mp4 is written in fragments of a second, each of which is whole; an .avi picture by picture, and players
do without the index that comes at its end.
"""

from __future__ import annotations

import errno
import math
import os
import secrets
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from a3d_edge.disk import free_bytes, megabytes
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
FRAGMENTS = {"movflags": "empty_moov+default_base_moof+skip_trailer", "frag_duration": "1000000"}
WRITTEN_AT_ONCE = {"flush_packets": "1"}
"""Nothing whole waits in a buffer: what was written before a process is killed, its file has."""
TICK = Fraction(1, 1000)
"""Of an .mp4; an .avi has nothing between two pictures of its rate."""
FRAMES_BETWEEN_CHECKS = 15
RESERVE_BYTES = 2**17
"""Free space, beside that of the next second, below which recording stops: logs need some too."""
COMPRESSED = 200
"""How much smaller a picture is guessed to get, before it is known."""


class VideoSink:
    """Writes frames at their own times to a file beside ``path``, which takes that name as soon as something
    of it can be played; ``rate`` frames a second where they have none.

    The first frame fixes the size; others are resized to it. `write` and `close` raise `ResourceError` when
    the disk is full, once: what was recorded is finished and stays, and frames that come later are only
    counted. ``frames``: those that can be played; ``missed``: those that were not recorded, or lost;
    ``lost``: why nothing is recorded any more. A recording without a frame leaves no file, and an older one
    of that name as it was. Raises `UsageError` for a name or rate that cannot be meant.
    """

    def __init__(self, path: Path | str, rate: float) -> None:
        self.path = Path(path)
        self.frames = self.missed = 0
        self.lost: str | None = None
        _check(self.path, rate)
        self._rate = rate
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._tick = TICK
        self._last: int | None = None  # of the last picture
        self._cut_s = 0.0  # what was cut out before it
        self._whole = (0, 0)  # bytes of the file up to where all is whole, and frames in them
        self._file = self._partial = self.path.with_name(
            f".{self.path.stem}.{secrets.token_hex(4)}.part{self.path.suffix}"
        )

    def write(self, image: Image, time_s: float | None = None) -> None:
        """Append one picture (H, W, 3) BGR, shown from ``time_s`` on; one interval after the last if None.

        A picture within a millisecond of the one before it is left out; a pause of more than `GAP_S` is cut.
        """
        if self.lost is not None:
            self.missed += 1
            return
        try:
            self._append(image, time_s)
        except (OSError, _av_error()) as error:
            self.missed += 1
            raise self._broken(error) from error

    def _append(self, image: Image, time_s: float | None) -> None:
        if self.frames % FRAMES_BETWEEN_CHECKS == 0:
            self._check_space(image)
        if self._container is None:
            self._open(image)
        at = self._place(time_s)
        if at is None:
            return
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._encode(image, at)
        self.frames += 1
        self._note_whole()

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
        self._container.mux(self._stream.encode(frame))

    def _note_whole(self) -> None:
        """A fragment is written when the picture after it has come, and the head with the first one."""
        size, fragmented = self._file.stat().st_size, self._tick == TICK
        if fragmented and self.frames == 1:
            self._whole = (size, 0)
        elif size > self._whole[0]:
            self._whole = (size, self.frames - fragmented)
            self._take_name()

    def _take_name(self) -> None:
        if self._file != self.path:
            self._file = self._partial.replace(self.path)

    def close(self) -> None:
        """Finish the recording. Idempotent; also after an interruption."""
        if self._container is None:
            return
        try:
            self._finish()
        except (OSError, _av_error()) as error:
            raise self._broken(error) from error
        finally:
            self._let_go()

    def _finish(self) -> None:
        self._encode(None)
        self._container.close()
        self._container = None
        if self.frames:
            sync(self._file)
            self._take_name()

    def discard(self) -> None:
        """End without a recording."""
        self._let_go()
        if self._file == self.path:
            self.path.unlink(missing_ok=True)

    def _let_go(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            with suppress(OSError, _av_error()):
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
        kind = self.path.suffix.lower()
        encoder, pixels, options = next(one for one in ENCODERS[kind] if one[0] in av.codecs_available)
        rate = Fraction(self._rate).limit_denominator(1001)
        self._tick = TICK if kind == ".mp4" else 1 / rate
        written = WRITTEN_AT_ONCE | (FRAGMENTS if kind == ".mp4" else {})
        self._container = av.open(str(self._partial.absolute()), "w", options=written)
        self._stream = self._container.add_stream(encoder, rate=rate, options=dict(options))
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = pixels
        self._stream.thread_count = 1  # the others are the network's
        self._stream.time_base = self._stream.codec_context.time_base = self._tick

    def _check_space(self, image: Image) -> None:
        size, frames = self._whole
        each = size / frames if frames else image.nbytes / COMPRESSED
        free = free_bytes(self.path.parent)
        frames_ahead = self._rate + FRAMES_BETWEEN_CHECKS  # a fragment, and until this is asked again
        needed = RESERVE_BYTES + each * frames_ahead
        if free is not None and free < needed:
            raise OSError(errno.ENOSPC, f"needs {megabytes(needed)}, its disk has {megabytes(free)} left")

    def _broken(self, error: Exception) -> ResourceError:
        """Keep what is whole of the recording, which ends here."""
        self.lost = getattr(error, "strerror", None) or str(error)
        try:
            self._finish()
        except Exception:  # no room for the rest of it: cut it off
            self._cut_off()
        kept = f"; the {self.frames} frames before are kept" if self.frames else ""
        return ResourceError(f"{self.path}: cannot record on ({self.lost}){kept}; make room")

    def _cut_off(self) -> None:
        with suppress(OSError, _av_error()):
            container, self._container = self._container, None
            if container is not None:
                container.close()
        size, frames = self._whole
        self.missed, self.frames = self.missed + self.frames - frames, frames
        with suppress(OSError):
            if frames:
                os.truncate(self._file, size)
                self._take_name()
        self._partial.unlink(missing_ok=True)


def _av_error() -> type[Exception]:
    import av

    found: type[Exception] = av.error.FFmpegError
    return found


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
