"""Frames to input: geometry, colour, normalisation and motion, against values worked out by hand."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.errors import BundleError, UsageError
from a3d_edge.video.preprocess import Preprocessing, Roi, fit, picture_of, preprocess, visible_roi

MOTION = Preprocessing("motion", offsets=(0, 2, 6))


def flat(colour: tuple[int, int, int] | int, height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "aspect", "expected"),
    [
        (100, 200, 1.0, Roi(50, 0, 100, 100)),
        (200, 100, 1.0, Roi(0, 50, 100, 100)),
        (100, 200, 1.5, Roi(25, 0, 150, 100)),
        (100, 120, 1.5, Roi(0, 0, 120, 100)),
        (100, 100, 1.0, Roi(0, 0, 100, 100)),
        (1, 1000, 1.0, Roi(499, 0, 1, 1)),
    ],
)
def test_the_visible_part_is_the_centre_of_bounded_aspect(
    height: int, width: int, aspect: float, expected: Roi
) -> None:
    """The long side is cut to ``aspect`` × the short side; a frame within the aspect is seen whole."""
    assert visible_roi(height, width, aspect) == expected


def test_rgb_is_normalised_in_rgb_order() -> None:
    """A BGR frame comes out as (R, G, B)/255, minus the mean, over the deviation."""
    spec = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
    picture = preprocess([flat((30, 60, 90))], 16, spec)
    assert (picture.shape, picture.dtype) == ((3, 16, 16), np.float32)
    expected = [(90 / 255 - 0.1) / 0.5, (60 / 255 - 0.2) / 0.25, (30 / 255 - 0.3) / 0.125]
    np.testing.assert_allclose(
        picture, np.broadcast_to(np.reshape(expected, (3, 1, 1)), (3, 16, 16)), rtol=1e-5
    )


def test_a_frame_of_the_input_s_own_size_is_not_resampled() -> None:
    """Pixel for pixel the same, only normalised: RGB/255, mean 0.45, deviation 0.225."""
    image = noise(32, 32)
    expected = (image[..., ::-1].transpose(2, 0, 1) / 255.0 - 0.45) / 0.225
    np.testing.assert_allclose(preprocess([image], 32, Preprocessing()), expected, atol=1e-5)


def test_the_sides_of_a_wide_frame_are_cut_off() -> None:
    """Aspect 1: only the centre square is seen, whatever stands beside it."""
    image = flat(0, 32, 64)
    image[:, 16:48] = noise(32, 32)
    beside = image.copy()
    beside[:, :16], beside[:, 48:] = 255, 255
    seen = preprocess([image], 32, Preprocessing())
    np.testing.assert_array_equal(seen, preprocess([beside], 32, Preprocessing()))
    np.testing.assert_array_equal(seen, preprocess([image[:, 16:48].copy()], 32, Preprocessing()))


def test_shrinking_averages_areas() -> None:
    """Halving the size takes the mean of 2×2 pixels, so a fine chequerboard becomes even grey."""
    image = flat(0, 64, 64)
    image[::2, ::2], image[1::2, 1::2] = 200, 200
    picture = preprocess([image], 32, Preprocessing())
    np.testing.assert_allclose(picture, (100 / 255 - 0.45) / 0.225, atol=1e-5)


def areas(image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """The plain means of areas, unrounded, of a square frame: what is shown, before it is rounded."""
    exact = cv2.resize(image.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return (exact[..., ::-1].transpose(2, 0, 1) / 255 - 0.45) / 0.225


@pytest.mark.parametrize(
    ("side", "size", "levels"), [(480, 160, 0.5), (300, 128, 0.5), (480, 128, 4), (480, 50, 6)]
)
def test_shrinking_a_lot_by_halves_first_hardly_differs(side: int, size: int, levels: float) -> None:
    """By whole factors and below 3 it is the rounded mean of areas; beyond, a few grey levels off at most,
    and of even brightness."""
    scene = cv2.resize(noise(side // 20, side // 20), (side, side), interpolation=cv2.INTER_CUBIC)
    difference = (preprocess([scene], size, Preprocessing()) - areas(scene, size)) * 0.225 * 255
    assert np.abs(difference).max() <= levels + 1e-3
    assert abs(difference.mean()) < 0.5


def test_a_camera_picture_is_halved_no_further_than_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """640×480 to 128: halved once; to 55: three times in width; never below what is wanted."""
    taken: list[tuple[int, int]] = []
    resize = cv2.resize

    def watched(image: Any, size: tuple[int, int], interpolation: int) -> Any:
        taken.append(size)
        return resize(image, size, interpolation=interpolation)

    monkeypatch.setattr(cv2, "resize", watched)
    preprocess([noise(480, 640)], 128, Preprocessing())
    preprocess([noise(480, 640)], 55, Preprocessing(aspect=2.0))
    assert taken == [(240, 240), (128, 128), (320, 240), (160, 120), (55, 41)]


@pytest.mark.parametrize(("side", "size"), [(120, 64), (150, 100), (480, 128)])
def test_colour_is_blended_where_two_pixels_are_nearly_all(side: int, size: int) -> None:
    """From a factor of 1.5 to below 2 in the last step, a smooth scene hardly differs from means of areas;
    grey, which motion networks were trained on, is those means to the bit."""
    scene = cv2.resize(noise(side // 20, side // 20), (side, side), interpolation=cv2.INTER_CUBIC)
    difference = (preprocess([scene], size, Preprocessing()) - areas(scene, size)) * 0.225 * 255
    assert np.sqrt(np.mean(difference**2)) < 1.0
    grey = cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)
    if side == 480:
        grey = cv2.resize(grey, (240, 240), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(fit(scene, size, Preprocessing("motion", 1.0, (0, 2, 6))).part, expected)


@pytest.mark.parametrize(("side", "size"), [(130, 100), (250, 100), (200, 100), (300, 100)])
def test_other_factors_are_means_of_areas(side: int, size: int) -> None:
    """Below 1.5, from 2 to 3, and by whole factors, also in colour."""
    exact = cv2.resize(noise(side, side), (size, size), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(fit(noise(side, side), size, Preprocessing()).part, exact)


@pytest.mark.parametrize("spec", [Preprocessing(aspect=1.5), Preprocessing("motion", 1.5, (0, 2, 6))])
@pytest.mark.parametrize("width", [40, 60])
def test_a_picture_written_to_given_memory_is_the_same(spec: Preprocessing, width: int) -> None:
    """Whatever was there before, also in the bands beside the visible part."""
    fitted = [fit(noise(40, width, seed), 48, spec) for seed in range(len(spec.offsets))]
    memory = np.full((3, 48, 48), np.nan, np.float32)
    written = picture_of(fitted, 48, spec, memory)
    assert written is memory
    np.testing.assert_array_equal(written, picture_of(fitted, 48, spec))


@pytest.mark.parametrize("spec", [Preprocessing(aspect=1.5), Preprocessing("motion", 1.5, (0, 2, 6))])
def test_a_sample_can_be_made_of_frames_fitted_before(spec: Preprocessing) -> None:
    """Fitting one by one and putting them together is what `preprocess` does, to the bit."""
    images = [noise(40, 60, seed) for seed in range(len(spec.offsets))]
    fitted = [fit(image, 48, spec) for image in images]
    assert [one.box for one in fitted] == [Roi(0, 8, 48, 32)] * len(images)
    np.testing.assert_array_equal(picture_of(fitted, 48, spec), preprocess(images, 48, spec))


@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40)])
def test_a_wider_aspect_is_letterboxed_with_zeros(height: int, width: int) -> None:
    """The 3:2 part fills the long side; the bands beside it are exactly 0, not the colour black."""
    picture = preprocess([flat(255, height, width)], 48, Preprocessing(aspect=1.5))
    rows = picture if width > height else picture.transpose(0, 2, 1)
    white = (1 - 0.45) / 0.225
    np.testing.assert_allclose(rows[:, 8:40], white, rtol=1e-5)
    assert not rows[:, :8].any()
    assert not rows[:, 40:].any()


def test_motion_is_the_difference_to_earlier_frames() -> None:
    """Channel 0 and 1: grey now minus grey 2 and 6 model frames ago, 10 % of full scale counting as 1."""
    now, earlier, earliest = (flat(v, 32, 32) for v in (100, 80, 130))
    picture = preprocess([now, earlier, earliest], 32, MOTION)
    np.testing.assert_allclose(picture[0], 20 / 255 / 0.1, rtol=1e-4)
    np.testing.assert_allclose(picture[1], -30 / 255 / 0.1, rtol=1e-4)
    np.testing.assert_allclose(picture[2], 0.0, atol=1e-5)


def test_motion_s_third_channel_is_mean_removed_grey() -> None:
    """Its mean over the picture is 0 and brightness does not matter; contrast does."""
    image = cv2.resize(noise(8, 8), (32, 32), interpolation=cv2.INTER_NEAREST) // 2
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float64) / 255
    dark = preprocess([image] * 3, 32, MOTION)
    np.testing.assert_allclose(dark[2], (grey - grey.mean()) / 0.225, atol=1e-4)
    np.testing.assert_allclose(preprocess([image + 40] * 3, 32, MOTION), dark, atol=2 / 255 / 0.225)
    assert not dark[:2].any()


def test_change_is_three_differences_without_sign_or_grey() -> None:
    """A pose that is held, and is new against the oldest frame, shows in the last channel alone."""
    now, before = flat(150), flat(100)
    spec = Preprocessing("change", offsets=(0, 4, 12, 40))
    picture = preprocess([now, now, now, before], 32, spec)
    assert not picture[:2].any()
    np.testing.assert_allclose(picture[2], 50 / 255 / 0.1, rtol=1e-5)
    np.testing.assert_array_equal(preprocess([before, before, before, now], 32, spec), picture)
    assert not preprocess([now] * 4, 32, spec).any()  # a still scene shows nothing, whatever it looks like


def test_local_is_change_beyond_what_the_whole_picture_does() -> None:
    """A light that comes on shows nothing, nor does noise; what moves beside it is measured against it."""
    spec = Preprocessing("local", offsets=(0, 4, 12, 80))
    before, lit, other = (np.full((32, 32, 3), level, np.uint8) for level in (100, 130, 128))
    assert not preprocess([lit, before, before, before], 32, spec).any()
    moved = lit.copy()
    moved[:8, :8] = 90
    picture = preprocess([moved, lit, before, other], 32, spec)
    for channel in picture:  # whatever the light was before: 40 beyond what is usual, less 2 of noise
        np.testing.assert_allclose(channel[:8, :8], 38 / 255 / 0.1, rtol=1e-5)
        assert not channel[8:].any()
    faint = before.copy()
    faint[:8, :8] += 2
    assert not preprocess([faint, before, before, before], 32, spec).any()


def test_motion_is_zero_outside_the_visible_part() -> None:
    """The letterbox carries no motion and no grey, though the picture's mean is removed inside it."""
    spec = Preprocessing("motion", aspect=1.5, offsets=(0, 2, 6))
    picture = preprocess([noise(40, 60, seed) for seed in range(3)], 48, spec)
    assert not picture[:, :8].any()
    assert not picture[:, 40:].any()
    assert abs(float(picture[2, 8:40].mean())) < 1e-5
    assert picture[:, 8:40].any(axis=(1, 2)).all()


