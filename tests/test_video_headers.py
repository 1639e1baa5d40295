"""The size that a picture's header says."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from a3d_edge.errors import SourceError
from a3d_edge.video.files import ImageFolder, read_picture
from a3d_edge.video.headers import picture_size


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", []),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".png", []),
        (".bmp", []),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80]),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_it_is_the_size_that_is_decoded(suffix: str, options: list[int], channels: int) -> None:
    """Of every format of a folder, as OpenCV writes them."""
    if suffix == ".jpg" and channels == 4:
        pytest.skip("JPEG has no alpha")
    picture = np.random.default_rng(0).integers(0, 255, (70, 301, channels), np.uint8)
    assert picture_size(cv2.imencode(suffix, picture, options)[1].tobytes()) == (301, 70)


@given(
    some.binary(max_size=200),
    some.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF0000WEBPVP8X"]),
)
def test_any_bytes_are_a_size_or_none(data: bytes, begin: bytes) -> None:
    """Nothing is raised, and nothing loops."""
    assert picture_size(begin + data) is None or len(picture_size(begin + data) or ()) == 2


def bomb(side: int) -> bytes:
    """A true PNG of one bit a pixel: small, until it is decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_that_is_too_large_is_unreadable(tmp_path: Path) -> None:
    """8,192² in 9 kB: not decoded, counted; a folder of nothing else is refused."""
    (tmp_path / "1.png").write_bytes(bomb(8192))
    assert read_picture(tmp_path / "1.png") is None
    with pytest.raises(SourceError, match="none of its 1 pictures can be read"):
        ImageFolder(tmp_path)
    (tmp_path / "2.png").write_bytes(bomb(1024))
    source = ImageFolder(tmp_path)
    assert source.read() is not None
    assert source.unreadable == 1


def test_another_format_by_the_name_of_one_of_these_is_unreadable(tmp_path: Path) -> None:
    """OpenCV would open some thirty, each with its own decoder."""
    data = cv2.imencode(".tiff", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    (tmp_path / "a.png").write_bytes(data)
    assert read_picture(tmp_path / "a.png") is None
