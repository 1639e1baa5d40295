"""Why a source cannot be had: a kind that programs can tell apart, and words for people.

FFmpeg's own messages contain the URL with its password: none of them leaves this module.
"""

from __future__ import annotations

import errno
from enum import Enum

__all__ = ["WORDS", "Cause", "cause", "kind"]


class Cause(str, Enum):
    """What a camera or stream fails of."""

    REFUSED = "refused"
    AUTHENTICATION = "authentication"
    NOT_FOUND = "not_found"
    CODEC = "codec"
    TIMEOUT = "timeout"
    UNKNOWN_HOST = "unknown_host"
    UNREACHABLE = "unreachable"
    REDIRECT = "redirect"
    ENDED = "ended"
    CRASHED = "crashed"
    OTHER = "other"


WORDS = {
    Cause.REFUSED: "nobody answers at that port",
    Cause.AUTHENTICATION: "user or password are wrong or missing",
    Cause.NOT_FOUND: "not found there",
    Cause.CODEC: "its data is no video, or damaged",
    Cause.TIMEOUT: "no answer in time",
    Cause.UNKNOWN_HOST: "no such host",
    Cause.UNREACHABLE: "no way to that host",
    Cause.REDIRECT: "it points to another server",
    Cause.ENDED: "it has hung up",
    Cause.CRASHED: "what decodes it has died",
    Cause.OTHER: "it cannot be had",
}

_BY_NAME = {
    "HTTPUnauthorizedError": (Cause.AUTHENTICATION, "401: user or password are wrong or missing"),
    "HTTPForbiddenError": (Cause.AUTHENTICATION, "403: it is not allowed"),
    "HTTPNotFoundError": (Cause.NOT_FOUND, "404: not found there"),
    "HTTPError": (Cause.OTHER, "the server refuses with an error"),
    "ExitError": (Cause.TIMEOUT, "no answer in time"),
    "ProtocolNotFoundError": (Cause.OTHER, "unknown protocol"),
    "DecoderNotFoundError": (Cause.CODEC, "no decoder for it"),
    "InvalidDataError": (Cause.CODEC, "its data is no video, or damaged"),
    "EOFError": (Cause.ENDED, "it ends before anything can be read"),
    "ArgumentError": (Cause.CODEC, "its format is not one of video that we read"),
}
"""Of FFmpeg's errors as PyAV calls them, the nearest class first."""
_BY_NUMBER = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.ECONNRESET: Cause.ENDED,
    errno.EPIPE: Cause.ENDED,
    errno.ETIMEDOUT: Cause.TIMEOUT,
    errno.EHOSTUNREACH: Cause.UNREACHABLE,
    errno.ENETUNREACH: Cause.UNREACHABLE,
    errno.ENOENT: Cause.NOT_FOUND,
    errno.ENODEV: Cause.NOT_FOUND,
    errno.EACCES: Cause.AUTHENTICATION,
}


def kind(error: BaseException) -> Cause:
    """The kind of FFmpeg's error."""
    if (named := _named(error)) is not None:
        return named[0]
    return _BY_NUMBER.get(getattr(error, "errno", 0), Cause.OTHER)


def cause(error: BaseException) -> str:
    """Why FFmpeg failed, without the location, which may hold a password."""
    if (named := _named(error)) is not None:
        return named[1]
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


def _named(error: BaseException) -> tuple[Cause, str] | None:
    return next((_BY_NAME[one.__name__] for one in type(error).__mro__ if one.__name__ in _BY_NAME), None)
