"""Black ends of clips: told from scenes by night, left out of windows, kept where there is nothing else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.training.blank import BLANK, is_blank, marked, takes_of
from a3d_edge.training.clips import Clip
from a3d_edge.training.decode import FrameCache

RATE = 25


def scene(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(40, 200, (12, 16, 3), np.uint8).repeat(4, 0).repeat(4, 1)


def film(path: Path, *, before: int, lit: int, after: int) -> Clip:
    """A real file with black pictures at its ends."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (64, 48))
    dark = np.zeros((48, 64, 3), np.uint8)
    for image in (*[dark] * before, *(scene(i) for i in range(lit)), *[dark] * after):
        writer.write(image)
    writer.release()
    return Clip("a", path)


@pytest.mark.parametrize("level", [0, 16, 250])
def test_an_even_dark_or_light_picture_is_blank(level: int) -> None:
    """In grey too; and with a watermark in a corner."""
    image = np.full((144, 256, 3), level, np.uint8)
    image[134:140, 216:250:4] = 128
    assert is_blank(image)
    assert is_blank(image[:, :, 0])


def test_a_scene_by_night_and_an_even_wall_are_not_blank() -> None:
    """A lit window in the dark; a wall of middle grey."""
    night = np.full((144, 256, 3), 8, np.uint8)
    night[40:80, 100:140] = 120
    assert not is_blank(night)
    assert not is_blank(np.full((144, 256, 3), 90, np.uint8))


def test_blank_pictures_are_left_out_at_the_ends_alone() -> None:
    """One between others is a part of the film, and of its take; all of a film that is dark stay."""
    dark = np.zeros((4, 4), np.uint8)
    kept = [marked(dark, 0), 0, marked(dark, 0), 1, marked(dark, 1), marked(dark, 1)]
    assert takes_of(np.array(kept, np.intp)).tolist() == [BLANK, 0, 0, 1, BLANK, BLANK]
    assert takes_of(np.array([marked(dark, 0), marked(dark, 3)], np.intp)).tolist() == [0, 3]


def test_no_window_shows_the_black_ends_of_a_clip(tmp_path: Path) -> None:
    """Places stay those of the file, and the length is that of what can be seen."""
    cache = FrameCache(tmp_path / "cache", 48)
    clip = cache.get(film(tmp_path / "a.mp4", before=3, lit=20, after=30))
    assert len(clip.times) == 53
    (stretch,) = clip.stretches(1.0)
    assert (stretch.first, len(stretch.times)) == (3, 20)
    assert clip.duration == pytest.approx(19 / RATE)


def test_a_part_that_lies_in_the_black_is_shown_as_it_is(tmp_path: Path) -> None:
    """Somebody has named it."""
    film(tmp_path / "a.mp4", before=0, lit=10, after=40)
    clip = FrameCache(tmp_path / "cache", 48).get(Clip("a", tmp_path / "a.mp4", start=1.0, end=1.4))
    (stretch,) = clip.stretches(1.0)
    assert len(stretch.times) == 10
