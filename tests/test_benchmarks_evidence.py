"""The evidence: a plan that holds together, logs that keep every clip, tables of them, a real run."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("av")

FOLDER = Path(__file__).parents[1] / "benchmarks" / "evidence"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def test_the_plan_holds_together(module: Any) -> None:
    """Every run has a name of its own, what it needs comes before it, and every letter has runs."""
    own = module("_plan")
    runs = own.plan(own.SCALES["full"])
    names = [run.name for run in runs]
    assert len(set(names)) == len(names)
    for place, run in enumerate(runs):
        assert set(run.needs) <= set(names[:place])
        assert set(run.few) <= set(run.configurations)
        assert run.letters
        assert set(run.letters) <= set(own.LETTERS)
    assert {letter for run in runs for letter in run.letters} == set(own.LETTERS)


def test_what_is_alone_is_trained_and_tested_at_one_configuration(module: Any) -> None:
    """Which is one that A3D is tested at too, with the same recipe but for that."""
    own = module("_plan")
    runs = {run.name: run for run in own.plan(own.SCALES["full"])}
    whole = runs["testbed-a3d-s0"]
    alone = [run for name, run in runs.items() if name.startswith("testbed-alone") and name.endswith("s0")]
    assert len(alone) == 7 + 3 + 7
    for run in alone:
        [configuration] = run.configurations
        assert configuration in whole.configurations
        assert run.changes == {**whole.changes, "alone": configuration}


def test_what_is_chosen_brings_what_it_needs(module: Any) -> None:
    """And what is not in the plan is refused."""
    own = module("_plan")
    runs = own.plan(own.SCALES["full"])
    [last] = [run for run in runs if run.name == "testbed-alone-longer-w0.50-s18-t2-s0"]
    assert {run.name for run in own.chosen(runs, "", [last.name])} == {last.name, *last.needs}
    assert own.chosen(runs, "", []) == list(runs)
    assert all(set(run.letters) & set("0") for run in own.chosen(runs, "0", []))
    with pytest.raises(ValueError, match="not in the plan: z, that"):
        own.chosen(runs, "z", ["that"])


def test_recipes_of_all_runs_can_be_meant(module: Any) -> None:
    """Before the first hour is spent on them."""
    from a3d_edge.training.recipe import RECIPES

    own, costs = module("_plan"), module("_costs")
    for run in own.plan(own.SCALES["full"]):
        recipe = replace(RECIPES["small"], **run.changes)
        recipe.check()
        ours = "switched" in run.name  # all others train as the paper does, whatever the small recipe has
        assert recipe.switchable == (ours or "-switchable-" in run.name)
        assert recipe.label_share == (0.5 if ours or "-label-share-" in run.name else 0.0)
        assert costs.settings_of(run, 3).alone == run.changes.get("alone")


def test_compute_of_training_is_that_of_what_is_drawn(module: Any) -> None:
    """Of a network alone its own; of mutual training the full network's and two more: 1.2 to 2 times."""
    own, costs = module("_plan"), module("_costs")
    runs = {run.name: run for run in own.plan(own.SCALES["full"])}
    full, ours = (runs[f"testbed-{name}-s0"] for name in ("alone-w1.00-s32-t8", "a3d"))
    least = costs.gmacs_a_clip(runs["testbed-alone-w0.50-s18-t2-s0"])
    assert least < 0.1 * costs.gmacs_a_clip(full)
    assert 1.2 < costs.gmacs_a_clip(ours) / costs.gmacs_a_clip(full) < 2.0


def test_margins_keep_which_clips_were_named_correctly(module: Any, tmp_path: Path) -> None:
    """Also where a clip is won or lost by next to nothing, or by a tie, which the first class wins."""
    logs = module("_logs")
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=(300, 5))
    scores[0] = [0.2, 0.2, 0.1, 0.1, 0.1]
    scores[1] = [0.2, 0.2 + 1e-9, 0.1, 0.1, 0.1]
    truth = rng.integers(5, size=300)
    for here in (0, 1):
        truth[:2] = here
        text = logs.margins_of(scores, truth)
        right = (scores.argmax(axis=1) == truth).astype(float)
        logs.write_log(tmp_path, "one", {"tests": {"test": {"w1.00-s32-t8": text}}})
        log = logs.read_logs(tmp_path)["one"]
        np.testing.assert_array_equal(log.correct("w1.00-s32-t8"), right)
        shares = scores / scores.sum(axis=1, keepdims=True)
        best = np.where(np.eye(5)[truth] > 0, -1.0, shares).max(axis=1)
        margins = logs.unpacked(text) / 127
        assert np.abs(margins - (shares[np.arange(300), truth] - best)).max() <= 1 / 127


