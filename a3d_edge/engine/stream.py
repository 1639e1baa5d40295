"""Windows over a stream of samples; every sampled frame goes through the frame stage once.

    sample ── preprocess ── frame subgraph ──► feature ring ──► clip subgraph ── scores
      └─────────────► raw ring (to encode again after a switch)

Features are those of one configuration: another width, size or statistics make other features. A switch
happens between two windows, and encodes again what the next window needs from the raw ring: no window is
skipped and no frame is fetched twice. So it is where what is shown of the frames follows what moves in them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.engine.session import Features, Network
from a3d_edge.errors import UsageError
from a3d_edge.video.frame import Frame
from a3d_edge.video.pictures import Pictures
from a3d_edge.video.placement import PlacedBoxes, placed_boxes
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.region import Thumbnail, moving_region, thumbnail
from a3d_edge.video.sampler import Pathway, Sample, Sampling, window_instants

__all__ = ["ReadyWindow", "WindowResult", "WindowStream"]


@dataclass(frozen=True, slots=True)
class ReadyWindow:
    """A window all of whose picked frames have arrived. ``start`` is its first instant in its ``epoch``."""

    start: int
    epoch: int
    padded: bool = False


@dataclass(frozen=True, slots=True)
class WindowResult:
    """Scores ``(classes,)`` of a window, or ``(K, classes)`` of boxes, the newest and the oldest frame it
    looked at, ms of work for it.

    ``work_ms``: since the prediction before; ``steady_ms``: of it what one prediction that follows another
    costs: its own new pictures and the clip, not what a switch, a gap or skipped windows made it catch up.
    """

    window: ReadyWindow
    scores: NDArray[np.float32]
    newest: Frame
    oldest: Frame
    work_ms: float
    steady_ms: float


@dataclass(frozen=True, slots=True)
class Middle:
    """The moment that a window is about, in seconds of the source, and the side lengths of its frames."""

    time_s: float
    height: int
    width: int


class WindowStream:
    """Takes samples in order, hands out windows in order, runs them on the current network.

    ``hop``: instants between window starts. Holds the samples of one window and a hop at the most.
    """

    def __init__(
        self,
        sampling: Sampling,
        preprocessing: Preprocessing,
        hop: int,
        network: Network,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._sampling, self._hop, self._clock = sampling, hop, clock
        self._preprocessing, self._pictures = preprocessing, Pictures(preprocessing)
        self._follows = preprocessing.view != "whole"
        self._thumbnails: dict[int, Thumbnail] = {}
        self._samples: dict[int, Sample] = {}
        self._features: dict[tuple[int, int], Features] = {}  # (pathway, instant)
        self._windows: dict[int, Features] = {}  # by pathway: one window's features, written anew for each
        self._inputs: dict[int, NDArray[np.float32]] = {}  # by size: a picture, written anew for each
        self._next_start = 0
        self._epoch = 0
        self._latest = -1
        self._work_s = 0.0
        self._cost_s: dict[int, float] = {}  # by instant: what encoding it took
        self.network = network

    def switch(self, network: Network) -> None:
        """Run the next windows on another network."""
        self.network = network
        self._features.clear()
        self._windows.clear()
        self._inputs.clear()
        self._cost_s.clear()

    def add(self, sample: Sample) -> None:
        """Take a sample; it is encoded now if the current configuration will look at it, and all of it."""
        if sample.epoch != self._epoch:
            self._begin(sample.epoch)
        self._samples[sample.instant] = sample
        self._latest = sample.instant
        if not self._follows:
            self._encode(sample.instant, self._wanting(sample.instant))
            return
        begun = self._clock()  # what is shown of it is known with its window: encoded now, it may be in vain
        self._thumbnails[sample.instant] = thumbnail(sample.frames[0].image)
        self._work_s += self._clock() - begun

    def next_ready(self) -> ReadyWindow | None:
        """The next window if its last picked frame has arrived."""
        if self._last_pick(self._next_start) <= self._latest:
            return ReadyWindow(self._next_start, self._epoch)
        return None

    def is_ready_after(self, window: ReadyWindow) -> bool:
        """Whether the window after this one is ready too."""
        return self._last_pick(window.start + self._hop) <= self._latest

    def skip(self, window: ReadyWindow) -> None:
        """Leave a window out, because a newer one is ready and the source does not wait."""
        self._advance(window)

    def padded(self) -> ReadyWindow | None:
        """The next window with its missing frames held from the last one; None without any frame."""
        if self._latest < self._next_start or not self._samples:
            return None
        return ReadyWindow(self._next_start, self._epoch, padded=True)

    def middle(self, window: ReadyWindow) -> Middle:
        """The middle of what a window stands for, whatever the configuration picks of it; as in AVA, whose
        people are boxed there. Not after the newest frame: a window may be answered before it is over."""
        sampling = self._sampling
        first, newest = self._samples[window.start].frames[0], self._samples[self._latest].frames[0]
        half_s = sampling.frames * sampling.stride // 2 / sampling.rate
        height, width = newest.image.shape[:2]
        return Middle(min(first.time_s + half_s, newest.time_s), height, width)

    def placed(self, window: ReadyWindow, boxes: Sequence[Sequence[float]]) -> PlacedBoxes:
        """Boxes ``(K, 4)`` in pixels of the window's frames as `run` takes them, and which are shown."""
        middle = self.middle(window)
        side = self.network.pathways[0].size
        return placed_boxes(boxes, middle.height, middle.width, side, self._preprocessing)

    def run(self, window: ReadyWindow, boxes: Any = None) -> WindowResult:
        """Scores of the next window. Raises `UsageError` for any other window.

        ``boxes``: of people, ``(K, 4)`` in pixels of the network's input, which `Network.classify` takes.
        """
        if window.start != self._next_start or window.epoch != self._epoch:
            raise UsageError(f"window {window.start} is not the next one ({self._next_start})")
        looked_at = self._looked_at(window.start)
        before_s = self._work_s
        if self._follows:
            self._follow(window)
        self._encode_all(looked_at)
        begun = self._clock()
        features = [self._gathered(place, instants) for place, instants in enumerate(looked_at)]
        people = {} if boxes is None else {"boxes": boxes}
        scores = self.network.classify(*features, **people)
        clip_s = self._clock() - begun
        self._work_s += clip_s
        steady_s = self._work_s - before_s if self._follows else clip_s + self._fresh_s(looked_at)
        newest = self._samples[max(instants[-1] for instants in looked_at)].frames[0]
        oldest = self._samples[min(instants[0] for instants in looked_at)].frames[0]
        result = WindowResult(window, scores, newest, oldest, self._work_s * 1000.0, steady_s * 1000.0)
        self._work_s = 0.0
        self._advance(window)
        return result

    def encode_ahead(self) -> None:
        """After a switch: encode what the next window looks at and has come, so that it need not wait."""
        come = [
            [instant for instant in instants if instant in self._samples]
            for instants in self._looked_at(self._next_start)
        ]
        self._encode_all(come)

    def _follow(self, window: ReadyWindow) -> None:
        """Show where something moves in the window; features of another part are of no use then."""
        begun = self._clock()
        looked_at = window_instants(self._sampling, window.start)
        come = [self._thumbnails[instant] for instant in looked_at if instant in self._thumbnails]
        if self._pictures.look_at(moving_region(come, self._preprocessing.view)):
            self._features.clear()
        self._work_s += self._clock() - begun

    def _looked_at(self, start: int) -> list[list[int]]:
        """What a window looks at, of every pathway: instants, the last that has come for those after it."""
        return [
            [min(start + instant, self._latest) for instant in pathway.instants]
            for pathway in self.network.pathways
        ]

    def _fresh_s(self, looked_at: list[list[int]]) -> float:
        """What encoding those of its instants took that no window before it, each a hop earlier, looks at."""
        fresh = set()
        for pathway, instants in zip(self.network.pathways, looked_at, strict=True):
            offsets, last = set(pathway.instants), pathway.instants[-1]
            for offset, instant in zip(pathway.instants, instants, strict=True):
                if offsets.isdisjoint(range(offset + self._hop, last + 1, self._hop)):
                    fresh.add(instant)
        return sum(self._cost_s.get(instant, 0.0) for instant in fresh)

    def _encode_all(self, looked_at: list[list[int]]) -> None:
        for instant in sorted({i for instants in looked_at for i in instants}):
            now = {place for place, instants in enumerate(looked_at) if instant in instants}
            if any((place, instant) not in self._features for place in now):  # after a switch, or at the end
                self._encode(instant, sorted(now.union(self._wanting(instant))))

    def _gathered(self, place: int, instants: list[int]) -> Features:
        """Features ``(T, …)`` of a window, in memory that the next window uses again."""
        found = [self._features[place, i] for i in instants]
        if place not in self._windows:
            self._windows[place] = np.empty((len(found), *found[0].shape[1:]), found[0].dtype)
        return np.concatenate(found, out=self._windows[place])

    def _last_pick(self, start: int) -> int:
        return start + max(pathway.instants[-1] for pathway in self.network.pathways)

    def _wanting(self, instant: int) -> list[int]:
        """Places of the pathways that will look at an instant."""
        return [
            place for place, pathway in enumerate(self.network.pathways) if self._is_wanted(pathway, instant)
        ]

    def _is_wanted(self, pathway: Pathway, instant: int) -> bool:
        """Whether the next window, or one that starts by then, looks at this instant in this pathway."""
        starts = (instant - offset for offset in pathway.instants)
        return any(start >= self._next_start and start % self._hop == 0 for start in starts)

    def _encode(self, instant: int, places: list[int]) -> None:
        """What the pathways at these places keep of an instant; those of one size share its picture."""
        missing = [place for place in places if (place, instant) not in self._features]
        if not missing:
            return
        begun = self._clock()
        made: dict[int, NDArray[np.float32]] = {}
        for place in missing:
            size = self.network.pathways[place].size
            if size not in made:
                made[size] = self._picture(instant, size)
            features = self.network.encode(made[size], place)
            if np.may_share_memory(features, made[size]):  # no frame stage: what is kept is the picture
                self._inputs.pop(size, None)
            self._features[place, instant] = features
        taken_s = self._clock() - begun
        self._work_s += taken_s
        self._cost_s[instant] = self._cost_s.get(instant, 0.0) + taken_s

    def _picture(self, instant: int, size: int) -> NDArray[np.float32]:
        """The picture ``(1, 3, S, S)`` of an instant, in memory that the next one of this size uses again."""
        if size not in self._inputs:
            self._inputs[size] = np.empty((3, size, size), np.float32)
        return self._pictures.of(self._samples[instant], size, self._inputs[size])[np.newaxis]

    def _advance(self, window: ReadyWindow) -> None:
        self._next_start = window.start + self._hop
        for instant in [i for i in self._samples if i < self._next_start]:
            del self._samples[instant]
            self._thumbnails.pop(instant, None)
        for key in [key for key in self._features if key[1] < self._next_start]:
            del self._features[key]
        for instant in [i for i in self._cost_s if i < self._next_start]:
            del self._cost_s[instant]

    def _begin(self, epoch: int) -> None:
        """A new timeline after a gap: nothing of the old one is of use."""
        self._samples.clear()
        self._thumbnails.clear()
        self._features.clear()
        self._cost_s.clear()
        self._next_start, self._epoch, self._latest = 0, epoch, -1
