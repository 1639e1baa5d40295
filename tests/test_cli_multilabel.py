"""Many labels at once, through the command line: a drawn crowd in, several labels of one window out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import Here, tiny_slow
from fixtures_events import kinds_of

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.demo.rendered import SETS
from a3d_edge.models.checkpoint import Checkpoint, load, save
from a3d_edge.training.clips import crowd_clip

CROWD = SETS["crowd"]
FAST = ("--arch", "slow_small", "--size", 32, "--batch", 4, "--calibration-clips", 3, "--range", "0.06")


def written(path: Path, seeds: range) -> Path:
    """A list of drawn crowds."""
    clips = [crowd_clip(CROWD, seed) for seed in seeds]
    rows = ["path,label", *(f"{clip.name},{clip.label}" for clip in clips)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network of many labels that has hardly been trained, its lists and decoded frames."""
    from a3d_edge.training import train

    folder = tmp_path_factory.mktemp("crowd")
    data, val = written(folder / "train.csv", range(12)), written(folder / "val.csv", range(100, 110))
    changes = {
        "task": "multilabel", "size": 32, "batch": 4, "epochs": 1, "range_name": "0.06", "classes": CROWD,
    }  # fmt: skip
    train(
        [data], folder / "net.pth", "small", changes=changes, val=[val], calibration_clips=3,
        cache=folder / "cache",
    )  # fmt: skip
    return folder


def lines_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_crowds_become_sets_of_labels(here: Here, trained: Path, tmp_path: Path) -> None:
    """eval, table build, export in both precisions, verify, eval of its graphs, run: one after the other."""
    net, val, table, bundle = (
        trained / "net.pth",
        trained / "val.csv",
        tmp_path / "t.json",
        tmp_path / "bundle",
    )
    cache = ("--cache", trained / "cache")
    configuration = str(load(net).candidates()[0])
    assert load(net).task == "multilabel"
    assert load(net).classes == CROWD

    one = ("--configuration", configuration, "--views", 2)
    code, out, _ = here("eval", net, "--data", val, *one, "--json", *cache)
    assert code == 0
    assert kinds_of(out) == ["average_precision"]
    (found,) = lines_of(out)
    assert found["mean_average_precision"] == pytest.approx(
        sum(found["average_precision"].values()) / len(found["average_precision"])
    )
    assert here("eval", net, "--data", val, *one, *cache)[1].split()[1] == "mAP"

    code, out, err = here(
        "table", "build", net, "--data", val, "--out", table, "--all-rows", "--views", 2, "--json", *cache
    )
    assert (code, err) == (0, "")
    assert set(kinds_of(out)) == {"row"}
    (row,) = [row for row in lines_of(out) if row["configuration"] == configuration]
    assert row["accuracy"] is None
    assert row["mean_average_precision"] == pytest.approx(found["mean_average_precision"], abs=1e-6)
    assert set(row["thresholds"]) == set(CROWD)
    assert json.loads(table.read_text())["task"] == "multilabel"
    assert "mAP on 10 clips" in here("table", "show", table)[1]

    code, _, err = here(
        "export", net, "--table", table, "--configuration", configuration, "--precision", "both", "--out",
        bundle, "--calibration", trained / "train.csv", "--calibration-clips", 4, "--validation", val, *cache,
    )  # fmt: skip
    assert code == 0, err
    loaded = Bundle.load(bundle)
    assert (loaded.task, loaded.table.metric) == ("multilabel", "mAP")
    assert {row.configuration.precision for row in loaded.table.rows} == {"int8", "fp32"}
    assert all(row.mean_average_precision is not None for row in loaded.table.rows)
    assert here("verify", bundle)[0] == 0

    code, out, _ = here("eval", bundle, "--data", val, "--configuration", configuration, "--json", *cache)
    assert code == 0
    exported = loaded.table.row(Configuration.parse(configuration)).mean_average_precision
    assert lines_of(out)[0]["mean_average_precision"] == pytest.approx(exported, abs=1e-6)

    rule = f"{CROWD[0]}>0.01"
    code, out, _ = here(
        "run", "--bundle", bundle, "--source", "demo", "--budget", configuration, "--max-predictions", 3,
        "--alert", rule, "--json",
    )  # fmt: skip
    assert code == 0
    kinds = kinds_of(out)
    assert "alert" in kinds
    predictions = [line for line in lines_of(out) if line["event"] == "prediction"]
    assert len(predictions) == 3
    thresholds = loaded.table.row(Configuration.parse(configuration)).thresholds
    assert thresholds is not None
    for one in predictions:
        scores = {entry["label"]: entry["score"] for entry in one["top"]}
        seen = {name for name, score in scores.items() if score > thresholds[name]}
        assert {entry["label"] for entry in one["labels"]} == seen
        assert [e["score"] for e in one["labels"]] == sorted((scores[name] for name in seen), reverse=True)
        assert one["truth"]
    code, out, _ = here("run", "--bundle", bundle, "--source", "demo", "--max-predictions", 1)
    assert code == 0
    assert "%" in out


