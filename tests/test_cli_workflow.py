"""The main job, end to end, through the command line: real clips in, a bundle out, labels at a budget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures_bundle import Here

from a3d_edge.bundle import Bundle

pytest.importorskip("torch")
pytest.importorskip("av")


def test_clips_become_labels(here: Here, clip_list: Path, tmp_path: Path) -> None:
    """train, table build, export with that table, info, verify, eval, run: each goes on from the last."""
    checkpoint, table, bundle = tmp_path / "net.pth", tmp_path / "table.json", tmp_path / "bundle"
    cache = ("--cache", tmp_path / "cache")

    code, out, err = here(
        "train", "--arch", "slow_small", "--data", clip_list, "--fold", 1, "--out", checkpoint, "--epochs", 1,
        "--batch", 4, "--range", "0.06", "--lr", 0.01, "--calibration-clips", 3, "--json", *cache,
    )  # fmt: skip
    assert code == 0
    assert err.startswith("validating on 3 of 6 clips (1 whole groups or files); ")
    assert "calibrating 12 of the range's 46 configurations on 3 clips; " in err
    (epoch,) = [json.loads(line) for line in out.splitlines()]
    assert (epoch["event"], epoch["epoch"], epoch["step"], epoch["steps"]) == ("epoch", 1, 1, 1)
    assert epoch["cross_entropy"] > 0

    code, out, err = here(
        "table", "build", checkpoint, "--data", clip_list, "--fold", 1, "--views", 1, "--out", table,
        "--json", *cache,
    )  # fmt: skip
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    accuracies = [row["accuracy"] for row in rows]
    assert accuracies == sorted(set(accuracies))

    code, _, err = here(
        "export", checkpoint, "--table", table, "--out", bundle, "--calibration", clip_list, "--fold", 1,
        "--calibration-clips", 3, "--parity-clips", 3, *cache,
    )  # fmt: skip
    assert (code, err) == (0, "")
    loaded = Bundle.load(bundle)
    assert [str(c) for c in loaded.configurations] == [row["configuration"] for row in rows]
    assert loaded.classes == ("down", "right", "still")
    assert loaded.manifest.range == "0.06"
    assert all(entry.parity.clips == 3 for entry in loaded.manifest.configurations.values())
    assert loaded.table.measured_on.startswith("6 clips of ")

    code, out, _ = here("info", bundle, "--json")
    assert json.loads(out)["configurations"] == [row["configuration"] for row in rows]
    assert here("verify", bundle)[0] == 0

    largest = rows[-1]["configuration"]
    code, out, _ = here(
        "eval", checkpoint, "--data", clip_list, "--fold", 1, "--views", 1, "--configuration", largest,
        "--json", *cache,
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["top1"] == pytest.approx(rows[-1]["accuracy"], abs=1e-6)

    clip = clip_list.parent / "right" / "1.mp4"
    code, out, _ = here("run", "--source", clip, "--bundle", bundle, "--budget", largest, "--json")
    assert code == 0
    prediction, summary = [json.loads(line) for line in out.splitlines()]
    assert prediction["configuration"] == largest
    assert summary["frames_captured"] == 24 == summary["frames_used"] + sum(summary["dropped"].values())
