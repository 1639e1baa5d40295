"""From frames at any rate to the instants a network looks at; pure: no thread, no clock, no pixel touched.

A stream's timeline is cut into instants m = 0, 1, 2, … at m / rate seconds after its first frame. Window k
starts at instant k·hop and looks at k·hop + i·stride, i < frames. Which frame stands for an instant follows
from the time stamps alone, never from the hop: predicting more often does not change what a window sees.

    20 fps source   0         1         2         3         4        any rate, any jitter
    instants        0     1      2      3     4      5      6
    answered by     0     1      1      2     3      3      4        the nearest frame, ties to the earlier

A frame at most a quarter of a model frame early answers at once. Waiting for the next one, only to find that
it is a little nearer, would cost a camera's whole frame interval on every prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from a3d_edge.configuration import Configuration, pick_frames
from a3d_edge.errors import UsageError
from a3d_edge.video.frame import Frame

__all__ = [
    "MOST_FRAMES",
    "Calm",
    "Pathway",
    "Sample",
    "Sampler",
    "Sampling",
    "is_sampled",
    "pathways",
    "window_instants",
    "window_starts",
]

MOST_FRAMES, MOST_STRIDE, MOST_RATE, MOST_SIZE = 512, 600, 1000.0, 4096
"""Far beyond any network: what one keeps of a stream is so bounded."""

EARLY = 0.25
"""How early a frame may be and still answer at once, in model frames (1/120 s at 30 fps)."""

FAR_FRAMES = 3
"""So many long intervals in a row are a slow source; fewer may be pictures that could not be read."""

TIE_S = 1e-6
"""Two frames whose distances differ by less are equally near: containers round their time stamps."""


@dataclass(frozen=True)
class Sampling:
    """What one window looks at: ``frames`` (T_max) instants, ``stride`` (τ) apart, ``rate`` a second.

    With a Fast pathway (SlowFast): ``alpha`` of its frames fall on one of the slow pathway's, and its
    pictures have the side ``fast_size``, or the configuration's where that is larger (the paper's 256² rows).
    Raises `UsageError` for values that no network has.
    """

    frames: int
    stride: int
    rate: float = 30.0
    alpha: int = 1
    fast_size: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or self.stride < 1 or not 0.0 < self.rate < float("inf"):
            raise UsageError(
                f"sampling of {self.frames} frames, stride {self.stride}, rate {self.rate}: "
                "frames and stride are at least 1 and the rate is above 0"
            )
        if self.frames > MOST_FRAMES or self.stride > MOST_STRIDE or self.rate > MOST_RATE:
            raise UsageError(
                f"sampling of {self.frames} frames, stride {self.stride}, rate {self.rate}: at most "
                f"{MOST_FRAMES}, {MOST_STRIDE} and {MOST_RATE:g}"
            )
        if self.fast_size > MOST_SIZE:
            raise UsageError(f"sampling with fast_size {self.fast_size}: at most {MOST_SIZE}")
        if self.alpha < 1 or self.stride % self.alpha or self.fast_size < 0:
            raise UsageError(
                f"sampling with alpha {self.alpha} and fast_size {self.fast_size}: alpha divides the stride "
                f"{self.stride}, and the size is not below 0"
            )

    @property
    def spacing(self) -> int:
        """Instants between two neighbouring frames of a window: of the Fast pathway, if there is one."""
        return self.stride // self.alpha

    @property
    def samples(self) -> int:
        """Instants that one window looks at."""
        return self.frames * self.alpha

    @property
    def span_s(self) -> float:
        """Seconds of stream that one window stands for."""
        return self.frames * self.stride / self.rate


@dataclass(frozen=True, slots=True)
class Pathway:
    """What one pathway of a network looks at: instants after the window's start, and the pictures' side."""

    instants: tuple[int, ...]
    size: int


def pathways(sampling: Sampling, configuration: Configuration) -> tuple[Pathway, ...]:
    """The (slow) pathway at a configuration, and the Fast one, always whole, if there is one (paper §3.2)."""
    picks = pick_frames(sampling.frames, configuration.frames)
    slow = Pathway(tuple(pick * sampling.stride for pick in picks), configuration.size)
    if sampling.alpha == 1:
        return (slow,)
    return slow, Pathway(tuple(window_instants(sampling, 0)), max(sampling.fast_size, configuration.size))


@dataclass(frozen=True, slots=True)
class Sample:
    """A sampled instant with its frames: ``frames[i]`` stands for ``instant - offsets[i]``.

    ``epoch`` counts timelines: after a gap instants start again at 0 in the next epoch.
    """

    instant: int
    frames: tuple[Frame, ...]
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Calm:
    """Frames before a time of the stream (s) that complete no sample, and of one take."""

    until_s: float
    take: int

    def has(self, frame: Frame) -> bool:
        """Whether nothing waits for this frame."""
        return frame.time_s < self.until_s and frame.take == self.take


def window_instants(sampling: Sampling, start: int) -> range:
    """The instants that the window starting at ``start`` looks at."""
    return range(start, start + sampling.frames * sampling.stride, sampling.spacing)


def window_starts(instant: int, sampling: Sampling, hop: int) -> list[int]:
    """Starts of the windows that look at ``instant``, in order."""
    earliest = instant - (sampling.samples - 1) * sampling.spacing
    return [m for m in range(earliest, instant + 1, sampling.spacing) if m >= 0 and m % hop == 0]


def is_sampled(instant: int, sampling: Sampling, hop: int) -> bool:
    """Whether any window looks at ``instant``."""
    if instant % gcd(sampling.spacing, hop):  # most instants, and this is asked of every one
        return False
    return bool(window_starts(instant, sampling, hop))


class _Needed:
    """Which instants are sampled, or looked back at by one that is; after a while the same every hop."""

    def __init__(self, sampling: Sampling, hop: int, offsets: tuple[int, ...]) -> None:
        self._sampling, self._hop, self._offsets = sampling, hop, offsets
        self._regular = (sampling.samples - 1) * sampling.spacing
        self._sampled = frozenset(place * sampling.spacing % hop for place in range(sampling.samples))
        self._places = frozenset((place - offset) % hop for place in self._sampled for offset in offsets)

    def is_sampled(self, instant: int) -> bool:
        """As `is_sampled`."""
        if instant >= self._regular:
            return instant % self._hop in self._sampled
        return is_sampled(instant, self._sampling, self._hop)

    def first_from(self, instant: int) -> int:
        """The first instant from this one on that is needed; offsets clamp at instant 0."""
        while instant < self._regular:
            if instant == 0 or any(self.is_sampled(instant + offset) for offset in self._offsets):
                return instant
            instant += 1
        return instant + min((place - instant) % self._hop for place in self._places)


class Sampler:
    """Turns frames, pushed in order, into the samples that they complete.

    ``hop``: instants between window starts, any value from 1. ``offsets``: for each sampled instant m the
    frames at m - offset are delivered, clamped at instant 0; the first offset is 0, the sampled frame itself.
    ``used`` counts the distinct frames delivered so far, ``epoch`` the timelines before the current one.
    A gap longer than one window, or another take, starts a new timeline. Holds at most max(offsets) + 2
    frames. Raises `UsageError` for a hop below 1, offsets that do not begin with 0 or look ahead.
    """

    def __init__(self, sampling: Sampling, hop: int, offsets: tuple[int, ...] = (0,)) -> None:
        if hop < 1:
            raise UsageError(f"hop {hop} is below 1; it is the number of model frames between predictions")
        if not offsets or offsets[0] != 0 or min(offsets) < 0:
            raise UsageError(f"offsets {offsets} must begin with 0 and look back, not ahead")
        self.used = 0
        self.epoch = 0
        self._sampling = sampling
        self._needed = _Needed(sampling, hop, offsets)
        self._offsets = offsets
        self._last: Frame | None = None
        self._far, self._interval_far_s = 0, 0.0
        self._delivered: set[int] = set()  # indices of held frames that `used` has counted
        self._start_timeline(0.0)

    def push(self, frame: Frame) -> list[Sample]:
        """Samples that this frame completes, by instant. Raises `UsageError` when time does not advance."""
        last = self._last
        if last is None:
            self._start_timeline(frame.time_s)
            self._last = frame
            return self._answer_until(self._early(frame), frame, frame)
        if frame.time_s <= last.time_s:
            raise UsageError(f"frame {frame.index} at {frame.time_s} s is not later than the frame before it")
        self._count_far(frame, last)
        if frame.take != last.take or frame.time_s - last.time_s > self._sampling.span_s:
            return self.finish() + self.push(frame)
        samples = self._answer_until(self._early(frame), last, frame)
        self._interval_s = frame.time_s - last.time_s
        self._last = frame
        return samples

    @property
    def far_apart_s(self) -> float | None:
        """How far apart (s) the frames are, if that is farther, time after time, than the instants that a
        window looks at: many of them are then answered by the same frame."""
        return self._interval_far_s if self._far >= FAR_FRAMES else None

    def _count_far(self, frame: Frame, last: Frame) -> None:
        self._interval_far_s = frame.time_s - last.time_s
        far = frame.take == last.take and self._interval_far_s > self._sampling.stride / self._sampling.rate
        self._far = self._far + 1 if far else 0

    @property
    def calm(self) -> Calm | None:
        """Frames to come that only stand before one that matters: of several of them, the last two will do.

        The last two, because the end of a stream is answered by its last interval. None before any frame.
        """
        last = self._last
        if last is None:
            return None
        answers_s = self._origin_s + self._next / self._sampling.rate - EARLY / self._sampling.rate
        gap_s = last.time_s + self._sampling.span_s  # beyond it a new timeline would begin
        return Calm(min(answers_s - 2 * TIE_S, gap_s), last.take)

    def finish(self) -> list[Sample]:
        """End the timeline: the last frame answers the instants up to half the last frame interval after it.

        The same share it would have had if one more frame had come at the same interval. A later frame starts
        a new timeline.
        """
        last = self._last
        if last is None:
            return []
        samples = self._answer_until(last.time_s - self._origin_s + self._interval_s / 2, last, last)
        self._last = None
        self.epoch += 1
        return samples

    def _start_timeline(self, origin_s: float) -> None:
        self._origin_s = origin_s
        self._interval_s = 0.0
        self._next = 0
        self._held: dict[int, Frame] = {}  # instant -> frame, only what a later sample may need

    def _early(self, frame: Frame) -> float:
        return frame.time_s - self._origin_s + EARLY / self._sampling.rate

    def _answer_until(self, limit_s: float, before: Frame, after: Frame) -> list[Sample]:
        """Give every instant needed up to ``limit_s`` the nearer of two neighbouring frames."""
        samples: list[Sample] = []
        while self._next / self._sampling.rate <= limit_s + TIE_S:
            at_s = self._origin_s + self._next / self._sampling.rate
            later = after.time_s - at_s < at_s - before.time_s - TIE_S
            samples += self._answer(self._next, after if later else before)
            self._next = self._needed.first_from(self._next + 1)
        return samples

    def _answer(self, instant: int, frame: Frame) -> list[Sample]:
        self._held[instant] = frame
        samples = [self._sample(instant)] if self._needed.is_sampled(instant) else []
        for done in [held for held in self._held if held <= instant - max(self._offsets)]:
            del self._held[done]
        return samples

    def _sample(self, instant: int) -> Sample:
        frames = tuple(self._held[max(instant - offset, 0)] for offset in self._offsets)
        oldest = min(frame.index for frame in self._held.values())
        self._delivered = {index for index in self._delivered if index >= oldest}
        fresh = {frame.index for frame in frames} - self._delivered
        self.used += len(fresh)
        self._delivered |= fresh
        return Sample(instant, frames, self.epoch)
