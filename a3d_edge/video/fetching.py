"""What a web address names, fetched without leaving its server: by our own HTTP, where FFmpeg's would follow
wherever a playlist or a redirect leads. As with FFmpeg, certificates are not verified: cameras sign their
own.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import unquote, urljoin, urlsplit

from a3d_edge.errors import SourceError
from a3d_edge.video.causes import WORDS, Cause

__all__ = ["Fetched", "answer", "origin", "staying"]

ANSWER_S = 10.0
HOPS = 5
PORTS = {"http": 80, "https": 443}


class Fetched:
    """The body of an answer, read from its beginning to its end."""

    def __init__(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        self._connection, self._response = connection, response

    def read(self, size: int = -1) -> bytes:
        """The next bytes, none at the end. Raises `OSError`, which FFmpeg takes for its own."""
        try:
            return self._response.read(None if size < 0 else size)
        except HTTPException as error:
            raise OSError(str(error)) from None

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()
        self._connection.close()


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or PORTS.get(scheme)


def answer(url: str) -> tuple[int, str | None]:
    """What a web server answers, 0 without an answer, and where it points to, if it does."""
    if urlsplit(url).scheme.lower() not in PORTS:
        return 0, None
    try:
        connection, response = _asked(url, urlsplit(url).netloc, None)
    except (OSError, HTTPException, ValueError):
        return 0, None
    found = response.getheader("Location") if response.status // 100 == 3 else None
    connection.close()
    return response.status, urljoin(url, found) if found else None


def staying(first: str, name: str) -> Callable[[str, int, Mapping[str, str]], Fetched]:
    """What opens the URLs that a playlist at ``first`` names: those on its server. Raises `SourceError`."""

    def fetch(url: str, flags: int, options: Mapping[str, str]) -> Fetched:
        for _ in range(HOPS):
            if origin(url) != origin(first):
                raise SourceError(
                    f"{name}: its playlist leads to another server; allow it with `allow_redirect`",
                    cause=Cause.REDIRECT,
                )
            connection, response = _asked(url, urlsplit(first).netloc, _part(options))
            if response.status // 100 == 2:
                return Fetched(connection, response)
            connection.close()
            found = response.getheader("Location") if response.status // 100 == 3 else None
            if not found:
                break
            url = urljoin(url, found)
        raise OSError(WORDS[Cause.NOT_FOUND])

    return fetch


def _part(options: Mapping[str, str]) -> str | None:
    """The bytes that FFmpeg asks for, as HTTP calls them."""
    begin, end = options.get("offset"), options.get("end_offset")
    if begin is None and end is None:
        return None
    return f"bytes={begin or 0}-{int(end) - 1 if end else ''}"


def _asked(url: str, place: str, part: str | None) -> tuple[HTTPConnection, HTTPResponse]:
    """The answer to a request, with the user and password in ``place``."""
    parts = urlsplit(url)
    if parts.scheme.lower() == "https":
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection: HTTPConnection = HTTPSConnection(
            parts.hostname or "", parts.port, timeout=ANSWER_S, context=trusting
        )
    else:
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
    headers = {"Range": part} if part else {}
    user, at, _ = place.rpartition("@")
    if at:
        headers["Authorization"] = f"Basic {base64.b64encode(unquote(user).encode()).decode()}"
    try:
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection.request("GET", path, headers=headers)
        return connection, connection.getresponse()
    except BaseException:
        connection.close()
        raise
