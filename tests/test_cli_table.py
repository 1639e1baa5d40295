"""``a3d-edge table`` show and plot: tables by name, path and bundle, and what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures_bundle import Here, main_here

from a3d_edge.bundle import Bundle
from a3d_edge.table import DeviceProfile, Latency, ProfileRow, find_table, shipped_tables

NAME = "a3d_slow_8x8_0.06"
DEFAULT = Bundle.default()


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    """The command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main_here(capfd, monkeypatch, *arguments)


def profile(path: Path, ms_per_gflop: float = 100.0, sha256: str = DEFAULT.manifest.sha256) -> Path:
    """A profile of the default bundle on a device of constant rate."""
    rows = [
        ProfileRow(
            configuration=row.configuration,
            gflops=row.gflops,
            latency_ms=Latency(**dict.fromkeys(("p50", "p95", "p99"), row.gflops * ms_per_gflop)),
        )
        for row in DEFAULT.table.rows
    ]
    found = DeviceProfile(device={"name": "a board"}, bundle_sha256=sha256, engine="onnxruntime", rows=rows)
    path.write_text(found.to_json(), encoding="utf-8")
    return path


def test_show_by_name(here: Here) -> None:
    """As text and as JSON Lines; the same rows as the file's."""
    code, out, _ = here("table", "show", NAME)
    assert code == 0
    assert out.startswith(
        "slow_r50: accuracy on Kinetics-400, 30 views, as printed in the paper (Table 10)\n"
    )
    assert [line.split()[0] for line in out.splitlines()[2:]] == [
        str(row.configuration) for row in find_table(NAME).rows
    ]
    rows = [json.loads(line) for line in here("table", "show", NAME, "--json")[1].splitlines()]
    assert [row["accuracy"] for row in rows] == [row.accuracy for row in find_table(NAME).rows]


def test_show_tells_how_far_to_rely_on_a_row(here: Here, tmp_path: Path) -> None:
    """In columns of their own where a row has it; the lines of a table without are as they were."""
    table = find_table(NAME)
    known = {
        "accuracy": 0.741,
        "clips": 300,
        "accuracy_interval": (0.688, 0.787),
        "recall": {"hug": 0.9, "kick": 0.32},
        "calibration_error": 0.0314,
        "temperature": 1.4,
        "thresholds": {"hug": 0.4, "kick": 0.7},
    }
    rows = [table.rows[0].model_copy(update=known), *table.rows[1:]]
    (tmp_path / "mine.json").write_text(table.with_rows(rows).to_json(), encoding="utf-8")
    _, out, _ = here("table", "show", "mine.json")
    head, first, second = out.splitlines()[1:4]
    assert head.endswith(" accuracy calibration error temperature   lowest recall")
    assert first.split()[4:] == ["74.1", "%", "±", "5", "0.031", "1.40", "32%", "kick"]
    assert second.split()[4:] == [f"{(table.rows[1].accuracy or 0) * 100:.1f}", "%", "-", "1.00", "-"]
    plain = here("table", "show", NAME)[1].splitlines()
    assert plain[1] == f"{'configuration':20} {'GFLOPs':>9} {'budget':>7} {'params M':>9} {'accuracy':>9}"
    assert plain[2].endswith(f" {table.rows[0].accuracy:9.1%}")
    lines = [json.loads(line) for line in here("table", "show", "mine.json", "--json")[1].splitlines()]
    assert {name: lines[0][name] for name in known} == {**known, "accuracy_interval": [0.688, 0.787]}
    assert not set(known) - {"accuracy"} & set(lines[1])


def test_show_without_argument_is_the_built_in_bundle(here: Here) -> None:
    """As before tables had names."""
    code, out, _ = here("table", "show", "--json")
    assert code == 0
    assert len(out.splitlines()) == len(DEFAULT.table.rows)


