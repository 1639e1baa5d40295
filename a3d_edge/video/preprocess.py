"""What the network eats: one sampled frame (and its companions) becomes one ``(3, S, S)`` float32 picture.

    frame (H, W, 3) ── fit ──► its visible part at the picture's size, uint8 ──┐
    companion ─────── fit ──► …                                               ─┴─ picture_of ──► (3, S, S)

Nothing here depends on the other frames of a window, so that the frame stage can be reused between windows;
nor does `fit` on the companions, so that a frame that is companion to several is fitted once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from a3d_edge.errors import BundleError, UsageError
from a3d_edge.video.grey import grey_of
from a3d_edge.video.opencv import cv2
from a3d_edge.video.region import Region

__all__ = [
    "CHANGE_OFFSETS",
    "MOTION_OFFSETS",
    "OFFSETS",
    "Fitted",
    "InputKind",
    "Preprocessing",
    "Roi",
    "View",
    "check_image",
    "fit",
    "picture_of",
    "place_of",
    "preprocess",
    "shown_roi",
    "visible_roi",
]

Image = NDArray[np.uint8]
Picture = NDArray[np.float32]

UINT8 = np.dtype(np.uint8)

MOTION_STD = 0.1  # a grey difference of 10 % of full scale counts as 1: the size of clothes against ground
GREY_STD = 0.225
MOTION_OFFSETS = (0, 2, 6)
"""Differences to 67 and 200 ms earlier: a strike takes 200 to 300 ms, a step or a hug's approach longer."""
CHANGE_OFFSETS = (0, 4, 12, 40)
"""0.13, 0.4 and 1.3 s earlier. The last shows a limb that is held where it was not. Without grey few clips
are not told apart by people and places, which are learned by heart. Without signs it does not matter whether
clothes are lighter or darker than the ground."""

LOCAL_OFFSETS = (0, 4, 12, 80)
"""As those of change, but for the last: what is held is shown for 2.7 s."""
FLOOR = 2.0
"""Grey levels of a difference that are a sensor's noise."""
EVERY = 2
"""The middle difference of a picture is that of every second row and column: a quarter of its cost."""

InputKind = Literal["rgb", "motion", "change", "local"]
View = Literal["whole", "moving", "close"]
OFFSETS: dict[InputKind, tuple[int, ...]] = {
    "rgb": (0,), "motion": MOTION_OFFSETS, "change": CHANGE_OFFSETS, "local": LOCAL_OFFSETS,
}  # fmt: skip
"""Offsets that suit each kind of input."""

MOST_OFFSET, MOST_ASPECT, LARGEST = 600, 100.0, 1e6
"""Of what a bundle may say: frames up to the largest offset are kept as they came."""

HALVE_FROM = 3.0
"""Halving costs a tenth of averaging areas by any other factor (1.2 ms from 480² to 128²), and half as many
pixels are then averaged. It rounds once more: 0.6 grey levels (RMS) on smooth pictures, 1.1 on noisy ones."""

BLEND = 1.5, 2.0
"""Between these factors the last step in colour is bilinear: two pixels of one and a half to two are nearly
the mean of all, at a tenth of its cost. From 480² to 128², film is then 0.9 grey levels (RMS) from the means
of areas instead of 0.6. Grey, the input of motion networks, is averaged as it always was."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How frames become input; a part of a bundle's manifest.

    - ``input``: ``rgb`` (RGB/255, minus ``mean``, over ``std``; the paper's), ``motion``: grey differences
      to the frames ``offsets`` earlier, and mean-removed grey, ``change``: how large such differences are,
      to three frames, and no grey, or ``local``: the same, less what changes all over the picture, which is
      light or a camera's exposure, and less noise.
    - ``aspect``: the centre part of at most ``aspect`` × the short side is shown, letterboxed into S×S;
      1.0 is the plain resize and centre crop.
    - ``offsets``: model frames before the sampled one that are eaten with it; ``(0,)`` is the frame alone.
    - ``view``: ``moving``: where in a window something moves, that part of its pictures is shown in place of
      all; ``close``: so is what moves most, an arm rather than who raises it (`a3d_edge.video.region`).
    """

    input: InputKind = "rgb"
    aspect: float = 1.0
    offsets: tuple[int, ...] = (0,)
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)
    view: View = "whole"

    def __post_init__(self) -> None:
        if self.input not in OFFSETS:
            raise BundleError(f"preprocessing.input '{self.input}' is neither of {', '.join(OFFSETS)}")
        if len(self.offsets) != len(OFFSETS[self.input]) or self.offsets[0] != 0 or min(self.offsets) < 0:
            raise BundleError(f"preprocessing.offsets {self.offsets} does not suit input '{self.input}'")
        if self.view not in get_args(View):
            raise BundleError(f"preprocessing.view '{self.view}' is neither of {', '.join(get_args(View))}")
        if max(self.offsets) > MOST_OFFSET:
            raise BundleError(
                f"preprocessing.offsets {self.offsets}: looks back more than {MOST_OFFSET} frames"
            )
        if not 1.0 <= self.aspect <= MOST_ASPECT:
            raise BundleError(f"preprocessing.aspect {self.aspect} is below 1, or above {MOST_ASPECT:g}")
        if not all(abs(one) <= LARGEST for one in (*self.mean, *self.std)):  # nor NaN
            raise BundleError(f"preprocessing.mean {self.mean} or std {self.std}: above {LARGEST:g}")
        if len(self.mean) != 3 or len(self.std) != 3 or not min(self.std) > 0.0:
            raise BundleError(
                f"preprocessing.mean {self.mean} or std {self.std}: three numbers each, std above 0"
            )


