"""``a3d-edge eval`` and ``table build``: views, protocols, scores files, several processes, and refusals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import CONFIGURATIONS, Here, calibrated_checkpoint

torch = pytest.importorskip("torch")
pytest.importorskip("av")

from a3d_edge.cli.common import ProgressLog  # noqa: E402
from a3d_edge.models.checkpoint import load, save  # noqa: E402
from a3d_edge.models.ranges import RANGES  # noqa: E402
from a3d_edge.models.registry import describe  # noqa: E402
from a3d_edge.training.clips import list_clips  # noqa: E402
from a3d_edge.training.evaluation import evaluate  # noqa: E402
from a3d_edge.training.inputs import frame_cache, window_set  # noqa: E402
from a3d_edge.training.reliability import wilson_interval  # noqa: E402


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lively network with statistics for six configurations."""
    path = tmp_path_factory.mktemp("eval") / "net.pth"
    save(calibrated_checkpoint(), path)
    return path


@pytest.fixture
def command(checkpoint: Path, clip_list: Path, frame_cache: Any) -> tuple[object, ...]:
    """``eval`` of two configurations on the 12 clips, with frames that are decoded already."""
    names = [word for c in CONFIGURATIONS[1:3] for word in ("--configuration", c)]
    return ("eval", checkpoint, "--data", clip_list, "--cache", frame_cache.folder, *names)


def events(out: str) -> list[dict[str, Any]]:
    """JSON Lines."""
    return [json.loads(line) for line in out.splitlines()]


def one_line(text: str) -> bool:
    """Whether stderr is one line, and no traceback."""
    return text.count("\n") == 1 and "Traceback" not in text


@pytest.mark.parametrize(
    ("options", "views", "protocol"),
    [
        ([], 4, "runtime"),
        (["--views", 10], 10, "paper"),
        (["--views", 30], 30, "paper"),
        (["--views", 1], 1, "paper"),
        (["--views", 1, "--protocol", "runtime"], 1, "runtime"),
        (["--views", 3], 3, "runtime"),
    ],
)
def test_the_protocol_follows_the_views(
    here: Here, command: tuple[object, ...], clip_list: Path, options: list[object], views: int, protocol: str
) -> None:
    """1, 10 and 30 are the paper's unless it is said otherwise; the figures are those of that protocol."""
    code, out, err = here(*command, *options, "--json")
    assert (code, err) == (0, "")
    found = {event["configuration"]: event for event in events(out)}
    loaded = load(Path(str(command[1])))
    windows = window_set(loaded, list_clips([clip_list]), Path(str(command[5])), views)
    windows = replace(windows, protocol=protocol)  # type: ignore[arg-type]
    expected = evaluate(loaded.model, CONFIGURATIONS[1:3], windows, loaded.classes)
    for configuration, scores in expected.items():
        event = found[str(configuration)]
        assert (event["views"], event["protocol"], event["clips"]) == (views, protocol, 12)
        right = round(12 * scores.accuracy)
        assert event["accuracy_interval"] == pytest.approx(wilson_interval(right, 12), abs=1e-6)
        assert (event["top1"], event["top5"]) == (
            scores.accuracy,
            1.0,
        )  # of three classes all are in the top 5


def test_without_a_terminal_progress_is_a_line_a_tenth(here: Here, command: tuple[object, ...]) -> None:
    """On stderr, with the time that is left; the last says that all are done."""
    code, out, err = here(*command)
    assert code == 0
    first = out.splitlines()[0]
    share = r"\d+\.\d%"
    assert re.match(rf"{CONFIGURATIONS[1]!s:20} top-1 +{share} \({share} to {share}\)  top-5 ", first)
    assert out.splitlines()[0].endswith("12 clips, 4 views (runtime)")
    lines = err.splitlines()
    tenths = (2, 3, 4, 5, 6, 8, 9, 10, 11, 12)  # of 12 clips: 1 is not yet one, 7 no further one
    assert [line.split(",")[0] for line in lines] == [f"evaluate: {n} of 12" for n in tenths]
    assert all(" s left" in line for line in lines[:-1])
    assert lines[-1] == "evaluate: 12 of 12"


def test_the_time_left_is_of_this_run_s_pace(capfd: pytest.CaptureFixture[str]) -> None:
    """40 of 100 were done before: 10 more took 5 s, so the other 50 take 25 s."""
    now = [100.0]
    log = ProgressLog(clock=lambda: now[0])
    log("evaluate", 40, 100)
    for done in range(41, 51):
        now[0] += 0.5
        log("evaluate", done, 100)
    assert capfd.readouterr().err == "evaluate: 50 of 100, about 25 s left\n"