def test_the_input_frames_are_not_changed() -> None:
    """A reader may hand the same frame to several samples."""
    images = [noise(40, 60, seed) for seed in range(3)]
    before = [image.copy() for image in images]
    preprocess(images, 32, MOTION)
    preprocess(images[:1], 32, Preprocessing())
    assert all((image == old).all() for image, old in zip(images, before, strict=True))


WRONG = [
    (np.zeros((40, 60)), "an array (40, 60) of float64"),
    (np.zeros((40, 60), np.uint8), "an array (40, 60) of uint8"),
    (np.zeros((40, 60, 3), np.float32), "an array (40, 60, 3) of float32"),
    (np.zeros((40, 60, 3), np.uint16), "an array (40, 60, 3) of uint16"),
    (np.zeros((40, 60, 3), np.int8), "an array (40, 60, 3) of int8"),
    (np.zeros((40, 60, 3), bool), "an array (40, 60, 3) of bool"),
    (np.zeros((40, 60, 3), object), "an array (40, 60, 3) of object"),
    (np.zeros((40, 60, 4), np.uint8), "an array (40, 60, 4) of uint8"),
    (np.zeros((40, 60, 1), np.uint8), "an array (40, 60, 1) of uint8"),
    (np.zeros((3, 40, 60), np.uint8), "an array (3, 40, 60) of uint8"),
    (np.zeros((1, 40, 60, 3), np.uint8), "an array (1, 40, 60, 3) of uint8"),
    (np.zeros((0, 60, 3), np.uint8), "an array (0, 60, 3) of uint8"),
    (np.zeros((40, 0, 3), np.uint8), "an array (40, 0, 3) of uint8"),
    (np.uint8(3), "numpy.uint8"),
    ([[[0, 0, 0]]], "list"),
    (b"\xff\xd8", "bytes"),
    (None, "NoneType"),
]


