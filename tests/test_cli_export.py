"""``a3d-edge export --precision``, and what the other commands make of a bundle with int8."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import CONFIGURATIONS, Here, calibrated_checkpoint, write_video

torch = pytest.importorskip("torch")
pytest.importorskip("onnx_ir")
pytest.importorskip("av")

from a3d_edge.exporters.export import Exporting, _rows, _windows  # noqa: E402
from a3d_edge.exporters.write_bundle import in_precisions, unmeasured_table  # noqa: E402

from a3d_edge.bundle import Bundle  # noqa: E402
from a3d_edge.configuration import Configuration  # noqa: E402
from a3d_edge.errors import UsageError  # noqa: E402
from a3d_edge.models.checkpoint import save  # noqa: E402
from a3d_edge.training.clips import list_clips  # noqa: E402

FP32 = [str(CONFIGURATIONS[i]) for i in (1, 4)]  # w0.50-s32-t2, w1.00-s32-t4
INT8 = [f"{name}-int8" for name in FP32]


@dataclass(frozen=True)
class Exported:
    """A checkpoint, the bundle of two of its configurations in both precisions, and what the export said."""

    checkpoint: Path
    bundle: Path
    cache: Path
    events: list[dict[str, Any]]
    errors: str


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, clip_list: Path, frame_cache: Any) -> Exported:
    """Exported once, measured on the 12 clips; not to be altered."""
    from a3d_edge.cli import main

    folder = tmp_path_factory.mktemp("export")
    checkpoint = calibrated_checkpoint([CONFIGURATIONS[1], CONFIGURATIONS[4]])
    save(checkpoint, folder / "net.pth")
    names = [word for name in FP32 for word in ("--configuration", name)]
    words = [
        "export", folder / "net.pth", "--out", folder / "bundle", "--precision", "both", *names,
        "--validation", clip_list, "--range-clips", 4, "--parity-clips", 2, "--cache", frame_cache.folder,
        "--json",
    ]  # fmt: skip
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["a3d-edge", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code, err.getvalue()
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    return Exported(folder / "net.pth", folder / "bundle", frame_cache.folder, events, err.getvalue())


def evaluated(here: Here, subject: Path, clips: Path, exported: Exported, *options: object) -> dict[str, Any]:
    """What ``eval`` says, by configuration."""
    code, out, err = here(
        "eval", subject, "--data", clips, "--cache", exported.cache, *options, "--json"
    )  # fmt: skip
    assert (code, err) == (0, "")
    return {event.pop("configuration"): event for event in map(json.loads, out.splitlines())}


def test_an_export_tells_the_parity_of_both(exported: Exported) -> None:
    """Row by row, and the worst of each precision at the end."""
    *rows, last = exported.events
    said = exported.errors.splitlines()  # of so small networks it is noise, which is said
    assert all("the cost of int8 is uncertain" in line or "int8 was slower than" in line for line in said)
    assert [row["event"] for row in rows] == ["parity"] * 4
    errors = {row["configuration"]: row["relative_error"] for row in rows}
    assert set(errors) == {*FP32, *INT8}
    assert (last["event"], last["configurations"], last["path"]) == ("exported", 4, str(exported.bundle))
    worst = {"fp32": max(errors[n] for n in FP32), "int8": max(errors[n] for n in INT8)}
    assert last["relative_error_by_precision"] == worst
    assert worst["fp32"] < 1e-4 < 1e-3 < worst["int8"]


def test_validation_writes_the_accuracies_of_both(here: Here, exported: Exported, clip_list: Path) -> None:
    """Every row's is what eval says of the bundle, whose own graphs are measured; the table says on what."""
    table = Bundle.load(exported.bundle).table
    assert table.measured_on == f"12 clips of {clip_list}, 4 views (runtime)"
    found = evaluated(here, exported.bundle, clip_list, exported)
    assert set(found) == {*FP32, *INT8}
    assert {str(r.configuration): r.accuracy for r in table.rows} == {
        name: round(event["top1"], 6) for name, event in found.items()
    }
    assert {str(row.configuration): row.precision for row in table.rows} == {
        **dict.fromkeys(FP32, "fp32"), **dict.fromkeys(INT8, "int8")
    }  # fmt: skip
    for row in table.rows:
        per_class = found[str(row.configuration)]["per_class"]
        assert row.clips == 12
        assert row.recall == {
            name: pytest.approx(right / of, abs=1e-6) for name, (right, of) in per_class.items()
        }
        assert row.accuracy_interval is not None
        assert row.accuracy_interval[0] < (row.accuracy or 0.0) < row.accuracy_interval[1]
        assert row.temperature is None  # of 12 clips none is found, nor thresholds
        assert row.thresholds == dict.fromkeys(("right", "down", "still"), 0.5)
        assert row.int8_cost is None or row.int8_cost <= 1.5


