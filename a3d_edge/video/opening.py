"""Opening a file or a network stream with PyAV: which formats are video, which stream players take, what
failed in words of ours (FFmpeg's contain the URL with its password).

Local files are read by nothing but their own name: a colon or percent sign in it is no protocol. A file's
format is one that holds pictures: FFmpeg would also film a text file, letter by letter. What a file or server
says may open nothing else: a file reads itself, a URL stays with its scheme and host (`Where.redirects` lifts
both), and no picture is larger than `a3d_edge.video.limits.MAX_PIXELS`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import av
import av.error

from a3d_edge.errors import ResourceError, SourceError
from a3d_edge.video.addresses import RECORDINGS
from a3d_edge.video.causes import WORDS, Cause, cause, kind
from a3d_edge.video.limits import MAX_PIXELS, too_large

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["Opened", "open_video"]

FORMATS = frozenset(
    {
        "3g2", "3gp", "apng", "asf", "av1", "avi", "dash", "dv", "f4v", "flv", "gif", "h261",
        "h263", "h264", "hevc", "hls", "ivf", "m4a", "m4v", "matroska", "mj2", "mjpeg", "mov",
        "mp4", "mpeg", "mpegts", "mpegvideo", "mpjpeg", "mxf", "nut", "obu", "ogg", "rm", "rtp",
        "rtsp", "sdp", "swf", "vc1", "vvc", "webm", "wtv", "yuv4mpegpipe",
    }
)  # fmt: skip
"""Names of FFmpeg's demuxers of video; those of single pictures end in ``_pipe``."""
PLAYLISTS = frozenset({"hls", "dash"})
"""Of segments that come whole: seconds of pictures at once."""
ELSEWHERE = PLAYLISTS | {"rtp", "rtsp", "sdp"}
"""Formats that open other files or servers."""
NO_VIDEO = frozenset({"aac", "flac", "mp3", "srt", "tty", "wav"})
"""Opened only to say what they are."""
CLOCKLESS = frozenset({"mpjpeg", "mjpeg", "h261", "h263", "h264", "hevc", "m4v", "mpegvideo", "obu", "vvc"})
"""Formats without time stamps: FFmpeg counts pictures at a rate that it assumes."""
ENDING = frozenset({"gif", "apng"})
ENDLESS_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt"})
_WEB = {"http": "http,httpproxy,tcp,crypto,data", "https": "https,httpproxy,tls,tcp,crypto,data"}
_STREAMING = {
    "rtsp": "rtp,udp,tcp", "rtsps": "rtp,srtp,udp,tls,tcp", "rtmp": "rtmp,tcp", "rtmps": "rtmps,tls,tcp",
    "rtp": "rtp,udp", "udp": "udp", "srt": "srt",
}  # fmt: skip
PROTOCOLS = {**_WEB, **_STREAMING}
"""By the scheme: what FFmpeg may speak to reach it."""

MADE_UP_TIMES = 0x0001
"""AVFMT_FLAG_GENPTS, which PyAV sets: presentation times guessed from decoding times, wrong for frames out of
order."""

LENIENT = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
"""A title whose bytes are no text is no reason to refuse a film; PyAV sees to that itself from 19 on."""

OPEN_S = 8.0
READ_S = 120.0
"""The watchdog of who reads is quicker, and ends the process: FFmpeg, when it gives up a silent camera, would
hand out what it had left as if it were new."""
ENDED_AFTER = 0.9
PATIENT_S = 30.0
"""The same of a playlist, whose next segment may take its whole length, and of a recording on a slow
server."""

RTSP = {"rtsp_flags": "prefer_tcp", "fflags": "nobuffer", "analyzeduration": "1000000"}
"""Over TCP, as OpenCV asks too: what UDP loses spoils seconds of pictures. Looked at for one second (in µs)
before the first picture, not five, and unbuffered: else the first second is a second old."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open container and the video stream that is read of it.

    ``live``: has no end. ``has_clock``: its time stamps are its own. ``in_bursts``: pictures come by the
    segment, long before their time.
    """

    container: InputContainer
    stream: VideoStream
    live: bool
    has_clock: bool
    in_bursts: bool