def logged(module: Any, folder: Path, run: str, right: dict[str, np.ndarray], **more: Any) -> None:
    """A log whose clips came out as said, at a small scale."""
    own, logs = module("_plan"), module("_logs")
    tests = {}
    for c, each in right.items():
        scores = np.stack([0.4 + 0.2 * each, np.full(len(each), 0.5)], axis=1)
        tests[c] = logs.margins_of(scores, np.zeros(len(each), np.intp))
    content = {
        "run": run, "scale": asdict(replace(own.SCALES["tiny"], real=("body_gestures",), folds=2)),
        "machine": "m", "commit": "c" * 40, "groups": None,
        "settings": {"epochs": 2}, "cpu_s": 36.0,
        "gmacs_a_clip": 0.5, "tests": {"test": tests, "val": tests}, **more,
    }  # fmt: skip
    logs.write_log(folder, run, content)


def test_differences_are_paired_over_clips_and_seeds(module: Any, tmp_path: Path) -> None:
    """Seeds that are there for both; on average over configurations; folds one after the other."""
    findings, logs = module("_findings"), module("_logs")
    rng, c = np.random.default_rng(1), "w1.00-s32-t8"
    there = {}
    for seed in (0, 1):
        for kind, share in (("a3d", 0.8), ("alone", 0.6)):
            there[kind, seed] = (rng.uniform(size=200) < share).astype(float)
            logged(module, tmp_path, f"testbed-{kind}-s{seed}", {c: there[kind, seed]})
    for fold in (0, 1):
        groups = [0] * 5 + [1] * 5
        logged(module, tmp_path, f"body-a3d-f{fold}", {c: np.ones(10)}, groups=groups)
        logged(module, tmp_path, f"body-alone-f{fold}", {c: np.array(groups, float)}, groups=groups)
    found = findings.Findings(logs.read_logs(tmp_path))
    ours, alone = findings.Side("testbed-a3d", c), findings.Side("testbed-alone", c)
    expected = np.mean([there["a3d", seed] - there["alone", seed] for seed in (0, 1)])
    assert found.mean([(ours, alone)]).mean == pytest.approx(expected)
    assert found.mean([(ours, alone), (alone, ours)]).mean == pytest.approx(0.0)
    assert found.mean([(ours, findings.Side("testbed-none", c))]) is None
    assert found.accuracy(ours).seeds == 2
    assert found.of_folds("body", [("body-a3d", "body-alone", c)]).mean == pytest.approx(0.5)
    assert found.of_folds("body", [("body-a3d", "body-alone", c)]).low == 0.0  # a resample of one side
    assert found.of_folds("body", [("body-a3d", "body-none", c)]) is None


def test_seeds_of_a_real_set_count_where_all_folds_are_there(module: Any, tmp_path: Path) -> None:
    """The same clips once more; a seed of which a fold is missing is none."""
    findings, logs = module("_findings"), module("_logs")
    pair = ("body-a3d", "body-alone", "w1.00-s32-t8")
    for run, share in (("body-a3d", 1.0), ("body-alone", 0.0)):
        for fold in (0, 1):
            logged(module, tmp_path, f"{run}-f{fold}", {pair[2]: np.full(10, share)})
        logged(module, tmp_path, f"{run}-f1-s2", {pair[2]: np.full(10, 1.0)})
        logged(module, tmp_path, f"{run}-f0-s2", {pair[2]: np.full(10, 1.0)})
        logged(module, tmp_path, f"{run}-f0-s1", {pair[2]: np.full(10, 1.0)})
    found = findings.Findings(logs.read_logs(tmp_path)).of_folds("body", [pair])
    assert (found.mean, found.seeds, found.clips) == (pytest.approx(0.5), 2, 20)