@pytest.mark.parametrize(("image", "came"), WRONG)
@pytest.mark.parametrize("spec", [Preprocessing(), MOTION])
def test_what_is_no_frame_is_refused(image: Any, came: str, spec: Preprocessing) -> None:
    """For every kind of input, with what a frame is and what came; OpenCV never sees it."""
    with pytest.raises(UsageError) as caught:
        preprocess([image] * len(spec.offsets), 32, spec)
    assert str(caught.value) == (
        f"a frame must be (H, W, 3) uint8, BGR, with at least one pixel; this one is {came}: convert it first"
    )


@pytest.mark.parametrize("spec", [Preprocessing(), MOTION])
def test_a_frame_may_lie_in_memory_in_any_way(spec: Preprocessing) -> None:
    """Parts, mirrored, turned, channels swapped, of Fortran's order, read-only: the same as a plain copy."""
    base = noise(90, 120, 1)
    read_only = base.copy()
    read_only.flags.writeable = False
    for image in (
        base[10:70, 20:100], base[::2, ::3], base[::-1], base[:, ::-1], base[..., ::-1],
        base.transpose(1, 0, 2), np.asfortranarray(base), read_only,
        np.broadcast_to(base[:1, :1], (40, 60, 3)),
    ):  # fmt: skip
        count = len(spec.offsets)
        expected = preprocess([np.ascontiguousarray(image)] * count, 32, spec)
        np.testing.assert_array_equal(preprocess([image] * count, 32, spec), expected)


