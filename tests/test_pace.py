"""How a camera's time goes and how a file's: when windows are run, when a switch is made, by which clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from a3d_edge.pace import FilePace, LivePace, pace_of
from a3d_edge.video.frame import Frame
from a3d_edge.video.sampler import Sampler, Sampling


class Windows:
    """Writes down what a pace does with it; ``loaded``: whether what is wanted can be switched to."""

    def __init__(self, loaded: bool = True) -> None:
        self.loaded = loaded
        self.did: list[str] = []

    def answer(self) -> Iterator[Any]:
        self.did.append("answer")
        yield "prediction"

    def decide(self) -> None:
        self.did.append("decide")

    def prepare(self) -> None:
        self.did.append("prepare")

    def switch(self, *, wait: bool) -> bool:
        self.did.append("wait and switch" if wait else "switch if loaded")
        return wait or self.loaded

    def encode_ahead(self) -> None:
        self.did.append("encode ahead")


class Stream:
    """One whose ready window is, or is not, followed by another."""

    def __init__(self, newer: bool) -> None:
        self.newer = newer

    def is_ready_after(self, window: Any) -> bool:
        return self.newer


def a_frame(time_s: float) -> Frame:
    return Frame(0, time_s, np.zeros((4, 4, 3), np.uint8), 100.0)


def test_a_live_source_has_the_one_and_a_file_the_other() -> None:
    assert isinstance(pace_of(True, lambda: 0.0), LivePace)
    assert isinstance(pace_of(False, lambda: 0.0), FilePace)


def test_the_clock_is_the_wall_s_or_the_stream_s() -> None:
    """A file runs faster than its time, so that its controller waits by the frames."""
    live, file = LivePace(lambda: 7.0), FilePace()
    for pace in (live, file):
        pace.see(a_frame(2.5))
    assert (live.now(), file.now()) == (7.0, 2.5)
    assert (live.hop_s(0.25), file.hop_s(0.25)) == (0.25, None)


def test_a_camera_is_answered_once_all_that_came_is_looked_at() -> None:
    """At most a queue of it; of two ready windows the older is passed over. Of a file each is run at once."""
    live, file, windows = LivePace(lambda: 0.0), FilePace(), Windows()
    assert live.backlog > 0
    assert list(live.after_sample(windows)) == windows.did == []
    assert file.backlog == 0
    assert list(file.after_sample(windows)) == ["prediction"]
    window: Any = object()
    for newer in (True, False):
        stream: Any = Stream(newer)
        assert live.passes_over(stream, window) is newer
        assert not file.passes_over(stream, window)


@pytest.mark.parametrize(
    ("loaded", "after"),
    [(True, ["decide", "switch if loaded", "encode ahead"]), (False, ["decide", "switch if loaded"])],
)
def test_a_camera_s_switch_is_made_after_a_prediction(loaded: bool, after: list[str]) -> None:
    """Before a window it is only prepared; what is not loaded by then is not waited for."""
    live, windows = LivePace(lambda: 0.0), Windows(loaded)
    live.before_window(windows)
    assert windows.did == ["prepare"]
    windows.did.clear()
    live.after_prediction(windows)
    assert windows.did == after


def test_a_file_s_switch_is_waited_for_before_its_window() -> None:
    """So that every window runs on what the controller says, on any machine."""
    file, windows = FilePace(), Windows()
    file.before_window(windows)
    file.after_prediction(windows)
    assert windows.did == ["wait and switch"]


def test_only_of_a_camera_frames_are_let_pass() -> None:
    """Those that no window looks at; a file's reader waits anyway."""
    sampler = Sampler(Sampling(frames=4, stride=8, rate=30.0), 8)
    list(sampler.push(a_frame(0.0)))
    list(sampler.push(a_frame(1 / 30)))
    assert LivePace(lambda: 0.0).calm(sampler) == sampler.calm is not None
    assert FilePace().calm(sampler) is None
