"""The sinks of a run: lines for people, JSON Lines for programs, pictures in a file or a window."""

from __future__ import annotations

import errno
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures_bundle import frames_of
from fixtures_events import kind_of

from a3d_edge.configuration import Configuration
from a3d_edge.errors import ResourceError
from a3d_edge.events import Prediction, Summary, Switch
from a3d_edge.sinks.jsonl import JsonEvents, JsonLines
from a3d_edge.sinks.pictures import PictureEvents
from a3d_edge.sinks.text import TextEvents
from a3d_edge.sinks.video_writer import VideoSink
from a3d_edge.video.frame import Frame

LARGE, SMALL = Configuration(1.0, 224, 8), Configuration(0.5, 128, 2)
SWITCH = Switch(1.5, LARGE, SMALL, "others use 90 % of the CPU", "cpu")


def prediction(padded: bool = False, truth: str | None = None) -> Prediction:
    """An answer for one window."""
    top = (("hug", 0.75), ("kick", 0.25))
    return Prediction(2.5, 0.6, "hug", 0.75, top, LARGE, 20.25, 31.0, padded, truth)


def frame(index: int = 0, truth: str | None = None) -> Frame:
    """A grey picture."""
    return Frame(index, index / 30, np.full((120, 160, 3), 90, np.uint8), 0.0, truth)


def text_events() -> tuple[TextEvents, io.StringIO, io.StringIO]:
    """The sink, what it says on stdout, and on stderr."""
    out, err = io.StringIO(), io.StringIO()
    return TextEvents(out, err), out, err


def test_a_warning_that_has_scrolled_away_is_said_again_at_the_end() -> None:
    """Once each; one that still stands there is not."""
    events, _, err = text_events()
    events.warning("early")
    for _ in range(20):
        events.prediction(prediction())
        events.warning("every time")
    events.warning("late")
    said = len(err.getvalue().splitlines())
    events.summary(Summary(frames_captured=20))
    assert err.getvalue().splitlines()[said:][2:] == ["warned of: early", "warned of: every time"]


def test_predictions_are_lines_on_stdout_and_nothing_else_is() -> None:
    """stdout is data, stderr is for people."""
    events, out, err = text_events()
    events.frame(frame(), None)
    events.prediction(prediction())
    events.prediction(prediction(padded=True, truth="kick"))
    events.switch(SWITCH)
    events.warning("careful")
    events.close()
    first, second = out.getvalue().splitlines()
    assert first.split() == ["2.50", "s", "hug", "75%", "w1.00-s224-t8", "20.2", "ms"]
    assert second.endswith("acting: kick  (padded)")
    assert err.getvalue().splitlines() == [
        "switch w1.00-s224-t8 -> w0.50-s128-t2: others use 90 % of the CPU [cpu]",
        "warning: careful",
    ]


def test_a_label_that_does_not_count_as_seen_has_a_question_mark() -> None:
    """In the text; JSON has the label as it is, and a field."""
    events, out, _ = text_events()
    lines = io.StringIO()
    for seen in (True, False):
        one = replace(prediction(), seen=seen)
        events.prediction(one)
        JsonEvents(JsonLines(lines), io.StringIO()).prediction(one)
    assert [line.split()[2] for line in out.getvalue().splitlines()] == ["hug", "hug?"]
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [kind_of(line) for line in told] == ["prediction"] * 2
    assert [(line["label"], line["seen"]) for line in told] == [("hug", True), ("hug", False)]


def test_the_summary_for_people() -> None:
    """Every frame is accounted for; reasons with nothing in them are left out."""
    events, out, err = text_events()
    summary = Summary(100, 60, {"not_sampled": 37, "unreadable": 3, "overrun": 0}, switches=2)
    summary.windows_skipped, summary.seconds = 4, 12.34
    summary.count(prediction(truth="hug"))
    summary.end()
    events.summary(summary)
    assert out.getvalue() == ""
    assert err.getvalue().splitlines() == [
        "100 frames, 60 used, 37 not sampled, 3 unreadable",
        "1 predictions, 2 switches, 4 windows skipped, latency p50 20.2 ms, p95 20.2 ms, 12.3 s",
        "the demo: 1 of 1 scenes named right by their summed scores, 1 of 1 single predictions",
    ]


def test_the_summary_of_nothing() -> None:
    """No frame: nothing to sum up; why there was none is told elsewhere."""
    events, _, err = text_events()
    events.summary(Summary())
    assert err.getvalue() == ""


class Failing(io.StringIO):
    """A stream whose disk is full, or whose reader has left."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._error = OSError(number, "no")

    def flush(self) -> None:
        raise self._error


def test_a_full_disk_behind_stdout_is_a_resource_error() -> None:
    """And a reader that has left is a broken pipe, which the command line takes for an end."""
    for number, kind in ((errno.ENOSPC, ResourceError), (errno.EPIPE, BrokenPipeError)):
        with pytest.raises(kind):
            TextEvents(Failing(number), io.StringIO()).prediction(prediction())


def test_a_run_as_json_lines() -> None:
    """One object a line with event and schema; warnings are text on stderr."""
    out, err = io.StringIO(), io.StringIO()
    events = JsonEvents(JsonLines(out), err)
    events.frame(frame(), None)
    events.prediction(prediction())
    events.switch(SWITCH)
    events.warning("careful")
    events.close()
    events.summary(Summary(10, 10))
    lines: list[dict[str, Any]] = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["prediction", "switch", "summary"]
    assert {line["schema"] for line in lines} == {1}
    assert lines[0]["label"] == "hug"
    assert lines[0]["latency_ms"] == 20.25
    assert lines[1]["limiting_signal"] == "cpu"
    assert lines[2]["frames_captured"] == 10
    assert err.getvalue() == "warning: careful\n"


def test_an_annotated_recording_has_every_frame(tmp_path: Path) -> None:
    """Each frame once, before and after the first prediction, with the text at its foot."""
    path = tmp_path / "out.avi"
    events = PictureEvents(VideoSink(path, 30.0))
    for index in range(6):
        events.frame(frame(index, truth="hug"), prediction() if index >= 3 else None)
    events.prediction(prediction())
    events.switch(SWITCH)
    events.warning("careful")
    events.close()
    assert frames_of(path) == 6
    capture = cv2.VideoCapture(str(path))
    shown = [capture.read()[1].astype(int) for _ in range(6)]
    capture.release()
    assert all(abs(image[:40].mean() - 90) < 3 for image in shown)
    assert all(abs(image[80:].mean() - 90) > 10 for image in shown)
    assert np.abs(shown[0][80:] - shown[5][80:]).mean() > 5


class FakeWindow:
    """Closed by its user after so many pictures."""

    def __init__(self, closes_after: int) -> None:
        self.shown, self.closed, self._after = 0, False, closes_after

    def show(self, image: object) -> None:
        self.shown += 1
        self.closed = self.shown >= self._after

    def close(self) -> None:
        self.closed = True


class FakeRuntime:
    """Counts how often it is stopped."""

    stopped = 0

    def stop(self) -> None:
        self.stopped += 1


def test_closing_the_window_ends_the_run() -> None:
    """The runtime is told once the window is closed, and not before."""
    window, runtime = FakeWindow(3), FakeRuntime()
    events = PictureEvents(window)  # type: ignore[arg-type]
    events.bind(runtime)  # type: ignore[arg-type]
    for index in range(2):
        events.frame(frame(index), None)
    assert runtime.stopped == 0
    events.frame(frame(2), None)
    assert runtime.stopped == 1
    events.close()
    assert window.closed