def test_show_lists_the_names(here: Here) -> None:
    """One a line, with what it is."""
    code, out, _ = here("table", "show", "--names")
    assert code == 0
    assert len(out.splitlines()) == 7
    assert [line.split()[0] for line in out.splitlines()] == sorted(shipped_tables())
    events = [json.loads(line) for line in here("table", "show", "--names", "--json")[1].splitlines()]
    assert {event["name"]: event["rows"] for event in events}["a3d_slow_8x8_0.016_grid"] == 97


def test_an_unknown_name(here: Here) -> None:
    """One line with the names, exit code 2; a missing file 4."""
    for command in (("show", "a3d"), ("plot", "a3d", "--out", "x.png")):
        code, out, err = here("table", *command)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"'a3d' is no table: no file or bundle has that path, and the names are {NAME[:-4]}" in err
    assert here("table", "show", "a3d.json")[0] == 4


@pytest.mark.parametrize("name", ["lists.png", "lists.SVG"])
def test_plot_overlays_tables(here: Here, tmp_path: Path, name: str) -> None:
    """By name, by path and of a bundle; the file is what its name says, and nothing else is left."""
    (tmp_path / "mine.json").write_text(find_table(NAME).pareto().to_json(), encoding="utf-8")
    code, out, err = here("table", "plot", NAME, "mine.json", DEFAULT.path, "--out", name, "--title", "Three")
    assert (code, err) == (0, "")
    count = len(find_table(NAME).rows) + len(find_table(NAME).pareto().rows) + len(DEFAULT.configurations)
    assert out == f"{name}: {count} configurations of {NAME}, mine.json, {DEFAULT.path}\n"
    content = (tmp_path / name).read_bytes()
    assert content.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.json", name}
    if name.endswith("SVG"):
        assert all(f">{text}<" in content.decode() for text in ("Three", "mine.json", "96²×8, 0.5"))


def test_the_deadline_over_gflops_is_where_the_profiled_rate_gets(here: Here, tmp_path: Path) -> None:
    """20 ms at 100 ms a GFLOP: 0.2 GFLOPs, of any table, also one that was not profiled."""
    profile(tmp_path / "profile.json")
    for what in ([], [NAME]):
        arguments = [
            *what,
            "--out",
            "a.svg",
            "--profile",
            "profile.json",
            "--deadline",
            "20ms",
            "--overwrite",
        ]
        assert here("table", "plot", *arguments)[0] == 0
        assert ">20 ms ≈ 0.2 GFLOPs on a board<" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_latency_from_a_profile(here: Here, tmp_path: Path) -> None:
    """On the axis, with the deadline as it was given."""
    profile(tmp_path / "profile.json")
    arguments = ["--out", "a.svg", "--x", "latency", "--profile", "profile.json", "--deadline", "0.02s"]
    assert here("table", "plot", *arguments)[0] == 0
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ">deadline 20 ms<" in text
    assert ">latency of one window on a board (ms, median)<" in text


def test_latency_measured_now(here: Here, tmp_path: Path) -> None:
    """Of the built-in bundle; a line at an hour does not hinder."""
    code, _, err = here(
        "table", "plot", "--out", "a.svg", "--x", "latency", "--measure", "--deadline", "3600s"
    )
    assert (code, err) == (0, "")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ">latency of one window on this device (ms, median)<" in text
    named = text.count("²×")  # where two times are the same there is no room for both names
    assert len(DEFAULT.table.rows) - 2 <= named <= len(DEFAULT.table.rows)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--out", "a.pdf"], 2, "--out a.pdf: unknown kind of picture; name it .png or .svg"),
        (["--out", "a.png", "--x", "watts"], 2, "unknown --x 'watts'; there are gflops, latency"),
        (["--out", "a.png", "--x", "latency"], 2, "--x latency needs latencies: give --profile FILE"),
        (["--out", "a.png", "--deadline", "80ms"], 2, "--deadline needs latencies: give --profile FILE"),
        (["--out", "a.png", "--deadline", "0.5", "--measure"], 2, "--deadline '0.5' is not a latency"),
        (["--out", "a.png", "--measure", "--profile", "p.json"], 2, "--profile and --measure both say"),
        (["--out", "a.png", "--profile", "no.json"], 4, "no.json: cannot read the profile"),
        ([NAME, "--out", "a.png", "--measure"], 2, "--measure needs a bundle"),
        (
            [DEFAULT.path, NAME, "--out", "a.png", "--measure", "--x", "latency"],
            2,
            f"{NAME} is a table, which cannot be measured",
        ),
        (["--out", "a.png", "--x", "latency", "--profile", "p.json"], 2, "is of another bundle than default"),
        (
            [NAME, "--out", "a.png", "--x", "latency", "--profile", "p.json"],
            2,
            f"{NAME}: w0.63-s142-t3 has no measured latency",
        ),
        (["--out", "no/a.png"], 2, "--out no/a.png: no such folder no"),
    ],
)
def test_what_plot_refuses(
    here: Here, tmp_path: Path, arguments: list[object], code: int, message: str
) -> None:
    """In one line, and no picture is begun."""
    profile(tmp_path / "p.json", sha256="0" * 64)
    got, out, err = here("table", "plot", *arguments)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert message in err
    assert not list(tmp_path.glob("*a.p*"))


