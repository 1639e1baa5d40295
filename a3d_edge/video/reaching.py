"""Opens a URL without being sent elsewhere: it stays with its scheme, host and port, redirects and playlists
included, unless ``redirects`` allows more.
"""

from __future__ import annotations

import base64
from urllib.parse import unquote, urljoin, urlsplit

from a3d_edge.errors import SourceError
from a3d_edge.video.causes import Cause
from a3d_edge.video.decoder import Decoder

__all__ = ["origin", "reach"]

HOPS = 5
OK = 200
ANSWER_S = 5.0
PORTS = {"http": 80, "https": 443}


def reach(url: str, name: str, *, redirects: bool) -> Decoder:
    """What is behind the URL, opened ``raw``. Raises `SourceError`, its cause `Cause.REDIRECT` where it leads
    elsewhere."""
    for _ in range(HOPS):
        try:
            return Decoder(url, name, network=True, redirects=redirects, raw=True)
        except SourceError as error:
            status, onward = (0, None) if error.cause != Cause.OTHER else _answer(url)
            if status == OK:
                raise SourceError(
                    f"{name}: answers, but sends no video; check the path", cause=Cause.CODEC
                ) from None
            if onward is None or redirects:
                raise
        if origin(onward) != origin(url):
            scheme, host, _ = origin(onward)
            raise SourceError(
                f"{name}: sends us to another server, {scheme}://{host}; name that one, "
                "or allow it with `allow_redirect`",
                cause=Cause.REDIRECT,
            )
        url = _with_user_of(url, onward)
    raise SourceError(f"{name}: sends us in a circle; name the address behind it", cause=Cause.REDIRECT)


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or PORTS.get(scheme)


def _answer(url: str) -> tuple[int, str | None]:
    """What a web server answers, 0 without an answer, and where it points to, if it does: FFmpeg tells
    neither."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # seldom needed, and large

    parts = urlsplit(url)
    if parts.scheme.lower() not in PORTS or not parts.hostname:
        return 0, None
    kind = HTTPSConnection if parts.scheme.lower() == "https" else HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=ANSWER_S)
    try:
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection.request("GET", path, headers=_authorization(parts.username, parts.password))
        response = connection.getresponse()
        found = response.getheader("Location") if response.status // 100 == 3 else None
        return response.status, urljoin(url, found) if found else None
    except (OSError, HTTPException, ValueError):
        return 0, None
    finally:
        connection.close()


def _authorization(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _with_user_of(url: str, onward: str) -> str:
    """The next address on the same server, with the same user."""
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    parts = urlsplit(onward)
    return parts._replace(netloc=f"{user}{at}{parts.netloc.rpartition('@')[2]}").geturl()
