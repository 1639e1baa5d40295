"""From decoded frames to pictures as a player shows them, by one of FFmpeg's filter graphs.

    decoded frame ── deinterlace? ── turn? ── BGR, standard range ── square pixels ── (H, W, 3) uint8

The graph takes its pictures from a pool: without one, each new array costs more page faults than the
conversion costs time (`benchmarks/decoding.py`).
"""

from __future__ import annotations

import struct
import weakref
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av.error
from av.filter import Graph

from a3d_edge.video.timeline import Stamps

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.stream import VideoStream

    from a3d_edge.video.opencv import Image

__all__ = ["Pixels"]

PQ, HLG, BT2020 = 16, 18, 9
"""H.273: transfer functions of high dynamic range, and wide primaries."""
TO_STANDARD = "out_transfer=bt709:out_primaries=bt709"
DEINTERLACE = "mode=send_frame:deint=interlaced"
WIDEST_PIXEL = 8
"""A pixel's sides differ by less, or the file is wrong about it."""
TICKS = 1000
TICK = Fraction(1, TICKS)
"""A frame's number in its graph is its time there."""

POOLED, FEW_POOLED = 40, 6
"""Pictures that wait at once and are the pool's own, which keeps as many for good: those that a file's reader
holds. At its own pace a stream has few waiting, but 60 MB of them while a network loads: then copies."""

Look = tuple[Any, ...]


class Pixels:
    """Turns the frames of one stream, pushed in order, into pictures (H, W, 3) BGR uint8.

    Turned and mirrored as the file says, pixels made square, interlaced frames deinterlaced (one frame
    late), high dynamic range brought to standard range; a change of size or format is followed. Pictures
    may be views with padded rows, and are not to be written to; while ``pooled`` of them are held, they are
    copies. ``raw``: for who copies them at once, without NumPy: FFmpeg's own frames in BGR, but for pixels
    that had to be made square.
    """

    def __init__(self, stream: VideoStream, pooled: int = POOLED, *, raw: bool = False) -> None:
        self._stream = stream
        self._pooled = pooled
        self._raw = raw
        self._held: list[weakref.ref[Image]] = []
        self._interlaced = self._on_its_side = False
        self._pixel: Fraction | None = None
        self._look: Look | None = None
        self._graph: Graph | None = None
        self._number = 0
        self._stamps = Stamps(float(stream.time_base or 1))
        self._positions: dict[int, float | None] = {}

    def push(self, frame: VideoFrame) -> Iterator[tuple[Image, float | None]]:
        """The pictures that this frame completes, with their positions (s). Raises FFmpeg's errors."""
        position = self._stamps.position(frame.pts, frame.dts)
        self._interlaced = self._interlaced or frame.interlaced_frame
        self._pixel = self._stream.sample_aspect_ratio
        look = self._look_of(frame)
        if look != self._look:
            yield from self.flush()
            self._graph, self._look = self._build(frame), look
        self._positions[self._number] = position
        frame.pts, frame.time_base = self._number, TICK
        self._number += 1
        assert self._graph is not None
        self._graph.push(frame)
        yield from self._finished()

    def flush(self) -> Iterator[tuple[Image, float | None]]:
        """What is still in the graph; the next frame begins a new one."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._finished()
        self._graph = self._look = None
        self._positions.clear()

    def _finished(self) -> Iterator[tuple[Image, float | None]]:
        while self._graph is not None and self._positions:
            try:
                done = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            number = round((done.time or 0.0) * TICKS)
            yield self._picture(done), self._positions.pop(number, None)

    def _picture(self, frame: VideoFrame) -> Any:
        if self._raw and not _is_oblong(self._pixel):
            return frame
        return _square(self._own_or_copy(_view(frame)), self._pixel, on_its_side=self._on_its_side)

    def _own_or_copy(self, view: Image) -> Image:
        self._held = [held for held in self._held if held() is not None]
        if len(self._held) >= self._pooled:
            return view.copy()
        self._held.append(weakref.ref(view))
        return view

    def _look_of(self, frame: VideoFrame) -> Look:
        """All that a graph depends on."""
        shape = frame.width, frame.height, frame.format.name
        colour = frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries
        return *shape, *colour, frame.rotation, self._interlaced

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        graph.threads = 1
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TICK)
        filters = [source]
        if self._interlaced:
            filters.append(graph.add("bwdif", DEINTERLACE))
        turns = _turns(frame)
        filters += [graph.add(*one) for one in turns]
        self._on_its_side = any(name == "transpose" for name, _ in turns)
        high = frame.color_trc in (PQ, HLG) or frame.color_primaries == BT2020
        last = (("scale", TO_STANDARD if high else ""), ("format", "pix_fmts=bgr24"), ("buffersink", ""))
        filters += [graph.add(*one) for one in last]
        graph.link_nodes(*filters).configure()
        return graph


def _is_oblong(pixel: Fraction | None) -> bool:
    aspect = float(pixel or 1)
    return aspect != 1.0 and 1 / WIDEST_PIXEL < aspect < WIDEST_PIXEL


def _square(image: Image, pixel: Fraction | None, *, on_its_side: bool) -> Image:
    """The picture with square pixels; OpenCV is quicker at it than FFmpeg's scaler."""
    if not _is_oblong(pixel):
        return image
    import numpy as np

    from a3d_edge.video.opencv import cv2  # 15 MB that a capture process seldom needs

    aspect = float(pixel or 1)
    height, width = image.shape[:2]
    size = (width, max(1, round(height * aspect))) if on_its_side else (max(1, round(width * aspect)), height)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _turns(frame: VideoFrame) -> list[tuple[str, str]]:
    """Filters that show a frame upright, by the file's display matrix; angles between are left alone.

    A point (x, y) of the frame is shown at (a·x + c·y, b·x + d·y), y downwards.
    """
    a, b, c, d = _matrix(frame)
    if b == c == 0:
        return [("hflip", "")] * (a < 0) + [("vflip", "")] * (d < 0)
    if a == d == 0:
        turn = {(1, -1): "clock", (-1, 1): "cclock", (1, 1): "cclock_flip", (-1, -1): "clock_flip"}
        return [("transpose", turn[_sign(b), _sign(c)])]
    return []


def _matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    side = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return 1, 0, 0, 1
    values = struct.unpack("=9i", bytes(side)[:36])
    return values[0], values[1], values[3], values[4]


def _sign(value: int) -> int:
    return 1 if value > 0 else -1


def _view(frame: VideoFrame) -> Image:
    """The frame's own memory as an array, which keeps it; rows may be padded."""
    import numpy as np  # which a capture process does without

    plane = frame.planes[0]
    return np.ndarray((frame.height, frame.width, 3), np.uint8, plane, 0, (plane.line_size, 3, 1))
