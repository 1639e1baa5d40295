"""Words that name a source, as they may be printed and as they are meant: credentials stay out of every line.

env:CAMERA              what the environment variable CAMERA holds
secret:/run/creds/cam   the first line of that file
rtsp://user:p/w#d@host  a password may hold any letter: what FFmpeg would stumble over is encoded
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from a3d_edge.errors import SourceError, UsageError

__all__ = ["RECORDINGS", "SCHEMES", "checked_url", "is_url", "resolved", "scrubbed", "shown", "shown_word"]

SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt", "http", "https"})
RECORDINGS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg"})
"""Suffixes of URLs that are recordings though the server does not say how long they are."""
LONGEST_SECRET = 8192

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_CREDENTIALS = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*://).*@", re.DOTALL)
_QUERY = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*://[^?#]*[?#]).+", re.DOTALL)
_ALMOST = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*[:;.,]?/{0,3})?(.*)$", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:@/?#\[\]]+)(:[0-9]{1,5})?")
_IN_TEXT = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*[:;]?/{1,3}[^\s'\"<>]*")


def is_url(word: str) -> bool:
    """Whether it names something by its scheme; a file by its URL is a file."""
    return bool(_URL.match(word)) and not word.lower().startswith("file://")


def shown(where: str | int) -> str:
    """A camera, path or URL as it may be printed: without a URL's user and password, whatever is in them, and
    without its query and fragment, where many cameras take them (``?user=…&pwd=…``)."""
    return _QUERY.sub(r"\1…", _CREDENTIALS.sub(r"\1…@", str(where)))


def shown_word(word: str) -> str:
    """A word that names nothing, perhaps a URL with a slip of the pen: it may be printed without whatever
    stands before an ``@`` or behind a ``?`` or ``#``."""
    if is_url(word):
        return shown(word)
    if "@" in word:
        found = _ALMOST.match(word)
        start = found[1] if found and found[1] and "/" in found[1] else ""
        word = f"{start}…@{word.rpartition('@')[2]}"
    cut = re.search(r"[?#]", word)
    return f"{word[: cut.end()]}…" if cut and cut.end() < len(word) else word


def scrubbed(text: str) -> str:
    """A line of text in which every URL, well-formed or not, is as it may be printed."""
    return _IN_TEXT.sub(
        lambda found: shown_word(found[0]) if re.search("[@?#]", found[0]) else found[0], text
    )


def resolved(word: str, name: str = "source") -> str:
    """The source that a word means: itself, or what the environment or a file holds in its place.

    ``name``: the parameter that it is.

    Raises `UsageError` where the variable is not set, `SourceError` where the file cannot be read.
    """
    kind, colon, place = word.partition(":")
    if not colon or kind not in ("env", "secret") or not place:
        return word
    if kind == "env":
        if not (found := os.environ.get(place, "").strip()):
            raise UsageError(
                f"`{name}` {word}: the environment variable {place} is not set; set it to the URL"
            )
        return found
    try:
        with Path(place).expanduser().open(encoding="utf-8") as file:
            found = file.readline(LONGEST_SECRET).strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SourceError(f"{word}: cannot be read ({reason}); put the URL on its first line") from None
    if not found:
        raise SourceError(f"{word}: its first line is empty; put the URL there")
    return found


def checked_url(word: str) -> str:
    """A URL as FFmpeg takes it, its user and password encoded where they need it.

    Raises `UsageError` for what can never be meant: another scheme, no host, a port that is none.
    """
    scheme, _, rest = word.partition("://")
    if scheme.lower() not in SCHEMES:
        known = ", ".join(sorted(SCHEMES))
        raise UsageError(f"{shown(word)}: unknown kind of address '{scheme}'; there are {known}")
    url = f"{scheme}://{_encoded(rest)}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host and scheme.lower() not in ("udp", "rtp", "srt"):  # those may listen at a port
        raise UsageError(
            f"{shown(word)}: no host and port can be read from it; write scheme://host:port/path"
        )
    return url


def _encoded(rest: str) -> str:
    """Behind the scheme: a ``/``, ``?`` or ``#`` in user or password would end the host for FFmpeg."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    behind = rest[len(authority) :]
    user, at, host = authority.rpartition("@")
    fragment = behind.startswith("#")  # which no source has: it is a password's
    if "@" in behind and (fragment or not _is_host(host)):
        user, _, behind = rest.rpartition("@")
        return f"{_quoted(user)}@{behind}"
    return f"{_quoted(user)}@{host}{behind}" if at else rest


def _is_host(authority: str) -> bool:
    return _HOST.fullmatch(authority) is not None


def _quoted(user: str) -> str:
    """What is encoded already stays as it is."""
    whole = all(re.fullmatch("[0-9A-Fa-f]{2}", one[:2]) for one in user.split("%")[1:])
    return ":".join(quote(unquote(one) if whole else one, safe="") for one in user.split(":", 1))
