"""JSON Lines."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from a3d_edge.errors import ResourceError
from a3d_edge.json_lines import JsonLines
from a3d_edge.sinks.jsonl import plain


def written(event: str, fields: dict[str, object]) -> str:
    stream = io.StringIO()
    JsonLines(stream).write(event, plain(fields))
    return stream.getvalue()


def test_each_event_is_one_line_with_schema_and_name() -> None:
    """Line breaks in a label stay inside the line, and any stream's encoding can carry it."""
    text = written("prediction", {"label": "two\nlines é"})
    assert text.count("\n") == 1
    assert text.isascii()
    assert json.loads(text) == {"schema": 1, "event": "prediction", "label": "two\nlines é"}


def test_milliseconds_have_three_decimals_and_other_numbers_six() -> None:
    """Also inside a group of milliseconds, inside lists, and for numpy's numbers."""
    fields = {
        "latency_ms": {"p50": 1.23456789, "p95": np.float32(2.5)},
        "score": np.float64(0.123456789),
        "top": [["kick", 0.3333333333]],
        "frames_used": np.int64(7),
        "scores": np.array([0.25, 0.75]),
        "padded": True,
    }
    assert json.loads(written("summary", fields)) == {
        "schema": 1,
        "event": "summary",
        "latency_ms": {"p50": 1.235, "p95": 2.5},
        "score": 0.123457,
        "top": [["kick", 0.333333]],
        "frames_used": 7,
        "scores": [0.25, 0.75],
        "padded": True,
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_numbers_that_json_lacks_become_null(value: float) -> None:
    """NaN is not JSON."""
    assert json.loads(written("prediction", {"score": value}))["score"] is None


def test_lines_are_flushed_one_by_one(tmp_path: Path) -> None:
    """A reader of a buffered file sees a line as soon as it is written."""
    path = tmp_path / "out.jsonl"
    with path.open("w") as stream:
        JsonLines(stream).write("switch", {"from": "a", "to": "b"})
        assert json.loads(path.read_text())["to"] == "b"


def test_a_reader_that_left_is_a_broken_pipe() -> None:
    """The command line turns this one into a clean end."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    stream = os.fdopen(write_end, "w")
    with pytest.raises(BrokenPipeError):
        JsonLines(stream).write("prediction", {})
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_another_failure_to_write_is_a_resource_error() -> None:
    """A full disk behind the stream."""

    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ResourceError, match="No space left on device"):
        JsonLines(Full()).write("prediction", {})
