"""Clips and snapshots: from before an event until after it, in bounded memory; what is kept, and a full
disk."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from fixtures_delivery import alert, disk_of, eventually

from a3d_edge.sinks.delivery.recorder import ClipSettings, Recorder
from a3d_edge.sinks.delivery.retention import keep_within
from a3d_edge.sinks.delivery.ring import Picture, Ring
from a3d_edge.video.frame import Frame

RATE = 30.0


class Recording:
    """A recorder, what it said and wrote; frames whose grey is their second."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.said: list[str] = []
        self.written: list[dict[str, Any]] = []
        self.recorder = Recorder(
            ClipSettings(folder, **settings), self.said.append, self.written.append, patient=True
        )
        self.index = 0

    def until(self, time_s: float, height: int = 72) -> None:
        while self.index / RATE < time_s:
            at = self.index / RATE
            picture = np.full((height, height * 4 // 3, 3), int(10 * at) % 250, np.uint8)
            self.recorder.frame(Frame(self.index, at, picture, 0.0))
            self.index += 1

    def stop(self) -> None:
        self.recorder.stop()
        self.recorder.join(20)


def read(path: Path) -> tuple[list[float], list[int], str]:
    """Times and greys of a clip's pictures, and its codec."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoded = [(float(one.time), one.to_ndarray(format="gray")) for one in container.decode(video=0)]
        greys = [int(picture.mean()) for _, picture in decoded]
        return [at for at, _ in decoded], greys, stream.codec_context.name


def test_a_clip_goes_from_before_until_after(tmp_path: Path) -> None:
    """H.264 in fragments, their index first, ten pictures a second; a snapshot; both named by the id."""
    recording = Recording(tmp_path / "clips", before_s=2.0, after_s=1.0)
    recording.until(7.0)
    recording.recorder.alert(alert("started", start_s=5.0, stream_time_s=6.5))
    recording.until(9.0)
    recording.recorder.alert(alert("ended", start_s=5.0, end_s=8.0))
    recording.until(12.0)
    recording.stop()
    name = alert().id
    assert sorted(path.name for path in (tmp_path / "clips").iterdir()) == [f"{name}.jpg", f"{name}.mp4"]
    times, greys, codec = read(tmp_path / "clips" / f"{name}.mp4")
    assert codec == "h264"
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(6.0, abs=0.15)  # from 3 to 9 s
    assert len(times) == pytest.approx(61, abs=2)
    assert greys[0] == pytest.approx(30, abs=4)
    assert greys[-1] == pytest.approx(90, abs=4)
    start = (tmp_path / "clips" / f"{name}.mp4").read_bytes()
    assert start.index(b"moov") < start.index(b"moof") < start.index(b"mdat")
    [line] = recording.written
    assert (line["id"], line["bytes"]) == (name, len(start))
    assert (line["start_s"], line["end_s"]) == pytest.approx((3.0, 9.0), abs=0.15)
    assert int(cv2.imread(str(tmp_path / "clips" / f"{name}.jpg")).mean()) == pytest.approx(65, abs=4)
    assert recording.said == []


def test_a_clip_that_goes_on_too_long_ends_and_the_end_of_a_run_ends_all(tmp_path: Path) -> None:
    """Both can be played."""
    recording = Recording(tmp_path, before_s=1.0, longest_s=3.0)
    recording.until(2.0)
    recording.recorder.alert(alert("started", 1, start_s=2.0))
    recording.until(8.0)
    recording.recorder.alert(alert("started", 2, start_s=7.5))
    recording.until(8.5)
    recording.stop()
    assert [line["id"][-1] for line in recording.written] == ["1", "2"]
    first, second = (read(tmp_path / f"{line['id']}.mp4")[0] for line in recording.written)
    assert first[-1] == pytest.approx(3.0, abs=0.2)
    assert second[-1] == pytest.approx(2.0, abs=0.2)


def test_memory_is_bounded_whatever_is_asked_for() -> None:
    """The oldest pictures leave, by time and by bytes."""
    ring = Ring(10.0, 5000)
    for number in range(100):
        ring.add(Picture(number / 10, bytes(1000)))
        assert ring.bytes <= 5000
    assert [one.time_s for one in ring.since(0.0)] == [9.5, 9.6, 9.7, 9.8, 9.9]
    assert ring.short
    ring.add(Picture(1.0, bytes(10)))
    assert [one.time_s for one in ring.since(0.0)] == [1.0]
    for number in range(300):
        ring.add(Picture(2.0 + number / 10, bytes(1)))
    assert len(list(ring.since(0.0))) == 101


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    """A clip of 4K would cost more than the network."""
    recording = Recording(tmp_path, height=120)
    recording.until(1.0, height=480)
    recording.recorder.alert(alert("started", start_s=0.5))
    recording.until(1.5, height=480)
    recording.stop()
    assert cv2.imread(str(tmp_path / f"{alert().id}.jpg")).shape == (120, 160, 3)


def test_a_live_source_never_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds the queue full is left out and counted."""
    recorder = Recorder(ClipSettings(tmp_path, rate=100.0), print, print, patient=False)
    monkeypatch.setattr(recorder, "_see", lambda frame: time.sleep(0.05))
    picture = np.zeros((32, 32, 3), np.uint8)
    begun = time.monotonic()
    for number in range(100):
        recorder.frame(Frame(number, number / 30, picture, 0.0))
    assert time.monotonic() - begun < 0.5
    assert recorder.counts["frames_left_out"] > 50
    recorder.stop()
    recorder.join(10)


def test_old_ones_are_deleted_by_age_and_by_size(tmp_path: Path) -> None:
    """The oldest first; others' files and links are left alone."""
    for number in range(6):
        path = tmp_path / f"2023111{number}T221319000Z-abcd-1.mp4"
        path.write_bytes(bytes(1000))
        os.utime(path, (1000.0 * number, 1000.0 * number))
    for other in ("mine.mp4", "20231110T221319000Z-abcd-1.txt"):
        (tmp_path / other).write_bytes(bytes(5000))
        os.utime(tmp_path / other, (0.0, 0.0))
    (tmp_path / "20231109T221319000Z-abcd-1.jpg").symlink_to(tmp_path / "mine.mp4")
    assert keep_within(tmp_path, now_s=6000.0, age_s=4500.0, limit=3000) == 3
    assert len(list(tmp_path.glob("2023111*.mp4"))) == 3
    assert (tmp_path / "20231113T221319000Z-abcd-1.mp4").exists()
    assert len(list(tmp_path.iterdir())) == 6
    assert keep_within(tmp_path, now_s=1e9, age_s=None, limit=None) == 0


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    """Nobody else's."""
    (tmp_path / f".{alert().id}.0123abcd.part.mp4").write_bytes(b"half")
    (tmp_path / ".mine.part.mp4").write_bytes(b"half")
    recording = Recording(tmp_path)
    recording.stop()
    assert [path.name for path in tmp_path.iterdir()] == [".mine.part.mp4"]


def test_on_a_full_disk_clips_are_left_out(tmp_path: Path) -> None:
    """Said once, with the bytes; snapshots as long as they fit."""
    with disk_of(tmp_path / "small", "1m") as folder:
        (folder / "filler").write_bytes(bytes(2**19 + 2**16))
        recording = Recording(folder)
        for number in (1, 2):
            recording.until(2.0 * number)
            recording.recorder.alert(alert("started", number, start_s=1.0))
            recording.recorder.alert(alert("ended", number, end_s=1.5))
        recording.until(8.0)
        eventually(lambda: recording.recorder.counts["failed"] == 2)
        recording.stop()
        assert [path.suffix for path in folder.iterdir()].count(".jpg") == 2
        assert not list(folder.glob("*.mp4"))
    [line] = recording.said
    assert line.startswith(f"clips of alerts: {folder}: No space left on device: needs 0.52 MB, ")
    assert line.endswith(" MB free; left out, the run goes on (said once; the summary counts)")


def test_a_disk_that_fills_up_while_recording(tmp_path: Path) -> None:
    """The clip ends there, and can be played."""
    with disk_of(tmp_path / "small", "4m") as folder:
        recording = Recording(folder, before_s=1.0)
        recording.until(2.0)
        recording.recorder.alert(alert("started", start_s=2.0))
        recording.until(3.0)
        (folder / "filler").write_bytes(bytes(4 * 2**20 - 2**17))
        recording.until(8.0)
        eventually(lambda: recording.said)
        recording.stop()
        [line] = recording.written
        assert 1 < len(read(Path(line["path"]))[0]) < 60
    assert "needs " in recording.said[0]
    assert "its disk has " in recording.said[0]
