"""The sink as a whole: timeline, queues and clips of one run, its end in time, and disks that are full."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from fixtures_delivery import Server, alert, eventually, fields, fill, server, small_disk
from fixtures_events import kind_of

from a3d_edge.errors import ResourceError
from a3d_edge.events import Summary
from a3d_edge.sinks.delivery import sender as sender_module
from a3d_edge.sinks.delivery.alert_events import AlertEvents, Place
from a3d_edge.sinks.delivery.http import Endpoint
from a3d_edge.sinks.delivery.outbox import Outbox
from a3d_edge.sinks.delivery.recorder import ClipSettings
from a3d_edge.sinks.delivery.timeline import Timeline
from a3d_edge.sinks.delivery.webhook import Webhook
from a3d_edge.video.frame import Frame


def place(url: str, folder: Path) -> Place:
    """A webhook."""
    return Place(folder, lambda _: Webhook(Endpoint(f"http://{url}", {}, 5.0, "")))


def lines(path: Path) -> list[dict[str, object]]:
    """Of a timeline."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_run(server: Server, tmp_path: Path) -> None:
    """All that is told comes to each place, and the summary says what came of it."""
    sink = AlertEvents(
        print,
        timeline=Timeline(tmp_path / "t.jsonl", 10_000, 2),
        clips=ClipSettings(tmp_path / "clips", before_s=0.5),
        places=[place(server.url, tmp_path / "q")],
        patient=True,
    )
    assert sink.every_frame
    picture = np.zeros((48, 64, 3), np.uint8)
    for number in range(60):
        sink.frame(Frame(number, number / 30, picture, 0.0), None)
    sink.alert(alert("started", start_s=1.5))
    sink.alert(alert("ended", start_s=1.5, end_s=1.8))
    summary = Summary()
    summary.alerts = {"started": 1, "ended": 1}
    sink.summary(summary)
    sink.close()
    told = lines(tmp_path / "t.jsonl")
    assert [kind_of(line) for line in told] == ["alert", "alert", "clip"]
    assert Path(str(told[2]["path"])).is_file()
    assert [body["state"] for *_, body in server.requests] == ["started", "ended"]
    line = {"event": "summary", "schema": 1, **json.loads(json.dumps(summary.fields()))}
    assert kind_of(line) == "run_summary"
    assert line["alerts"]["sinks"] == {
        f"http://{server.url}": {"delivered": 2, "retries": 0, "refused": 0, "queued": 0, "dropped": 0},
        "timeline t.jsonl": {"lines": 3, "failed": 0},
    }


def test_the_end_comes_in_time_and_what_is_left_is_kept(tmp_path: Path) -> None:
    """Nobody answers: 2 s at most, and the next run delivers."""
    silent = Server()
    silent.wait_s = 30.0
    sink = AlertEvents(print, places=[place(silent.url, tmp_path / "q")])
    for number in range(50):
        sink.alert(alert("started", number))
    begun = time.monotonic()
    sink.close()
    assert time.monotonic() - begun < 2.0
    silent.stop()
    assert len(Outbox(tmp_path / "q", print)) == 100  # and the end of each, for nothing else is told of them


def test_a_place_that_hangs_holds_no_frame(server: Server, tmp_path: Path) -> None:
    """Nor do ten thousand alerts."""
    server.wait_s = 30.0
    sink = AlertEvents(print, places=[place(server.url, tmp_path / "q")])
    picture = np.zeros((48, 64, 3), np.uint8)
    begun = time.monotonic()
    for number in range(1000):
        sink.frame(Frame(number, number / 30, picture, 0.0), None)
        sink.alert(alert("started", number % 7))
    assert time.monotonic() - begun < 2.0
    sink.close()


def test_a_full_disk_is_said_and_the_run_goes_on(
    small_disk: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the timeline, the queue and the clips, each once, with the bytes; what goes by network goes on."""
    monkeypatch.setattr(sender_module, "FIRST_S", 0.02)
    said: list[str] = []
    sink = AlertEvents(
        said.append,
        timeline=Timeline(small_disk / "t.jsonl", 10_000_000, 2),
        clips=ClipSettings(small_disk / "clips"),
        places=[place(server.url, small_disk / "q")],
        patient=True,
    )
    filler = fill(small_disk)
    picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    for number in range(200):
        sink.frame(Frame(number, number / 30, picture, 0.0), None)
        if number % 10 == 9:
            sink.alert(alert("started", number, start_s=0.1, name="x" * 190))
            sink.alert(alert("ended", number, end_s=0.2, name="x" * 190))
    sink.close()
    assert len(said) == len({line.split(":")[0] for line in said}) == 3
    for line in said:
        assert "needs" in line
        assert line.partition(" bytes, ")[2].split()[0].replace(",", "").isdigit()
    assert sink.counts["sinks"]["timeline t.jsonl"]["failed"] > 0
    assert sink.counts["sinks"][f"http://{server.url}"]["delivered"] == 40
    assert lines(small_disk / "t.jsonl") == []
    filler.unlink()
    Timeline(small_disk / "t.jsonl", 10_000_000, 2).write("alert", fields())
    assert len(lines(small_disk / "t.jsonl")) == 1


def test_a_timeline_rotates_and_its_lines_are_whole(tmp_path: Path) -> None:
    """The older ones are numbered, up to as many as are kept; a line that was cut off is ended."""
    timeline = Timeline(tmp_path / "t.jsonl", 1500, 2)
    (tmp_path / "t.jsonl").write_text('{"half": ')
    for number in range(12):
        timeline.write("alert", fields("started", number))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["t.jsonl", "t.jsonl.1", "t.jsonl.2"]
    assert all(len(path.read_bytes()) <= 1500 for path in tmp_path.iterdir())
    kept = [line for name in names[::-1] for line in lines(tmp_path / name)]
    numbers = [int(str(line["id"]).rpartition("-")[2]) for line in kept]
    assert numbers == list(range(12 - len(kept), 12))
    assert len(kept) > 6
    single = Timeline(tmp_path / "u.jsonl", 1500, 0)
    (tmp_path / "u.jsonl").write_text('{"half": ')
    single.write("alert", fields())
    assert (tmp_path / "u.jsonl").read_text().splitlines()[0] == '{"half": '
    assert kind_of(json.loads((tmp_path / "u.jsonl").read_text().splitlines()[1])) == "alert"


def test_a_place_that_cannot_be_ends_it_before_it_begins(tmp_path: Path) -> None:
    """One line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="no clips can be kept here"):
        AlertEvents(print, clips=ClipSettings(tmp_path / "file" / "clips"))


def test_counts_while_it_runs(server: Server, tmp_path: Path) -> None:
    """For whoever asks."""
    sink = AlertEvents(print, places=[place(server.url, tmp_path / "q")])
    sink.alert(alert())
    eventually(lambda: sink.counts["sinks"][f"http://{server.url}"]["delivered"] == 1)
    sink.close()
