"""Decode a clip once and keep its frames on disk, scaled to what training can use.

Clips are read by the runtime's own reader, picture by picture: training sees what running sees, and needs no
more memory for a long clip than for a short one.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.engine.memory import is_size, parse_memory
from a3d_edge.errors import DataWarning, ResourceError, SourceError
from a3d_edge.training.blank import BLANK, marked, takes_of
from a3d_edge.training.clips import Clip
from a3d_edge.training.films import film_of, renderer_version
from a3d_edge.training.frame_store import FrameStore, cache_folder
from a3d_edge.training.lists.pictures import PictureList
from a3d_edge.training.packed import PackedPictures
from a3d_edge.video.files import VideoFile
from a3d_edge.video.frame import Frame

__all__ = [
    "DecodedClip",
    "FrameCache",
    "Stretch",
    "decode",
    "open_cache",
    "pictures_at",
    "readable",
    "times_of",
    "warn_of_unreadable",
]


_DECODING = "as run, packed, blank ones marked"
"""Names what `decode` does; another name when it changes, so that no older cache is read."""

WHOLE_SIDE, PARTS_SIDE = 160, 240
"""The short side that frames are kept at for networks that look at all of a picture, and at parts of it."""

ROUNDED_UP_S, INSTANT_S = 1.0, 1e-3

Image = NDArray[np.uint8]


class Pictures(Protocol):
    """Pictures (H, W, 3) uint8 BGR by their place in a clip: one array of all, or a list if sizes change."""

    def __getitem__(self, place: int, /) -> Image: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """Pictures of a clip that go on from each other: from place ``first`` on, at ``times`` (s) from 0."""

    first: int
    times: NDArray[np.float64]

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """Place in the clip of the picture nearest to each time; before the first and after the last, those
        are held."""
        right = np.clip(np.searchsorted(self.times, seconds), 1, max(1, len(self.times) - 1))
        right = np.minimum(right, len(self.times) - 1)
        left = np.maximum(right - 1, 0)
        nearer_left = seconds - self.times[left] <= self.times[right] - seconds
        return self.first + np.where(nearer_left, left, right)

    @property
    def duration(self) -> float:
        """Seconds from the first picture to the last."""
        return float(self.times[-1] - self.times[0])


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """Frames by place, their times ``(N,)`` in seconds, the first at 0, and takes ``(N,)`` as in `Frame`, or
    `BLANK` (`a3d_edge.training.blank`)."""

    frames: Pictures
    times: NDArray[np.float64]
    takes: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))  # empty: one take

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """Place of the frame nearest to each time, cuts or not; see `Stretch.at`."""
        return Stretch(0, self.times).at(seconds)

    @property
    def duration(self) -> float:
        """Seconds of its takes, from the first frame of each to the last."""
        return sum(stretch.duration for stretch in self.stretches(float("inf")))

    def between(self, start: float | None, end: float | None) -> DecodedClip:
        """Its frames from ``start`` to ``end`` (s), the first of them at 0.

        Raises `ValueError` when the clip ends earlier; a second is granted at its end, for people round.
        """
        last_s = float(self.times[-1])
        if (start or 0.0) > last_s + INSTANT_S or (end or 0.0) > last_s + ROUNDED_UP_S:
            raise ValueError(f"ends at {last_s:.2f} s")
        first = int(np.searchsorted(self.times, (start or 0.0) - INSTANT_S))
        last = len(self.times) if end is None else int(np.searchsorted(self.times, end - INSTANT_S))
        if last <= first:  # shorter than a frame is shown: the one that is
            first, last = max(0, last - 1), max(1, last)
        chosen = slice(first, last)
        pictures = self.frames
        assert isinstance(pictures, np.ndarray | list | PackedPictures)
        times = self.times[chosen]
        return DecodedClip(pictures[chosen], times - times[0], self.takes[chosen])

    def stretches(self, gap_s: float) -> list[Stretch]:
        """The clip cut where the runtime begins a new timeline: at another take, or after a longer gap.

        Without what is `BLANK`, unless all is.
        """
        takes = self.takes if len(self.takes) else np.zeros(len(self.times), np.intp)
        cuts = np.flatnonzero((np.diff(takes) != 0) | (np.diff(self.times) > gap_s)) + 1
        bounds = [0, *cuts.tolist(), len(self.times)]
        all_of_it = bool(np.all(takes == BLANK))
        return [
            Stretch(first, self.times[first:last] - self.times[first])
            for first, last in pairwise(bounds)
            if all_of_it or takes[first] != BLANK
        ]


def decode(path: Path, short_side: int) -> DecodedClip:
    """All frames of a file as the runtime shows them, the short side scaled to at most ``short_side``.

    Raises `SourceError`.
    """
    frames, times, takes = [], [], []
    for frame in _read(path):
        frames.append(_shrink(frame.image, short_side).copy())
        times.append(frame.time_s)
        takes.append(frame.take)
    uniform = len({image.shape for image in frames}) == 1
    return DecodedClip(np.stack(frames) if uniform else frames, np.array(times), np.array(takes, np.intp))


def times_of(path: Path) -> DecodedClip:
    """When a file's frames are and which go on from each other, without the frames. Raises `SourceError`."""
    seen = [(frame.time_s, frame.take) for frame in _read(path)]
    return DecodedClip({}, np.array([at for at, _ in seen]), np.array([take for _, take in seen], np.intp))


