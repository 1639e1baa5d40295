"""What a source of frames is, and the one that a word from the command line means.

0, 1, /dev/video0        a camera
demo                     drawn figures that act the classes of a bundle
a folder                 its pictures, in natural order
a file, file:///…        a video
rtsp://…, http://…       a network camera; or a recording, if it says how long it is: read like a file
env:NAME, secret:FILE    what the environment variable holds, or the first line of the file: so that no
password
                         is on the command line

Cameras and streams are captured in a process of their own, and waited for while they are away. What can never
be had is refused at once: an address that is none, a recording that is not there, a camera's number without a
device.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.video.addresses import RECORDINGS, checked_url, is_url, resolved, shown, shown_word
from a3d_edge.video.capture import CaptureProcess, Opened, Order
from a3d_edge.video.files import ImageFolder, VideoFile
from a3d_edge.video.frame import Frame, Source
from a3d_edge.video.live import OPEN_S, PATIENT_S, STALL_S, LiveSource, Patience
from a3d_edge.video.paced import Demo, Paced
from a3d_edge.video.pause import Clock, Sleep
from a3d_edge.video.recorded import Recorded

__all__ = ["Frame", "Source", "file_of", "open_source"]

_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,4})")
_WEB = frozenset({"http", "https"})
_PLAYLISTS = frozenset({".m3u8", ".mpd"})


def open_source(
    spec: str | int,
    *,
    realtime: bool = False,
    image_rate: float = 30.0,
    classes: Sequence[str] = (),
    stall_s: float = STALL_S,
    give_up_s: float | None = None,
    allow_redirect: bool = False,
    clock: Clock = time.monotonic,
    sleep: Sleep | None = None,
) -> Source:
    """Open what ``spec`` names (see the module). ``realtime`` paces a file or folder like a camera.

    ``image_rate``: pictures a second of a folder. ``classes``: what the demo's figures act, if they can.
    ``stall_s``, ``give_up_s``: see `Patience`. ``allow_redirect``: a playlist may name other files, a server
    other servers. Raises `SourceError` when it cannot be opened or holds no picture, `UsageError` for an
    impossible rate, time or address.
    """
    if not stall_s > 0 or (give_up_s is not None and not give_up_s >= 0):
        raise UsageError("`stall` is to be above 0 seconds, `give_up` at least 0")
    patience = Patience(stall_s, give_up_s)
    word = resolved(str(spec).strip())
    camera = _CAMERA.fullmatch(word)
    if camera is not None:
        return _camera(int(camera[1]), patience, clock, sleep)
    if word == "demo":
        return _demo(classes, clock, sleep)
    if is_url(word):
        source = _stream(word, patience, clock, sleep, redirects=allow_redirect)
    else:
        source = _recording(word, image_rate, clock, paced=realtime, redirects=allow_redirect)
    return Paced(source, clock, sleep) if realtime and not source.live else source


def _camera(number: int, patience: Patience, clock: Clock, sleep: Sleep | None) -> Source:
    name = f"camera {number}"
    if patience.give_up_s is None and not Path(f"/dev/video{number}").exists():
        raise SourceError(
            f"{name}: cannot be opened, there is no /dev/video{number}; check that it is connected "
            "(with `give_up` it is waited for)"
        )
    return LiveSource(Order(name, camera=number), CaptureProcess(), patience, clock=clock, sleep=sleep)


def _demo(classes: Sequence[str], clock: Clock, sleep: Sleep | None) -> Source:
    from a3d_edge.demo.rendered import RenderedStream

    return Demo(RenderedStream(classes=classes), clock=clock, sleep=sleep)


def _stream(url: str, patience: Patience, clock: Clock, sleep: Sleep | None, *, redirects: bool) -> Source:
    """A network camera, or a recording behind a URL: of the web's only what comes tells."""
    order = Order(shown(url), checked_url(url), redirects=redirects)
    suffix, scheme = PurePosixPath(urlsplit(url).path).suffix.lower(), urlsplit(url).scheme.lower()
    capture = CaptureProcess()
    first = _attempt(capture, order, PATIENT_S if suffix else OPEN_S) if scheme in _WEB else None
    if isinstance(first, Opened) and not first.live:
        return VideoFile(url, order.name, clock, Recorded(order.name, capture, first))
    if isinstance(first, SourceError) and (suffix in RECORDINGS or patience.give_up_s == 0):
        capture.kill()
        raise SourceError(f"{order.name}: {first}", cause=first.cause)
    live = LiveSource(order, capture, patience, first=first, clock=clock, sleep=sleep)
    in_bursts = first.in_bursts if isinstance(first, Opened) else suffix in _PLAYLISTS
    return Paced(live, clock, sleep, unhurried=True) if in_bursts else live


def _attempt(capture: CaptureProcess, order: Order, timeout: float) -> Opened | SourceError:
    try:
        return capture.open(order, timeout)
    except SourceError as error:
        return error
    except BaseException:  # Ctrl-C
        capture.kill()
        raise


def file_of(word: str) -> Path | None:
    """The file or folder that a word means; None for a camera, the demo, other URLs, and no word at all."""
    word = resolved(word.strip())
    if not word or _CAMERA.fullmatch(word) or word == "demo":
        return None
    if word.lower().startswith("file://"):
        return Path(url2pathname(urlsplit(word).path))
    return None if is_url(word) else Path(word)


def _recording(word: str, image_rate: float, clock: Clock, *, paced: bool, redirects: bool) -> Source:
    path = _existing(file_of(word))
    if path.is_dir():
        return ImageFolder(path, image_rate, clock)
    _check_file(path)
    return VideoFile(str(path.absolute()), str(path), clock, paced=paced, redirects=redirects)


def _existing(place: Path | None) -> Path:
    try:
        path = None if place is None else place.expanduser()
        if path is not None and path.exists():
            return path
    except (OSError, RuntimeError, ValueError):  # too long, an unknown ~user, a folder we may not enter
        pass
    named = shown_word(str(place or ""))
    raise SourceError(
        f"no such file or directory: '{named}'; give a video, a folder, a camera's number or a URL"
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
