"""``a3d-edge bench``: what the passes say together, and what is printed, drawn and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import LARGEST, SMALLEST, Here, run_cli, write_video

import a3d_edge.profiling.bench
from a3d_edge.bundle import Bundle
from a3d_edge.errors import BundleError, ResourceError
from a3d_edge.plots.latencies import figure
from a3d_edge.profiling.apart import Measurement, Task
from a3d_edge.profiling.bench import (
    NOISY,
    PASSES,
    Failure,
    Result,
    combine,
    device_profile,
    measure_all,
    noise_note,
)
from a3d_edge.table import DeviceProfile, Row

CHEAP = Row(configuration="w0.50-s18-t1", gflops=0.1, params_m=1.0)
DEAR = Row(configuration="w1.00-s37-t4-int8", gflops=4.0, params_m=1.0)


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Profiles of these tests are not the user's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "a3d-edge" / "profiles"


def measurement(ms: float, **more: Any) -> Measurement:
    """A pass whose windows all take that long."""
    values: dict[str, Any] = {
        "network_ms": (ms,) * 3, "other_ms": (1.0,) * 3, "streaming_ms": (ms / 2,) * 3, **more
    }  # fmt: skip
    return Measurement(**values)


class Board:
    """Measures nothing: says how long each task takes, in turn, and keeps the order; None cannot be run."""

    def __init__(self, **ms: list[float | None]) -> None:
        self.ms = {name.replace("_", "."): list(values) for name, values in ms.items()}
        self.done: list[str] = []

    def __call__(self, task: Task) -> Measurement:
        self.done.append(task.configuration)
        value = self.ms[task.configuration.partition("-")[0]].pop(0)
        if value is None:
            raise ResourceError(f"{task.configuration}: its process was killed")
        return measurement(value, paced_ms=(value + 1,) * 5, cpu_s=0.1, peak_mb=90.0, steady_mb=80.0)


def task_of(row: Row) -> Task:
    return Task("bundle", str(row.configuration), "ort:CPU", 1, 3, 1.0)


def fake(monkeypatch: pytest.MonkeyPatch, board: Callable[[Task], Measurement]) -> None:
    """The command measures on the board instead of in processes."""
    monkeypatch.setattr(a3d_edge.profiling.bench, "measure_apart", board)


# Two passes


def test_the_second_pass_begins_when_the_first_has_seen_all() -> None:
    """And every result comes as soon as its second pass is over."""
    board = Board(w0_50=[2.0, 2.0], w1_00=[8.0, 8.0])
    told: list[tuple[int, int]] = []
    results = measure_all([CHEAP, DEAR], task_of, lambda done, total: told.append((done, total)), board)
    first = next(results)
    assert isinstance(first, Result)
    assert first.row.configuration == CHEAP.configuration
    assert board.done == [str(one.configuration) for one in (CHEAP, DEAR, CHEAP)]
    assert len(list(results)) == 1
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_configuration_that_cannot_run_is_told_and_not_tried_again() -> None:
    """The others are measured all the same; any other error ends the whole."""
    board = Board(w0_50=[2.0, 2.0], w1_00=[None])
    failure, result = measure_all([CHEAP, DEAR], task_of, apart=board)
    assert failure == Failure(DEAR.configuration, f"{DEAR.configuration}: its process was killed")
    assert isinstance(result, Result)

    def refuse(task: Task) -> Measurement:
        raise BundleError("altered")

    with pytest.raises(BundleError):
        list(measure_all([CHEAP], task_of, apart=refuse))


def test_percentiles_are_over_both_passes() -> None:
    """1, 2 … 100 ms in two halves: the median between 50 and 51."""
    halves = (tuple(map(float, range(1, 101, 2))), tuple(map(float, range(2, 101, 2))))
    one = combine(CHEAP, [measurement(1.0, network_ms=half) for half in halves])
    assert one.row.latency_ms.p50 == pytest.approx(50.5)
    assert one.row.latency_ms.p95 == pytest.approx(95.05)
    assert one.row.latency_ms.p99 == pytest.approx(99.01)
    assert one.counts == {"network_ms": 100, "streaming_ms": 6, "paced_ms": 0}
    assert one.row.paced_ms is None


def test_memory_is_the_most_and_cpu_the_mean() -> None:
    """What one pass does not know stays unknown as a mean."""
    one = combine(
        CHEAP,
        [
            measurement(1.0, cpu_s=0.1, energy_j=3.0, peak_mb=90.0, steady_mb=80.0),
            measurement(1.0, cpu_s=0.3, energy_j=None, peak_mb=95.0, steady_mb=79.0),
        ],
    )
    assert (one.row.cpu_s, one.row.energy_j) == (pytest.approx(0.2), None)
    assert (one.row.peak_mb, one.row.steady_mb) == (95.0, 80.0)


@pytest.mark.parametrize("kind", ["network_ms", "streaming_ms", "paced_ms"])
def test_passes_that_differ_by_more_than_a_tenth_are_noisy(kind: str) -> None:
    """In any latency; a tenth itself is not."""
    quiet, noisy = (
        combine(CHEAP, [measurement(5.0, **{kind: (10.0,) * 5}), measurement(5.0, **{kind: (ms,) * 5})])
        for ms in (11.0, 11.2)
    )
    assert quiet.noise == pytest.approx(NOISY)
    assert noisy.noise == pytest.approx(0.12)
    assert noisy.row.noisy
    assert noise_note([combine(CHEAP, [measurement(5.0)] * PASSES)]) is None
    assert noise_note([noisy, combine(DEAR, [measurement(5.0)] * PASSES)]) == (
        f"noisy: the two passes of 1 of 2 configurations differ by more than 10% "
        f"(most: {CHEAP.configuration}, 12%); measure again when the device does nothing else"
    )


def test_one_pass_a_tenth_above_the_other_is_not_noisy() -> None:
    """Just below."""
    assert not combine(CHEAP, [measurement(10.0), measurement(10.9)]).row.noisy


def test_the_profile_has_what_was_measured(bundle_folder: Path) -> None:
    """With bundle, engine, threads and hop; it survives a file."""
    loaded = Bundle.load(bundle_folder)
    results = [combine(CHEAP, [measurement(2.0)] * 2), combine(DEAR, [measurement(8.0)] * 2)]
    found = device_profile(results, loaded, {"name": "a board"}, "ort:CPU", 3)
    assert (found.bundle_sha256, found.engine, found.threads, found.hop) == (
        loaded.manifest.sha256, "ort:CPU", 3, 2,
    )  # fmt: skip
    assert DeviceProfile.model_validate_json(found.to_json()) == found
    assert [row.latency_ms.p50 for row in found.rows] == [2.0, 8.0]


# What is printed


def test_the_table_has_a_line_a_configuration(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cheapest first, below what says where and how; noise is marked and said in one sentence."""
    fake(monkeypatch, Board(w0_50=[2.0, 2.0], w1_00=[8.0, 16.0]))
    arguments = ("--configuration", LARGEST, "--configuration", SMALLEST, "--threads", 3, "--windows", 7)
    code, out, err = here("bench", bundle_folder, *arguments)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == str(bundle_folder)
    assert "ort:CPU" in lines[1]
    assert "3 threads" in lines[1]
    assert "2 passes" in lines[2]
    assert "3 windows of warm-up, then 7 or 5 s" in lines[2]
    assert lines[5].split() == [
        str(SMALLEST), "2/2/2", "1.00", "1/1/1", "3/3/3", "100.0", "-", "90", "80",
    ]  # fmt: skip
    assert lines[6].startswith(str(LARGEST))
    assert lines[6].endswith("noisy")
    assert lines[7] == "energy: this device has no meter we can read"
    assert lines[8].startswith("noisy: the two passes of 1 of 2 configurations differ by more than 10%")
    assert len(lines) == 9


