"""Grey pictures that pass as BGR ones: what is computed of them is what is computed of copied channels."""

from __future__ import annotations

import cv2
import numpy as np

from a3d_edge.video.grey import as_bgr, grey_of, is_grey
from a3d_edge.video.region import thumbnail


def test_a_grey_picture_is_taken_as_it_is_and_a_part_of_it_too() -> None:
    """No copy: the levels are those of the picture that was given."""
    grey = np.random.default_rng(0).integers(0, 256, (24, 32), dtype=np.uint8)
    image = as_bgr(grey)
    assert image.shape == (24, 32, 3)
    assert is_grey(image)
    assert is_grey(image[4:9, 3:7])
    assert np.shares_memory(grey_of(image), grey)
    np.testing.assert_array_equal(grey_of(image[4:9, 3:7]), grey[4:9, 3:7])


def test_of_equal_channels_the_grey_levels_are_the_channel_s() -> None:
    """All 256 levels: as OpenCV computes them from three copies, so both ways agree to the bit."""
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    copied = np.ascontiguousarray(as_bgr(grey))
    assert not is_grey(copied)
    np.testing.assert_array_equal(grey_of(copied), grey)
    np.testing.assert_array_equal(cv2.cvtColor(copied, cv2.COLOR_BGR2GRAY), grey)


def test_a_thumbnail_is_the_same_either_way() -> None:
    """Shrunk in one channel or in three."""
    grey = np.random.default_rng(1).integers(0, 256, (120, 161), dtype=np.uint8)
    np.testing.assert_array_equal(thumbnail(as_bgr(grey)), thumbnail(np.ascontiguousarray(as_bgr(grey))))
