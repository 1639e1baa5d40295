"""What a configuration takes on this device: time of whole windows and of a stream, back to back; memory.

All of it happens in this process; `a3d_edge.profiling.apart` gives every configuration one of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from a3d_edge.device.memory import anonymous_mb
from a3d_edge.engine.people import probe_boxes
from a3d_edge.engine.rehearsal import blank_pictures, run_whole_window
from a3d_edge.engine.stream import WindowStream
from a3d_edge.profiling.turns import in_turns, timed_ms
from a3d_edge.task import BOXES
from a3d_edge.video.frame import Frame
from a3d_edge.video.pictures import window_pictures
from a3d_edge.video.sampler import Sample

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle
    from a3d_edge.engine.session import Network

__all__ = [
    "Limit",
    "PeakMemory",
    "camera_pictures",
    "streaming_ms",
    "whole_windows_ms",
    "window_latencies_ms",
]

Image = NDArray[np.uint8]

WARM_UP = 3
"""Windows before those that count: the first ones allocate, and wake a processor that rests."""
FEWEST = 5
"""So many count however long they take: fewer have no percentiles."""
PICTURES, SIDES = 8, (640, 480)
SAMPLE_S = 0.002


@dataclass(frozen=True, slots=True)
class Limit:
    """When enough windows were run: ``windows`` of them, or as many as fit ``seconds``, at least `FEWEST`."""

    windows: int
    seconds: float

    def reached(self, done: int, begun: float) -> bool:
        """After ``done`` windows since ``begun`` (`time.perf_counter`)."""
        late = done >= FEWEST and time.perf_counter() - begun >= self.seconds
        return done >= self.windows or late


def window_latencies_ms(*networks: Network, windows: int = 5) -> list[list[float]]:
    """Milliseconds of ``windows`` windows of each network, in turns: every picture encoded, then classified.

    One window before them is not counted: the first run allocates. The pictures are zeros, of the sizes and
    numbers that the configuration looks at; what they show makes no difference to the work.
    """
    sides = {
        place: partial(timed_ms, partial(run_whole_window, network, blank_pictures(network)))
        for place, network in enumerate(networks)
    }
    return list(in_turns(sides, windows, warm_up=1).values())


def camera_pictures(size: tuple[int, int] = SIDES) -> list[Image]:
    """A few frames ``(H, W, 3)`` as a camera of ``size`` (W, H) gives them, drawn; to be shown in turn."""
    from a3d_edge.demo.rendered import RenderedStream

    scene = RenderedStream(width=size[0], height=size[1])
    return [scene.frame(5 * number)[0] for number in range(PICTURES)]


def whole_windows_ms(
    network: Network, bundle: Bundle, images: Sequence[Image], limit: Limit
) -> tuple[list[float], list[float]]:
    """Milliseconds of windows back to back, every picture made and encoded anew: (the network, all else)."""
    network_ms: list[float] = []
    other_ms: list[float] = []
    begun = time.perf_counter()
    for number in count(-WARM_UP):
        start = time.perf_counter()
        pictures = window_pictures(network.pathways, bundle.preprocessing, lambda m: images[m % len(images)])
        made_ms = 1e3 * (time.perf_counter() - start)
        taken_ms = timed_ms(partial(run_whole_window, network, pictures))
        if number < 0:
            begun = time.perf_counter()
            continue
        network_ms.append(taken_ms)
        other_ms.append(made_ms)
        if limit.reached(len(network_ms), begun):
            break
    return network_ms, other_ms


def streaming_ms(network: Network, bundle: Bundle, images: Sequence[Image], limit: Limit) -> list[float]:
    """Milliseconds of all work for one prediction, back to back, each a sampled frame after the one before.

    The frame is preprocessed and encoded, the others of its window were already: what a run does.
    """
    stream = WindowStream(bundle.sampling, bundle.preprocessing, bundle.sampling.stride, network)
    boxes = probe_boxes(network.pathways[0].size) if bundle.task == BOXES else None  # of one person
    taken: list[float] = []
    warm, begun = 0, time.perf_counter()
    for sample in _samples(bundle, images):
        stream.add(sample)
        window = stream.next_ready()
        if window is None:
            continue
        work_ms = stream.run(window, boxes).work_ms
        if warm < WARM_UP:
            warm, begun = warm + 1, time.perf_counter()
            continue
        taken.append(work_ms)
        if limit.reached(len(taken), begun):
            break
    return taken


@dataclass(slots=True)
class PeakMemory:
    """The most anonymous memory so far, MB, once measured by `watching`; None where it is unknown."""

    mb: float | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look every 2 ms, from a thread, while the block runs; loading lets other threads run meanwhile."""
        over = threading.Event()
        thread = threading.Thread(target=self._watch, args=(over,), name="memory", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._look()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(SAMPLE_S):
            self._look()

    def _look(self) -> None:
        now = anonymous_mb()
        if now is not None:
            self.mb = max(self.mb or 0.0, now)


def _samples(bundle: Bundle, images: Sequence[Image]) -> Iterator[Sample]:
    """Sampled instants without end, of frames in turn."""
    sampling, offsets = bundle.sampling, bundle.preprocessing.offsets
    for instant in count(0, sampling.spacing):
        shown = (images[max(0, instant - offset) % len(images)] for offset in offsets)
        yield Sample(instant, tuple(Frame(instant, instant / sampling.rate, image, 0.0) for image in shown))
