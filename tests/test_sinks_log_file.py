"""Logs: bounded in size and number, reopened when somebody renames them, and never in the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures_bundle import LARGEST, SMALLEST, Here
from fixtures_events import kind_of
from test_sinks_run_state import prediction

from a3d_edge.events import SinkLostError, Summary, Switch
from a3d_edge.sinks.log_file import KEPT, LogEvents, LogFile

SWITCH = Switch(1.0, SMALLEST, LARGEST, "because", "battery")


def test_a_log_is_rotated_by_size_and_the_oldest_goes(tmp_path: Path) -> None:
    """Every file at most of the size; the lines that are kept are the newest, in order, whole."""
    log = LogFile(tmp_path / "run.log", 1000)
    for number in range(1000):
        log.write(f"line {number:04d}")
    log.close()
    files = [tmp_path / name for name in (*(f"run.log.{n}" for n in range(KEPT, 0, -1)), "run.log")]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(path.stat().st_size <= 1000 for path in files)
    lines = "".join(path.read_text() for path in files).splitlines()
    assert lines == [f"line {number:04d}" for number in range(1000 - len(lines), 1000)]
    assert log.lost == 0


def test_a_line_that_is_longer_than_a_file_is_written_all_the_same(tmp_path: Path) -> None:
    """Into one of its own."""
    log = LogFile(tmp_path / "run.log", 100)
    for text in ("a", "x" * 500, "b"):
        log.write(text)
    assert [(tmp_path / f"run.log{end}").read_text()[0] for end in (".2", ".1", "")] == ["a", "x", "b"]


def test_a_log_that_is_renamed_or_deleted_is_made_anew(tmp_path: Path) -> None:
    """As logrotate does it, without a signal; what was there before is appended to."""
    path = tmp_path / "run.log"
    path.write_text("before\n")
    log = LogFile(path, 10_000)
    log.write("one")
    path.rename(tmp_path / "run.log.rotated")
    log.write("two")
    path.unlink()
    log.write("three")
    assert (tmp_path / "run.log.rotated").read_text() == "before\none\n"
    assert path.read_text() == "three\n"


def test_a_full_disk_loses_lines_and_nothing_else(small_disk: Path) -> None:
    """They are counted and it is told once, with the bytes; with room again, lines are whole again."""
    (small_disk / "filler").write_bytes(bytes(1_048_576 - 8192))
    events = LogEvents(small_disk / "events.jsonl", 10_000_000)
    told = []
    for _ in range(100):
        try:
            events.prediction(prediction())
        except SinkLostError as error:
            told.append(str(error))
    assert len(told) == 1
    assert "cannot be written (No space left on device: needs 310 bytes, 0 bytes free)" in told[0]
    lost = events.file.lost
    assert 0 < lost < 100
    (small_disk / "filler").unlink()
    events.prediction(prediction())
    with pytest.raises(SinkLostError, match=f"{lost} lines were lost"):
        events.summary(Summary())
    events.close()
    lines = (small_disk / "events.jsonl").read_text().splitlines()
    whole = [line for line in lines if line.endswith("}")]
    assert len(whole) == 100 - lost + 2
    assert len(lines) - len(whole) <= 1
    assert [kind_of(json.loads(line)) for line in whole[-2:]] == ["prediction", "run_summary"]


def test_messages_have_the_time(tmp_path: Path) -> None:
    """In UTC; predictions are data, and are not among them."""
    events = LogEvents(tmp_path / "run.log", 10_000, wall=lambda: 0.0)
    events.prediction(prediction())
    events.switch(SWITCH)
    events.warning("careful")
    events.line("metrics: on")
    text = (tmp_path / "run.log").read_text().splitlines()
    assert [line.partition(" ")[0] for line in text] == ["1970-01-01T00:00:00.000Z"] * 3
    assert text[1].endswith(" warning: careful")
    assert text[2].endswith(" metrics: on")


def test_a_run_writes_both_kinds(here: Here, bundle_folder: Path, clip: Path, tmp_path: Path) -> None:
    """Text and JSON Lines, appended by the next run; an error that ends a run is in the text."""
    logs = ("--log", tmp_path / "run.log", "--log", tmp_path / "run.jsonl", "--quiet")
    assert here("run", "--source", clip, "--bundle", bundle_folder, *logs)[0] == 0
    code, _, err = here("run", "--source", tmp_path / "none.mp4", "--bundle", bundle_folder, *logs)
    assert code == 3
    text = (tmp_path / "run.log").read_text().splitlines()
    assert any("60 frames, " in line for line in text)
    assert text[-1].partition(" ")[2] + "\n" == err
    kinds = [kind_of(json.loads(line)) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert kinds.count("run_summary") == 1
    assert kinds.count("prediction") > 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--log", "."], "--log .: is a folder"),
        (["--log", "no/run.log"], "no such folder no"),
        (["--log", "clip.mp4"], "which is read"),
        (["--log", "run.log", "--log-size", "5"], "--log-size 5"),
    ],
)
def test_logs_that_cannot_be_meant(
    here: Here, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    """Refused before the run, in one line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").symlink_to(clip)
    code, _, err = here("run", "--source", "clip.mp4", *options)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