def pictures_at(path: Path, short_side: int, places: Collection[int]) -> dict[int, Image]:
    """The frames at some places alone, as `decode` gives them. Raises `SourceError`."""
    found: dict[int, Image] = {}
    for frame in _read(path):
        if frame.index in places:
            found[frame.index] = _shrink(frame.image, short_side).copy()
            if len(found) == len(set(places)):
                break
    return found


def _read(path: Path) -> Iterator[Frame]:
    video = VideoFile(str(path.absolute()), str(path))
    try:
        while (frame := video.read()) is not None:
            yield frame
    finally:
        video.close()


def _shrink(image: Image, short_side: int) -> Image:
    """Scaled to a short side, if it is longer."""
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def readable(
    clips: Sequence[Clip], cache: FrameCache, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Clip]:
    """The clips of which there are pictures, decoded into the cache; one `DataWarning` names all others.

    ``progress`` is told (clips done, all). Raises `SourceError` when there is none.
    """
    there: list[Clip] = []
    unreadable: list[SourceError] = []
    for done, clip in enumerate(clips, start=1):
        try:
            cache.get(clip)
            there.append(clip)
        except SourceError as error:
            unreadable.append(error)
        progress(done, len(clips))
    warn_of_unreadable(unreadable, len(clips))
    if gone := sum(not cache.holds(clip) for clip in there):
        warnings.warn(
            f"{gone} of {len(there)} clips are to be decoded anew each time, for the cache of decoded frames "
            f"holds {cache.limit / 1e6:.0f} MB; give it more by `cache`, such as 8GB",
            DataWarning,
            stacklevel=2,
        )
    return there


def warn_of_unreadable(errors: Sequence[SourceError], clips: int) -> None:
    """Name the clips that are left out, in one `DataWarning`. Raises `SourceError` when those are all."""
    if not errors:
        return
    named = "; ".join(str(error) for error in errors)
    if len(errors) == clips:
        raise SourceError(f"none of the {clips} clips can be read: {named}")
    warnings.warn(f"{len(errors)} of {clips} clips are left out: {named}", DataWarning, stacklevel=3)


def open_cache(cache: str | Path | None, short_side: int = WHOLE_SIDE, *, grey: bool = False) -> FrameCache:
    """The cache that a parameter ``cache`` means: a folder, or how much the usual one may hold (``8GB``).

    ``grey``: as in `FrameCache`.
    Raises `ResourceError` where no frames can be kept.
    """
    if cache is None or not is_size(str(cache)) or Path(cache).exists():
        return FrameCache(cache_folder(cache), short_side, grey=grey)
    return FrameCache(cache_folder(None), short_side, limit=parse_memory(str(cache), "cache"), grey=grey)