def test_the_page_comes_of_logs_alone_and_says_what_is_missing(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is there; nothing at all, or logs of two scales, are one line."""
    report, c = module("report"), "w1.00-s32-t8"
    monkeypatch.setattr(sys, "argv", ["report", "--logs", str(tmp_path), "--out", str(tmp_path / "e.md")])
    assert report.main() == 2
    logged(module, tmp_path, f"testbed-alone-{c}-s0", {c: np.array([1.0, 0.0, 1.0, 1.0])})
    assert report.main() == 0
    page = (tmp_path / "e.md").read_text()
    assert f"| {c} | 75.0 %" in page
    assert "Missing: 4 of 5 runs" in page
    assert (tmp_path / "e.png").stat().st_size > 1000
    other = json.loads((tmp_path / f"testbed-alone-{c}-s0.json").read_text())
    other["scale"]["test"] = 7
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert report.main() == 2
    assert "the logs are of 2 scales" in capsys.readouterr().err


def test_a_run_is_made_once_and_logged(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From drawing to the log, which is small and whole; the second time there is nothing to do."""
    runner, name = module("run"), "testbed-alone-w0.50-s18-t2-s0"
    words = ["run", "--scale", "tiny", "--run", name, "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", words)
    assert runner.main() == 2
    assert "name a folder by --logs" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*words, "--logs", str(tmp_path / "logs")])
    assert runner.main() == 0
    file = tmp_path / "logs" / f"{name}.json"
    content = json.loads(file.read_text())
    assert file.stat().st_size < 5000
    assert (content["steps"], content["settings"]["alone"]) == (3, "w0.50-s18-t2")
    assert [row["step"] for row in content["curve"]] == [3]
    assert len(module("_logs").read_logs(file.parent)[name].correct("w0.50-s18-t2")) == 24
    capsys.readouterr()
    assert runner.main() == 0
    assert capsys.readouterr().out == ""


def test_the_curve_of_a_run_that_goes_on_has_every_epoch_once(module: Any, tmp_path: Path) -> None:
    """Epochs that come again replace what was told of them."""
    from a3d_edge.training.distillation import StepLosses
    from a3d_edge.training.reports import StepReport

    runner, file = module("run"), tmp_path / "steps.jsonl"
    curve = runner.Curve(file)
    for step in range(1, 6):
        curve(StepReport(step, 6, 2, StepLosses(float(step), 0.0, 0.5), 0.1, 1.0, 0.25))
    again = runner.Curve(file)
    for step in range(4, 7):
        again(StepReport(step, 6, 2, StepLosses(10.0, 0.0, 0.5), 0.1, 1.0, 0.25))
    rows = again.rows()
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert [row["cross_entropy"] for row in rows] == [1.5, 10.0, 10.0]


def test_drawn_lists_share_no_seed_and_are_the_same_to_the_byte(module: Any, tmp_path: Path) -> None:
    """The first clips are the same however many there are, and processes draw what one does."""
    testbed = module("testbed")
    lists = {name: testbed.clips_of(name, 5000) for name in testbed.FIRST}
    seeds = [clip.seed for clips in lists.values() for clip in clips]
    assert len(set(seeds)) == len(seeds)
    assert lists["test"][:24] == testbed.clips_of("test", 24)
    few = lists["val"][:3]
    assert testbed.draw(few, tmp_path / "many", workers=2) > 0
    assert testbed.draw(few, tmp_path / "many", workers=2) == 0
    assert testbed.digest(few, tmp_path / "many") == testbed.digest(few, tmp_path / "one")


def test_what_switching_gains(module: Any) -> None:
    """On every trace that comes along; where accuracy does not rise with cost there is nothing to gain."""
    gain = module("_gain")
    names = ("w0.50-s18-t2", "w0.80-s27-t4", "w1.00-s32-t8")
    rising = gain.gains(gain.table_of(dict(zip(names, (0.5, 0.7, 0.8), strict=True)), 32))
    assert [one.trace for one in rising] == sorted(gain.shipped_traces())
    for one in rising:
        assert 0.5 <= one.switching <= one.possible + one.late  # what is forbidden may be better
        assert one.fixed is None or one.fixed <= one.possible + 1e-9
    level = gain.gains(gain.table_of(dict.fromkeys(names, 0.6), 32))
    assert all(one.switching == pytest.approx(0.6) for one in level)
