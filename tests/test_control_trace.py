"""Traces: what a file may say, how it is refused, and what it says at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from a3d_edge.control.trace import Replay, Trace, TracePoint, find_trace, shipped_traces
from a3d_edge.device.signals import Signals
from a3d_edge.errors import UsageError

HEAD = '{"trace": 1, "name": "x", "seconds": 10, "cores": 2}\n'
NAMES = ["bursty_neighbour", "charge", "drain", "quota_change", "sensor_loss", "thermal_sawtooth"]
ROOT = Path(__file__).parent.parent


def test_signals_hold_until_the_next_line() -> None:
    """And the first line's from the beginning on; what a line leaves out is unknown."""
    trace = Trace.parse(HEAD + '{"t": 1, "cpu_others": 0.2}\n\n{"t": 3, "battery_percent": 50}\n', "x")
    assert trace.at(0.0).signals == trace.at(2.9).signals == Signals(cpu_others=0.2)
    assert trace.at(3.0).signals == trace.at(99.0).signals == Signals(battery_percent=50.0)


def test_a_device_is_slower_by_what_is_left_of_it() -> None:
    """Half of the cores: twice; of these half taken by others: four times; unless the trace says it."""
    lines = ['{"t": 0, "cores": 1}', '{"t": 1, "cores": 1, "cpu_others": 0.5}', '{"t": 2, "slowdown": 1.5}',
             '{"t": 3, "cpu_others": 1.0}', '{"t": 4}']  # fmt: skip
    trace = Trace.parse(HEAD + "\n".join(lines), "x")
    assert [trace.slowdown(t) for t in range(5)] == pytest.approx([2.0, 4.0, 1.5, 10.0, 1.0])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Unknown signals stay unknown."""
    points = (TracePoint(0.0, Signals(battery_percent=50.0, plugged=False)), TracePoint(2.5, Signals(), 1.5))
    made = Trace("mine", 60.0, points, hop_s=0.1, cores=4.0, ms_per_gflop=2.0, noise=0.0, about="words")
    (tmp_path / "x.jsonl").write_text("\n".join(made.lines()))
    assert Trace.load(tmp_path / "x.jsonl") == made


def test_a_reading_that_cannot_be_is_unknown() -> None:
    """As a sensor's."""
    trace = Trace.parse(HEAD + '{"t": 0, "battery_percent": 300, "cpu_others": "much", "cores": NaN}', "x")
    assert trace.at(0.0).signals == Signals()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no trace"),
        (HEAD, "no trace"),
        ('{"t": 0}\n{"t": 1}', "no trace"),
        (HEAD + "nonsense", "x line 2: no JSON"),
        (HEAD + "[1]", "x line 2: no JSON object"),
        (HEAD + "[" * 5000, "x line 2: no JSON"),
        (HEAD + '{"t": -1}', "x line 2: t -1 is not a number from 0"),
        (HEAD + '{"t": NaN}', "x line 2: t nan is not a number"),
        (HEAD + '{"t": 1e400}', "x line 2: t inf is not a number"),
        (HEAD + '{"t": true}', "x line 2: t True is not a number"),
        (HEAD + '{"t": 0, "charge": 5}', "x line 2: unknown signal 'charge'; there are battery_percent"),
        (HEAD + '{"t": 0, "slowdown": 0}', "x line 2: slowdown 0 is not a number from 0.001"),
        (HEAD + '{"t": 1}\n{"t": 1}', "x line 3: t 1 is not above 1 of the line before"),
        (HEAD.replace("10", "0") + '{"t": 0}', "x line 1: seconds 0 is not a number from 0.001"),
        (HEAD.replace("10", "1" + "0" * 400) + '{"t": 0}', "x line 1: seconds 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text: str, message: str) -> None:
    """In one sentence."""
    with pytest.raises(UsageError) as caught:
        Trace.parse(text, "x")
    assert str(caught.value).startswith(message if message.startswith("x line") else f"x: {message}")


def test_traces_are_found_by_file_or_by_name(tmp_path: Path) -> None:
    """An unknown name lists those there are; a folder or a device is no trace."""
    assert sorted(shipped_traces()) == NAMES
    assert find_trace("drain").seconds == 600
    for word in ("nothing", str(tmp_path), "/dev/zero"):
        with pytest.raises(
            UsageError, match=r"no such trace file; shipped ones are bursty_neighbour, charge"
        ):
            find_trace(word)


def test_the_shipped_ones_are_what_the_script_writes(tmp_path: Path) -> None:
    """Byte for byte, and small."""
    script = ROOT / "benchmarks/make_traces.py"
    subprocess.run([sys.executable, script, "--out", tmp_path], check=True, timeout=60)
    for name, path in shipped_traces().items():
        assert path.read_bytes() == (tmp_path / f"{name}.jsonl").read_bytes()
        assert path.stat().st_size < 80_000


def test_a_replay_begins_at_its_first_reading() -> None:
    """Whatever the clock says then; past the end the last line holds."""
    trace, now = Trace.parse(HEAD + '{"t": 0}\n{"t": 5, "cores": 1}', "x"), [1000.0]
    replay = Replay(trace, lambda: now[0])
    found = []
    for now[0] in (1000.0, 1004.9, 1005.0, 9999.0):
        found.append(replay().cores)
    assert found == [None, None, 1.0, 1.0]


def test_a_trace_that_would_be_simulated_for_ever_is_refused(tmp_path: Path) -> None:
    """A line says how long it is, and how often something is predicted: in a few bytes, a billion steps."""
    path = tmp_path / "long.jsonl"
    path.write_text('{"trace": 1, "name": "long", "seconds": 1000000, "hop_s": 0.001}\n{"t": 0}\n')
    with pytest.raises(UsageError, match="line 1: more than 1,000,000 predictions in 1e"):
        Trace.load(path)
