"""Decoding once: real files, the cache on disk, and the frame that stands for a time."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.demo.rendered import CLASSES
from a3d_edge.errors import ResourceError, SourceError
from a3d_edge.training.clips import Clip
from a3d_edge.training.decode import DecodedClip, FrameCache, decode, pictures_at, times_of
from a3d_edge.training.films import renderer_sources
from a3d_edge.video.files import VideoFile


def write_grey(
    path: Path, levels: Sequence[int], rate: float = 25.0, size: tuple[int, int] = (64, 48)
) -> Path:
    """A real file whose frames are even grey of the given levels."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    for level in levels:
        writer.write(np.full((size[1], size[0], 3), level, np.uint8))
    writer.release()
    return path


def at_times(times: Sequence[float]) -> DecodedClip:
    return DecodedClip(np.zeros((len(times), 1, 1, 3), np.uint8), np.array(times))


def levels_of(clip: DecodedClip) -> NDArray[np.float64]:
    return np.array([clip.frames[place].mean() for place in range(len(clip.times))])


def test_a_file_is_decoded_whole(tmp_path: Path) -> None:
    """Every frame in order, BGR, with its time from 0; a small file keeps its size."""
    levels = list(range(30, 230, 20))
    clip = decode(write_grey(tmp_path / "a.mp4", levels), 160)
    assert (clip.frames.shape, clip.frames.dtype) == ((10, 48, 64, 3), np.uint8)
    np.testing.assert_allclose(levels_of(clip), levels, atol=4)
    np.testing.assert_allclose(clip.times, np.arange(10) / 25.0, atol=1e-6)
    assert clip.duration == pytest.approx(0.36)


def test_colours_are_bgr(tmp_path: Path) -> None:
    """As OpenCV reads them at run time."""
    path = tmp_path / "a.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 48))
    writer.write(np.full((48, 64, 3), (200, 120, 40), np.uint8))
    writer.release()
    np.testing.assert_allclose(decode(path, 160).frames[0].mean(axis=(0, 1)), (200, 120, 40), atol=6)
    read = cv2.VideoCapture(str(path)).read()[1]
    np.testing.assert_allclose(decode(path, 160).frames[0].astype(int), read, atol=3)


MATRICES = {  # a, b, c, d of the track's display matrix, by the degrees clockwise that it asks for
    0: (1, 0, 0, 1),
    45: (0.70711, 0.70711, -0.70711, 0.70711),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}


def write_tagged(path: Path, degrees: int) -> Path:
    """A real file of four coloured quarters, tagged to be shown turned clockwise, as phones do."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:] = (0, 0, 230), (0, 230, 0)
    picture[24:, :32], picture[24:, 32:] = (230, 0, 0), (230, 230, 230)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 48))
    for _ in range(3):
        writer.write(picture)
    writer.release()
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # behind version, times, track number, duration, layer, volume
    a, b, c, d = (round(value * 65536) for value in MATRICES[degrees])
    assert struct.unpack_from(">9i", content, matrix) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, matrix, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("degrees", MATRICES)
def test_frames_are_upright_as_at_run_time(tmp_path: Path, degrees: int) -> None:
    """A rotation tag turns what is decoded exactly as OpenCV turns it; an angle in between turns neither."""
    path = write_tagged(tmp_path / "a.mp4", degrees)
    clip = decode(path, 160)
    assert clip.frames.shape == ((3, 64, 48, 3) if degrees in (90, 270) else (3, 48, 64, 3))
    top_left = {90: (230, 0, 0), 180: (230, 230, 230), 270: (0, 230, 0)}.get(degrees, (0, 0, 230))
    np.testing.assert_allclose(clip.frames[0, 4:12, 4:12].mean(axis=(0, 1)), top_left, atol=12)
    capture = cv2.VideoCapture(str(path))
    for frame in clip.frames:
        np.testing.assert_allclose(frame.astype(int), capture.read()[1], atol=3)


def test_a_turned_clip_is_shrunk_to_the_same_short_side(tmp_path: Path) -> None:
    """Shown 48 wide and 64 high, it becomes 24 wide and 32 high; the cache holds it so."""
    path = write_tagged(tmp_path / "a.mp4", 90)
    assert decode(path, 24).frames.shape == (3, 32, 24, 3)
    assert FrameCache(tmp_path / "cache", 24).get(Clip("a", path)).frames.shape == (3, 32, 24, 3)


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 48), (24, 32)), ((48, 64), (32, 24)), ((24, 20), (20, 24))]
)
def test_frames_are_shrunk_to_the_short_side_never_grown(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Short side 24 at most, the shape kept."""
    clip = decode(write_grey(tmp_path / "a.mp4", [100] * 3, size=size), 24)
    assert clip.frames.shape[1:3] == expected


@pytest.mark.parametrize("content", [b"", b"this is text\n" * 50, b"\x00\x00\x00\x18ftypmp42" + bytes(200)])
def test_a_file_that_is_no_video_is_a_source_error(tmp_path: Path, content: bytes) -> None:
    """Empty, text renamed to .mp4, a header without anything behind it."""
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"bad\.mp4: .*give a (complete )?video file"):
        decode(path, 160)