def test_frames_of_one_sample_that_differ_in_shape() -> None:
    """A source that was turned meanwhile: the earlier frames take the shape of the sampled one."""
    picture = preprocess([noise(40, 60, 0), noise(60, 40, 1), noise(20, 60, 2)], 32, MOTION)
    assert picture.shape == (3, 32, 32)
    assert np.isfinite(picture).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 500), (500, 1), (2, 3)])
def test_absurdly_small_frames_still_give_a_finite_picture(height: int, width: int) -> None:
    """No division by a zero size."""
    for spec in (Preprocessing(), Preprocessing(aspect=1.5), MOTION):
        picture = preprocess([flat(9, height, width)] * len(spec.offsets), 32, spec)
        assert picture.shape == (3, 32, 32)
        assert np.isfinite(picture).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input": "flow"}, "preprocessing.input 'flow' is neither of rgb, motion, change, local"),
        ({"input": "motion"}, "preprocessing.offsets (0,) does not suit input 'motion'"),
        ({"offsets": (0, 1, 2)}, "preprocessing.offsets (0, 1, 2) does not suit input 'rgb'"),
        ({"offsets": (1,)}, "preprocessing.offsets (1,) does not suit input 'rgb'"),
        ({"offsets": ()}, "preprocessing.offsets () does not suit input 'rgb'"),
        (
            {"input": "motion", "offsets": (0, 2, -6)},
            "preprocessing.offsets (0, 2, -6) does not suit input 'motion'",
        ),
        ({"aspect": 0.5}, "preprocessing.aspect 0.5 is below 1, or above 100"),
        ({"aspect": float("nan")}, "preprocessing.aspect nan is below 1, or above 100"),
        (
            {"std": (0.0, 1.0, 1.0)},
            "preprocessing.mean (0.45, 0.45, 0.45) or std (0.0, 1.0, 1.0): three numbers each, std above 0",
        ),
    ],
)
def test_values_that_cannot_be_meant_are_refused(values: dict[str, Any], message: str) -> None:
    """They come from a bundle's manifest or a checkpoint, so the key is named."""
    with pytest.raises(BundleError) as caught:
        Preprocessing(**values)
    assert str(caught.value) == message


@pytest.mark.parametrize("sizes", [[(40, 60), (48, 48), (80, 20)], [(1, 9), (40, 60), (9, 1)]])
def test_motion_between_pictures_of_other_sizes_is_that_of_what_both_show(
    sizes: list[tuple[int, int]],
) -> None:
    """A folder of mixed pictures: as many numbers as ever, and none where all are evenly grey."""
    spec = Preprocessing("motion", 1.5, (0, 2, 6))
    picture = preprocess([flat(90, *size) for size in sizes], 32, spec)
    assert picture.shape == (3, 32, 32)
    np.testing.assert_allclose(picture, 0.0, atol=1e-6)
