"""Rendered clips as films: which shape, rate and length the figures of a set are drawn in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from a3d_edge.training.clips import Clip
from a3d_edge.video.frame import Frame

__all__ = ["film_of", "renderer_sources", "renderer_version"]


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
}
"""A hand 6 m away takes more pixels than a push; of the testbed thousands are drawn, for small networks."""


def film_of(clip: Clip) -> Iterator[Frame]:
    """The pictures of a rendered clip; its seed also chooses its shape, rate and length."""
    from a3d_edge.demo.rendered import render_clip

    rng = np.random.default_rng([clip.seed, 77])
    film = FILMS[clip.drawn]
    width, height = film.sizes[rng.integers(len(film.sizes))]
    rate, seconds = float(rng.choice(film.rates)), rng.uniform(*film.seconds)
    count = round(seconds * rate)
    images = render_clip(
        clip.label, clip.seed, frames=count, width=width, height=height, rate=rate, of=clip.drawn
    )
    return (Frame(place, place / rate, image, 0.0) for place, image in enumerate(images))


@cache
def renderer_version() -> str:
    """Changes with the renderer's source, so that a redrawn figure is not read from an old cache."""
    return hashlib.sha256(b"".join(source.read_bytes() for source in renderer_sources())).hexdigest()[:12]


def renderer_sources() -> list[Path]:
    """Every module that draws, always in the same order."""
    from a3d_edge import demo

    return sorted(Path(demo.__file__).parent.glob("*.py"), key=lambda source: source.name)
