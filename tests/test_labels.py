"""Labels: one spelling for what a reader cannot tell apart, a word about what he hardly can."""

from __future__ import annotations

import pytest

from a3d_edge.labels import label_of, labels_of, look_alikes, same_labels, sorted_labels


@pytest.mark.parametrize(
    "written",
    [
        "shake hands", " shake hands", "shake hands ", "shake  hands", "shake\thands\n", "shake\u00a0hands",
        "\ufeffshake hands", "shake\u3000hands\u200b", "sh\u00adake hands", "\u200eshake hands\u200f",
        "shake\r\nhands", "\u2060shake\u2009hands\u200d",
    ],
)  # fmt: skip
def test_white_space_and_what_cannot_be_seen_do_not_count(written: str) -> None:
    """At the ends and inside, of any kind and length, and marks without a width."""
    assert label_of(written) == "shake hands"


def test_accents_are_composed() -> None:
    """The same word typed on a Mac and elsewhere; compatibility forms are another word."""
    assert label_of("cafe\u0301") == label_of("café") == "caf\u00e9"
    assert label_of("\u212bngstr\u00f6m") == "\u00c5ngstr\u00f6m"
    assert label_of("\ufb01ght") != "fight"


def test_joiners_inside_a_word_stay() -> None:
    """Persian spells with them."""
    assert label_of("می\u200cرود\u200c") == "می\u200cرود"


def test_nothing_to_see_is_empty() -> None:
    """However many characters it has."""
    assert label_of(" \t\u200b\u00a0\ufeff\u200d") == ""


def test_stored_names_are_spelled_unless_two_would_become_one() -> None:
    """An old network may have two outputs whose names differ in a space: they stay apart."""
    assert labels_of(["run ", "cafe\u0301"]) == ("run", "café")
    assert labels_of(["run ", "run"]) == ("run ", "run")
    assert labels_of(["", " x"]) == ("", " x")


def test_what_is_there_twice_is_found() -> None:
    """By its spelling."""
    assert same_labels(["a", "b", "a ", "c"]) == ["a"]
    assert same_labels(["a", "A"]) == []


@pytest.mark.parametrize(
    "pair",
    [("Walk", "walk"), ("high five", "high_five"), ("high-five", "high five"), ("fight", "\ufb01ght"),
     ("می\u200cرود", "میرود"), ("ＲＵＮ", "run")],
)  # fmt: skip
def test_look_alikes_are_told(pair: tuple[str, str]) -> None:
    """Case, separators, compatibility forms and joiners; they stay two labels."""
    assert look_alikes([*pair, "other", *pair]) == [sorted(pair)]
    assert len({label_of(label) for label in pair}) == 2
    assert look_alikes(["walk", "run"]) == []


def test_numbers_are_ordered_by_value() -> None:
    """Class 10 comes after class 9; names that are not all numbers by their letters."""
    assert sorted_labels(["10", "9", "0", "9"]) == ("0", "9", "10")
    assert sorted_labels(["10", "9", "b"]) == ("10", "9", "b")
