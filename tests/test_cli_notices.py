"""Lines on stderr beside the work: one each, once, and never in its way."""

from __future__ import annotations

import errno
import sys
import warnings

import pytest

from a3d_edge.cli.notices import say, warnings_as_lines
from a3d_edge.errors import DataWarning


def test_our_warnings_become_lines(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once a command, in the next command again; those of others are left to whoever shows them."""
    others: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *rest: others.append(str(message)))
    for _ in range(2):
        with warnings_as_lines():
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("default", DataWarning)
            for _ in range(2):
                warnings.warn("a column is not used", DataWarning, stacklevel=1)
            warnings.warn("something else", UserWarning, stacklevel=1)
        assert capfd.readouterr().err == "warning: a column is not used\n"
    assert others == ["something else", "something else"]


def test_afterwards_python_warns_as_before() -> None:
    """Nothing of it is left behind."""
    before = warnings.showwarning
    with warnings_as_lines():
        pass
    assert warnings.showwarning is before


def test_a_line_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever a message holds."""
    say("two\nlines")
    assert capfd.readouterr().err == "two lines\n"


def test_a_line_that_nobody_reads_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that has left, and no stderr at all."""

    class Gone:
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    for stderr in (Gone(), None):
        monkeypatch.setattr(sys, "stderr", stderr)
        say("hello")
