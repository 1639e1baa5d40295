"""Pictures kept smaller than their pixels without changing any: each is compressed by itself, in RGB or grey.

MagicYUV, of the codecs that FFmpeg brings, is the quickest of the small ones (see docs/decisions.md); nothing
is converted to luma and chroma, which would not come back as it was. What is looked at in grey is kept in
grey: a third of the bytes, and of the time.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from fractions import Fraction
from threading import local
from typing import Any, overload

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.errors import ResourceError
from a3d_edge.video.grey import as_bgr

__all__ = ["PackedPictures", "Packer"]

Image = NDArray[np.uint8]
Shape = tuple[int, int]
Values = bytes | mmap.mmap

CODEC, PLANES, GREY = "magicyuv", "gbrp", "gray"
GREEN_BLUE_RED = (1, 0, 2)  # the planes' order, by the channels of BGR


class Packer:
    """Compresses pictures (H, W, 3) BGR, or (H, W) grey; they may differ in size."""

    def __init__(self) -> None:
        self._encoders: dict[tuple[Shape, str], Any] = {}

    def pack(self, image: Image) -> bytes:
        """One picture."""
        height, width = image.shape[:2]
        planes = GREY if image.ndim == 2 else PLANES
        channels = [image] if image.ndim == 2 else [image[..., channel] for channel in GREEN_BLUE_RED]
        frame = av.VideoFrame(width, height, planes)
        for plane, channel in zip(frame.planes, channels, strict=True):
            _rows(plane, height)[:, :width] = channel
        return b"".join(bytes(packet) for packet in self._encoder((height, width), planes).encode(frame))

    def _encoder(self, shape: Shape, planes: str) -> Any:
        if (shape, planes) not in self._encoders:
            encoder = _context(shape, planes, "w")
            encoder.time_base = Fraction(1, 1000)
            encoder.options = {"pred": "gradient"}
            self._encoders[shape, planes] = encoder
        return self._encoders[shape, planes]


class PackedPictures:
    """Pictures by their place, decompressed when they are asked for; any number of threads may ask.

    They are BGR, of three equal channels where they were packed in grey.

    ``values``: what `Packer` made, one after the other: bytes, or a mapped file, of which nothing that was
    read stays in this process's memory; ``ends``: where each ends; ``shapes``: their sizes.
    """

    def __init__(
        self, values: Values, starts: NDArray[np.int64], ends: NDArray[np.int64], shapes: Any
    ) -> None:
        self._values, self._starts, self._ends, self._shapes = values, starts, ends, shapes

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As of an array of them all; the height and width are the first one's."""
        height, width = map(int, self._shapes[0])
        return len(self), height, width, 3

    @property
    def bytes(self) -> int:
        """What they take, compressed."""
        return int((self._ends - self._starts).sum())

    def __iter__(self) -> Iterator[Image]:
        return (self[place] for place in range(len(self)))

    @overload
    def __getitem__(self, place: int | np.integer[Any], /) -> Image: ...
    @overload
    def __getitem__(self, place: slice, /) -> PackedPictures: ...
    def __getitem__(self, place: int | np.integer[Any] | slice, /) -> Image | PackedPictures:
        """One picture, or some of them, still compressed. Raises `ResourceError` where the disk lost one."""
        if isinstance(place, slice):
            return PackedPictures(self._values, self._starts[place], self._ends[place], self._shapes[place])
        height, width = shape = tuple(map(int, self._shapes[place]))
        packet = av.Packet(_taken(self._values, int(self._starts[place]), int(self._ends[place])))
        try:
            (frame,) = _decoder((height, width)).decode(packet)
            planes = [_rows(plane, height)[:, :width] for plane in frame.planes]
            if len(planes) == 1:
                return as_bgr(planes[0].copy())
            green, blue, red = planes
            return np.asarray(cv2.merge([blue, green, red]), np.uint8).reshape(*shape, 3)
        except (av.error.FFmpegError, ValueError) as error:
            raise ResourceError(
                f"a decoded picture on the disk is damaged ({error}); run 'a3d-edge cache clear', then go on"
            ) from error


def _taken(values: Values, start: int, end: int) -> bytes:
    """A part. Of a mapped file the pages are given back to the disk's cache: else a process that looks at a
    film of an hour again and again would seem to need all of it, gigabytes."""
    taken = values[start:end]
    if isinstance(values, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # there is none on Windows
        first = start // AROUND * AROUND
        values.madvise(mmap.MADV_DONTNEED, first, end - first + AROUND)
    return taken


AROUND = 1 << 16
"""Linux maps so many bytes about a page that is asked for, at the most."""

_of_this_thread = local()
"""Its decoders, by the pictures' shape, for all clips: to open one takes as long as some pictures."""
MOST_DECODERS = 16


def _decoder(shape: Shape) -> Any:
    decoders: dict[Shape, Any] = _of_this_thread.__dict__.setdefault("decoders", {})
    if shape not in decoders:
        while len(decoders) >= MOST_DECODERS:
            del decoders[next(iter(decoders))]
        decoders[shape] = _context(shape, PLANES, "r")  # each packet says which planes it has
    return decoders[shape]


def _context(shape: Shape, planes: str, mode: str) -> Any:
    context = av.CodecContext.create(CODEC, mode)
    context.height, context.width = shape
    context.pix_fmt = planes
    context.thread_count = 1
    return context


def _rows(plane: Any, height: int) -> NDArray[np.uint8]:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height]
