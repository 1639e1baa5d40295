"""One HTTP request of a fixed endpoint, by the standard library; its credentials are in no message."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from a3d_edge.errors import UsageError
from a3d_edge.json_text import json_object
from a3d_edge.sinks.delivery.sender import AwayError, RefusedError

__all__ = ["Endpoint"]

LATER = (401, 403, 407, 408, 425, 429)
"""Of 4xx: what may be taken another time, or once somebody has mended the credentials."""
ANSWER_BYTES = 64 * 1024


class Endpoint:
    """``url``: http or https, with user and password if need be. ``timeout_s``: of connecting, and of each
    read. Redirections are not followed: credentials go where they are meant to. Raises `UsageError`."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float, where: str) -> None:
        parts = _split(url, where)
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self._path = (parts.path or "/").rstrip("/" if parts.path != "/" else "")
        self._query = f"?{parts.query}" if parts.query else ""
        self._headers = {**headers, **_basic(parts)}
        self._timeout_s = timeout_s
        at = f":{parts.port}" if parts.port else ""
        self.name = f"{parts.scheme}://{self._host}{at}"

    def request(self, method: str, below: str, body: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """Send JSON to the endpoint's path and what is ``below`` it; the answer, if it is a JSON object.

        Raises `AwayError`, or `RefusedError` for an answer that will not change.
        """
        connection = self._connection()
        try:
            sent = json.dumps(body).encode()
            kind = {"Content-Type": "application/json", **self._headers, **headers}
            connection.request(method, f"{self._path}{below}{self._query}", sent, kind)
            answer = connection.getresponse()
            content = answer.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AwayError(_reason(error)) from error
        finally:
            connection.close()
        return self._judged(answer.status, content)

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)

    @staticmethod
    def _judged(status: int, content: bytes) -> dict[str, Any]:
        if status >= 500 or status in LATER:
            raise AwayError(f"it answers {status}")
        if 300 <= status < 400:
            raise RefusedError(f"it answers {status}, another address; give that one")
        if not 200 <= status < 300:
            raise RefusedError(f"it answers {status}")
        try:
            return json_object(content)
        except ValueError:
            return {}


def _split(url: str, where: str) -> SplitResult:
    """The parts of an address. Raises `UsageError`, which does not repeat it."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(
            f"{where}: is no address of http or https; write it like http://host:8080/path, and "
            "'#', '/', '?' of a password as %23, %2F, %3F"
        )
    return parts


def _basic(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _reason(error: Exception) -> str:
    """In a word; never the request's own text."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
