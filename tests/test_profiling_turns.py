"""Measuring in turns: who is called when, and what counts."""

from __future__ import annotations

import pytest

from a3d_edge.profiling import turns
from a3d_edge.profiling.turns import in_turns, timed_ms


def test_every_side_has_a_turn_in_every_round() -> None:
    """As many results as rounds, the warm-up not among them; who begins changes from round to round."""
    called: list[str] = []

    def side(name: str) -> int:
        called.append(name)
        return len(called)

    found = in_turns({name: lambda name=name: side(name) for name in "abc"}, rounds=3, warm_up=1)
    assert "".join(called) == "cab" + "abc" + "bca" + "cab"
    assert found == {"a": [4, 9, 11], "b": [5, 7, 12], "c": [6, 8, 10]}


def test_a_call_is_timed_without_the_end_of_what_it_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """In milliseconds; to let a network go takes a while too, and is not part of loading it."""

    class Clock:
        now = 0.0

        def perf_counter(self) -> float:
            return self.now

    class Loaded:
        def __del__(self) -> None:
            clock.now += 5.0

    def load() -> Loaded:
        clock.now += 0.25
        return Loaded()

    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    assert timed_ms(load) == 250.0
    assert clock.now == 5.25
