"""The part of a window where something moves."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from a3d_edge.errors import BundleError
from a3d_edge.video.preprocess import Preprocessing, View, preprocess, shown_roi, visible_roi
from a3d_edge.video.region import FRAMINGS, Region, moving_region, thumbnail

SIZE = 240, 320


def scene(*, left: int, top: int = 90, side: int = 24, level: int = 60, scale: int = 1) -> np.ndarray:
    """A grey room with a bright square in it."""
    image = np.full((SIZE[0], SIZE[1], 3), level, np.uint8)
    image[top : top + side, left : left + side] = 220
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def test_what_moves_is_within_the_region_and_little_else() -> None:
    """A square that goes 40 pixels to and fro is found where it is, in a region not much larger."""
    region = moving_region([thumbnail(scene(left=x)) for x in (200, 240, 200, 240)])
    assert region is not None
    roi = shown_roi(*SIZE, 1.5, region)
    assert roi.left <= 200
    assert roi.left + roi.width >= 264
    assert roi.top <= 90
    assert roi.top + roi.height >= 114
    assert 64 <= roi.width <= 130
    assert roi.width == pytest.approx(roi.height, abs=2)


def test_the_region_is_a_share_of_the_picture_whatever_its_size() -> None:
    """A camera with three times as many pixels sees the same."""
    small = moving_region([thumbnail(scene(left=x)) for x in (40, 60)])
    large = moving_region([thumbnail(scene(left=x, scale=3)) for x in (40, 60)])
    assert small == large
    assert small is not None


@pytest.mark.parametrize("left", [0, 296])
def test_a_region_at_the_edge_lies_within_the_picture(left: int) -> None:
    """It is moved inwards, not cut: what is shown keeps its shape."""
    region = moving_region([thumbnail(scene(left=left, top=0)), thumbnail(scene(left=abs(left - 8), top=0))])
    assert region is not None
    roi = shown_roi(*SIZE, 1.5, region)
    assert roi.left >= 0
    assert roi.top >= 0
    assert roi.left + roi.width <= SIZE[1]
    assert roi.top + roi.height <= SIZE[0]
    assert roi.width == pytest.approx(roi.height, abs=2)


def test_where_nothing_or_everything_changes_the_usual_part_is_shown() -> None:
    """A still room, light that is switched on, noise, and a single picture have no region."""
    rng = np.random.default_rng(0)
    still = [scene(left=100)] * 4
    lit = [scene(left=100, level=level) for level in (60, 70, 80, 90)]
    noisy = [np.clip(still[0] + rng.normal(0, 6, still[0].shape), 0, 255).astype(np.uint8) for _ in range(4)]
    for images in (still, noisy, still[:1]):
        assert moving_region([thumbnail(image) for image in images]) is None
    lit_region = moving_region([thumbnail(np.full_like(one, one[0, 0, 0])) for one in lit])
    assert lit_region is None
    panned = [np.roll(noise_picture(), 11 * step, axis=1) for step in range(4)]
    assert moving_region([thumbnail(image) for image in panned]) is None


def noise_picture() -> np.ndarray:
    """Patches that a camera which turns sweeps over."""
    coarse = np.random.default_rng(1).integers(0, 255, (12, 16, 3), np.uint8)
    return coarse.repeat(20, axis=0).repeat(20, axis=1)


def test_much_the_same_motion_has_the_same_region() -> None:
    """So that features that were made for one window serve the next."""
    regions = {
        moving_region([thumbnail(scene(left=x + shift)) for x in (200, 240)]) for shift in (0, 1, 2, 3)
    }
    assert len(regions) <= 2


def test_pictures_that_change_size_within_a_window_are_compared_all_the_same() -> None:
    """A source may change its size; the region is that of the pictures' shares."""
    mixed = moving_region([thumbnail(scene(left=200)), thumbnail(scene(left=240, scale=2)[:, :600])])
    assert mixed is not None


def test_a_region_is_shown_in_place_of_the_usual_part() -> None:
    """`preprocess` fills the square with it; without one it does what it did."""
    image = scene(left=200)
    part = Region(200 / 320, 90 / 240, 24 / 320, 24 / 240)
    shown = preprocess([image], 24, Preprocessing(mean=(0, 0, 0), std=(1, 1, 1)), region=part)
    np.testing.assert_allclose(shown, 220 / 255, rtol=1e-5)
    assert shown_roi(*SIZE, 1.5) == visible_roi(*SIZE, 1.5)


def test_another_view_is_refused() -> None:
    """The manifest names what there is."""
    with pytest.raises(BundleError, match=r"preprocessing\.view 'far' is neither of whole, moving, close"):
        Preprocessing(view="far")  # type: ignore[arg-type]


def test_a_close_view_frames_what_moves_most() -> None:
    """A body that sways by a little and an arm that is raised: `moving` shows both, `close` the arm."""

    def person(sway: int, arm: int) -> np.ndarray:
        image = scene(left=240 + arm, top=60, side=24)
        image[100:200, 60 + sway : 110 + sway] = 90
        return image

    pictures = [thumbnail(person(sway, arm)) for sway, arm in ((0, 0), (4, 20), (0, 40), (4, 0))]
    both, arm = (shown_roi(*SIZE, 1.5, moving_region(pictures, view)) for view in ("moving", "close"))
    assert both.left < 64
    assert both.left + both.width >= 300
    assert 180 < arm.left <= 240
    assert arm.left + arm.width >= 304
    assert arm.width < 0.6 * both.width


def test_every_view_but_the_whole_picture_has_a_framing() -> None:
    """What a manifest may name, a window can be shown by."""
    assert {"whole", *FRAMINGS} == set(get_args(View))
