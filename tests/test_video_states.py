"""The states of a live source: what may follow what, and how long to wait."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from a3d_edge.video import states
from a3d_edge.video.causes import Cause
from a3d_edge.video.states import LEGAL, Link, State


def test_a_stream_that_stalls_and_comes_back() -> None:
    """Each state in its turn, with since when there was no picture."""
    link = states.begin(10.0)
    assert (link.state, link.away_s) == (State.CONNECTING, 10.0)
    link = states.broke(link, 11.0, Cause.REFUSED)
    assert (link.state, link.attempts, link.cause, link.away_s) == (State.CONNECTING, 1, Cause.REFUSED, 10.0)
    link = states.picture(link, 12.0)
    assert (link.state, link.attempts, link.away_s) == (State.LIVE, 0, None)
    link = states.silent(link, 20.0, 15.0)
    assert (link.state, link.away_s) == (State.STALLED, 15.0)
    link = states.broke(link, 20.0, Cause.TIMEOUT)
    assert (link.state, link.away_s) == (State.RECONNECTING, 15.0)
    assert states.picture(link, 21.0).state is State.LIVE


@pytest.mark.parametrize("over", [State.ENDED, State.FAILED])
def test_what_is_over_stays_so(over: State) -> None:
    """No picture revives it."""
    with pytest.raises(AssertionError, match=f"cannot become live when it is {over.value}"):
        states.picture(Link(over, 0.0), 1.0)


def test_only_what_was_live_can_stall() -> None:
    """Before the first picture there is nothing to miss: an attempt fails."""
    with pytest.raises(AssertionError, match="cannot become stalled when it is connecting"):
        states.silent(states.begin(0.0), 5.0, 0.0)


@given(some.lists(some.sampled_from(["picture", "broke", "silent", "end"])))
def test_whatever_happens_the_way_is_legal(happenings: list[str]) -> None:
    """Any order of what can happen to a connection; a silent one that is not live counts as broken."""
    link, seen = states.begin(0.0), [State.CONNECTING]
    for now, what in enumerate(happenings, 1):
        if link.state is State.ENDED:
            break
        if what == "picture":
            link = states.picture(link, now)
        elif what == "end":
            link = states.end(link, now)
        elif what == "silent" and link.state is State.LIVE:
            link = states.silent(link, now, now - 5.0)
        else:
            link = states.broke(link, now, Cause.ENDED)
        seen.append(link.state)
    assert all(one is other or other in LEGAL[one] for one, other in pairwise(seen))


@given(some.integers(0, 10_000), some.floats(0, 1), some.sampled_from(list(Cause)))
def test_pauses_grow_and_stay_short(attempts: int, draw: float, cause: Cause) -> None:
    """From an eighth of a second to two, or five where it was refused by name, password or path."""
    pause = states.delay_s(Link(State.RECONNECTING, 0.0, attempts=attempts, cause=cause), draw)
    longest = 5.0 if cause in states.ASKS_SELDOM else 2.0
    assert states.FIRST_DELAY_S / 2 <= pause <= longest
    if attempts > 5:
        assert pause >= longest / 2