def test_json_lines_have_the_fields_programs_rely_on(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration event each, and a summary; what has no meter is null."""
    fake(monkeypatch, Board(w0_50=[2.0, 2.0]))
    code, out, err = here("bench", bundle_folder, "--configuration", SMALLEST, "--json")
    assert (code, err) == (0, "")
    one, summary = (json.loads(line) for line in out.splitlines())
    assert (one["event"], summary["event"], one["schema"], summary["schema"]) == (
        "configuration", "summary", 1, 1,
    )  # fmt: skip
    assert one["configuration"] == str(SMALLEST)
    assert one["network_ms"] == {"p50": 2.0, "p95": 2.0, "p99": 2.0}
    assert one["streaming_ms"]["p50"] == 1.0
    assert one["energy_j"] is None
    assert (one["precision"], one["noisy"], one["noise"]) == ("fp32", False, 0.0)
    assert {"cpu", "cores", "quota", "memory_gb", "threads", "engine_version"} <= set(summary["device"])
    assert (summary["noisy"], summary["failed"], summary["note"], summary["meter"]) == ([], [], None, None)
    assert (summary["passes"], summary["warm_up_windows"], summary["configurations"]) == (2, 3, 1)
    assert len(summary["fingerprint"]) == 64


def test_what_the_device_cannot_run_ends_with_exit_5(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    """The rest is measured, told and kept."""
    fake(monkeypatch, Board(w0_50=[2.0, 2.0], w1_00=[None]))
    names = ("--configuration", SMALLEST, "--configuration", LARGEST)
    code, out, err = here("bench", bundle_folder, *names, "--save-profile")
    assert code == 5
    assert err == f"error: {LARGEST}: its process was killed\n"
    assert f"{LARGEST}          not measured" in out
    (kept,) = data_folder.iterdir()
    assert [str(row.configuration) for row in DeviceProfile.load(kept).rows] == [str(SMALLEST)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--configuration", "w1.00-s64-t4"), 2, "configuration w1.00-s64-t4 is not in the table"),
        (("--engine", "abacus"), 2, "unknown --engine 'abacus'"),
        (("--seconds", "0"), 2, "--seconds 0.0 is not above 0"),
        (("--out", "none/such.png"), 2, "--out none/such.png: no such folder none"),
        (("--out", "x.txt"), 2, "--out x.txt: unknown kind of picture"),
        (("--save-profile-as", "none/p.json"), 2, "--save-profile-as none/p.json: no such folder none"),
        (("--keep-noisy",), 2, "--keep-noisy says what a profile keeps; add --save-profile"),
        (("--threads", "100000"), 2, "--threads 100000 is not from 1 to "),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_measured(
    here: Here,
    bundle_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    """In one line."""
    board = Board()
    fake(monkeypatch, board)
    got, out, err = here("bench", bundle_folder, *arguments)
    assert (got, out, err.count("\n"), board.done) == (code, "", 1, [])
    assert message in err


# What a profile keeps


BOTH = ("--configuration", SMALLEST, "--configuration", LARGEST)


def test_a_profile_keeps_no_noisy_row(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    """What is left out is named in one line; all of it is shown all the same."""
    fake(monkeypatch, Board(w0_50=[2.0, 2.0], w1_00=[8.0, 16.0]))
    code, out, err = here("bench", bundle_folder, *BOTH, "--save-profile")
    assert (code, err) == (
        0,
        f"left out of the profile as noisy: {LARGEST}; measure again when the device does nothing else, or "
        "keep them with --keep-noisy\n",
    )
    assert str(LARGEST) in out
    (kept,) = data_folder.iterdir()
    assert [str(row.configuration) for row in DeviceProfile.load(kept).rows] == [str(SMALLEST)]


@pytest.mark.parametrize("option", ["--save-profile", "--save-profile-as"])
def test_nothing_is_saved_where_all_is_noisy(
    here: Here,
    bundle_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    data_folder: Path,
    tmp_path: Path,
    option: str,
) -> None:
    """Exit 5 with the reason; an older profile is as it was; the picture and the figures are there."""
    words = (option, tmp_path / "mine.json") if option.endswith("as") else (option,)
    fake(monkeypatch, Board(w0_50=[2.0, 2.0], w1_00=[8.0, 8.0]))
    assert here("bench", bundle_folder, *BOTH, *words)[0] == 0
    path = tmp_path / "mine.json" if option.endswith("as") else next(data_folder.iterdir())
    before = path.read_bytes()
    fake(monkeypatch, Board(w0_50=[2.0, 3.0], w1_00=[8.0, 80.0]))
    code, out, err = here("bench", bundle_folder, *BOTH, *words, "--json")
    assert code == 5
    assert err == (
        f"error: no profile was saved: left out of the profile as noisy: {SMALLEST}, {LARGEST}; measure "
        "again when the device does nothing else, or keep them with --keep-noisy\n"
    )
    assert json.loads(out.splitlines()[-1])["files"] == []
    assert path.read_bytes() == before


def test_noisy_rows_are_kept_when_told(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    """They stay marked, and a run says so."""
    fake(monkeypatch, Board(w0_50=[2.0, 3.0], w1_00=[8.0, 16.0]))
    code, _, err = here("bench", bundle_folder, *BOTH, "--save-profile", "--keep-noisy")
    assert (code, err) == (0, "")
    (kept,) = data_folder.iterdir()
    assert [row.noisy for row in DeviceProfile.load(kept).rows] == [True, True]


# For real


def test_bench_measures_saves_and_run_uses_it(
    here: Here, bundle_folder: Path, tmp_path: Path, data_folder: Path
) -> None:
    """In processes of their own; the profile is found by the next run on this device, which says so."""
    code, out, err = here(
        "bench", bundle_folder, "--configuration", SMALLEST, "--windows", 1, "--seconds", 0.01, "--no-paced",
        "--json", "--save-profile", "--save-profile-as", tmp_path / "mine.json", "--keep-noisy",
    )  # fmt: skip
    assert (code, err) == (0, "")
    summary = json.loads(out.splitlines()[-1])
    (kept,) = data_folder.iterdir()
    assert summary["files"] == [str(kept), str(tmp_path / "mine.json")]
    profile = DeviceProfile.load(kept)
    assert profile == DeviceProfile.load(tmp_path / "mine.json")
    assert profile.rows[0].streaming_ms is not None
    assert profile.rows[0].paced_ms is None
    clip = write_video(tmp_path / "clip.mp4", 12)
    code, _, err = here("run", "--source", clip, "--bundle", bundle_folder, "--json")
    assert code == 0
    assert err.startswith(f"device profile: {kept} (1 configurations, measured 2")


def test_help_is_light(tmp_path: Path) -> None:
    """And says what there is."""
    code, out, _ = run_cli("bench", "--help", cwd=tmp_path)
    assert code == 0
    assert "--save-profile" in out


# The picture


def test_the_picture_shows_every_latency_that_there_is(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A PNG on the disk; hollow marks are noisy."""
    pytest.importorskip("matplotlib")
    fake(monkeypatch, Board(w0_50=[2.0, 2.0], w1_00=[8.0, 16.0]))
    names = ("--configuration", SMALLEST, "--configuration", LARGEST)
    code, out, _ = here("bench", bundle_folder, *names, "--out", tmp_path / "bench.png")
    assert code == 0
    assert f"written: {tmp_path / 'bench.png'}" in out
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_marks_lie_on_the_medians() -> None:
    """Two of the quiet one without a pace, three of the noisy one, which are hollow."""
    pytest.importorskip("matplotlib")
    from matplotlib.colors import same_color

    quiet = combine(CHEAP, [measurement(2.0)] * 2).row
    noisy = combine(DEAR, [measurement(8.0, paced_ms=(9.0,)), measurement(16.0, paced_ms=(9.0,))]).row
    axes = figure([quiet, noisy], title="a $board$", hop_ms=40.0).axes[0]
    marks = [line for line in axes.lines if line.get_marker() in ("o", "s", "D")]
    assert sorted(float(line.get_xdata()[0]) for line in marks) == [1.0, 2.0, 6.0, 9.0, 12.0]
    hollow = [line for line in marks if same_color(line.get_markerfacecolor(), "white")]
    assert sorted(float(line.get_xdata()[0]) for line in hollow) == [6.0, 9.0, 12.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        str(one.configuration) for one in (DEAR, CHEAP)
    ]
    assert "a prediction every 40 ms" in [text.get_text() for text in axes.texts]


def test_a_home_that_takes_no_profile_is_told_before_measuring(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after minutes; and where else it could go."""
    monkeypatch.setenv("XDG_DATA_HOME", "/" + "x" * 300)
    code, out, err = here("bench", bundle_folder, "--save-profile", "--json")
    assert (code, out) == (5, "")
    assert "cannot be written (File name too long); name a file by --save-profile-as" in err