def test_a_sound_file_is_a_source_error(tmp_path: Path) -> None:
    """A container without a video stream."""
    import wave

    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    with pytest.raises(SourceError, match=r"a\.wav: is no video"):
        decode(tmp_path / "a.wav", 160)


@pytest.mark.parametrize(
    ("times", "asked", "expected"),
    [
        ([0.0, 0.1, 0.2], [0.0, 0.04, 0.06, 0.1, 0.16, 0.2], [0, 0, 1, 1, 2, 2]),
        ([0.0, 0.1, 0.2], [-1.0, 0.9], [0, 2]),  # held before the first and after the last
        ([0.0, 0.25], [0.125], [0]),  # a tie goes to the earlier
        ([0.0], [-1.0, 0.0, 5.0], [0, 0, 0]),
        ([0.0, 0.5, 0.51, 0.52, 2.0], [0.3, 0.514, 1.2, 1.3], [1, 2, 3, 4]),
    ],
)
def test_the_nearest_frame_stands_for_a_time(
    times: list[float], asked: list[float], expected: list[int]
) -> None:
    """At any spacing; times outside the clip get its first or last frame."""
    assert at_times(times).at(np.array(asked)).tolist() == expected


def test_the_cache_decodes_once(tmp_path: Path) -> None:
    """The second time frames come from disk: the file itself need not even be decodable any more."""
    path = write_grey(tmp_path / "a.mp4", [50, 100, 150])
    first = FrameCache(tmp_path / "cache", 24).get(Clip("a", path))
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = FrameCache(tmp_path / "cache", 24).get(Clip("a", path))
    np.testing.assert_array_equal(again.frames, first.frames)
    np.testing.assert_array_equal(again.times, first.times)


def test_a_changed_file_is_decoded_anew(tmp_path: Path) -> None:
    """Another content of the same name is never served from the cache, nor another scale."""
    path = write_grey(tmp_path / "a.mp4", [50] * 3)
    cache = FrameCache(tmp_path / "cache", 24)
    assert levels_of(cache.get(Clip("a", path))) == pytest.approx([50] * 3, abs=4)
    write_grey(path, [150] * 4)
    assert levels_of(cache.get(Clip("a", path))) == pytest.approx([150] * 4, abs=4)
    assert FrameCache(tmp_path / "cache", 40).get(Clip("a", path)).frames.shape[1] == 40


def test_the_cache_may_be_deleted_at_any_time(tmp_path: Path) -> None:
    """Whole or in part: what is missing is decoded again, and what is in use stays readable."""
    path = write_grey(tmp_path / "a.mp4", [50] * 3)
    cache = FrameCache(tmp_path / "cache")
    clip = cache.get(Clip("a", path))
    shutil.rmtree(tmp_path / "cache")
    assert levels_of(clip) == pytest.approx([50] * 3, abs=4)
    cache.get(Clip("a", path))
    next((tmp_path / "cache").glob("*.pictures")).unlink()
    assert levels_of(cache.get(Clip("a", path))) == pytest.approx([50] * 3, abs=4)


def test_a_rendered_clip_is_drawn_from_its_seed(tmp_path: Path) -> None:
    """Same seed, same frames; another seed, others; times are evenly spaced."""
    cache = FrameCache(tmp_path / "cache")
    clip = cache.get(Clip(CLASSES[0], None, seed=1))
    again = FrameCache(tmp_path / "other").get(Clip(CLASSES[0], None, seed=1))
    np.testing.assert_array_equal(clip.frames, again.frames)
    other = cache.get(Clip(CLASSES[0], None, seed=2))
    assert clip.frames.shape != other.frames.shape or (clip.frames[0] != other.frames[0]).any()
    assert 2.3 < clip.duration < 4.3
    np.testing.assert_allclose(np.diff(clip.times), clip.times[1])


def test_a_rendered_gesture_is_kept_as_small_as_clips_are(tmp_path: Path) -> None:
    """Drawn at 216 to 240 pixels; the cache's short side holds; ``none`` is not the one of interactions."""
    cache = FrameCache(tmp_path / "cache", 160)
    clip = cache.get(Clip("none", None, seed=1, drawn="gestures"))
    assert min(clip.frames[0].shape[:2]) == 160
    other = cache.get(Clip("none", None, seed=1))
    assert clip.frames[0].shape != other.frames[0].shape or (clip.frames[0] != other.frames[0]).any()


