"""Sources that end: a video file and a folder of pictures. Both find their first picture when they open."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.video.frame import Frame
from a3d_edge.video.opencv import Capture, Image, cv2
from a3d_edge.video.pause import Clock

__all__ = ["PICTURES", "FrameTimes", "ImageFolder", "VideoFile", "read_picture"]

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
DEFAULT_RATE = 30.0
ENDED_EARLY = 0.05
"""Share of the announced length that must be missing at the end before a file counts as cut off: containers
announce a picture or two that decoders swallow, and round durations."""


class FrameTimes:
    """Strictly increasing times from a container's positions; the first is 0.

    A position that does not advance (no time stamps, packed B-frames) gives way to one interval of ``rate``.
    """

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate
        self._origin: float | None = None
        self.last = 0.0

    def next(self, position_s: float) -> float:
        """The time of the next picture."""
        if self._origin is None:
            self._origin = position_s if math.isfinite(position_s) else 0.0
            return self.last
        relative = position_s - self._origin
        advances = relative > self.last and math.isfinite(relative)
        self.last = relative if advances else self.last + self._interval
        return self.last


class VideoFile:
    """Every picture of a video, at the container's own times; ``location`` is an absolute path or a URL.

    ``options`` go to OpenCV. Raises `SourceError` when not one picture can be decoded. ``unreadable`` counts
    the pictures missing at the end of a file that was cut off.
    """

    live = False

    def __init__(
        self, location: str, name: str, clock: Clock = time.monotonic, options: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.unreadable = 0
        self._clock = clock
        self._capture = Capture(location, cv2.CAP_FFMPEG, options)
        self._ahead = self._capture.read()
        if self._ahead is None:
            self._capture.close()
            raise SourceError(
                f"{name}: no picture can be decoded; give a complete video file (or convert it to .mp4)"
            )
        self.frame_rate: float | None = _rate(self._capture)
        self._times = FrameTimes(self.frame_rate or DEFAULT_RATE)
        self._announced = self._capture.number(cv2.CAP_PROP_FRAME_COUNT)
        self._index = -1

    def read(self) -> Frame | None:
        """The next picture, None at the end."""
        found = self._ahead or self._capture.read()
        self._ahead = None
        if found is None:
            self.unreadable = 0 if self._capture.closed else self._missing_at_the_end()
            return None
        image, position_s = found
        self._index += 1
        return Frame(self._index, self._times.next(position_s), image, self._clock())

    def close(self) -> None:
        """Let go of the file."""
        self._capture.close()

    def _missing_at_the_end(self) -> int:
        if self.frame_rate is None:
            return 0
        missing = round(self._announced - 1 - self._times.last * self.frame_rate)
        return missing if missing > max(2.0, ENDED_EARLY * self._announced) else 0


class ImageFolder:
    """The pictures of a folder in natural order (img2 before img10), ``rate`` a second.

    A picture that cannot be decoded keeps its place in time, is counted in ``unreadable`` and skipped.
    Raises `SourceError` when no picture can be read, `UsageError` for a rate that is not above 0.
    """

    live = False

    def __init__(self, folder: Path, rate: float = DEFAULT_RATE, clock: Clock = time.monotonic) -> None:
        if not 0.0 < rate < math.inf:
            raise UsageError(f"image rate {rate} is not above 0; it is the number of pictures a second")
        self.name = str(folder)
        self.frame_rate: float | None = rate
        self.unreadable = 0
        self._clock = clock
        self._paths = iter(list(enumerate(_pictures(folder))))
        self._ahead = self._next()
        if self._ahead is None:
            kinds = ", ".join(sorted(PICTURES))
            found = (
                f"none of its {self.unreadable} pictures can be read"
                if self.unreadable
                else "no picture in it"
            )
            raise SourceError(f"{folder}: {found}; put {kinds} files there")

    def read(self) -> Frame | None:
        """The next readable picture, None at the end."""
        frame, self._ahead = self._ahead or self._next(), None
        return frame

    def close(self) -> None:
        """Read no more."""
        self._paths = iter([])

    def _next(self) -> Frame | None:
        for index, path in self._paths:
            image = read_picture(path)
            if image is not None:
                return Frame(index, index / (self.frame_rate or DEFAULT_RATE), image, self._clock())
            self.unreadable += 1
        return None


def read_picture(path: Path) -> Image | None:
    """The picture as (H, W, 3) BGR; None when it is missing, cut off or not a picture."""
    try:
        data = path.read_bytes()
        if not _is_whole(data):
            return None
        image: Image | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    return image


def _is_whole(data: bytes) -> bool:
    """Whether JPEG and PNG have their end marks: some OpenCV versions fill what is missing with grey."""
    if data.startswith(b"\xff\xd8"):
        return data.find(b"\xff\xd9", data.rfind(b"\xff\xda")) >= 0
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data[-64:]
    return bool(data)


def _pictures(folder: Path) -> list[Path]:
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file()]
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
    return sorted(paths, key=lambda path: (_natural(path.name), path.name))


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """A key that puts img2 before img10."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _rate(capture: Capture) -> float | None:
    rate = capture.number(cv2.CAP_PROP_FPS)
    return rate if 0.1 <= rate <= 1000.0 else None