@dataclass(frozen=True, slots=True)
class Roi:
    """The visible part of a frame, pixels: left, top, width, height."""

    left: int
    top: int
    width: int
    height: int


def visible_roi(height: int, width: int, aspect: float, place: float = 0.5) -> Roi:
    """The part of a ``height × width`` frame that is shown, its long side at most ``aspect`` × the short one.

    ``place`` along the long side: 0 the left or top part, 0.5 the centre (the runtime's), 1 the right or
    bottom part.
    """
    longest = max(1, round(min(height, width) * aspect))
    w, h = min(width, longest), min(height, longest)
    return Roi(int((width - w) * place), int((height - h) * place), w, h)


def shown_roi(
    height: int, width: int, aspect: float, region: Region | None = None, place: float = 0.5
) -> Roi:
    """The part of a ``height × width`` frame that is shown: the ``region``'s, else as `visible_roi`."""
    if region is None:
        return visible_roi(height, width, aspect, place)
    left, top = round(region.left * width), round(region.top * height)
    w, h = max(1, round(region.width * width)), max(1, round(region.height * height))
    return Roi(min(left, width - w), min(top, height - h), w, h)


def preprocess(
    images: Sequence[Image],
    size: int,
    spec: Preprocessing,
    place: float = 0.5,
    region: Region | None = None,
) -> Picture:
    """``(3, S, S)`` float32 from the BGR frames ``(H, W, 3)`` of one sample, one per offset.

    ``place`` and ``region`` as in `shown_roi`. Raises `UsageError` when a frame is anything else.
    """
    wanted = images[: len(spec.offsets)]
    return picture_of([fit(image, size, spec, place, region) for image in wanted], size, spec)


