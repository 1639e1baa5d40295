"""Decode a clip once (PyAV) and keep its frames on disk, scaled to what training can use."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.errors import ResourceError, SourceError
from a3d_edge.files import write_atomically
from a3d_edge.training.clips import Clip

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["DecodedClip", "FrameCache", "decode"]

RENDERED_SIZES = ((144, 144), (192, 144), (240, 144), (128, 160), (256, 144), (192, 108))

_DECODING = "upright"
"""Names what `decode` does; another name when it changes, so that no older cache is read."""


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """Frames ``(N, H, W, 3)`` uint8 BGR and their times ``(N,)`` in seconds, the first at 0."""

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """Index of the frame nearest to each time; before the first and after the last, those are held."""
        right = np.clip(np.searchsorted(self.times, seconds), 1, max(1, len(self.times) - 1))
        right = np.minimum(right, len(self.times) - 1)
        left = np.maximum(right - 1, 0)
        nearer_left = seconds - self.times[left] <= self.times[right] - seconds
        return np.where(nearer_left, left, right)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return float(self.times[-1])


def decode(path: Path, short_side: int) -> DecodedClip:
    """All frames of a file, upright, the short side scaled to at most ``short_side``. Raises `SourceError`.

    Upright as OpenCV shows them at run time: turned by the file's rotation tag, if it is a quarter turn.
    """
    try:
        import av
    except ImportError as error:
        raise ResourceError("training decodes video with PyAV: pip install 'a3d-edge[train]'") from error
    frames, times = [], []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 30)
            for number, frame in enumerate(container.decode(stream)):
                image = _shrink(frame.to_ndarray(format="bgr24"), short_side)
                frames.append(np.rot90(image, _quarter_turns(frame)))
                times.append(number / rate if frame.time is None else frame.time)
    except (av.FFmpegError, IndexError, OSError) as error:
        raise SourceError(f"{path}: cannot be decoded as video ({error})") from error
    if not frames:
        raise SourceError(f"{path}: holds no video frame")
    return DecodedClip(np.stack(frames), np.asarray(times) - times[0])


def _quarter_turns(frame: VideoFrame) -> int:
    """How often to turn a frame counter-clockwise by 90°; other angles are left alone, as OpenCV does."""
    turns, rest = divmod(frame.rotation, 90)
    return 0 if rest else turns


def _shrink(image: NDArray[np.uint8], short_side: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


class FrameCache:
    """Decoded clips on disk, memory-mapped; a changed file is decoded anew.

    ``folder`` may be shared by several runs and deleted at any time.
    """

    def __init__(self, folder: Path, short_side: int = 160) -> None:
        self.folder, self.short_side = folder, short_side
        self._make_folder()

    def get(self, clip: Clip) -> DecodedClip:
        """The clip's frames, decoded or drawn if need be. Raises `SourceError` or `ResourceError`."""
        key = self._key(clip)
        frames_file, times_file = self.folder / f"{key}.frames.npy", self.folder / f"{key}.times.npy"
        if not (times_file.exists() and frames_file.exists()):
            self._make_folder()
            decoded = draw(clip) if clip.path is None else decode(clip.path, self.short_side)
            write_atomically(frames_file, lambda temporary: _write(temporary, decoded.frames))
            write_atomically(times_file, lambda temporary: _write(temporary, decoded.times))
        return DecodedClip(np.load(frames_file, mmap_mode="r"), np.load(times_file))

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(
                f"{self.folder}: cannot keep decoded frames here ({error.strerror}); see --cache"
            ) from error

    def _key(self, clip: Clip) -> str:
        if clip.path is None:
            name = f"rendered:{clip.label}:{clip.seed}:{_renderer_version()}"
        else:
            try:
                status = clip.path.stat()
            except OSError as error:
                raise SourceError(f"{clip.path}: cannot be read ({error.strerror})") from error
            name = (
                f"{clip.path.resolve()}:{status.st_mtime_ns}:{status.st_size}:{self.short_side}:{_DECODING}"
            )
        return hashlib.sha256(name.encode()).hexdigest()[:24]


def _write(path: Path, array: NDArray[np.generic]) -> None:
    with path.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())


def draw(clip: Clip) -> DecodedClip:
    """A rendered clip; its seed also chooses its shape, rate and length."""
    from a3d_edge.rendered import render_clip

    rng = np.random.default_rng([clip.seed, 77])
    width, height = RENDERED_SIZES[rng.integers(len(RENDERED_SIZES))]
    rate, seconds = float(rng.choice([20.0, 25.0, 30.0])), rng.uniform(2.4, 4.2)
    count = round(seconds * rate)
    frames = render_clip(clip.label, clip.seed, frames=count, width=width, height=height, rate=rate)
    return DecodedClip(frames, np.arange(count) / rate)


@cache
def _renderer_version() -> str:
    """Changes with the renderer's source, so that a redrawn figure is not read from an old cache."""
    return hashlib.sha256(b"".join(source.read_bytes() for source in _renderer_sources())).hexdigest()[:12]


def _renderer_sources() -> list[Path]:
    """Every module that draws, always in the same order."""
    from a3d_edge import figures, rendered

    drawing = Path(figures.__file__).parent.glob("*.py")
    return [Path(rendered.__file__), *sorted(drawing, key=lambda source: source.name)]
