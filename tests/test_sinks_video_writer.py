"""Recordings: playable at any moment, and under their name as soon as there is something to play."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.sinks.video_writer import VideoSink


def noise(height: int = 48, width: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def frames_in(path: Path) -> list[NDArray[np.uint8]]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (found := capture.read())[0]:
        frames.append(found[1])
    return frames


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Writing past ``size`` bytes of a file fails, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["out.mp4", "out.avi", "OUT.MP4"])
def test_a_recording_holds_every_frame_under_its_name_only(tmp_path: Path, name: str) -> None:
    """20 frames in, 20 frames out at the rate given, and no other file in the folder."""
    with VideoSink(tmp_path / name, 12.5) as sink:
        for _ in range(20):
            sink.write(noise())
    assert len(frames_in(tmp_path / name)) == 20
    assert cv2.VideoCapture(str(tmp_path / name)).get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_first_frame_fixes_an_even_size_and_later_ones_are_resized(tmp_path: Path) -> None:
    """Odd sizes lose a row and a column; another size does not end the recording."""
    with VideoSink(tmp_path / "out.mp4", 30.0) as sink:
        for size in ((49, 65), (120, 160), (1, 1)):
            sink.write(noise(*size))
    assert [frame.shape for frame in frames_in(tmp_path / "out.mp4")] == [(48, 64, 3)] * 3


def test_what_was_written_before_an_interruption_can_be_played(tmp_path: Path) -> None:
    """Ctrl-C in the middle leaves a whole file of the frames so far."""
    with pytest.raises(KeyboardInterrupt), VideoSink(tmp_path / "out.mp4", 30.0) as sink:  # noqa: PT012
        sink.write(noise())
        sink.write(noise())
        raise KeyboardInterrupt
    assert len(frames_in(tmp_path / "out.mp4")) == 2
    sink.close()
    assert len(frames_in(tmp_path / "out.mp4")) == 2


def test_a_recording_without_a_frame_leaves_no_file(tmp_path: Path) -> None:
    """And an older one as it was."""
    (tmp_path / "old.mp4").write_bytes(b"old")
    for name in ("new.mp4", "old.mp4"):
        VideoSink(tmp_path / name, 30.0).close()
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]
    assert (tmp_path / "old.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_a_disk_that_fills_up_ends_the_recording_once_and_keeps_it(tmp_path: Path, name: str) -> None:
    """Every frame that was whole is there, exactly as many as are told; the others are counted."""
    sink, errors = VideoSink(tmp_path / name, 30.0), []
    with files_limited_to(100_000):
        for number in range(150):
            try:
                sink.write(noise(seed=number))
            except ResourceError as error:
                errors.append(str(error))
        sink.close()
    assert len(errors) == 1
    assert f"{name}: cannot record on (File too large); the {sink.frames} frames before are kept" in errors[0]
    assert len(frames_in(tmp_path / name)) == sink.frames >= 30
    assert sink.frames + sink.missed == 150
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_a_disk_without_room_says_how_much_is_needed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded before is whole to its last frame, and what is there of another recording is kept."""
    (tmp_path / name).write_bytes(b"old")
    free = iter([10**9, 10**9, 123_456])
    monkeypatch.setattr("a3d_edge.sinks.video_writer.free_bytes", lambda path: next(free))
    sink = VideoSink(tmp_path / name, 30.0)
    for number in range(30):
        sink.write(noise(seed=number))
    with pytest.raises(
        ResourceError, match=r"\(needs 0\.\d\d MB, its disk has 0\.12 MB left\); the 30 frames"
    ):
        sink.write(noise())
    sink.write(noise())
    sink.close()
    assert len(frames_in(tmp_path / name)) == 30
    assert (sink.frames, sink.missed) == (30, 2)
    monkeypatch.setattr("a3d_edge.sinks.video_writer.free_bytes", lambda path: 0)
    full = VideoSink(tmp_path / name, 30.0)
    with pytest.raises(ResourceError, match=r"has 0 bytes left\); make room"):
        full.write(noise())
    full.close()
    assert len(frames_in(tmp_path / name)) == 30
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_a_killed_process_leaves_what_it_recorded(tmp_path: Path, name: str) -> None:
    """All but the last second of an .mp4, under its name."""
    program = (
        "import os, sys, numpy; from a3d_edge.sinks.video_writer import VideoSink\n"
        "sink = VideoSink(sys.argv[1], 30.0)\n"
        "for seed in range(80):\n"
        "    sink.write(numpy.random.default_rng(seed).integers(0, 255, (48, 64, 3), numpy.uint8))\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], timeout=60, check=False)
    assert done.returncode == -9
    assert len(frames_in(tmp_path / name)) in {"out.mp4": range(50, 80), "out.avi": [80]}[name]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_discarded_recording_leaves_nothing(tmp_path: Path) -> None:
    """`discard` removes what was written; `close` after it does nothing."""
    sink = VideoSink(tmp_path / "out.mp4", 30.0)
    sink.write(noise())
    sink.discard()
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_names_that_cannot_be_meant_are_refused_before_the_first_frame(tmp_path: Path) -> None:
    """Unknown suffix (with those there are), missing folder, a folder itself, a rate of nothing."""
    (tmp_path / "folder.mp4").mkdir()
    for name, reason in [
        ("out.gif", r"cannot record to '\.gif'; name the file \.mp4 or \.avi"),
        ("nowhere/out.mp4", "does not exist; create it first"),
        ("folder.mp4", "is a folder"),
    ]:
        with pytest.raises(UsageError, match=reason):
            VideoSink(tmp_path / name, 30.0)
    with pytest.raises(UsageError, match="a rate of 0"):
        VideoSink(tmp_path / "out.mp4", 0)


def test_a_folder_that_vanishes_is_a_resource_error(tmp_path: Path) -> None:
    """Naming the path, at the first frame."""
    (tmp_path / "here").mkdir()
    sink = VideoSink(tmp_path / "here" / "out.mp4", 30.0)
    (tmp_path / "here").rmdir()
    with pytest.raises(ResourceError, match=r"out\.mp4: cannot record"):
        sink.write(noise())
