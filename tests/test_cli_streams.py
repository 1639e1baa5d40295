"""Standard streams that are closed, full or ASCII: a command ends with its code, in one line at the most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from fixtures_bundle import shared_bundle, write_video

RUN = "run --source demo --budget w0.80-s55-t2 --max-predictions 2"
PREDICTIONS = 2


def shell(
    command: str, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """A command line of ours, with the shell's redirections."""
    line = f'"{sys.executable}" -m a3d_edge {command}'
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, cwd=cwd, timeout=60, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", [RUN, f"{RUN} --json", "info", "table show a3d_slow_8x8_0.016 --json"])
def test_a_closed_stream_is_as_if_nobody_listened(closed: str, command: str, tmp_path: Path) -> None:
    """The command does its work; what can be told goes where it belongs and nowhere else."""
    done = shell(f"{command} {closed}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"Error" not in done.stderr + done.stdout
    usual = shell(command, tmp_path)
    assert bool(done.stdout) == (bool(usual.stdout) and " >&-" not in f" {closed}")
    assert bool(done.stderr) == (bool(usual.stderr) and "2>&-" not in closed)


def test_an_error_with_nobody_to_tell(tmp_path: Path) -> None:
    """The code is what it would be."""
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        assert shell(f"run --source nothing.mp4 {closed}", tmp_path).returncode == 3
        assert shell(f"run {closed}", tmp_path).returncode == 2


def test_messages_are_not_written_into_files(tmp_path: Path) -> None:
    """The next file that is opened would get the number of a closed stream, and what is meant for it."""
    code = (
        "import os, sys; from a3d_edge.cli.streams import prepare_streams; prepare_streams()\n"
        "opened = open('video', 'w'); print('a message', file=sys.stderr); print('data')\n"
        "os.write(2, b'from C'); open('number', 'w').write(str(opened.fileno()))"
    )
    for closed in ("2>&-", ">&- 2>&-", "<&- >&- 2>&-", "<&- 2>&-"):
        command = ["sh", "-c", f'"{sys.executable}" -c "$0" {closed}', code]
        done = subprocess.run(command, capture_output=True, cwd=tmp_path, timeout=60, check=False)
        assert done.returncode == 0
        assert (tmp_path / "video").read_text() == ""
        assert int((tmp_path / "number").read_text()) > 2
        assert done.stderr == b""


@pytest.mark.parametrize("command", [RUN, f"{RUN} --json", "info", "info --json", "--help"])
def test_a_full_disk_behind_stdout(command: str, tmp_path: Path) -> None:
    """Exit 5 and the reason, once: not again when Python ends."""
    done = shell(f"{command} >/dev/full", tmp_path)
    assert done.returncode == 5
    assert b"(No space left on device); is the disk full?" in done.stderr
    assert b"Exception" not in done.stderr
    assert done.stderr.count(b"error: ") == 1


@pytest.mark.parametrize("to", ["2>/dev/full", "2>&1 >out.txt | true"])
def test_what_people_cannot_be_told_stops_nothing(to: str, tmp_path: Path) -> None:
    """The data is whole when stderr is full, or its reader has left."""
    done = shell(f"{RUN} --json {to}; true", tmp_path)
    text = done.stdout or (tmp_path / "out.txt").read_bytes()
    events = [json.loads(line)["event"] for line in text.splitlines()]
    assert events == ["prediction"] * PREDICTIONS + ["summary"]
    assert done.stderr == b""


ASCII = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONUTF8": "1"},
]


@pytest.mark.parametrize("environment", ASCII)
def test_names_that_the_terminal_has_no_letters_for(environment: dict[str, str], tmp_path: Path) -> None:
    """Umlauts on an ASCII terminal, and bytes that are no text: the answer comes, JSON is JSON."""
    folder = tmp_path / os.fsdecode(b"gr\xc3\xbc\xdf")
    folder.mkdir()
    missing = os.fsdecode(b"gr\xc3\xbc\xdf/nothing.mp4")
    for command, code in ((f"run --source '{missing}'", 3), (f"verify '{missing}' --json", 4)):
        done = shell(command, tmp_path, environment)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith(b"error: ")
        assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("environment", ASCII)
def test_the_path_of_a_bundle_in_json(
    environment: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Letters come out as they are, whatever the locale; a byte that is none, as ``\\xdf``."""
    (tmp_path / os.fsdecode(b"gr\xc3\xbc\xdf")).symlink_to(shared_bundle(tmp_path_factory))
    done = shell("info " + os.fsdecode(b"'gr\xc3\xbc\xdf' --json"), tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("ascii"))["path"] == "grü\\xdf"
    assert shell(os.fsdecode(b"info 'gr\xc3\xbc\xdf'"), tmp_path, environment).returncode == 0


@pytest.mark.parametrize("environment", ASCII)
def test_a_bundle_below_a_name_with_umlauts_runs(
    environment: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Also where the locale is ASCII; one whose name is no text is refused in a line that says so."""
    clip = write_video(tmp_path / "clip.avi", 12)
    for name, code in ((b"gr\xc3\xbc", 0), (b"gr\xdf", 4)):
        (tmp_path / os.fsdecode(name)).symlink_to(shared_bundle(tmp_path_factory))
        done = shell(f"run --source {clip.name} --bundle '{os.fsdecode(name)}'", tmp_path, environment)
        assert done.returncode == code, done.stderr
    assert b"the name is not UTF-8" in done.stderr
