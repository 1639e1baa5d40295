"""Boxes of a frame come to lie in the network's input where the frame's pixels do."""

from __future__ import annotations

import numpy as np
import pytest

from a3d_edge.video.placement import placed_boxes
from a3d_edge.video.preprocess import Preprocessing, preprocess
from a3d_edge.video.region import Region


@pytest.mark.parametrize(("height", "width"), [(96, 128), (128, 96), (90, 201), (64, 64)])
@pytest.mark.parametrize("aspect", [1.0, 1.5, 3.0])
def test_a_bright_part_is_where_its_box_is(height: int, width: int, aspect: float) -> None:
    """What is drawn in a box of the frame is bright in its box of the picture, and nowhere else."""
    spec, size = Preprocessing(aspect=aspect, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)), 64
    image = np.zeros((height, width, 3), np.uint8)
    box = np.array([[width // 2 - 12, height // 2 - 20, width // 2 + 16, height // 2 + 8]])
    x1, y1, x2, y2 = box[0]
    image[y1:y2, x1:x2] = 255
    [found], [kept] = placed_boxes(box, height, width, size, spec)
    assert kept == 0
    rows, columns = np.nonzero(preprocess([image], size, spec)[0] > 0.5)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found, seen, atol=1.0)


def test_who_is_not_shown_is_left_out() -> None:
    """Beyond the centre crop, not finite, or without extent; who is cut by its border is cut."""
    boxes = [[0, 0, 10, 10], [20, 0, 60, 50], [np.nan, 0, 9, 9], [90, 10, 90, 20], [80, 10, 85, 15]]
    found = placed_boxes(boxes, 100, 200, 50, Preprocessing())
    assert found.kept.tolist() == [1, 4]
    np.testing.assert_allclose(found.boxes, [[0, 0, 5, 25], [15, 5, 17.5, 7.5]])
    assert placed_boxes([], 100, 200, 50, Preprocessing()).boxes.shape == (0, 4)


def test_a_person_of_one_pixel_is_still_one() -> None:
    """Made smaller than a pixel by the input's size; only what a border leaves less of is gone."""
    found = placed_boxes([[50, 50, 51, 51]], 400, 400, 40, Preprocessing())
    np.testing.assert_allclose(found.boxes, [[5.0, 5.0, 5.1, 5.1]], rtol=1e-6)


def test_what_is_thinner_than_numbers_of_32_bits_tell_is_left_out() -> None:
    """A box that a feed makes 1e-9 wide has no width for the network, which would refuse all of them."""
    found = placed_boxes([[10, 10, 10 + 1e-9, 40], [10, 10, 30, 40]], 64, 64, 64, Preprocessing())
    assert found.kept.tolist() == [1]
    assert (found.boxes[:, 2] > found.boxes[:, 0]).all()


def test_the_region_that_moves_is_what_is_shown() -> None:
    """The input is a part of the frame, and boxes are in it."""
    region = Region(0.5, 0.5, 0.5, 0.5)
    found = placed_boxes([[60, 60, 80, 100]], 100, 100, 50, Preprocessing(), region)
    np.testing.assert_allclose(found.boxes, [[10, 10, 30, 50]])
