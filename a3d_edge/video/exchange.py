"""What a capture process and its parent say to each other, over one pair of sockets that keeps messages
apart.

    parent ── {"open": …}, release of a slot ──► child
    parent ◄── {"opened": …} | {"failed": …} | {"ended": …}, memory (with its descriptor), pictures ── child

Pictures lie in memory that both see, a few slots of it; a message says which. Whoever reads them checks every
number: a child that decodes what strangers send may be theirs.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any

from a3d_edge.video.limits import MAX_PIXELS

__all__ = [
    "MESSAGE",
    "PictureNote",
    "Release",
    "Slots",
    "make_slots",
    "map_slots",
    "note_of",
    "said",
    "slots_for",
]

MESSAGE = 65536
"""The longest message (bytes)."""
SLOT_BYTES = 48_000_000
"""Of all slots together, as far as a few of them fit in."""
FEWEST, MOST = 3, 6

_PICTURE = struct.Struct("<cIIIIddQQQ")
_RELEASE = struct.Struct("<cII")
_NOT_A_NUMBER = float("nan")


@dataclass(frozen=True, slots=True)
class PictureNote:
    """A picture that lies in ``slot`` of memory number ``memory``.

    ``position_s``: in the stream's own time, NaN if it has none; ``arrived_s``: when its data had come, by
    ``time.monotonic``. ``captured``: pictures decoded so far in this connection, this one included;
    ``missed``: those of them for which there was no slot; ``unreadable``: those that could not be decoded.
    """

    memory: int
    slot: int
    height: int
    width: int
    position_s: float
    arrived_s: float
    captured: int
    missed: int
    unreadable: int

    def packed(self) -> bytes:
        """As a message."""
        return _PICTURE.pack(
            b"P", self.memory, self.slot, self.height, self.width, self.position_s, self.arrived_s,
            self.captured, self.missed, self.unreadable,
        )  # fmt: skip


def note_of(message: bytes) -> PictureNote:
    """The picture that a message tells of. Raises `ValueError` for what cannot be."""
    if len(message) != _PICTURE.size:
        raise ValueError("a message of another length")
    note = PictureNote(*_PICTURE.unpack(message)[1:])
    if not 0 < note.height * note.width <= MAX_PIXELS:
        raise ValueError("a picture of impossible size")
    return note


@dataclass(frozen=True, slots=True)
class Release:
    """A slot that may be written to again."""

    memory: int
    slot: int

    def packed(self) -> bytes:
        """As a message."""
        return _RELEASE.pack(b"R", self.memory, self.slot)

    @classmethod
    def of(cls, message: bytes) -> Release:
        """The one that a message tells of."""
        return cls(*_RELEASE.unpack(message)[1:])


def said(message: bytes) -> dict[str, Any]:
    """A message in words. Raises `ValueError` where it is none."""
    found = json.loads(message)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


@dataclass(frozen=True, slots=True)
class Slots:
    """Memory of ``count`` pictures of up to ``size`` bytes."""

    number: int
    count: int
    size: int
    memory: mmap.mmap

    def at(self, slot: int) -> int:
        """Where a slot begins."""
        return slot * self.size


def slots_for(picture_bytes: int) -> tuple[int, int]:
    """How many slots, and bytes of each, for pictures of that many bytes."""
    size = -(-picture_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
    return max(FEWEST, min(MOST, SLOT_BYTES // size)), size


def make_slots(number: int, picture_bytes: int) -> tuple[Slots, int]:
    """New memory, sealed against shrinking (its reader would die of that), and its descriptor."""
    import fcntl

    count, size = slots_for(picture_bytes)
    descriptor = os.memfd_create("a3d-edge pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, count * size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return Slots(number, count, size, mmap.mmap(descriptor, count * size)), descriptor


def map_slots(number: int, count: int, size: int, descriptor: int) -> Slots:
    """The memory behind a descriptor that came with a message. Raises `ValueError` for one that is not as
    said."""
    import fcntl

    sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    whole = os.fstat(descriptor).st_size
    if not sealed or not 0 < count <= MOST or whole != count * size or size > 3 * MAX_PIXELS + mmap.PAGESIZE:
        raise ValueError("memory that is not as it should be")
    return Slots(number, count, size, mmap.mmap(descriptor, whole))


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends, which keep messages apart and notice when the other is gone."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