def check_image(image: Any) -> None:
    """Raise `UsageError` unless it is an array (H, W, 3) of uint8 with pixels; it need not be contiguous."""
    if isinstance(image, np.ndarray):
        if image.dtype == UINT8 and image.ndim == 3 and image.shape[2] == 3 and image.size:
            return
        came = f"an array {image.shape} of {image.dtype}"
    else:
        came = f"{type(image).__module__}.{type(image).__qualname__}".removeprefix("builtins.")
    raise UsageError(
        f"a frame must be (H, W, 3) uint8, BGR, with at least one pixel; this one is {came}: convert it first"
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """The visible part of a frame as large as it is in the picture, ``(h, w, 3)`` BGR or ``(h, w)`` grey
    uint8, and where in the picture it lies."""

    part: Any
    box: Roi


def fit(
    image: Image, size: int, spec: Preprocessing, place: float = 0.5, region: Region | None = None
) -> Fitted:
    """The shown part, scaled so that its long side fills ``size``, centred; grey unless the input is RGB.

    ``place`` and ``region`` as in `shown_roi`. Raises `UsageError` when the frame is not (H, W, 3) uint8.
    """
    check_image(image)
    height, width = image.shape[:2]
    roi = shown_roi(height, width, spec.aspect, region, place)
    part: Any = image[roi.top : roi.top + roi.height, roi.left : roi.left + roi.width]
    if spec.input != "rgb":
        part = grey_of(part)
    box = place_of(roi, size)
    return Fitted(_resized(part, box.width, box.height, colour=spec.input == "rgb"), box)


def place_of(roi: Roi, size: int) -> Roi:
    """Where in a picture of side ``size`` the shown part of a frame is."""
    scale = size / max(roi.width, roi.height)
    w, h = max(1, round(roi.width * scale)), max(1, round(roi.height * scale))
    return Roi((size - w) // 2, (size - h) // 2, w, h)


def picture_of(
    fitted: Sequence[Fitted], size: int, spec: Preprocessing, out: Picture | None = None
) -> Picture:
    """The picture ``(3, S, S)`` of a sample's fitted frames, one per offset; zero around the visible part.

    ``out``: contiguous memory to write it to.
    """
    box = fitted[0].box
    out = np.empty((3, size, size), np.float32) if out is None else out
    if (box.width, box.height) != (size, size):
        out.fill(0.0)
    inside = out[:, box.top : box.top + box.height, box.left : box.left + box.width]
    if spec.input == "rgb":
        _write_rgb(fitted[0].part, spec, inside)
    else:
        greys = [_as_large(one.part, box) for one in fitted]
        WRITERS[spec.input](greys, inside)
    return out


def _as_large(part: Any, box: Roi) -> Any:
    """A part as large as the box: where pictures change size, motion is still that between neighbours."""
    if part.shape[:2] == (box.height, box.width):
        return part
    return cv2.resize(part, (box.width, box.height), interpolation=cv2.INTER_LINEAR)


def _resized(part: Any, width: int, height: int, colour: bool) -> Any:
    """Enlarged linearly, or the means of areas; where a pixel is three of the frame's or more, of halves."""
    longest, wanted = max(part.shape[:2]), max(width, height)
    while longest >= HALVE_FROM * wanted and longest % wanted:
        part = _halved(part)
        longest = max(part.shape[:2])
    averages = longest > wanted and not (colour and BLEND[0] * wanted <= longest < BLEND[1] * wanted)
    method = cv2.INTER_AREA if averages else cv2.INTER_LINEAR
    return cv2.resize(part, (width, height), interpolation=method)


def _halved(part: Any) -> Any:
    half = (max(1, part.shape[1] // 2), max(1, part.shape[0] // 2))
    return cv2.resize(part, half, interpolation=cv2.INTER_AREA)


def _write_rgb(part: Any, spec: Preprocessing, out: Picture) -> None:
    """One look-up a value: the 256 results of each channel are worked out once."""
    planes, tables = cv2.split(part)[::-1], _normalised(spec.mean, spec.std)
    for plane, table, channel in zip(planes, tables, out, strict=True):
        _look_up(plane, table, channel)


def _look_up(plane: Any, table: Picture, out: Picture) -> None:
    if out.flags.c_contiguous:
        cv2.LUT(plane, table, dst=out)
    else:
        out[...] = cv2.LUT(plane, table)


@lru_cache(maxsize=8)
def _normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Picture, ...]:
    """The 256 values of each channel, R, G, B: v/255, less the mean, over the deviation."""
    values = np.arange(256).astype(np.float32) * np.float32(1.0 / 255.0)
    return tuple((values - np.float32(m)) / np.float32(s) for m, s in zip(mean, std, strict=True))


def _write_motion(greys: Sequence[Any], out: Picture) -> None:
    """Grey differences to two earlier frames, and mean-removed grey."""
    now, *before = greys
    for channel, earlier in zip(out, before, strict=False):
        difference = cv2.subtract(now, earlier, dtype=cv2.CV_32F)
        np.multiply(difference, np.float32(1.0 / (255.0 * MOTION_STD)), out=channel)
    values = (np.arange(256) - cv2.mean(now)[0]) * (1.0 / (255.0 * GREY_STD))
    _look_up(now, values.astype(np.float32), out[2])


def _write_change(greys: Sequence[Any], out: Picture) -> None:
    """How much each pixel's grey differs from that of three earlier frames."""
    now, *before = greys
    for channel, earlier in zip(out, before, strict=True):
        np.multiply(cv2.absdiff(now, earlier), np.float32(1.0 / (255.0 * MOTION_STD)), out=channel)


def _write_local(greys: Sequence[Any], out: Picture) -> None:
    """The same beyond what is usual in the picture, and beyond noise."""
    now, *before = greys
    for channel, earlier in zip(out, before, strict=True):
        difference = cv2.subtract(now, earlier, dtype=cv2.CV_16S)
        some = difference[::EVERY, ::EVERY]
        usual = np.partition(some, some.size // 2, axis=None)[some.size // 2]
        beyond = cv2.subtract(cv2.absdiff(difference, float(usual)), FLOOR, dtype=cv2.CV_8U)
        np.multiply(beyond, np.float32(1.0 / (255.0 * MOTION_STD)), out=channel)


WRITERS: Mapping[InputKind, Callable[[Sequence[Any], Picture], None]] = {
    "motion": _write_motion, "change": _write_change, "local": _write_local,
}  # fmt: skip
"""What makes grey pictures of the same size into a picture's channels, ``(3, h, w)``."""
