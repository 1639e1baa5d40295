"""One way through a container, from its first packet to its last.

container ── packets ──► codec ── frames ──► `Pixels` ──► (picture, position)
    │ damaged: go on       │ damaged: counted, passed over
    └── cut off: what is missing is counted
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import av.error
from av import Packet, VideoFrame

from a3d_edge.errors import SourceError
from a3d_edge.video.causes import Cause, cause, kind
from a3d_edge.video.limits import MAX_PIXELS, MAX_RATE, Bucket
from a3d_edge.video.opening import open_video
from a3d_edge.video.pixels import FEW_POOLED, POOLED, Pixels

if TYPE_CHECKING:
    from a3d_edge.video.opencv import Image

__all__ = ["DamagedError", "Picture", "Playback"]

Picture = tuple["Image", "float | None"]

MOST_THREADS = 4
"""For decoding. Each holds a picture more, and four decode 4K faster than any of our networks looks at it."""
DAMAGES = 512
"""Errors of a container one after the other, after which nothing more is expected of it."""
ENDED_EARLY, ENDED_EARLY_PICTURES = 0.05, 3
"""What must be missing at the end, as a share and in pictures, before a recording counts as cut off:
containers announce a picture or two that decoders swallow, and round durations."""
ARRIVALS = 64
"""Packets whose arrival is remembered: more than any codec holds back."""
BURST_S = 2.0
"""What a live stream may be ahead of `MAX_RATE`: servers begin with what they held back."""


class DamagedError(Exception):
    """A damaged picture, and the codec has frames in several threads: what follows is a matter of chance."""


class Playback:
    """Pictures and their positions, as `a3d_edge.video.decoder.Decoder` gives them.

    ``careful``: damage is passed over and counted, and the pictures after it are the same every time; else it
    raises `DamagedError` from `pictures`. Live streams are always read so. ``pooled``: see `Pixels`.
    ``redirects``: see `open_video`; ``raw``: see `Pixels`. Of a live stream ``arrived_s`` is when the latest
    picture's data had come, by ``time.monotonic``, and ``too_quick`` counts pictures beyond `MAX_RATE`, which
    are let go.
    """

    def __init__(
        self,
        location: str,
        name: str,
        *,
        network: bool,
        careful: bool,
        pooled: int = POOLED,
        redirects: bool = False,
        raw: bool = False,
    ) -> None:
        self.unreadable = self.too_quick = 0
        self.arrived_s: float | None = None
        self._arrivals: OrderedDict[int, float] = OrderedDict()  # by presentation time
        self._bucket = Bucket(MAX_RATE, MAX_RATE * BURST_S)
        self._name, self._network = name, network
        self.opened = opened = open_video(location, name, network=network, redirects=redirects)
        self.rate = _rate(opened.stream.average_rate) or _rate(opened.stream.base_rate)
        self._careful = careful or opened.live
        codec = opened.stream.codec_context
        # A frame in each thread is quicker, but each comes a frame later, and after damage with other pixels.
        codec.thread_type = "SLICE" if self._careful else "AUTO"
        codec.thread_count = min(MOST_THREADS, _cores())
        if codec.name == "mjpeg":  # half a picture is none, as in a folder of them; FFmpeg would fill it up
            codec.options = {"err_detect": "explode", "max_pixels": str(MAX_PIXELS)}
        self._pixels = Pixels(opened.stream, FEW_POOLED if opened.live else pooled, raw=raw)
        self._ends: dict[int, int] = {}  # of the streams, in their own units

    def close(self) -> None:
        """Let go of the container; not while `pictures` works in another thread."""
        self.opened.container.close()

    def pictures(self) -> Generator[Picture]:
        """To be called once. Raises `SourceError` when a network stream breaks off."""
        live = self.opened.live
        for packet in self._packets():
            if live:
                self._note_arrival(packet)
            for frame in self._decoded(packet):
                if live and not self._bucket.take(time.monotonic()):
                    self.too_quick += 1
                    continue
                yield from self._placed(self._pixels.push(frame))
        for frame in self._flushed():
            yield from self._placed(self._pixels.push(frame))
        yield from self._placed(self._pixels.flush())
        self.unreadable += self._missing_at_the_end()

    def _placed(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        for image, position in pictures:
            if self.opened.live:
                self.arrived_s = self._arrival(position)
            yield image, position if self.opened.has_clock else None

    def _note_arrival(self, packet: Packet) -> None:
        now = self.arrived_s = time.monotonic()
        if packet.pts is not None:
            self._arrivals[packet.pts] = now
        while len(self._arrivals) > ARRIVALS:
            self._arrivals.popitem(last=False)

    def _arrival(self, position: float | None) -> float | None:
        """Of the packet that this picture is of; of the latest one where that cannot be told."""
        if position is None:
            return self.arrived_s
        stamp = round(position / float(self.opened.stream.time_base or 1))
        return self._arrivals.get(stamp, self.arrived_s)

    def _packets(self) -> Iterator[Packet]:
        """Packets of the video stream, past what is damaged; all streams tell how far the recording goes."""
        damages = 0
        while damages < DAMAGES:
            try:
                for packet in self.opened.container.demux():
                    if packet.size == 0:  # the end, or a repeated picture
                        continue
                    if packet.stream_index == self.opened.stream.index:
                        self.unreadable += damages
                        damages = 0
                        yield packet
                    self._note_end(packet)
                return
            except av.error.InvalidDataError:
                damages += 1
            except av.error.FFmpegError as error:
                if not self._network:
                    return  # a disk that fails: what is missing is counted
                words, why = cause(error), kind(error)  # the error itself holds the URL with its password
                break
        else:
            return
        why = Cause.ENDED if why is Cause.OTHER else why
        raise SourceError(f"{self._name}: broke off ({words}); check the network", cause=why)

    def _note_end(self, packet: Packet) -> None:
        if packet.pts is not None:
            end = packet.pts + (packet.duration or 0)
            self._ends[packet.stream_index] = max(end, self._ends.get(packet.stream_index, end))

    def _decoded(self, packet: Packet | None) -> list[VideoFrame]:
        try:
            frames = self.opened.stream.codec_context.decode(packet)
        except av.error.EOFError:
            return []
        except (av.error.FFmpegError, MemoryError) as error:
            if not self._careful:
                raise DamagedError from error
            self.unreadable += 1
            return []
        if not self._careful and any(frame.is_corrupt for frame in frames):
            raise DamagedError
        return frames

    def _flushed(self) -> Iterator[VideoFrame]:
        """What the codec still holds; each damaged picture ends one attempt."""
        for _ in range(MOST_THREADS + 1):
            before = self.unreadable
            yield from self._decoded(None)
            if self.unreadable == before:
                return

    def _missing_at_the_end(self) -> int:
        """Pictures that a recording announces beyond the end of all its streams."""
        container = self.opened.container
        if self.opened.live or self.rate is None or container.duration is None:
            return 0
        announced_s = container.duration / 1e6
        if container.format.name == "avi":  # its head knows the number; of half a file the length is a guess
            announced_s = self.opened.stream.frames / self.rate
        streams = {stream.index: stream for stream in container.streams}
        ends_s = [float(end * (streams[index].time_base or 0)) for index, end in self._ends.items()]
        missing_s = announced_s + (container.start_time or 0) / 1e6 - max(ends_s, default=0.0)
        missing = round(missing_s * self.rate)
        return missing if missing > ENDED_EARLY_PICTURES and missing_s > ENDED_EARLY * announced_s else 0


def _cores() -> int:
    """That this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rate(announced: Fraction | None) -> float | None:
    rate = float(announced or 0)
    return rate if 0.1 <= rate <= 1000.0 else None
