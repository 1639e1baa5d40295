"""Rendered clips as films: which shape, rate and length the figures of a set are drawn in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from a3d_edge.errors import UsageError
from a3d_edge.labels import SEPARATOR
from a3d_edge.training.clips import Clip
from a3d_edge.training.lists.person import Person
from a3d_edge.video.frame import Frame

__all__ = ["film_of", "people_of", "renderer_sources", "renderer_version"]


@dataclass(frozen=True, slots=True)
class _Film:
    """What rendered clips of a set are: one of some widths and heights, and rates; how long, in seconds."""

    sizes: tuple[tuple[int, int], ...]
    rates: tuple[float, ...] = (20.0, 25.0, 30.0)
    seconds: tuple[float, float] = (2.4, 4.2)


FILMS = {
    "interactions": _Film(((144, 144), (192, 144), (240, 144), (128, 160), (256, 144), (192, 108))),
    "gestures": _Film(((320, 240), (320, 240), (426, 240), (240, 240), (384, 216), (216, 240))),
    "testbed": _Film(((48, 48),), (15.0,), (2.4, 2.4)),
    "crowd": _Film(((96, 64),), (15.0,), (2.4, 2.4)),
    "people": _Film(((120, 80),), (15.0,), (2.4, 2.4)),
}
"""A hand 6 m away takes more pixels than a push; of the testbed thousands are drawn, for small networks."""


def film_of(clip: Clip) -> Iterator[Frame]:
    """The pictures of a rendered clip; its seed also chooses its shape, rate and length."""
    from a3d_edge.demo.rendered import render_clip

    width, height, rate, count = _shape_of(clip)
    images = render_clip(
        _acted(clip), clip.seed, frames=count, width=width, height=height, rate=rate, of=clip.drawn
    )
    return (Frame(place, place / rate, image, 0.0) for place, image in enumerate(images))


def _shape_of(clip: Clip) -> tuple[int, int, float, int]:
    """Width, height, frames a second, frames."""
    rng = np.random.default_rng([clip.seed, 77])
    film = FILMS[clip.drawn]
    width, height = film.sizes[rng.integers(len(film.sizes))]
    rate, seconds = float(rng.choice(film.rates)), rng.uniform(*film.seconds)
    return width, height, rate, round(seconds * rate)


def _acted(clip: Clip) -> str:
    """What is acted in it: its label, or where it is asked who does what, what each does."""
    from a3d_edge.demo.crowd import four_acts
    from a3d_edge.demo.rendered import PEOPLE

    return SEPARATOR.join(four_acts(clip.seed)) if clip.drawn == PEOPLE else clip.label


@lru_cache(maxsize=1 << 16)
def people_of(clip: Clip) -> tuple[Person, ...]:
    """Who is where in the middle of a rendered clip, and what each does.

    Raises `UsageError` for a clip of another set than ``people``: of others it is not told who does what.
    """
    from a3d_edge.demo.crowd import four_acts
    from a3d_edge.demo.rendered import PEOPLE, RenderedScene

    if clip.drawn != PEOPLE:
        raise UsageError(f"{clip.name}: of the drawn sets {PEOPLE} alone tells of boxes")
    width, height, rate, count = _shape_of(clip)
    scene = RenderedScene(_acted(clip), clip.seed, width, height, count / rate, clip.drawn)
    shares = scene.boxes((count - 1) / rate / 2) / np.array([width, height] * 2)
    boxes = [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in shares]
    return tuple(
        Person(box, (act,) if act else ()) for box, act in zip(boxes, four_acts(clip.seed), strict=True)
    )


@cache
def renderer_version() -> str:
    """Changes with the renderer's source, so that a redrawn figure is not read from an old cache."""
    return hashlib.sha256(b"".join(source.read_bytes() for source in renderer_sources())).hexdigest()[:12]


def renderer_sources() -> list[Path]:
    """Every module that draws, always in the same order."""
    from a3d_edge import demo

    return sorted(Path(demo.__file__).parent.glob("*.py"), key=lambda source: source.name)
