"""Events: always started, updated any number of times, ended; whatever the scores and cuts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3d_edge.alerts.machine import Change, Reading, Watching, cut, step
from a3d_edge.alerts.rule import AlertRule

HOP_S = 0.25


def run(
    rule: AlertRule, scores: Iterable[float], thresholds: Iterable[float] = itertools.repeat(0.5)
) -> list[Change]:
    """What is told of scores a hop apart."""
    now, told = Watching(), []
    for number, (score, threshold) in enumerate(zip(scores, thresholds, strict=False)):
        reading = Reading(number * HOP_S, number * HOP_S - 1.0, score, threshold, f"at {threshold}")
        now, change = step(rule, now, reading)
        told += [change] if change else []
    return told


def states(changes: Iterable[Change]) -> list[str]:
    """Their states."""
    return [change.state for change in changes]


def test_an_event_begins_when_it_has_lasted_and_ends_when_it_has_been_away() -> None:
    """Its times are those of the first and the last window that counted, not of when it was told."""
    rule = AlertRule(label="x", hold_s=0.5, release_s=0.5, update_s=0.0)
    started, ended = run(rule, [0.1, 0.6, 0.9, 0.7, 0.8, 0.1, 0.1, 0.1])
    assert (started.state, started.spell.first.middle_s, started.spell.newest.time_s) == (
        "started",
        -0.75,
        0.75,
    )
    assert (ended.state, ended.reason, ended.spell.last.time_s, ended.spell.newest.time_s) == (
        "ended", "below", 1.0, 1.5,
    )  # fmt: skip
    assert ended.spell.peak.score == 0.9
    assert ended.spell.mean == pytest.approx(0.75)


def test_what_does_not_last_is_not_told() -> None:
    """Not even its end; what comes later has to last from its own beginning."""
    rule = AlertRule(label="x", hold_s=0.75)
    assert run(rule, [0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.1]) == []


def test_one_low_score_within_the_release_ends_nothing() -> None:
    """Nor one between the two levels, however long."""
    rule = AlertRule(label="x", release_s=0.5, update_s=0.0, hysteresis=0.2)
    assert states(run(rule, [0.9, 0.1, 0.9, 0.1, 0.9])) == ["started"]
    assert states(run(rule, [0.9, *[0.45] * 20])) == ["started"]
    assert states(run(rule, [0.9, *[0.35] * 20])) == ["started", "ended"]


def test_the_average_counts_once_there_are_enough() -> None:
    """Of three: one high score is none."""
    rule = AlertRule(label="x", average=3, release_s=0.0, update_s=0.0)
    assert run(rule, [0.9, 0.9]) == []
    assert run(rule, [0.1, 0.9, 0.1, 0.1, 0.9, 0.1]) == []
    assert states(run(rule, [0.3, 0.9, 0.9, 0.9])) == ["started"]


def test_none_begins_during_the_cooldown() -> None:
    """One that still goes on after it begins then."""
    rule = AlertRule(label="x", release_s=0.0, cooldown_s=1.0, update_s=0.0)
    told = run(rule, [0.9, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert states(told) == ["started", "ended", "started"]
    assert told[2].spell.first.time_s == 1.25


def test_updates_come_at_their_pace_and_at_a_switch() -> None:
    """Each with the peak and mean so far."""
    rule = AlertRule(label="x", update_s=1.0)
    assert states(run(rule, [0.9] * 9)) == ["started", "updated", "updated"]
    told = run(rule, [0.9] * 4, [0.5, 0.5, 0.4, 0.4])
    assert states(told) == ["started", "updated"]
    assert told[1].spell.newest.configuration == "at 0.4"


def test_a_switch_to_a_configuration_with_another_threshold_ends_nothing() -> None:
    """A smaller network's scores are lower, and so are its thresholds: the difference is averaged."""
    rule = AlertRule(label="x", average=3, release_s=0.0, update_s=0.0, hysteresis=0.0)
    scores = [0.9] * 5 + [0.3] * 5 + [0.9] * 5
    told = run(rule, scores, [0.8] * 5 + [0.2] * 5 + [0.8] * 5)
    assert "ended" not in states(told)
    assert states(told).count("started") == 1


def test_a_cut_ends_what_goes_on_and_forgets_the_rest() -> None:
    """A spell that nobody was told of ends unheard."""
    rule = AlertRule(label="x", hold_s=0.5)
    high = [Reading(i * HOP_S, i * HOP_S, 0.9, 0.5, "c") for i in range(4)]
    now, change = step(rule, Watching(), high[0])
    assert cut(rule, now, "gap") == (Watching(), None)
    for reading in high[1:]:
        now, change = step(rule, now, reading)
    now, change = cut(rule, now, "end")
    assert change is not None
    assert (change.state, change.reason, now.spell) == ("ended", "end", None)


RULES = st.builds(
    AlertRule,
    label=st.just("x"),
    hold_s=st.floats(0, 3),
    average=st.integers(1, 4),
    hysteresis=st.floats(0, 0.9),
    release_s=st.floats(0, 3),
    cooldown_s=st.floats(0, 3),
    update_s=st.floats(0, 3),
)
STEPS = st.lists(
    st.tuples(
        st.floats(0, 2),  # since the one before
        st.one_of(st.floats(0, 1), st.just(math.nan), st.just(math.inf), st.floats()),
        st.sampled_from((0.2, 0.5, 0.8)),
        st.sampled_from((None, None, None, None, "cut", "gap")),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(RULES, STEPS)
def test_events_always_come_as_started_updated_ended(
    rule: AlertRule, steps: list[tuple[float, float, float, str]]
) -> None:
    """In this order, none twice, none left open at the end; cooldown, minimum duration and time are kept."""
    now, told, time_s = Watching(), [], 0.0
    for since_s, score, threshold, broken in steps:
        time_s += since_s
        if broken is not None:
            now, change = cut(rule, now, broken)  # type: ignore[arg-type]
            told += [change] if change else []
        now, change = step(rule, now, Reading(time_s, time_s - 1.0, score, threshold, str(threshold)))
        told += [change] if change else []
    now, change = cut(rule, now, "end")
    told += [change] if change else []
    assert now.spell is None
    going, ended_s = False, -math.inf
    for one in told:
        assert (one.state == "started") is not going
        going = one.state != "ended"
        spell = one.spell
        assert (one.reason is None) is going
        assert spell.first.time_s <= spell.last.time_s <= spell.newest.time_s
        assert 0.0 <= spell.mean <= spell.peak.score + 1e-9
        if one.state == "started":
            assert spell.first.time_s >= ended_s
            assert spell.newest.time_s - spell.first.time_s >= rule.hold_s
        if one.state == "ended":
            ended_s = spell.newest.time_s + rule.cooldown_s
    assert not going
