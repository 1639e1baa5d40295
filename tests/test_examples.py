"""Each example, started as a user would, on a real tiny bundle in the place of the built-in one."""

from __future__ import annotations

import csv
import re
import runpy
import shutil
import sys
from collections.abc import Sequence
from itertools import count, groupby
from pathlib import Path

import pytest
from fixtures_bundle import (
    LARGEST,
    SMALLEST,
    Recorder,
    calibrated_checkpoint,
    pictures,
    shared_bundle,
)

from a3d_edge import Bundle, Prediction, Runtime, Signals

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def bundle(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """What ``Bundle.default()`` gives, on a device at ease."""
    monkeypatch.setattr("a3d_edge.control.controller.DeviceSensors", lambda: at_ease)
    found = Bundle.load(shared_bundle(tmp_path_factory))
    monkeypatch.setattr(Bundle, "default", staticmethod(lambda: found))
    return found


def start(name: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """``python NAME arguments``, in this process."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def at_ease() -> Signals:
    """A device of which nothing is known."""
    return Signals()


def told(bundle: Bundle, clip: Path) -> Recorder:
    """What a plain run of the largest configuration tells."""
    recorder = Recorder()
    Runtime(bundle, clip, budget=str(LARGEST), events=[recorder]).run()
    return recorder


def test_every_example_is_run_here() -> None:
    """All but the one that has a module of tests for itself."""
    names = {path.name for path in EXAMPLES.glob("*.py")}
    text = Path(__file__).read_text()
    assert {name for name in names if f'start(\n        "{name}"' in text or f'start("{name}"' in text} == (
        names - {"embed_controller.py"}
    )
    assert len(names) >= 6


def test_stream(
    bundle: Bundle, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line a prediction, of the configuration that was asked for."""
    start("stream.py", clip, LARGEST, monkeypatch=monkeypatch)
    assert capsys.readouterr().out.splitlines() == [
        f"{p.stream_time_s:.2f} s: {p.label} ({p.score:.0%}), {LARGEST}"
        for p in told(bundle, clip).predictions
    ]


def test_own_camera(
    bundle: Bundle,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """OpenCV's frames, pushed, give what a run of the same file gives."""
    start("own_camera.py", clip, monkeypatch=monkeypatch)
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{p.label} {p.score:.2f} with {p.configuration}" for p in told(bundle, clip).predictions]
    assert len(said) == 27
    assert len(set(said)) > 2
    with pytest.raises(SystemExit, match="cannot be opened"):
        start("own_camera.py", "none.mp4", monkeypatch=monkeypatch)


def test_own_sink(
    bundle: Bundle,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One row from the first to the last prediction of a label, the last one included."""
    start("own_sink.py", tmp_path / "log.csv", clip, monkeypatch=monkeypatch)
    predictions = told(bundle, clip).predictions
    assert rows_of(tmp_path / "log.csv") == intervals(predictions)
    assert f"{len(predictions)} predictions in" in capsys.readouterr().err


def test_own_sensors_and_policy(
    bundle: Bundle,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A low battery in the gauge makes it small, and so does a quiet label; else it is as large as can be."""
    gauge, labels = tmp_path / "gauge", told(bundle, clip).predictions
    monkeypatch.setattr("a3d_edge.device.signals.DeviceSensors.__call__", lambda self: at_ease())

    def configurations(charge: str, quiet: str) -> list[str]:
        gauge.write_text(charge)
        start("own_sensors_and_policy.py", gauge, quiet, clip, monkeypatch=monkeypatch)
        lines = capsys.readouterr().out.splitlines()
        return [line.rpartition(", ")[2] for line in lines if "->" not in line]

    assert set(configurations("100", "none of them")) == {str(LARGEST)}
    assert set(configurations("unreadable", "none of them")) == {str(LARGEST)}
    assert str(LARGEST) not in configurations("3", "none of them")
    found = configurations("100", labels[0].label)
    assert found[:2] == [str(LARGEST), str(SMALLEST)]


def test_the_readme_tells_the_truth(
    bundle: Bundle,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What it shows under "Embed" runs, with the names that it says are yours."""
    section = README.read_text(encoding="utf-8").partition("## Embed")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    frames = list(pictures(40))
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, "clip.mp4")
    for block, least in zip(blocks, (20, 10, 0), strict=True):
        yours = {"frames": frames[:8], "latency_ms": 5.0, "your_frames": zip(frames, count(1, 1 / 30))}
        exec(compile(block, "README.md", "exec"), yours)
        said = capsys.readouterr().out.splitlines()
        assert len(said) >= least
        assert all(any(label in line for label in bundle.classes) for line in said)
    names = set(re.findall(r"examples/(\w+\.py)", section))
    assert names == {path.name for path in EXAMPLES.glob("*.py")}


def rows_of(path: Path) -> list[list[str]]:
    """Of a log, without its head."""
    with path.open() as file:
        head, *rows = csv.reader(file)
    assert head == ["begin_s", "end_s", "label"]
    return rows


def intervals(predictions: Sequence[Prediction]) -> list[list[str]]:
    """Begin, end and label of each stretch of one label."""
    stretches = [list(group) for _, group in groupby(predictions, lambda p: p.label)]
    return [[f"{s[0].window_start_s:.2f}", f"{s[-1].stream_time_s:.2f}", s[0].label] for s in stretches]


def test_own_sink_tells_labels_apart(tmp_path: Path) -> None:
    """A row each, the last one when it is closed; without predictions there is none."""
    diary = runpy.run_path(str(EXAMPLES / "own_sink.py"))["Diary"]
    predictions = [
        Prediction(i + 0.5, i, label, 0.5, [(label, 0.5)], LARGEST, 1.0, 1.0)
        for i, label in enumerate(["hug", "hug", "kick", "hug", "hug"])
    ]
    for given in (predictions, []):
        sink = diary(tmp_path / "log.csv")
        for prediction in given:
            sink.prediction(prediction)
        sink.close()
        assert rows_of(tmp_path / "log.csv") == intervals(given)
    assert len(intervals(predictions)) == 3


@pytest.mark.torch
def test_export_bundle(
    clip_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bundle is there, verified, with the accuracy that is printed, and runs."""
    from a3d_edge.models.checkpoint import save

    save(calibrated_checkpoint(), tmp_path / "tiny.pth")
    start(
        "export_bundle.py", tmp_path / "tiny.pth", clip_list, tmp_path / "out", SMALLEST, LARGEST,
        monkeypatch=monkeypatch,
    )  # fmt: skip
    bundle = Bundle.load(tmp_path / "out")
    assert bundle.configurations == (SMALLEST, LARGEST)
    rows = bundle.table.rows
    assert all(row.accuracy is not None for row in rows)
    assert capsys.readouterr().out.splitlines() == [
        f"{row.configuration}: accuracy {row.accuracy:.2f}, {row.gflops:.3f} GFLOPs" for row in rows
    ]
    parities = [entry.parity for entry in bundle.manifest.configurations.values()]
    assert all(parity.clips == 8 and parity.same_top1 for parity in parities)
    assert bundle.open(LARGEST).configuration == LARGEST


@pytest.mark.torch
def test_train(
    clip_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows of the table's front, of the clips that were held out; the same again goes on."""
    from a3d_edge.models.checkpoint import load

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("a3d_edge.models.checkpoint.Checkpoint.grid", lambda self: [SMALLEST, LARGEST])
    said = []
    for _ in range(2):
        start("train.py", clip_list, tmp_path / "net.pth", 1, monkeypatch=monkeypatch)
        said.append(capsys.readouterr().out.splitlines())
    assert said[0] == said[1]
    assert all(
        re.fullmatch(r"w\d.\d\d-s\d+-t\d: accuracy \d.\d\d, \d.\d{3} GFLOPs", line) for line in said[0]
    )
    assert len(said[0]) in (1, 2)
    assert load(tmp_path / "net.pth").origin["clips"].startswith("6 clips")
