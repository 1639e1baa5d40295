"""What a person should look at: a picture that stands still, is black or covered, or shows something else
than it did; and a connection's states. Computed from a few hundred points of a picture, four times a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.video.opencv import Image

__all__ = ["Health", "PictureHealth"]

EVERY_S = 0.25
ROWS, COLUMNS = 24, 32
FROZEN_S, DARK_S, MOVED_S, SETTLED_S = 10.0, 2.0, 5.0, 10.0
"""How long something must be so before it is said; and how long a view is looked at before it is known."""
BLACK = 24.0
"""Brighter than this, on the average of 0 to 255, is not black."""
FLAT = 24.0
"""The range that holds all but the brightest and darkest fiftieth, of 255, below which a picture shows
nothing."""
ALIKE, UNLIKE = 0.7, 0.35
"""Correlations above which two views are the same, and below which they are not."""
SLOW = 0.02
"""The share of a new picture in what the view is remembered as: half of it in some 9 s."""

Grey = NDArray[np.float32]
_MEAN = np.full(3, 1 / 3, np.float32)


@dataclass(frozen=True, slots=True)
class Health:
    """A change of a source's health.

    ``kind``: ``connection`` or ``picture``; ``state``: of the connection see `a3d_edge.video.states.State`;
    of the picture ``frozen``, ``black``, ``covered``, ``moved``, ``rotated``, ``resized``, or ``normal``.
    ``attention``: a person should look; ``is_relief``: what they were to look at is over. ``stream_time_s``:
    of the newest frame; ``at_s``: by ``time.monotonic``; ``cause``: of a connection that failed
    (`a3d_edge.video.causes.Cause`).
    """

    kind: str
    state: str
    message: str
    attention: bool
    stream_time_s: float
    at_s: float
    source: str
    cause: str | None = None
    is_relief: bool = False

    @property
    def is_told(self) -> bool:
        """Whether people are told: of what they should look at, and that it is over. Programs are told
        all."""
        return self.attention or self.is_relief

    @property
    def line(self) -> str:
        """For people, who may not follow the states."""
        return f"health: {self.source}: {self.state}: {self.message}"

    def fields(self) -> dict[str, Any]:
        """As JSON values (docs/events.md), but for the time of day."""
        return {
            "kind": self.kind,
            "state": self.state,
            "cause": self.cause,
            "message": self.message,
            "attention": self.attention,
            "stream_time_s": self.stream_time_s,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """What a picture's state has become, in words."""

    state: str
    words: str


class PictureHealth:
    """Watches one source's pictures. What it says holds until it says something else; ``normal`` ends it."""

    def __init__(self) -> None:
        self._state = "normal"
        self._next_s = float("-inf")
        self._shape: tuple[int, ...] | None = None
        self._last: NDArray[np.uint8] | None = None
        self._since: dict[str, float] = {}  # when each suspicion began
        self._view: Grey | None = None
        self._now: Grey | None = None
        self._known_s: float | None = None

    def see(self, image: Image, time_s: float) -> list[Finding]:
        """What has changed with this picture, which came at that time (s)."""
        found = self._size(image)
        if time_s < self._next_s:
            return found
        self._next_s = time_s + EVERY_S
        points = _points(image)
        state = self._looks(points, time_s)
        if state is not None and state != self._state:
            self._state = state
            found.append(_FINDINGS[state])
        return found

    def forget(self) -> None:
        """After a pause nothing is compared with what was before it, but the view."""
        self._since.clear()
        self._last = None
        self._next_s = float("-inf")

    def _size(self, image: Image) -> list[Finding]:
        before, self._shape = self._shape, image.shape
        if before is None or before == image.shape:
            return []
        self._view = self._now = self._last = None
        turned = before[:2] == image.shape[1::-1]
        words = (
            f"the picture's size changed from {before[1]}×{before[0]} to {image.shape[1]}×{image.shape[0]}"
        )
        return [Finding("rotated" if turned else "resized", words)]

    def _looks(self, points: NDArray[np.uint8], now: float) -> str | None:
        """The state that holds; None where it is too early to say that something has ended."""
        grey: Grey = points.astype(np.float32) @ _MEAN
        same = self._last is not None and np.array_equal(points, self._last)
        self._last = points
        ordered = np.sort(grey, axis=None)
        low, high = (float(ordered[int(share * (len(ordered) - 1))]) for share in (0.02, 0.98))
        dark = float(grey.mean()) < BLACK and high < 2 * BLACK
        flat = not dark and high - low < FLAT
        for name, is_so, long_s in (
            ("black", dark, DARK_S), ("covered", flat, DARK_S), ("frozen", same, FROZEN_S)
        ):  # fmt: skip
            if self._lasts(name, is_so, now) >= long_s:
                return name
        if dark or flat:
            return None
        changed = self._changed(grey, now)
        if changed is not None:
            return changed
        return None if same and self._state == "frozen" else "normal"

    def _lasts(self, name: str, is_so: bool, now: float) -> float:
        if not is_so:
            self._since.pop(name, None)
            return -1.0
        return now - self._since.setdefault(name, now)

    def _changed(self, grey: Grey, now: float) -> str | None:
        """Whether the view is another one than for the last half minute."""
        self._now = grey if self._now is None else self._now + (grey - self._now) * np.float32(0.2)
        if self._view is None:
            self._view, self._known_s = grey, now + SETTLED_S
        alike = _alike(self._view, self._now)
        settled = self._known_s is not None and now >= self._known_s
        if self._lasts("moved", settled and alike < UNLIKE, now) >= MOVED_S:
            turned = max(_alike(np.ascontiguousarray(self._view[::-1, ::-1]), self._now), 0.0)
            self._view, self._known_s = self._now, now + SETTLED_S
            return "rotated" if turned > ALIKE else "moved"
        if not settled or alike >= UNLIKE:
            self._view = self._view + (grey - self._view) * np.float32(SLOW)
        return None


_FINDINGS = {
    "frozen": Finding("frozen", f"the same picture for {FROZEN_S:.0f} s; check the camera"),
    "black": Finding("black", "the picture is black; check the lens, the light and the camera"),
    "covered": Finding("covered", "the picture shows nothing; the lens may be covered"),
    "moved": Finding("moved", "the camera shows another view than before; was it moved?"),
    "rotated": Finding("rotated", "the picture is upside down; was the camera turned?"),
    "normal": Finding("normal", "the picture is as it should be again"),
}


def _points(image: Image) -> NDArray[np.uint8]:
    """Some of its points, in rows and columns of equal distance (a copy)."""
    height, width = image.shape[:2]
    rows = (np.arange(ROWS) * height + height // 2) // ROWS
    columns = (np.arange(COLUMNS) * width + width // 2) // COLUMNS
    return np.asarray(image[rows[:, None], columns[None, :]], np.uint8)


def _alike(one: Grey, other: Grey) -> float:
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return 1.0 if norm < 1e-3 else float((a * b).sum()) / norm
