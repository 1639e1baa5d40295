"""How large a picture says it is, before anything is decoded: JPEG, PNG, BMP and WebP."""

from __future__ import annotations

import struct

__all__ = ["picture_size"]

_NO_SIZE = frozenset({0xC4, 0xC8, 0xCC})
"""JPEG's markers among those of frames that are none."""


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height; None for another format, or a header that is not whole."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack(">II", data[16:24])
        elif data.startswith(b"BM"):
            width, height = _bmp(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            width, height = _webp(data)
        else:
            return None
    except (struct.error, IndexError):
        return None
    return abs(width), abs(height)


def _bmp(data: bytes) -> tuple[int, int]:
    """The first kind of header has 16 bits for each; a height below 0 means that the first row is on top."""
    if struct.unpack("<I", data[14:18]) == (12,):
        width, height = struct.unpack("<HH", data[18:22])
    else:
        width, height = struct.unpack("<ii", data[18:26])
    return width, height


def _webp(data: bytes) -> tuple[int, int]:
    """Extended, lossless and lossy: 24, 14 and 14 bits for each."""
    if data[12:16] == b"VP8X":
        low = int.from_bytes(data[24:27], "little"), int.from_bytes(data[27:30], "little")
        return low[0] + 1, low[1] + 1
    if data[12:16] == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """In the first header of a frame, behind others of any length."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
