"""One line to a rule: what is written is what is meant, and what cannot be meant is said in one line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3d_edge.alerts import AlertRule, parse_alert
from a3d_edge.errors import UsageError

CLASSES = ("fight", "wait", "wait for bus", "a>b", "none")


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("fight>0.7 for 1s", AlertRule(label="fight", threshold=0.7, hold_s=1.0)),
        ("fight > .7", AlertRule(label="fight", threshold=0.7)),
        ("fight", AlertRule(label="fight")),
        (
            "fight over 3 release 2m cooldown 1h for 500ms",
            AlertRule(label="fight", average=3, release_s=120.0, cooldown_s=3600.0, hold_s=0.5),
        ),
        ("wait for bus for 1s", AlertRule(label="wait for bus", hold_s=1.0)),
        ("wait for 1s", AlertRule(label="wait", hold_s=1.0)),
        ("a>b>0.5", AlertRule(label="a>b", threshold=0.5)),
    ],
)
def test_a_line_is_a_rule(line: str, rule: AlertRule) -> None:
    """Names may hold any word and sign: the longest class that the line begins with is meant."""
    assert parse_alert(line, CLASSES) == rule


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "alert '': write a class, a score and how long, such as 'fight>0.7 for 1s'"),
        (
            "figth>0.7 for 1s",
            "alert 'figth>0.7 for 1s': no class 'figth'; did you mean 'fight'? there are fight, wait, "
            "wait for bus, a>b",
        ),
        ("dance", "alert 'dance': no class 'dance'; there are fight, wait, wait for bus, a>b"),
        (
            "none>0.5",
            "alert 'none>0.5': 'none' is the class of nothing happening; name one of fight, wait, "
            "wait for bus, a>b",
        ),
        (
            "fight>7",
            "alert 'fight>7': score '7' is not a number between 0 and 1, such as 0.7",
        ),
        ("fight>", "alert 'fight>': score '' is not a number between 0 and 1, such as 0.7"),
        ("fight>nan", "alert 'fight>nan': score 'nan' is not a number between 0 and 1, such as 0.7"),
        (
            "fight during 1s",
            "alert 'fight during 1s': 'during' is not understood; after the score come for, over, release, "
            "cooldown",
        ),
        ("fight for 1", "alert 'fight for 1': after 'for' '1' is no time; write it like 1s, 500ms or 2m"),
        ("fight for", "alert 'fight for': after 'for' '' is no time; write it like 1s, 500ms or 2m"),
        ("fight for 1s for 2s", "alert 'fight for 1s for 2s': 'for' is there twice; leave one out"),
        (
            "fight over 0",
            "alert 'fight over 0': after 'over' '0' is not a number of predictions from 1 to 1000",
        ),
    ],
)
def test_what_cannot_be_meant_is_said(line: str, message: str) -> None:
    """Exactly so."""
    with pytest.raises(UsageError) as caught:
        parse_alert(line, CLASSES)
    assert str(caught.value) == message


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=500), st.from_regex(r"fight>?[0-9.e-]* ?(for|over|release)? ?[\w.]*")))
def test_any_text_is_a_rule_or_one_line(line: str) -> None:
    """Nothing else is raised, and a message is short."""
    try:
        said = parse_alert(line, CLASSES).label
    except UsageError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 400