# The scores file


def test_a_finished_file_answers_without_measuring(
    here: Here, command: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same output, to the digit, without a look at any clip."""
    kept = ("--scores", tmp_path / "scores.jsonl", "--json")
    code, first, _ = here(*command, *kept)
    assert code == 0
    assert here(*command, "--json")[:2] == (0, first)
    monkeypatch.setattr("a3d_edge.training.shards.clip_scores", None)
    assert here(*command, *kept) == (0, first, "")


KILLED = """
import os, signal, sys
from a3d_edge.training import shards
measure, left = shards.clip_scores, [5]

def until_killed(*arguments):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return measure(*arguments)

shards.clip_scores = until_killed
from a3d_edge.cli import main
main()
"""


def test_killed_half_way_and_run_again_equals_uninterrupted(
    here: Here, command: tuple[object, ...], tmp_path: Path
) -> None:
    """SIGKILL at the 6th clip, and its last line torn as well: the rest is measured, the file is the same."""
    whole, scores = tmp_path / "whole.jsonl", tmp_path / "scores.jsonl"
    expected = here(*command, "--scores", whole, "--json")
    words = [str(word) for word in (*command, "--scores", scores, "--json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", KILLED, *words], cwd=tmp_path, env=environment, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert len(scores.read_text().splitlines()) == 1 + 5
    scores.write_bytes(scores.read_bytes()[:-7])
    code, _, err = here(*words[:-1])
    assert code == 0
    assert err.startswith("evaluate: 5 of 12, ")  # 4 were there
    assert here(*words) == expected
    assert scores.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("options", "differs"),
    [
        (["--views", 3], "views (views is 4 there, 3 now)"),
        (["--fold", 1], "clips (clips is "),
        (["--no-calibration"], "calibration (calibration is "),
        (["--configuration", CONFIGURATIONS[0]], "configurations (configurations is "),
        (["--views", 10], "protocol, views (protocol is "),
    ],
)
def test_another_measurement_is_refused(
    here: Here, command: tuple[object, ...], tmp_path: Path, options: list[object], differs: str
) -> None:
    """Exit 2 with what differs; the file is as it was."""
    kept = ("--scores", tmp_path / "scores.jsonl")
    assert here(*command, *kept)[0] == 0
    before = (tmp_path / "scores.jsonl").read_bytes()
    code, out, err = here(*command, *kept, *options)
    assert (code, out) == (2, "")
    assert f"holds another measurement, it differs in {differs}" in err
    assert one_line(err)
    assert (tmp_path / "scores.jsonl").read_bytes() == before


def test_another_checkpoint_is_refused(here: Here, command: tuple[object, ...], tmp_path: Path) -> None:
    """Even where only a weight is another."""
    kept = ("--scores", tmp_path / "scores.jsonl")
    assert here(*command, *kept)[0] == 0
    other = calibrated_checkpoint()
    other.model.head.bias.data[0] += 1e-3
    save(other, tmp_path / "other.pth")
    code, _, err = here("eval", tmp_path / "other.pth", *command[2:], *kept)
    assert code == 2
    assert "it differs in checkpoint (checkpoint is " in err


def test_two_processes_equal_one(here: Here, command: tuple[object, ...], tmp_path: Path) -> None:
    """By torchrun: what is printed, by the first alone, and the file are those of one process."""
    expected = here(*command, "--views", 1, "--json", "--scores", tmp_path / "one.jsonl")[1]
    words = [str(word) for word in (*command, "--views", 1, "--json", "--scores", tmp_path / "two.jsonl")]
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "a3d_edge"]
    process = subprocess.Popen(
        [sys.executable, "-m", *torchrun, *words], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.terminate()  # torchrun ends its children on SIGTERM
        process.wait()
    assert process.returncode == 0, err
    assert out == expected
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.jsonl", "two.jsonl"]


# Calibration, and table build


def test_eval_and_table_build_measure_the_same(
    here: Here, clip_list: Path, frame_cache: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calibrated anew on the same clips: every row of the table is what eval says of it."""
    small = replace(RANGES["0.06"], widths=(0.63, 1.0), sizes=(142, 224), frames=(3, 8))
    monkeypatch.setitem(RANGES, "0.06", small)
    fresh = calibrated_checkpoint(())
    fresh.range_name = "0.06"
    save(fresh, tmp_path / "net.pth")
    shared = (
        tmp_path / "net.pth", "--data", clip_list, "--fold", 1, "--views", 2, "--cache", frame_cache.folder,
        "--calibration", clip_list, "--calibration-clips", 3, "--json",
    )  # fmt: skip
    table = ("table", "build", *shared, "--out", tmp_path / "table.json", "--all-rows")
    code, out, err = here(*table, "--scores", tmp_path / "scores.jsonl")
    assert (code, err) == (0, "")
    rows = {row["configuration"]: row["accuracy"] for row in events(out)}
    assert len(rows) == 9
    chosen = [next(iter(rows)), list(rows)[-1]]
    code, told, err = here("eval", *shared, *(word for name in chosen for word in ("--configuration", name)))
    assert (code, err) == (0, "")
    assert [(e["configuration"], round(e["top1"], 6)) for e in events(told)] == [(c, rows[c]) for c in chosen]
    written = json.loads((tmp_path / "table.json").read_text())
    assert written["measured_on"] == f"6 clips of {clip_list}, fold 1, 2 views (runtime)"


@pytest.mark.parametrize("what", [["eval"], ["table", "build"]])
def test_what_is_not_calibrated_is_refused(
    here: Here, checkpoint: Path, clip_list: Path, tmp_path: Path, what: list[str]
) -> None:
    """Both commands say which configuration, and what to name; --no-calibration measures it all the same."""
    out = ["--out", tmp_path / "table.json"] if what == ["table", "build"] else []
    code, _, err = here(*what, checkpoint, "--data", clip_list, "--cache", tmp_path / "cache", *out)
    assert code == 2
    assert "are not calibrated; name training clips with --calibration" in err
    assert one_line(err)


def test_no_calibration_runs_with_the_network_s_own_statistics(
    here: Here, command: tuple[object, ...]
) -> None:
    """Statistics, also of a configuration that has none of its own."""
    code, out, err = here(*command, "--configuration", "w0.90-s20-t3", "--no-calibration", "--json")
    assert (code, err) == (0, "")
    assert [event["configuration"] for event in events(out)][-1] == "w0.90-s20-t3"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocol", "kinetics"], "unknown --protocol 'kinetics'; there are runtime, paper, charades"),
        (
            ["--protocol", "paper"],
            "--views 4: the paper's protocol has 1, 10 or 30; or use --protocol runtime",
        ),
        (["--device", "tpu"], "--device tpu: PyTorch cannot use it here"),
        (["--device", "cuda:9"], "--device cuda:9: PyTorch cannot use it here"),
        (["--scores", "no/such/file"], "--scores no/such/file: no such folder no/such"),
        (["--scores", "."], "--scores .: is a folder; name a file to write, such as NAME"),
        (["--scores", "/dev/null"], "--scores /dev/null: is no plain file; name another"),
        (["--views", "0"], "Invalid value for '--views'"),
    ],
)
def test_bad_options(
    here: Here, command: tuple[object, ...], options: list[str], message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Exit 2, one line that names the option."""
    monkeypatch.chdir(tmp_path)
    code, out, err = here(*command, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert one_line(err)


@pytest.mark.parametrize("what", ["checkpoint", "list"])
def test_scores_never_go_where_something_is_read(
    here: Here, command: tuple[object, ...], checkpoint: Path, clip_list: Path, what: str
) -> None:
    """Refused by name, before anything is looked at."""
    path = checkpoint if what == "checkpoint" else clip_list
    before = path.read_bytes()
    code, _, err = here(*command, "--scores", path)
    assert (code, err) == (2, f"error: --scores {path}: is {path}, which is read; name another\n")
    assert path.read_bytes() == before


def test_a_table_is_replaced_on_demand_alone(
    here: Here, command: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And asked before the work, as are scores that would lie in its place."""
    from a3d_edge.training import shards

    monkeypatch.setattr(shards, "evaluate_shared", None)
    build, out = ("table", "build", *command[1:6]), tmp_path / "table.json"
    code, _, err = here(*build, "--out", out, "--scores", out)
    assert (code, err.count("which is read; name another")) == (2, 1)
    out.write_text("old")
    code, _, err = here(*build, "--out", out)
    assert (code, err) == (2, f"error: --out {out}: exists; add --overwrite to replace it, or name another\n")
    assert out.read_text() == "old"


def test_frames_are_kept_as_large_as_the_largest_configuration(tmp_path: Path) -> None:
    """Slow R-50 is tested at 256² (paper §4), a SlowFast's Fast pathway sees as much; small networks 160."""
    checkpoint = calibrated_checkpoint()
    assert frame_cache(checkpoint, tmp_path).short_side == 160
    with torch.device("meta"):
        checkpoint.model = describe("slow_r50", 3).build()
    assert frame_cache(checkpoint, tmp_path).short_side == 256
