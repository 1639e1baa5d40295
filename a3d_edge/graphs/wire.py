"""Protobuf's wire format: the fields of a message, one after the other, in place.

message = field*    field = key, value    key = varint: number << 3 | wire type
wire type 0: varint    1: 8 bytes    2: length, so many bytes (text, message)    5: 4 bytes
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

__all__ = ["EIGHT", "FOUR", "LENGTH", "VARINT", "Bytes", "MalformedError", "fields", "varint"]

Bytes = bytes | mmap.mmap
VARINT, EIGHT, LENGTH, FOUR = 0, 1, 2, 5
LONGEST, LARGEST_KEY = 10, 1 << 32
"""Bytes of a varint, and what a key is below."""


class MalformedError(Exception):
    """Why bytes are no message, in a few words."""


def fields(data: Bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, begin and end of every field of a message; of a varint its value in place of both.

    Raises `MalformedError`.
    """
    while at < end:
        key = data[at]
        if key < 128:  # as a rule
            at += 1
        else:
            key, at = varint(data, at, end)
        number, wire = key >> 3, key & 7
        if not 8 <= key < LARGEST_KEY:
            raise MalformedError(f"field {number} at byte {at}")
        if wire == LENGTH:
            length, at = varint(data, at, end)
            if length > end - at:
                raise MalformedError(f"{length} bytes at byte {at}, where {end - at} are left")
            yield number, wire, at, at + length
            at += length
        elif wire == VARINT:
            value, at = varint(data, at, end)
            yield number, wire, value, value
        elif wire in (EIGHT, FOUR):
            width = 8 if wire == EIGHT else 4
            if width > end - at:
                raise MalformedError("it ends within a number")
            yield number, wire, at, at + width
            at += width
        else:
            raise MalformedError(f"wire type {wire} at byte {at}")


def varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends: seven bits a byte, the lowest first, the last byte below 128."""
    if at < end and (byte := data[at]) < 128:  # as a rule
        return byte, at + 1
    value = 0
    for place, byte in enumerate(data[at : min(at + LONGEST, end)]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise MalformedError(f"a number without an end at byte {at}")
