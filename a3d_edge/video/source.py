"""What a source of frames is, and the one that a word from the command line means.

0, 1, /dev/video0        a camera
demo                     drawn figures that act the classes of a bundle
a folder                 its pictures, in natural order
a file, file:///…        a video
rtsp://…, http://…       a network camera; or a recording, if it says how long it is: read like a file
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from a3d_edge.errors import SourceError
from a3d_edge.video.files import ImageFolder, VideoFile
from a3d_edge.video.frame import Frame, Source
from a3d_edge.video.live import LiveSource
from a3d_edge.video.opencv import Capture, shown
from a3d_edge.video.paced import Demo, Paced
from a3d_edge.video.pause import Clock, Sleep

__all__ = ["Frame", "Source", "file_of", "open_source"]

_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,4})")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt", "tcp", "http", "https"})


def open_source(
    spec: str | int,
    *,
    realtime: bool = False,
    image_rate: float = 30.0,
    classes: Sequence[str] = (),
    clock: Clock = time.monotonic,
    sleep: Sleep | None = None,
) -> Source:
    """Open what ``spec`` names (see the module). ``realtime`` paces a file or folder like a camera.

    ``image_rate``: pictures a second of a folder. ``classes``: what the demo's figures act, if they can.
    Raises `SourceError` when it cannot be opened or holds no picture, `UsageError` for an impossible rate.
    """
    word = str(spec).strip()
    camera = _CAMERA.fullmatch(word)
    if camera is not None:
        return LiveSource(f"camera {camera[1]}", partial(Capture, int(camera[1])), clock, sleep)
    if word == "demo":
        return _demo(classes, clock, sleep)
    if _URL.match(word) and not word.lower().startswith("file://"):
        source = _stream(word, clock, sleep)
    else:
        source = _recording(word, image_rate, clock, paced=realtime)
    return Paced(source, clock, sleep) if realtime and not source.live else source


def _demo(classes: Sequence[str], clock: Clock, sleep: Sleep | None) -> Source:
    from a3d_edge.demo.rendered import RenderedStream

    return Demo(RenderedStream(classes=classes), clock=clock, sleep=sleep)


def _stream(url: str, clock: Clock, sleep: Sleep | None) -> Source:
    """A network camera, or a recording behind a URL: only what comes tells."""
    from a3d_edge.video.decoder import Decoder

    name, scheme = shown(url), urlsplit(url).scheme.lower()
    if scheme not in _SCHEMES:
        raise SourceError(
            f"{name}: unknown kind of address '{scheme}'; there are {', '.join(sorted(_SCHEMES))}"
        )
    first = Decoder(url, name, network=True)
    if not first.live:
        return VideoFile(url, name, clock, first)
    waiting = [first]
    live = LiveSource(
        name, lambda: waiting.pop() if waiting else Decoder(url, name, network=True), clock, sleep
    )
    return Paced(live, clock, sleep, unhurried=True) if first.in_bursts else live


def file_of(word: str) -> Path | None:
    """The file or folder that a word means; None for a camera, the demo, other URLs, and no word at all."""
    word = word.strip()
    if not word or _CAMERA.fullmatch(word) or word == "demo":
        return None
    if word.lower().startswith("file://"):
        return Path(url2pathname(urlsplit(word).path))
    return None if _URL.match(word) else Path(word)


def _recording(word: str, image_rate: float, clock: Clock, *, paced: bool) -> Source:
    path = _existing(file_of(word))
    if path.is_dir():
        return ImageFolder(path, image_rate, clock)
    _check_file(path)
    return VideoFile(str(path.absolute()), str(path), clock, paced=paced)


def _existing(place: Path | None) -> Path:
    try:
        path = None if place is None else place.expanduser()
        if path is not None and path.exists():
            return path
    except (OSError, RuntimeError, ValueError):  # too long, an unknown ~user, a folder we may not enter
        pass
    raise SourceError(
        f"no such file or directory: '{place or ''}'; give a video, a folder, a camera's number or a URL"
    )


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise SourceError(f"{path}: neither a file nor a folder; give a video, a folder or a camera's number")
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not first:
        raise SourceError(f"{path}: the file is empty; record or download it again")
