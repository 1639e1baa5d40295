"""Pictures on disk: smaller than their pixels, and every one comes back as it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.errors import ResourceError
from a3d_edge.training.clips import Clip
from a3d_edge.training.decode import FrameCache, decode
from a3d_edge.training.frame_store import FrameStore
from a3d_edge.training.packed import PackedPictures, Packer
from a3d_edge.training.windows import plain_window
from a3d_edge.video.preprocess import InputKind, Preprocessing, View
from a3d_edge.video.sampler import Sampling


def pictures(shapes: list[tuple[int, int]], seed: int = 0) -> list[NDArray[np.uint8]]:
    """Noise, which no codec for eyes would keep."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def packed(images: list[NDArray[np.uint8]]) -> PackedPictures:
    """As a store reads them back."""
    packer = Packer()
    parts = [packer.pack(image) for image in images]
    ends = np.cumsum([len(part) for part in parts])
    values = b"".join(parts)
    shapes = np.array([image.shape[:2] for image in images])
    return PackedPictures(values, np.concatenate([[0], ends[:-1]]), ends, shapes)


@pytest.mark.parametrize(
    "shape", [(160, 284), (160, 213), (33, 17), (2, 3), (1, 1), (1, 40), (40, 1), (7, 160)]
)
def test_every_pixel_comes_back(shape: tuple[int, int]) -> None:
    """Noise of any size, in any order."""
    images = pictures([shape] * 5)
    found = packed(images)
    assert (len(found), found.shape) == (5, (5, *shape, 3))
    for place in (3, 0, 4, 3, -1):
        np.testing.assert_array_equal(found[place], images[place])


@pytest.mark.parametrize("shape", [(160, 284), (33, 17), (1, 1), (7, 160)])
def test_grey_comes_back_in_three_channels_and_takes_a_third(shape: tuple[int, int]) -> None:
    """Turned to grey again it is what it was."""
    greys = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in pictures([shape] * 4)]
    found = packed(greys)
    for place, grey in enumerate(greys):
        assert found[place].shape == (*shape, 3)
        np.testing.assert_array_equal(cv2.cvtColor(found[place], cv2.COLOR_BGR2GRAY), grey)
    if shape[0] > 100:
        assert found.bytes < 0.4 * packed(pictures([shape] * 4)).bytes


def test_sizes_may_change_within_a_clip() -> None:
    """As they do when a stream was cut together."""
    images = pictures([(20, 30), (20, 30), (30, 20), (20, 30)])
    for found, image in zip(packed(images)[1:], images[1:], strict=True):
        np.testing.assert_array_equal(found, image)


def test_threads_may_share_them() -> None:
    """Batches are made in threads."""
    images = pictures([(60, 80), (80, 60)] * 10)
    found = packed(images)
    with ThreadPoolExecutor(8) as pool:
        for place, image in zip(range(20), pool.map(found.__getitem__, range(20)), strict=True):
            np.testing.assert_array_equal(image, images[place])


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="tells what of a file is in memory")
def test_what_was_read_does_not_stay_in_memory(tmp_path: Path) -> None:
    """A film of an hour is gigabytes: they are the disk's cache, not this process's."""
    images = pictures([(200, 200)] * 40)
    found = FrameStore(tmp_path).write("0" * 24, ((image, 0.1 * n, 0) for n, image in enumerate(images)))
    for place, image in enumerate(images):
        np.testing.assert_array_equal(found.pictures[place], image)
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    (size, resident), = [
        [int(next(line for line in lines if line.startswith(word)).split()[1]) for word in ("Size", "Rss")]
        for line in lines
        if line.endswith(f"{'0' * 24}.pictures")
    ]  # fmt: skip
    assert size > 4000  # kB
    assert resident < 300


def test_a_damaged_picture_is_told() -> None:
    """With what to do."""
    found = packed(pictures([(20, 30)]))
    broken = PackedPictures(bytes(50), np.array([0]), np.array([50]), np.array([[20, 30]]))
    assert found[0].shape == (20, 30, 3)
    with pytest.raises(ResourceError, match=r"is damaged .* run 'a3d-edge cache clear', then go on"):
        broken[0]


def test_a_real_clip_is_as_decoded_and_smaller(clip_list: Path, tmp_path: Path) -> None:
    """What training sees is what running sees, to the last bit."""
    file = clip_list.parent / "right" / "0.mp4"
    whole, cached = decode(file, 160), FrameCache(tmp_path).get(Clip("right", file))
    np.testing.assert_array_equal(np.stack(list(cached.frames)), whole.frames)
    (kept,) = tmp_path.glob("*.pictures")
    assert kept.stat().st_size < 0.6 * whole.frames.nbytes


@pytest.mark.parametrize(("kind", "view"), [("change", "moving"), ("local", "close")])
def test_a_clip_in_grey_gives_the_windows_that_its_colours_give(
    clip_list: Path, tmp_path: Path, kind: InputKind, view: View
) -> None:
    """What networks that look at motion are shown is the same to the bit."""
    path = next(clip_list.parent.rglob("*.mp4"))
    spec = Preprocessing(kind, 1.5, (0, 4, 12, 40), view=view)
    windows = []
    for grey in (False, True):
        decoded = FrameCache(tmp_path / str(grey), 96, grey=grey).get(Clip("any", path))
        windows.append(plain_window(decoded, 0, 48, Sampling(4, 8), spec)[0])
    np.testing.assert_array_equal(*windows)
    assert windows[0].any()