@dataclass(frozen=True, slots=True)
class _Files:
    """Pictures of a list by their place."""

    listed: PictureList
    kept: Callable[[Image], Image]

    def __getitem__(self, place: int, /) -> Image:
        path = self.listed.path(place)
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f"{path}: cannot be read as a picture")
        return self.kept(np.asarray(image, np.uint8))


class FrameCache:
    """Decoded clips on disk, compressed without loss, at most ``limit`` bytes: those used least recently go.

    Unless said, the limit is a tenth of the free disk and no more than 2 GB. A changed file is decoded anew,
    and so is a damaged entry. ``folder`` may be shared by several runs and deleted at any time. ``grey``:
    they are kept, and given, without colours.
    """

    def __init__(
        self, folder: Path, short_side: int = WHOLE_SIDE, *, limit: int | None = None, grey: bool = False
    ) -> None:
        self.folder, self.short_side, self._grey = folder, short_side, grey
        self._make_folder()
        self._store = FrameStore(folder, limit)

    def get(self, clip: Clip) -> DecodedClip:
        """The clip's frames, decoded or drawn if need be; of a part, those of its file are cut.

        One decoding serves all parts of a file. Raises `SourceError` or `ResourceError`.
        """
        if clip.pictures is not None:
            return self._listed(clip, clip.pictures)
        whole = self._whole(clip)
        if clip.start is None and clip.end is None:
            return whole
        try:
            return whole.between(clip.start, clip.end)
        except ValueError as error:
            where = f"{clip.where}: " if clip.where else ""
            raise SourceError(f"{where}{clip.path}{clip.part}: is beyond its clip, which {error}") from error

    def _listed(self, clip: Clip, pictures: PictureList) -> DecodedClip:
        """A video whose pictures are files: each is read when it is looked at, and none is kept."""
        first = pictures.path(0)
        if not first.is_file():
            raise SourceError(f"{clip.where}: no such picture {first}")
        times = np.arange(len(pictures.names)) / pictures.rate
        return DecodedClip(_Files(pictures, self._shrunk), times)  # in colour: packed ones come back so too

    def _whole(self, clip: Clip) -> DecodedClip:
        key = self._key(clip)
        found = self._store.find(key)
        if found is None:
            self._make_folder()
            frames = film_of(clip) if clip.path is None else _read(clip.path)
            found = self._store.write(
                key, ((self._kept(f.image), f.time_s, marked(f.image, f.take)) for f in frames)
            )
            self._warn_if_large(clip, found.pictures.bytes)
        return DecodedClip(found.pictures, found.times, takes_of(found.takes))

    def _shrunk(self, image: Image) -> Image:
        return _shrink(image, self.short_side)

    def _kept(self, image: Image) -> Image:
        small = self._shrunk(image)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8) if self._grey else small

    @property
    def limit(self) -> int:
        """Bytes that it holds at the most."""
        return self._store.limit

    def holds(self, clip: Clip) -> bool:
        """Whether the clip's frames are there, as far as can be seen without reading them."""
        if clip.pictures is not None:
            return True
        return self._store.holds(self._key(clip))

    def _warn_if_large(self, clip: Clip, taken: int) -> None:
        if taken > self.limit:
            warnings.warn(
                f"{clip.path or clip.label}: its frames take {taken / 1e6:.1f} MB, the cache of decoded "
                f"frames holds {self.limit / 1e6:.1f} MB; cut the clip, or give more by `cache`, such as 8GB",
                DataWarning,
                stacklevel=3,
            )

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(
                f"{self.folder}: cannot keep decoded frames here ({error.strerror}); see `cache`"
            ) from error

    def _key(self, clip: Clip) -> str:
        if clip.path is None:
            drawn = f"rendered:{clip.drawn}:{clip.label}:{clip.seed}:{renderer_version()}"
            name = f"{drawn}:{self.short_side}:{_DECODING}"
        else:
            try:
                status = clip.path.stat()
            except OSError as error:
                raise SourceError(f"{clip.path}: cannot be read ({error.strerror})") from error
            name = (
                f"{clip.path.resolve()}:{status.st_mtime_ns}:{status.st_size}:{self.short_side}:{_DECODING}"
            )
        name += ":grey" if self._grey else ""
        return hashlib.sha256(name.encode()).hexdigest()[:24]