def test_eval_of_a_bundle_is_eval_of_its_checkpoint(here: Here, exported: Exported, clip_list: Path) -> None:
    """In fp32, clip for clip; of int8 there are figures of their own for the same clips."""
    names = [word for name in FP32 for word in ("--configuration", name)]
    of_network = evaluated(here, exported.checkpoint, clip_list, exported, *names)
    of_bundle = evaluated(here, exported.bundle, clip_list, exported)
    assert {name: of_bundle[name] for name in FP32} == of_network
    for name in INT8:
        assert (of_bundle[name]["clips"], of_bundle[name]["views"]) == (12, 4)
        assert sum(all_ for _, all_ in of_bundle[name]["per_class"].values()) == 12


@pytest.mark.parametrize("options", [["--calibration", "clips"], ["--no-calibration"]])
def test_a_bundle_is_not_calibrated(
    here: Here, exported: Exported, clip_list: Path, options: list[str]
) -> None:
    """Its statistics are in its graphs: exit 2, and what to do instead."""
    words = [clip_list if word == "clips" else word for word in options]
    code, out, err = here("eval", exported.bundle, "--data", clip_list, "--cache", exported.cache, *words)
    assert (code, out) == (2, "")
    assert "a bundle has its statistics built in; calibrate its checkpoint instead" in err
    assert err.count("\n") == 1


def test_a_scores_file_is_one_bundle_s(
    here: Here, exported: Exported, clip_list: Path, tmp_path: Path
) -> None:
    """Measured once, it answers again; for the checkpoint it is another measurement."""
    kept = ("--scores", tmp_path / "scores.jsonl", "--configuration", FP32[0])
    first = evaluated(here, exported.bundle, clip_list, exported, *kept)
    assert evaluated(here, exported.bundle, clip_list, exported, *kept) == first
    code, _, err = here(
        "eval", exported.checkpoint, "--data", clip_list, "--cache", exported.cache, *kept
    )  # fmt: skip
    assert code == 2
    assert "holds another measurement, it differs in checkpoint" in err


@pytest.mark.parametrize("precision", ["int4", "fp16", ""])
def test_an_unknown_precision_is_refused(
    here: Here, exported: Exported, tmp_path: Path, precision: str
) -> None:
    """Exit 2 with those there are, before anything is read or written."""
    out = tmp_path / "bundle"
    code, told, err = here("export", exported.checkpoint, "--out", out, "--precision", precision)
    assert (code, told) == (2, "")
    assert f"unknown --precision '{precision}'; there are fp32, int8 and both" in err
    assert not out.exists()


