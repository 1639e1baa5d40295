"""Which source a word from the command line means."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import cv2
import numpy as np
import pytest

from a3d_edge.demo.rendered import CLASSES
from a3d_edge.errors import SourceError
from a3d_edge.video.files import ImageFolder, VideoFile
from a3d_edge.video.opencv import shown
from a3d_edge.video.paced import Demo, Paced
from a3d_edge.video.source import open_source


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip one.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (32, 24))
    writer.write(np.zeros((24, 32, 3), np.uint8))
    writer.release()
    return path


def test_a_file_a_file_url_and_a_folder_are_recognised(tmp_path: Path, video: Path) -> None:
    """The same file by path and by file:// URL; the folder as pictures; none of them live."""
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((4, 4, 3), np.uint8))
    assert isinstance(open_source(str(video)), VideoFile)
    assert isinstance(open_source(video.as_uri()), VideoFile)
    assert isinstance(open_source(str(tmp_path)), ImageFolder)
    assert not open_source(str(video)).live


def test_realtime_makes_a_file_live(video: Path) -> None:
    """`realtime` wraps it so that it is paced, and its reader treats it like a camera."""
    source = open_source(str(video), realtime=True)
    assert isinstance(source, Paced)
    assert source.live


def test_demo_acts_out_a_class_and_says_which() -> None:
    """The demo's frames carry their truth, and it is live."""
    source = open_source("demo")
    assert isinstance(source, Demo)
    frame = source.read()
    assert frame is not None
    assert frame.truth
    assert frame.image.ndim == 3


def test_demo_acts_the_classes_it_is_told() -> None:
    """Those of the bundle that is run; the usual ones where none of them can be drawn."""
    for classes, known in ((("left", "stop", "none"), {"left", "stop", "none"}), (("mine",), set(CLASSES))):
        frame = open_source("demo", classes=classes).read()
        assert frame is not None
        assert frame.truth in known


@pytest.mark.parametrize(
    "word", ["nowhere.mp4", "", "x" * 5000, "~nobody-of-that-name/clip.mp4", "99999999999"]
)
def test_a_word_that_names_nothing_is_refused(word: str) -> None:
    """One line that says what was looked for."""
    with pytest.raises(SourceError, match="no such file or directory: '"):
        open_source(word)


def test_an_empty_file_and_a_device_are_refused(tmp_path: Path) -> None:
    """Each with its own reason."""
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(SourceError, match=r"empty\.mp4: the file is empty"):
        open_source(str(tmp_path / "empty.mp4"))
    with pytest.raises(SourceError, match="/dev/null: neither a file nor a folder"):
        open_source("/dev/null")


@pytest.mark.parametrize("spec", [4321, "4321", "/dev/video4321"])
def test_a_camera_that_is_not_there_fails_at_once(spec: str | int) -> None:
    """By number, as text or by device name."""
    with pytest.raises(SourceError, match="camera 4321: cannot be opened"):
        open_source(spec)


@pytest.mark.parametrize("url", ["rtsp://me:secret@127.0.0.1:9/x", "http://me:secret@127.0.0.1:9/clip.mp4"])
def test_a_stream_that_does_not_answer_fails_without_telling_the_password(url: str) -> None:
    """A camera's URL, if it is not waited for, and a recording's; nor do tracebacks tell it."""
    with pytest.raises(SourceError) as caught:
        open_source(url, give_up_s=0).read()
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.cause == "refused"
    assert "127.0.0.1:9" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "printed"),
    [
        ("rtsp://u:p@ss@host:1/x", "rtsp://…@host:1/x"),
        ("rtsp://u:p/w?a#b@host:1/x", "rtsp://…@host:1/x"),
        ("rtsp://host/x", "rtsp://host/x"),
        ("http://host:80/video.mjpg?user=me&pwd=secret", "http://host:80/video.mjpg?…"),
        ("/a@b", "/a@b"),
        (0, "0"),
    ],
)
def test_only_the_user_part_and_the_query_of_a_url_are_hidden(where: str | int, printed: str) -> None:
    """Everything that helps to find a mistake stays."""
    assert shown(where) == printed


def test_a_broken_video_leaves_stderr_to_people(tmp_path: Path) -> None:
    """Neither OpenCV nor FFmpeg prints its own messages."""
    path = tmp_path / "text.mp4"
    path.write_text("words " * 100)
    code = (
        "from a3d_edge.video.source import open_source\n"
        "from a3d_edge.errors import SourceError\n"
        "for word in (0, 'http://127.0.0.1:9/x', __import__('sys').argv[1]):\n"
        "    try: open_source(word)\n"
        "    except SourceError: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True)
    assert done.stderr == b""
