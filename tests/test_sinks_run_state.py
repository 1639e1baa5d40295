"""What a run says of itself while it runs: counts, silence, and whether its loop turns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from fixtures_bundle import LARGEST, SMALLEST

from a3d_edge.events import Prediction, Summary, Switch
from a3d_edge.sinks.run_state import LABELS_KEPT, RunState
from a3d_edge.video.frame import Frame


def frame() -> Frame:
    return Frame(0, 0.0, np.zeros((8, 8, 3), np.uint8), 0.0)


def prediction(latency_ms: float = 20.0, age_ms: float = 50.0) -> Prediction:
    return Prediction(1.0, 0.0, "hug", 0.9, (("hug", 0.9),), SMALLEST, latency_ms, age_ms)


def test_a_run_from_connecting_to_its_end() -> None:
    """Ready with frames alone; moving as long as the loop turns, whatever the source does."""
    now = [0.0]
    runtime: Any = SimpleNamespace(turned_at=None, stop=lambda: None)
    state = RunState(clock=lambda: now[0])
    state.bind(runtime)
    assert (state.source_state, state.moves, state.flows) == ("connecting", True, False)
    now[0] = 40.0
    assert not state.moves
    runtime.turned_at = 39.0
    state.frame(frame(), None)
    assert (state.source_state, state.moves, state.flows) == ("live", True, True)
    now[0], runtime.turned_at = 50.0, 50.0
    assert (state.source_state, state.moves, state.flows, state.silent_s) == ("stalled", True, False, 10.0)
    state.summary(Summary())
    assert (state.source_state, state.flows) == ("ended", False)


def test_a_source_that_says_its_state_is_believed() -> None:
    """An enumeration's value, or a word."""
    for told, shown in ((SimpleNamespace(value="failed"), "failed"), ("live", "live")):
        assert RunState(source=SimpleNamespace(state=told, reconnects=3)).source_state == shown
    assert RunState(source=SimpleNamespace(reconnects=3)).reconnects == 3


def test_counts_and_times() -> None:
    """By configuration and by limiting signal, of which there are so many at the most."""
    state = RunState()
    for latency in (1.0, 20.0, 9000.0):
        state.prediction(prediction(latency))
    assert (state.predictions, state.latest) == ({str(SMALLEST): 3}, (0.05, str(SMALLEST)))
    assert [state.latency.counts[i] for i in (0, 2, -1)] == [1, 1, 1]
    assert state.latency.total_s == 9.021
    for number in range(LABELS_KEPT + 10):
        state.switch(Switch(0.0, SMALLEST, LARGEST, "because", f"signal {number}"))
    assert len(state.switches) == LABELS_KEPT + 1
    assert state.switches["other"] == 10
    assert state.latest == (0.05, str(LARGEST))


def test_counts_of_frames_never_go_down() -> None:
    """A frame that is taken from the queue and not looked at yet is in none."""
    counts = iter([(3, 5), (4, 4), (4, 6)])

    def account() -> Summary:
        used, not_sampled = next(counts)
        return Summary(frames_used=used, dropped={"not_sampled": not_sampled})

    state = RunState()
    assert state.frames() == {}
    state.bind(SimpleNamespace(account=account, stop=lambda: None))
    told = [dict(state.frames()) for _ in range(3)]
    assert told == [{"used": u, "not_sampled": n} for u, n in ((3, 5), (4, 5), (4, 6))]
