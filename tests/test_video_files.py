"""Video files and image folders: every picture, at its own time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.video.files import ImageFolder, VideoFile, read_picture
from a3d_edge.video.frame import Frame
from a3d_edge.video.source import Source


def picture(number: int, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    """A grey picture whose brightness says which one it is."""
    return np.full((*size, 3), 20 + 10 * (number % 20), np.uint8)


def write_video(path: Path, count: int, rate: float = 25.0) -> Path:
    codec = "mp4v" if path.suffix == ".mp4" else "MJPG"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (64, 48))
    for number in range(count):
        writer.write(picture(number))
    writer.release()
    return path


def write_variable_rate(path: Path, milliseconds: list[int]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, at in enumerate(milliseconds):
            frame = av.VideoFrame.from_ndarray(picture(number), format="bgr24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_all(source: Source) -> list[Frame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def open_video(path: Path) -> VideoFile:
    return VideoFile(str(path), path.name)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_every_frame_of_a_video_is_read_in_order_at_its_time(tmp_path: Path, name: str) -> None:
    """12 frames written at 25 fps come back as 12 BGR frames, 40 ms apart from 0, then None for good."""
    source = open_video(write_video(tmp_path / name, 12))
    frames = read_all(source)
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 25 for i in range(12)])
    brightness = [float(frame.image.mean()) for frame in frames]
    assert brightness == pytest.approx([20 + 10 * i for i in range(12)], abs=4)
    assert frames[0].image.shape == (48, 64, 3)
    assert source.read() is None
    assert (source.frame_rate, source.unreadable, source.live) == (25.0, 0, False)


def test_variable_frame_rate_keeps_the_containers_times(tmp_path: Path) -> None:
    """Times are those of the container, moved so that the first frame is at 0; the frame rate is not used."""
    times = [500, 520, 600, 610, 900, 1900]
    frames = read_all(open_video(write_variable_rate(tmp_path / "v.mp4", times)))
    assert [f.time_s for f in frames] == pytest.approx([(t - 500) / 1000 for t in times], abs=1e-4)


def test_a_video_cut_off_in_the_middle_gives_what_it_has_and_counts_the_rest(tmp_path: Path) -> None:
    """Half of an AVI: its readable frames, and the announced ones that are missing as unreadable."""
    whole = write_video(tmp_path / "a.avi", 200)
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = open_video(cut)
    count = len(read_all(source))
    assert 20 < count < 180
    assert count + source.unreadable == 200


def test_closing_a_video_early_counts_nothing_as_unreadable(tmp_path: Path) -> None:
    """What was not asked for is not damage."""
    source = open_video(write_video(tmp_path / "a.avi", 20))
    source.read()
    source.close()
    assert source.read() is None
    assert source.unreadable == 0


@pytest.mark.parametrize("content", [b"", b"just some words\n" * 100])
def test_a_file_without_a_picture_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    """Nothing, or text renamed to .mp4: one line that names the file and what to do."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"^clip\.mp4: .*give a (complete )?video file"):
        open_video(path)


def test_a_folder_is_read_in_natural_order_at_its_rate(tmp_path: Path) -> None:
    """img2 comes before img10, other files are passed over, and time is index / rate."""
    for number in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"img{number}.png"), picture(number))
    (tmp_path / "notes.txt").write_text("not a picture")
    frames = read_all(ImageFolder(tmp_path, rate=10.0))
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [30, 40, 120]
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize("kind", [".jpg", ".jpeg", ".PNG", ".bmp", ".webp"])
def test_every_kind_of_picture_is_read_and_its_first_half_is_not(tmp_path: Path, kind: str) -> None:
    """A picture that is cut off counts as unreadable, never as a picture half grey."""
    whole = tmp_path / f"whole{kind}"
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    whole.write_bytes(cv2.imencode(kind.lower(), noise)[1].tobytes())
    cut = tmp_path / f"cut{kind}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = read_picture(whole)
    assert found is not None
    assert found.shape == (48, 64, 3)
    assert read_picture(cut) is None


def test_corrupt_pictures_are_counted_and_keep_their_place_in_time(tmp_path: Path) -> None:
    """The first and third of four are broken: two frames at times 1 and 3, two unreadable, no error."""
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), picture(number))
    (tmp_path / "0.jpg").write_bytes(b"")
    (tmp_path / "2.jpg").write_bytes((tmp_path / "2.jpg").read_bytes()[:200])
    source = ImageFolder(tmp_path, rate=1.0)
    assert [(f.index, f.time_s) for f in read_all(source)] == [(1, 1.0), (3, 3.0)]
    assert source.unreadable == 2


def test_hidden_files_of_a_folder_are_left_out(tmp_path: Path) -> None:
    """What a system keeps beside the user's pictures is neither shown nor counted."""
    cv2.imwrite(str(tmp_path / "a.png"), picture(1))
    (tmp_path / "._a.png").write_bytes(b"what macOS knows of it")
    cv2.imwrite(str(tmp_path / ".b.png"), picture(2))
    source = ImageFolder(tmp_path)
    assert (len(read_all(source)), source.unreadable) == (1, 0)


def test_a_folder_without_a_readable_picture_is_refused(tmp_path: Path) -> None:
    """Empty, or with broken pictures only: a SourceError that says which."""
    with pytest.raises(SourceError, match="no picture in it"):
        ImageFolder(tmp_path)
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(SourceError, match="none of its 1 pictures can be read"):
        ImageFolder(tmp_path)


def test_an_image_rate_of_zero_is_refused(tmp_path: Path) -> None:
    """Pictures a second must be above 0."""
    with pytest.raises(UsageError, match="image rate 0"):
        ImageFolder(tmp_path, rate=0)