def test_every_drawing_module_names_a_rendered_clip_in_the_cache() -> None:
    """What drawing one imports is what the cache's key is made of, always in the same order."""
    program = (
        "import sys; import a3d_edge; before = set(sys.modules); import a3d_edge.demo.rendered\n"
        "for name in set(sys.modules) - before:\n"
        "    if name.startswith('a3d_edge.demo'): print(sys.modules[name].__file__)\n"
        "    elif name.startswith('a3d_edge.'): assert name in ('a3d_edge.errors', 'a3d_edge.labels'), name\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    sources = renderer_sources()
    assert sorted(str(source) for source in sources) == sorted(done.stdout.splitlines())
    names = [source.name for source in sources]
    assert names == sorted(names)
    assert "rendered.py" in names
    assert {"actions.py", "gestures.py", "people.py", "scenery.py", "skeleton.py"} <= set(names)


def test_a_clip_that_is_gone_is_a_source_error(tmp_path: Path) -> None:
    """Listed once, deleted since."""
    with pytest.raises(SourceError, match=r"gone\.mp4: cannot be read \(No such file or directory\)"):
        FrameCache(tmp_path / "cache").get(Clip("a", tmp_path / "gone.mp4"))


def test_a_cache_that_cannot_be_is_a_resource_error(tmp_path: Path) -> None:
    """The message names the folder and the flag."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ResourceError, match=r"file/cache: cannot keep decoded frames here .*; see `cache`"):
        FrameCache(tmp_path / "file" / "cache")


@pytest.mark.parametrize("suffix", [".npy", ".pictures"])
@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing", None])
def test_a_damaged_entry_of_the_cache_is_made_again(
    tmp_path: Path, suffix: str, damage: bytes | None
) -> None:
    """Emptied, overwritten or cut off: the clip is decoded anew, as it was."""
    path = write_grey(tmp_path / "a.mp4", [50, 90, 130])
    cache = FrameCache(tmp_path / "cache")
    cache.get(Clip("a", path))
    (entry,) = (tmp_path / "cache").glob(f"*{suffix}")
    entry.write_bytes(entry.read_bytes()[:-7] if damage is None else damage)
    assert levels_of(cache.get(Clip("a", path))) == pytest.approx([50, 90, 130], abs=4)


def test_a_long_clip_is_cached_without_being_held(tmp_path: Path) -> None:
    """Memory for one picture, not for all: 600 frames of 160×160 are 46 MB."""
    path = write_grey(tmp_path / "a.mp4", [n % 200 for n in range(600)], size=(160, 160))
    cache = FrameCache(tmp_path / "cache")
    tracemalloc.start()
    cache.get(Clip("a", path))
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 10e6


def test_times_and_single_pictures_are_those_of_the_whole(tmp_path: Path) -> None:
    """What explain looks at: the same instants and pictures as `decode` gives, and no others."""
    path = write_grey(tmp_path / "a.mp4", list(range(20, 220, 10)))
    whole = decode(path, 32)
    np.testing.assert_array_equal(times_of(path).times, whole.times)
    found = pictures_at(path, 32, {3, 17})
    assert set(found) == {3, 17}
    for place, image in found.items():
        np.testing.assert_array_equal(image, whole.frames[place])


def test_duration_leaves_out_what_lies_between_takes() -> None:
    """Two takes of a second each, an hour apart, are two seconds."""
    times = np.array([0.0, 0.5, 1.0, 3600.0, 3600.5, 3601.0])
    clip = DecodedClip(np.zeros((6, 1, 1, 3), np.uint8), times, np.repeat([0, 1], 3))
    assert clip.duration == pytest.approx(2.0)
    assert [stretch.first for stretch in clip.stretches(2.0)] == [0, 3]


def test_a_part_of_a_clip_is_cut_from_one_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames from start to end and no other, the first at 0; the file is decoded once for all its parts."""
    path = write_grey(tmp_path / "a.mp4", list(range(20, 220, 10)))
    cache = FrameCache(tmp_path / "cache")
    whole = cache.get(Clip("a", path))
    monkeypatch.setattr(VideoFile, "read", None)
    rate = (len(whole.times) - 1) / whole.times[-1]
    for first, last in ((0, 5), (5, 12), (12, 20), (7, 8)):
        part = cache.get(Clip("a", path, start=first / rate, end=last / rate))
        np.testing.assert_allclose(part.times, whole.times[first:last] - whole.times[first], atol=1e-9)
        np.testing.assert_array_equal(np.stack(list(part.frames)), np.stack(list(whole.frames[first:last])))
        assert len(part.stretches(1.0)) == 1
    assert len(cache.get(Clip("a", path, end=5 / rate)).times) == 5
    assert len(cache.get(Clip("a", path, start=5 / rate, end=20 / rate + 0.9)).times) == 15
    assert len(cache.get(Clip("a", path, start=5.2 / rate, end=5.4 / rate)).times) == 1
    assert len(list((tmp_path / "cache").glob("*.pictures"))) == 1


@pytest.mark.parametrize(("start", "end"), [(3.0, None), (None, 9.0), (3.0, 4.0)])
def test_a_part_beyond_its_clip_names_file_and_line(
    tmp_path: Path, start: float | None, end: float | None
) -> None:
    """What lists it, the part, and where the clip ends."""
    path = write_grey(tmp_path / "a.mp4", [50, 90, 130])
    clip = Clip("a", path, start=start, end=end, where="list.csv:7")
    with pytest.raises(SourceError) as caught:
        FrameCache(tmp_path / "cache").get(clip)
    assert re.fullmatch(
        rf"list\.csv:7: {path}#t=.*: is beyond its clip, which ends at 0\.\d+ s", str(caught.value)
    )
