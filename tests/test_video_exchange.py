"""What a capture process may say: everything else is refused, for it decodes what strangers send."""

from __future__ import annotations

import json
import os
import socket

import pytest

from a3d_edge.errors import SourceError
from a3d_edge.video import exchange
from a3d_edge.video.capture import CaptureProcess
from a3d_edge.video.exchange import PictureNote, make_slots, map_slots, note_of
from a3d_edge.video.limits import MAX_PIXELS


def note(**changes: int) -> PictureNote:
    given = {"memory": 1, "slot": 0, "height": 4, "width": 4, "position_s": 0.5, "arrived_s": 1.0,
             "captured": 1, "missed": 0, "unreadable": 0}  # fmt: skip
    return PictureNote(**{**given, **changes})


def test_a_note_comes_back_as_it_was() -> None:
    """Packed and unpacked."""
    assert note_of(note().packed()) == note()


@pytest.mark.parametrize(
    "message", [b"P", b"P" * 400, note(height=0).packed(), note(height=MAX_PIXELS).packed()]
)
def test_an_impossible_picture_is_refused(message: bytes) -> None:
    """Of another length, empty, or larger than we decode."""
    with pytest.raises(ValueError):
        note_of(message)


def test_memory_that_could_shrink_or_is_not_as_said_is_refused() -> None:
    """Its reader would die of reading behind its end."""
    slots, descriptor = make_slots(1, 48)
    assert map_slots(1, slots.count, slots.size, descriptor).count == slots.count
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(descriptor, 0)
    with pytest.raises(ValueError):
        map_slots(1, slots.count, slots.size * 2, descriptor)
    os.close(descriptor)
    loose = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
    os.ftruncate(loose, 4096)
    with pytest.raises(ValueError):
        map_slots(1, 1, 4096, loose)
    os.close(loose)


@pytest.mark.parametrize(
    "message",
    [
        note(slot=99).packed(),
        note(memory=7).packed(),
        note(height=4000, width=4000).packed(),
        b"[]",
        b"\xff\xfe",
        json.dumps({"failed": {"cause": "of its own", "words": "x"}}).encode(),
    ],
)
def test_a_process_that_lies_is_ended(message: bytes) -> None:
    """It counts as one that has died."""
    process = CaptureProcess()
    ours, theirs = exchange.pair()
    process._socket = ours
    slots, descriptor = make_slots(1, 48)
    words = json.dumps({"memory": 1, "count": slots.count, "size": slots.size})
    socket.send_fds(theirs, [words.encode()], [descriptor])
    os.close(descriptor)
    theirs.send(message)
    with pytest.raises(SourceError, match="has died"):
        process.read(1.0)
    assert process.pid is None
    theirs.close()