def test_one_command_fine_tunes_from_another_task(here: Here, trained: Path, tmp_path: Path) -> None:
    """The weights are taken over, the head begins fresh, also where the classes are the same."""
    single = tmp_path / "single.pth"
    description = load(trained / "net.pth").description.model_copy(update={"task": "single"})
    preprocessing = load(trained / "net.pth").preprocessing
    save(Checkpoint(description.build(), CROWD, preprocessing), single)
    code, _, err = here(
        "train", "--data", trained / "train.csv", "--val", 0, "--init", single, "--task", "multilabel",
        "--classes", ",".join(CROWD), "--epochs", 0, "--out", tmp_path / "net.pth", "--cache",
        trained / "cache", *FAST,
    )  # fmt: skip
    assert code == 0, err
    assert "is of the task single, this run multilabel: the head starts fresh" in err
    begun, other = load(tmp_path / "net.pth"), load(single)
    assert begun.task == "multilabel"
    theirs, ours = other.model.state_dict(), begun.model.state_dict()
    kept = {name for name in theirs if "running" not in name and (ours[name] == theirs[name]).all()}
    assert "head.weight" not in kept
    assert "stem.conv.weight" in kept

    code, _, err = here(  # a network of many labels stays one, unasked
        "train", "--data", trained / "train.csv", "--val", 0, "--init", trained / "net.pth", "--epochs", 0,
        "--classes", ",".join(CROWD), "--out", tmp_path / "again.pth", "--cache", trained / "cache", *FAST,
    )  # fmt: skip
    assert code == 0, err
    assert load(tmp_path / "again.pth").task == "multilabel"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--task", "single"),
            "train.csv:2: path or label is empty",
        ),
        ((), "train.csv:2: path or label is empty"),
        (("--task", "many"), "unknown --task 'many'; there are single, multilabel"),
        (("--task", "multilabel", "--classes", "hug,kick"), "the data has the label"),
    ],
)
def test_what_cannot_be_meant(
    here: Here, trained: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """In one line, before any work."""
    code, _, err = here("train", "--data", trained / "train.csv", "--out", tmp_path / "n.pth", *options)
    assert code != 0
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "n.pth").exists()


def test_a_run_goes_on_with_its_own_task(here: Here, trained: Path, tmp_path: Path) -> None:
    """Another one is refused with both."""
    net = tmp_path / "net.pth"
    net.write_bytes((trained / "net.pth").read_bytes())
    code, _, err = here(
        "train", "--data", trained / "train.csv", "--out", net, "--resume", "--task", "single"
    )
    assert code != 0
    assert "was begun with --task multilabel, now with --task single" in err


def test_tables_and_lists_of_another_task_are_refused(here: Here, trained: Path, tmp_path: Path) -> None:
    """A table of one class does not price a network of many; sets are no answers of a network of one."""
    table = tmp_path / "t.json"
    row = {"configuration": "w1.00-s32-t8", "gflops": 1.0, "params_m": 1.0, "accuracy": 0.5}
    table.write_text(json.dumps({"architecture": "slow_small", "rows": [row]}))
    code, _, err = here("export", trained / "net.pth", "--table", table, "--out", tmp_path / "b")
    assert code != 0
    assert "is of the task single, the checkpoint is of multilabel" in err
    save(Checkpoint(tiny_slow().build(), ("right", "down", "still")), tmp_path / "single.pth")
    code, _, err = here("eval", tmp_path / "single.pth", "--data", trained / "val.csv")
    assert code != 0
    assert "is a set of labels" in err


def test_charades_protocol_is_for_many_labels_too(here: Here, trained: Path) -> None:
    """Ten starts; it says so."""
    configuration = str(load(trained / "net.pth").candidates()[0])
    code, out, _ = here(
        "eval", trained / "net.pth", "--data", trained / "val.csv", "--configuration", configuration,
        "--protocol", "charades", "--views", 10, "--json", "--cache", trained / "cache",
    )  # fmt: skip
    assert code == 0
    assert kinds_of(out) == ["average_precision"]
    assert lines_of(out)[0]["protocol"] == "charades"


def test_a_list_of_sets_is_looked_at(here: Here, trained: Path, tmp_path: Path) -> None:
    """Each label is counted by itself; info tells the task."""
    code, out, _ = here(
        "data", "check", trained / "train.csv", "--task", "multilabel", "--cache", tmp_path / "c", "--json"
    )
    assert code == 0
    (found,) = lines_of(out)
    assert kinds_of(out) == ["data"]
    assert sum(found["classes"].values()) == sum(len(crowd_clip(CROWD, seed).labels) for seed in range(12))
    assert here("data", "check", trained / "train.csv", "--task", "sets")[0] != 0
    code, out, _ = here("info", trained / "net.pth", "--json")
    assert code == 0
    assert lines_of(out)[0]["task"] == "multilabel"
