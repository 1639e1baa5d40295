"""Sources that end: a video file and a folder of pictures. Both find their first picture when they open."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.video.frame import Frame
from a3d_edge.video.limits import MAX_PICTURE_BYTES
from a3d_edge.video.opencv import Image, cv2
from a3d_edge.video.pause import Clock
from a3d_edge.video.timeline import Timeline

if TYPE_CHECKING:
    from a3d_edge.video.decoder import Decoder
    from a3d_edge.video.recorded import Recorded

__all__ = ["PICTURES", "ImageFolder", "VideoFile", "read_picture"]

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
DEFAULT_RATE = 30.0


class VideoFile:
    """Every picture of a video, at the container's own times; ``location`` is an absolute path.

    ``name`` is what messages call it; ``decoder`` reads it if it is open already (of a URL); ``paced``: it is
    to be shown at its own pace; ``redirects``: a playlist may name other files. ``unreadable`` counts
    pictures that cannot be decoded, and those missing at the end of a file that was cut off. Raises
    `SourceError` when not one picture can be decoded.
    """

    live = False

    def __init__(
        self,
        location: str,
        name: str,
        clock: Clock = time.monotonic,
        decoder: Decoder | Recorded | None = None,
        *,
        paced: bool = False,
        redirects: bool = False,
    ) -> None:
        self.name = name
        self._clock = clock
        self._decoder = decoder or _open(location, name, paced=paced, redirects=redirects)
        self.frame_rate = self._decoder.rate
        self._timeline = Timeline(self.frame_rate or DEFAULT_RATE)
        self._index = -1
        self._ahead = self._decoder.read()
        if self._ahead is None:
            self._decoder.close()
            raise SourceError(
                f"{name}: no picture can be decoded; give a complete video file (or convert it to .mp4)"
            )

    @property
    def unreadable(self) -> int:
        """Pictures that could not be decoded so far."""
        return self._decoder.unreadable

    def read(self) -> Frame | None:
        """The next picture, None at the end."""
        found = self._ahead or self._decoder.read()
        self._ahead = None
        if found is None:
            return None
        image, position_s = found
        self._index += 1
        time_s = self._timeline.place(position_s)
        return Frame(self._index, time_s, image, self._clock(), take=self._timeline.take)

    def close(self) -> None:
        """Let go of the file."""
        self._decoder.close()


def _open(location: str, name: str, *, paced: bool, redirects: bool) -> Decoder:
    from a3d_edge.video.decoder import Decoder  # FFmpeg is 100 MB that a camera or the demo does not need
    from a3d_edge.video.pixels import FEW_POOLED, POOLED

    return Decoder(location, name, pooled=FEW_POOLED if paced else POOLED, redirects=redirects)


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
        if path.stat().st_size > MAX_PICTURE_BYTES:
            return None
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
        paths = [path for path in folder.iterdir() if _is_picture(path)]
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
    return sorted(paths, key=lambda path: (_natural(path.name), path.name))


def _is_picture(path: Path) -> bool:
    """By its name; hidden files are not the user's (macOS keeps ``._img1.jpg`` beside ``img1.jpg``)."""
    return path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """A key that puts img2 before img10."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