def open_video(location: str, name: str, *, network: bool = False, redirects: bool = False) -> Opened:
    """Open an absolute path, or with ``network`` a URL; ``name`` is what messages call it.

    ``redirects``: what it says may lead to other files, or servers. Raises `SourceError` when there is no
    video in it or it cannot be had, or its pictures are too large; `ResourceError` where FFmpeg was built
    without what it takes.
    """
    container = _container(location, name, network=network, redirects=redirects)
    try:
        stream = _stream(container, name)
        if problem := too_large(stream.codec_context.width, stream.codec_context.height):
            raise SourceError(f"{name}: {problem}; scale it down", cause=Cause.CODEC)
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # a later picture may be larger
        live = network and _is_live(container, location)
    except BaseException:
        container.close()
        raise
    container.flags &= ~MADE_UP_TIMES
    kinds = _kinds(container)
    return Opened(container, stream, live, not kinds & CLOCKLESS, live and bool(kinds & PLAYLISTS))


def _container(location: str, name: str, *, network: bool, redirects: bool) -> InputContainer:
    scheme, begun = urlsplit(location).scheme.lower() if network else "", time.monotonic()
    try:
        return _opened(location, scheme, redirects=redirects)
    except av.error.FFmpegError as error:
        advice = "check the address and that it is on" if network else "give a complete video file"
        words, why = cause(error), kind(error)
        if network and why is Cause.CODEC and time.monotonic() - begun > ENDED_AFTER * OPEN_S:
            words, why = WORDS[Cause.TIMEOUT], Cause.TIMEOUT  # of a silent RTSP server FFmpeg says otherwise
    except (UnicodeError, ValueError) as error:
        reason = "it is no text that can be sent" if network else str(error)
        raise SourceError(f"{name}: FFmpeg cannot take this name ({reason}); rename it") from None
    # Not from FFmpeg's error, nor while it is handled: it holds the URL, and so the password.
    raise SourceError(f"{name}: cannot be opened as video ({words}); {advice}", cause=why)


def _opened(location: str, scheme: str, *, redirects: bool) -> InputContainer:
    options = {
        "max_pixels": str(MAX_PIXELS),
        "format_whitelist": _formats(scheme, redirects=redirects),
        "protocol_whitelist": PROTOCOLS.get(scheme, "file,crypto,data" if redirects else "file"),
    }
    if scheme in ("rtsp", "rtsps"):
        options |= RTSP
    if scheme in _WEB and not redirects:
        options["max_redirects"] = "0"  # `a3d_edge.video.reaching` follows those that stay there
    opened: InputContainer = av.open(
        location if scheme else f"file:{location}",
        options=options,
        timeout=_limits(location, scheme) if scheme else None,
        **LENIENT,
    )
    return opened


def _formats(scheme: str, *, redirects: bool) -> str:
    """Of FFmpeg's demuxers, those that may read it."""
    if scheme in _STREAMING:
        return ",".join(sorted(FORMATS - PLAYLISTS))
    pipes = {name for name in av.formats_available if name.endswith("_pipe")}
    lists = PLAYLISTS if redirects or scheme in _WEB else frozenset()
    return ",".join(sorted((FORMATS - ELSEWHERE) | NO_VIDEO | pipes | lists))


def _limits(url: str, scheme: str) -> tuple[float, float]:
    """How long (s) opening and reading may take before they fail."""
    if scheme in ENDLESS_SCHEMES or not _suffix(url):
        return OPEN_S, READ_S
    return PATIENT_S, PATIENT_S


def _suffix(url: str) -> str:
    """Of a URL's last part: recordings and playlists have one, cameras seldom do."""
    return PurePosixPath(urlsplit(url).path).suffix.lower()


def _kinds(container: InputContainer) -> frozenset[str]:
    return frozenset(container.format.name.split(","))


def _stream(container: InputContainer, name: str) -> VideoStream:
    """The video stream that players take: no cover picture, then what FFmpeg calls the best one."""
    kinds = _kinds(container)
    if not kinds & FORMATS and not any(kind.endswith("_pipe") for kind in kinds):
        what = "text" if "tty" in kinds else f"of the format {container.format.name}"
        raise SourceError(f"{name}: is no video, but {what}; give a video file")
    cover = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    moving = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not moving:
        held = "only a cover picture" if container.streams.video else "no pictures"
        raise SourceError(f"{name}: holds {held}, no video; give a video file")
    best = container.streams.best("video")
    chosen = best if best in moving else moving[0]
    if chosen.codec_context is None:
        raise ResourceError(f"{name}: this PyAV has no decoder for its video; convert it to H.264")
    return chosen


def _is_live(container: InputContainer, url: str) -> bool:
    """Whether a network stream has no end of its own: neither a length in time nor one in bytes."""
    if urlsplit(url).scheme.lower() in ENDLESS_SCHEMES:
        return True
    if _kinds(container) & ENDING or container.duration is not None:
        return False
    if _kinds(container) & PLAYLISTS:
        return True
    return (container.size or 0) <= 0 and _suffix(url) not in RECORDINGS
