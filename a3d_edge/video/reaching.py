"""Opens a URL without being sent elsewhere: it stays with its scheme, host and port, redirects and playlists
included, unless ``redirects`` allows more.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from a3d_edge.errors import SourceError
from a3d_edge.video.causes import Cause
from a3d_edge.video.decoder import Decoder

__all__ = ["reach"]

HOPS = 5
OK = 200


def reach(url: str, name: str, *, redirects: bool) -> Decoder:
    """What is behind the URL, opened ``raw``. Raises `SourceError`, its cause `Cause.REDIRECT` where it leads
    elsewhere."""
    for _ in range(HOPS):
        try:
            return Decoder(url, name, network=True, redirects=redirects, raw=True)
        except SourceError as error:
            if error.cause != Cause.OTHER or redirects or (onward := _onward(url, name)) is None:
                raise
        url = _with_user_of(url, onward)
    raise SourceError(f"{name}: sends us in a circle; name the address behind it", cause=Cause.REDIRECT)


def _onward(url: str, name: str) -> str | None:
    """Where the server points to, which FFmpeg does not tell; None if nowhere. Raises `SourceError` for
    elsewhere, and where it answers as if all were well."""
    from a3d_edge.video.fetching import answer, origin  # Python's HTTP and TLS are large, and seldom needed

    status, onward = answer(url)
    if status == OK:
        raise SourceError(f"{name}: answers, but sends no video; check the path", cause=Cause.CODEC)
    if onward is not None and origin(onward) != origin(url):
        scheme, host, _ = origin(onward)
        raise SourceError(
            f"{name}: sends us to another server, {scheme}://{host}; name that one, "
            "or allow it with `allow_redirect`",
            cause=Cause.REDIRECT,
        )
    return onward


def _with_user_of(url: str, onward: str) -> str:
    """The next address on the same server, with the same user."""
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    parts = urlsplit(onward)
    return parts._replace(netloc=f"{user}{at}{parts.netloc.rpartition('@')[2]}").geturl()
