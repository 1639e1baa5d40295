"""Words that name a source: what is printed of them, and what they mean."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as some

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.video.addresses import checked_url, resolved, scrubbed, shown, shown_word

CANARY = "canary"


@pytest.mark.parametrize(
    "word",
    [
        "rtsp://me:canary@host/x",
        "rtsp://me:a#canary@host/x",
        "rtsp://me:a?canary@host/x",
        "rtsp://me:a/canary@host:554/x",
        "rtsp://me:a@canary@host/x",
        "http://host/video?user=me&pwd=canary",
        "http://host/video#token=canary",
        "http://host/video?a#canary",
        "rtsp:/me:canary@host/x",
        "rtsp:me:canary@host/x",
        "rtsp//me:canary@host/x",
        "rtsp;//me:canary@host/x",
        "tsp:///me:canary@host/x",
        "me:canary@host/x",
        "http:/host/video?token=canary",
        "host/video?token=canary",
        "file:/host?canary",
    ],
)
def test_no_slip_of_the_pen_prints_a_password(word: str) -> None:
    """Alone, and inside a message; what helps to find the mistake stays."""
    assert CANARY not in shown_word(word)
    assert "host" in shown_word(word)
    quoted = f"Invalid value for '--camera': '{word}' is not a valid integer."
    if "/" in word.partition("@")[0].partition("?")[0] or "//" in word:
        assert CANARY not in scrubbed(quoted)


@example("@#")
@example("@0#")
@given(some.text(min_size=1))
def test_a_password_of_any_letters_reaches_the_server(password: str) -> None:
    """What FFmpeg would take for the end of the host is encoded, and decodes to the same."""
    assume(not re.match("[0-9]{1,5}[/?]", password))  # reads as a port and a path: to be written %2F
    assume(not re.search("@[^@#]*[/?]", password))  # as a host and a path: to be written %40
    try:
        password.encode()
    except UnicodeError:
        return
    if any(ord(letter) <= 32 for letter in password) or "%" in password:
        return
    url = checked_url(f"rtsp://me:{password}x@host:554/path?a=1")
    parts = urlsplit(url)
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("host", 554, "/path", "a=1")
    assert unquote(parts.password or "") == f"{password}x"


def test_an_address_without_a_user_stays_as_it_is() -> None:
    """Also with an @ behind its host."""
    for url in (
        "rtsp://host/x",
        "http://host:8080/mail?to=a@b",
        "http://[::1]:80/x",
        "udp://:1234",
        "http://h/a@b",
    ):
        assert checked_url(url) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rstp://me:canary@host/x", "rstp://…@host/x: unknown kind of address 'rstp'"),
        ("gopher://host/x", "unknown kind of address 'gopher'"),
        ("tcp://host:1", "unknown kind of address 'tcp'"),
        ("http://me:canary@", "no host"),
        ("http://host:x/", "no host and port"),
        ("http://host:99999/", "no host and port"),
    ],
)
def test_what_can_never_be_meant_is_refused(url: str, said: str) -> None:
    """At once, and without the password."""
    with pytest.raises(UsageError, match=said) as caught:
        checked_url(url)
    assert CANARY not in str(caught.value)


def test_a_source_may_lie_in_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable's value, the file's first line."""
    monkeypatch.setenv("CAMERA", " rtsp://me:canary@host/x ")
    (tmp_path / "cam").write_text("rtsp://me:canary@host/y\nmore\n")
    assert resolved("env:CAMERA") == "rtsp://me:canary@host/x"
    assert resolved(f"secret:{tmp_path}/cam") == "rtsp://me:canary@host/y"
    assert resolved("clip.mp4") == "clip.mp4"


def test_a_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The variable, or the file."""
    with pytest.raises(UsageError, match="environment variable NOT_THERE is not set"):
        resolved("env:NOT_THERE")
    with pytest.raises(SourceError, match="cannot be read"):
        resolved(f"secret:{tmp_path}/none")
    (tmp_path / "empty").touch()
    with pytest.raises(SourceError, match="first line is empty"):
        resolved(f"secret:{tmp_path}/empty")


def test_a_query_is_hidden_to_its_end() -> None:
    """As cameras take passwords there."""
    assert shown("http://h/v?user=me&pwd=x") == "http://h/v?…"
