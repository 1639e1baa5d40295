"""Nothing that came from a file acts on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a3d_edge.shown import LONGEST, acts, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hug", "hug"),
        ("Küssen – 抱擁", "Küssen – 抱擁"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\nerror: forged\r", "a\\nerror: forged\\r"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u2028b", "a\\u2028b"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_acts_is_spelled_out(text: str, expected: str) -> None:
    """And all else stays as it is."""
    assert shown(text) == expected
    assert acts(text) == (text != expected)


@given(st.text())
def test_whatever_it_is_it_is_one_line(text: str) -> None:
    """Also shown twice."""
    found = shown(text)
    assert not acts(found)
    assert len(found.splitlines()) <= 1
    assert shown(found) == found


def test_it_is_not_endless() -> None:
    """A message is read by people."""
    assert len(shown("x" * 10 * LONGEST)) == LONGEST + 1