def test_a_bundle_that_is_there_is_replaced_on_demand_alone(
    here: Here, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never the folder one stands in, nor a folder that holds anything else."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "clip.mp4").write_bytes(b"x")
    manifest = (exported.bundle / "manifest.json").read_bytes()
    monkeypatch.chdir(exported.bundle)
    refused: list[tuple[tuple[object, ...], str]] = [
        (("--out", exported.bundle), "is the folder you are in"),
        (("--out", ".", "--overwrite"), "is the folder you are in, or above it; name a new folder"),
        (("--out", other, "--overwrite"), "exists and is not a bundle of ours alone"),
    ]
    for options, said in refused:
        code, _, err = here("export", exported.checkpoint, *options)
        assert (code, err.count("\n")) == (2, 1)
        assert said in err
    monkeypatch.chdir(tmp_path)
    code, _, err = here("export", exported.checkpoint, "--out", exported.bundle)
    assert (code, err.count("exists; add --overwrite to replace it")) == (2, 1)
    assert (exported.bundle / "manifest.json").read_bytes() == manifest


def test_a_configuration_that_a_bundle_lacks_is_refused_before_the_work(
    here: Here, exported: Exported, clip_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No clip is decoded for it."""
    from a3d_edge.training.decode import FrameCache

    monkeypatch.setattr(FrameCache, "get", None)
    code, _, err = here("eval", exported.bundle, "--data", clip_list, "--configuration", "w0.55-s97-t3")
    assert (code, err.count("\n")) == (2, 1)
    assert "configuration w0.55-s97-t3 is not in the table; it has" in err


def test_labels_of_the_validation_clips_are_asked_before_the_work(
    here: Here, exported: Exported, tmp_path: Path, clip_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export may take an hour until they are needed."""
    monkeypatch.setattr("a3d_edge.exporters.export.write_bundle", None)
    (tmp_path / "val.csv").write_text(f"path,label\n{clip_list.parent}/right/0.mp4,sideways\n")
    code, _, err = here(
        "export", exported.checkpoint, "--out", tmp_path / "new", "--validation", tmp_path / "val.csv",
        "--configuration", FP32[0],
    )  # fmt: skip
    assert (code, err.count("\n")) == (2, 1)
    assert "the data has the label sideways; the network knows" in err


def test_an_int8_configuration_can_be_pinned(here: Here, exported: Exported, tmp_path: Path) -> None:
    """Every prediction says that it was made by it."""
    clip = write_video(tmp_path / "clip.mp4", 40)
    source = ("run", "--source", clip, "--bundle", exported.bundle, "--json")
    code, out, err = here(*source, "--budget", INT8[0])
    assert (code, err) == (0, "")
    *predictions, summary = [json.loads(line) for line in out.splitlines()]
    assert len(predictions) == summary["predictions"] >= 5
    assert {event["configuration"] for event in predictions} == {INT8[0]}
    code, out, _ = here(*source, "--budget", FP32[0])
    twins = [json.loads(line) for line in out.splitlines()][:-1]
    assert [t["stream_time_s"] for t in twins] == [p["stream_time_s"] for p in predictions]
    assert [t["score"] for t in twins] != [p["score"] for p in predictions]  # they are not the same network


def test_a_switch_leads_from_one_precision_to_the_other(
    here: Here, exported: Exported, tmp_path: Path
) -> None:
    """Through all configurations, one a prediction: no frame is lost, none waits for a new window."""
    clip = write_video(tmp_path / "clip.mp4", 60)
    code, out, err = here(
        "run", "--source", clip, "--bundle", exported.bundle, "--switch-every", 1, "--json"
    )  # fmt: skip
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    ran = [line["configuration"] for line in lines if line["event"] == "prediction"]
    order = [str(c) for c in Bundle.load(exported.bundle).configurations]
    assert ran[:8] == order + order
    summary = lines[-1]
    assert summary["frames_captured"] == summary["frames_used"] + sum(summary["dropped"].values()) == 60
    times = [line["stream_time_s"] for line in lines if line["event"] == "prediction"]
    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) <= 4 / 30 + 0.02  # a hop is 2 frames, and what fewer frames need comes 2 sooner


def test_info_and_verify_know_both(here: Here, exported: Exported) -> None:
    """The bundle's configurations, cheapest first, and that every one computes what was exported."""
    code, out, _ = here("info", exported.bundle, "--json")
    assert code == 0
    assert json.loads(out)["configurations"] == [str(c) for c in Bundle.load(exported.bundle).configurations]
    code, out, err = here("verify", exported.bundle)
    assert (code, err) == (0, "")


def test_ranges_are_measured_on_as_many_clips_as_asked_for(clip_list: Path, frame_cache: Any) -> None:
    """Also on more than an evaluation's batch holds."""
    checkpoint, clips = calibrated_checkpoint([]), list_clips([clip_list]) * 4
    rows = unmeasured_table(checkpoint, [Configuration(0.5, 18, 2)])
    windows = _windows(checkpoint, clips, 48, rows, frame_cache.folder)
    assert windows[18].shape == (48, 3, 4, 18, 18)


def test_without_a_table_the_candidates_are_exported() -> None:
    """Or all of the range, or what is named; not two of these at once."""
    loaded = calibrated_checkpoint(())
    every = loaded.grid()
    assert set(_rows(loaded, Exporting()).configurations) == set(loaded.candidates()) < set(every)
    assert set(_rows(loaded, Exporting(whole_range=True)).configurations) == set(every)
    both = _rows(loaded, Exporting(precisions=("fp32", "int8")))
    assert set(both.configurations) == {c.at(p) for c in loaded.candidates() for p in ("fp32", "int8")}
    with pytest.raises(UsageError, match="`whole_range` excludes `configurations` and `table`"):
        _rows(loaded, Exporting(whole_range=True, configurations=every[:1]))


def test_int8_rows_take_over_nothing_that_was_measured_in_fp32(exported: Exported) -> None:
    """Its scores are others: no accuracy, no temperature, no threshold of the twin."""
    table = Bundle.load(exported.bundle).table
    fp32 = table.with_rows([row.model_copy(update={"temperature": 2.0}) for row in table.rows if row.clips])
    fp32 = fp32.with_rows([row for row in fp32.rows if row.precision == "fp32"])
    for row in in_precisions(fp32, ("int8",)).rows:
        assert (row.accuracy, row.clips, row.recall, row.temperature, row.thresholds) == (None,) * 5