def test_unmeasured_rows_are_not_drawn(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without accuracy has nothing to show; that is said before anything is measured."""
    import a3d_edge.profiling.windows

    bare = find_table(NAME).model_dump(mode="json")
    for row in bare["rows"]:
        row["accuracy"] = None
    (tmp_path / "bare.json").write_text(json.dumps(bare), encoding="utf-8")
    monkeypatch.setattr(a3d_edge.profiling.windows, "window_latencies_ms", None)
    arguments = [DEFAULT.path, "bare.json", "--out", "a.png", "--measure", "--deadline", "80ms"]
    code, _, err = here("table", "plot", *arguments)
    assert code == 2
    assert "bare.json: w0.63-s142-t3 has no accuracy; build the table (a3d-edge table build)" in err


def test_without_matplotlib_it_says_what_to_install(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 5; `show` needs none."""
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else real(name, *rest)
    )
    code, _, err = here("table", "plot", NAME, "--out", "a.png")
    assert code == 5
    assert "pip install 'a3d-edge[plot]'" in err
    assert here("table", "show", NAME)[0] == 0


def test_an_older_picture_survives_a_failure(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is replaced on demand alone; the disk full while writing: exit code 5, and it is as it was."""
    import a3d_edge.plots.curves

    def full(drawing: object, path: Path, format: str) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "a.png").write_bytes(b"old")
    monkeypatch.setattr(a3d_edge.plots.curves, "save", full)
    assert here("table", "plot", NAME, "--out", "a.png")[0] == 2
    code, _, err = here("table", "plot", NAME, "--out", "a.png", "--overwrite")
    assert code == 5
    assert "a.png: writing failed (No space left on device" in err
    assert err.endswith("; nothing was changed\n")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"old")]


def test_export_takes_a_name(here: Here, tmp_path: Path, tiny_checkpoint: object) -> None:
    """A table of another network is refused by the network's name, an unknown name with the names."""
    from a3d_edge.models.checkpoint import Checkpoint, save

    assert isinstance(tiny_checkpoint, Checkpoint)
    save(tiny_checkpoint, tmp_path / "net.pth")
    code, _, err = here("export", "net.pth", "--out", "new", "--table", NAME)
    assert code == 2
    assert f"--table {NAME} is of slow_r50, the checkpoint is tiny" in err
    code, _, err = here("export", "net.pth", "--out", "new", "--table", "a3d")
    assert code == 2
    assert "'a3d' is no table" in err


def test_showing_needs_no_matplotlib(tmp_path: Path) -> None:
    """Nor does loading the modules that draw."""
    code = (
        "import sys, a3d_edge.plots.curves, a3d_edge.cli.plotting\n"
        "from a3d_edge.cli import app\n"
        f"app(['table', 'show', '{NAME}'], standalone_mode=False)\n"
        "print(sorted({'matplotlib', 'torch', 'cv2'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
