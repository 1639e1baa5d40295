"""The pictures of a whole window: which frames they are made of, for every pathway."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixtures_bundle import pictures

from a3d_edge.errors import UsageError
from a3d_edge.video.pictures import window_pictures
from a3d_edge.video.preprocess import Preprocessing, preprocess
from a3d_edge.video.sampler import Pathway

TWO = (Pathway((0, 8), 24), Pathway((0, 4, 8), 32))
IMAGES = list(pictures(9))


def test_each_pathway_has_its_own_instants_and_size() -> None:
    """Every picture is that of its instant's frame, as preprocessing makes it."""
    slow, fast = window_pictures(TWO, Preprocessing(), lambda instant: IMAGES[instant])
    assert (slow.shape, fast.shape) == ((2, 3, 24, 24), (3, 3, 32, 32))
    assert np.array_equal(slow[1], preprocess([IMAGES[8]], 24, Preprocessing()))
    assert np.array_equal(fast[1], preprocess([IMAGES[4]], 32, Preprocessing()))


def test_what_motion_looks_back_at_is_the_first_frame_before_the_window() -> None:
    """Earlier frames are those of their instants; there is none before the first."""
    asked: list[int] = []

    def image(instant: int) -> Any:
        asked.append(instant)
        return IMAGES[instant]

    motion = Preprocessing("motion", 1.0, (0, 2, 6))
    (found,) = window_pictures(TWO[:1], motion, image)
    assert asked == [0, 0, 0, 8, 6, 2]
    assert np.array_equal(found[1], preprocess([IMAGES[8], IMAGES[6], IMAGES[2]], 24, motion))


def test_a_wrong_frame_is_refused() -> None:
    """As everywhere."""
    with pytest.raises(UsageError, match="a frame must be"):
        window_pictures(TWO, Preprocessing(), lambda instant: np.zeros((4, 4), np.uint8))
