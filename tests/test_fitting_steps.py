"""One call from clips to a bundle: it holds what it says, goes on where it stopped, repeats nothing."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import Here, copy_of

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from a3d_edge.bundle import Bundle  # noqa: E402
from a3d_edge.errors import CheckpointError, SourceError, UsageError  # noqa: E402
from a3d_edge.fitting import Fitted, fit  # noqa: E402
from a3d_edge.models.checkpoint import load  # noqa: E402
from a3d_edge.models.registry import ARCHITECTURES  # noqa: E402
from a3d_edge.models.slow import SlowDescription  # noqa: E402

TINY = SlowDescription(name="slow_small", blocks=(1, 1, 1, 1), base_width=8, size=32, frames=4, stride=2)
CHANGES = {"epochs": 1, "batch": 4, "precision": "fp32", "range_name": "0.06"}


@pytest.fixture
def fitted(
    tmp_path: Path, clip_list: Path, frame_cache: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Fitted]:
    """`fit` on the list of clips unless told otherwise, into ``bundle``."""
    monkeypatch.setitem(ARCHITECTURES, "slow_small", TINY)

    def call(data: Any = (clip_list,), **options: Any) -> Fitted:
        return fit(
            data, tmp_path / "bundle", "small", **{"changes": CHANGES, "cache": frame_cache.folder} | options
        )

    return call


def test_clips_become_a_bundle_and_a_page(fitted: Callable[..., Fitted], tmp_path: Path) -> None:
    """Both precisions and both ends of the range, measured on clips that were not trained on; a second call
    does nothing; without the bundle it is exported again, and nothing is trained."""
    told: list[str] = []
    done = fitted(note=told.append)
    bundle = Bundle.load(tmp_path / "bundle")
    fp32 = [one for one in bundle.configurations if one.precision == "fp32"]
    assert fp32
    ends = {(one.width, one.size, one.frames) for one in fp32}
    assert (1.0, 32, 4) in ends
    assert (0.63, 20, 2) in ends
    held = next(line for line in told if "held out" in line)
    assert held.endswith("are trained on")
    assert "held-out clips" in json.loads((tmp_path / "bundle.fit/table.json").read_text())["measured_on"]
    page = done.report.read_text()
    assert page.startswith("<!DOCTYPE html>")
    for part in (
        "Learning",
        "Accuracy against cost",
        "At the largest: w1.00-s32-t4",
        "At the smallest",
        "What it took",
    ):
        assert part in page
    assert "http://" not in page.replace("http://www.w3.org/", "")  # it needs no network

    kept = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    steps: list[int] = []
    fitted(on_step=lambda step: steps.append(step.step))
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    shutil.rmtree(tmp_path / "bundle")
    fitted(on_step=lambda step: steps.append(step.step))
    again = Bundle.load(tmp_path / "bundle")  # in the order of what int8 cost this time
    assert set(again.configurations) == set(bundle.configurations)
    assert steps == []


def test_it_goes_on_after_ctrl_c(fitted: Callable[..., Fitted], tmp_path: Path) -> None:
    """In the middle of the training: at the step that was saved, not at the first."""

    def stop(step: Any) -> None:
        if step.step == 3:
            raise KeyboardInterrupt

    changes = {"changes": {**CHANGES, "epochs": 3}}
    with pytest.raises(KeyboardInterrupt):
        fitted(on_step=stop, **changes)
    assert not (tmp_path / "bundle").exists()
    steps: list[int] = []
    fitted(on_step=lambda step: steps.append(step.step), **changes)
    assert steps[0] == 4
    assert (tmp_path / "bundle/manifest.json").exists()


def test_it_can_begin_with_a_bundle(
    fitted: Callable[..., Fitted], bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training is told once, and goes on without it; with none it begins anew."""
    from a3d_edge.fitting import steps as module

    steps: list[int] = []
    begun: list[object] = []
    real = module.train

    def train(*given: Any, **named: Any) -> object:
        begun.append(named["init"])
        return real(*given, **named)

    monkeypatch.setattr(module, "train", train)

    def stop(step: Any) -> None:
        if step.step == 3:
            raise KeyboardInterrupt

    changes = {**CHANGES, "epochs": 3, "arch": "slow_small"}
    with pytest.raises(KeyboardInterrupt):
        fitted(init=bundle_folder, on_step=stop, changes=changes)
    fitted(init=bundle_folder, on_step=lambda step: steps.append(step.step), changes=changes)
    assert steps[0] == 4
    steps.clear()
    fitted(init=bundle_folder, on_step=lambda step: steps.append(step.step), changes=changes)
    assert steps == []
    assert begun == [bundle_folder, None, bundle_folder]  # and once more, on all clips
    fitted(on_step=lambda step: steps.append(step.step), changes=changes)
    assert steps[0] == 1


def test_what_it_cannot_begin_with_is_refused_before_any_work(
    fitted: Callable[..., Fitted], tmp_path: Path, bundle_folder: Path
) -> None:
    """What is neither checkpoint nor bundle, and the folder that the new bundle would replace."""
    with pytest.raises(
        CheckpointError, match=r"`init` nothing: .* or a built-in bundle \(.*interactions.*\)"
    ):
        fitted(init="nothing")
    copy_of(bundle_folder, tmp_path / "bundle")
    with pytest.raises(UsageError, match=r"bundle: is .*bundle, which is read; name another"):
        fitted(init=tmp_path / "bundle", overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bundle"]


def test_the_whole_range_can_be_measured(fitted: Callable[..., Fitted], tmp_path: Path) -> None:
    """What training did not calibrate is calibrated for it."""
    fitted(every_row=True)
    header = json.loads((tmp_path / "bundle.fit/scores.jsonl").read_text().splitlines()[0])
    assert len(header["configurations"]) > 12


def test_what_is_exported_was_trained_on_all_clips_and_measured_by_one_that_was_not(
    fitted: Callable[..., Fitted], tmp_path: Path
) -> None:
    """Two networks: the table is of the first, which did not see the clips that it names; the weights are the
    second's. Where the clips to choose on are given by themselves there is one."""
    done = fitted()
    kept, out = tmp_path / "bundle.fit", tmp_path / "bundle"
    first, second = Bundle.load(kept / "measured"), Bundle.load(out)
    by_name = {row.configuration: row for row in first.table.rows}
    assert all(row.accuracy == by_name[row.configuration].accuracy for row in second.table.rows)
    assert "trained on all" in done.table.measured_on
    assert (kept / "measured/weights.bin").read_bytes() != (out / "weights.bin").read_bytes()
    clips = [load(kept / name).origin["clips"].split()[0] for name in ("net.pth", "final.pth")]
    assert int(clips[0]) < int(clips[1])


def test_a_folder_of_before_is_gone_on_with(fitted: Callable[..., Fitted], tmp_path: Path) -> None:
    """When the bundle was the measured network's: its training is kept, and the other one is added."""
    fitted()
    work = tmp_path / "bundle.fit"
    shutil.rmtree(tmp_path / "bundle")
    shutil.move(work / "measured", tmp_path / "bundle")
    (work / "final.pth").unlink()
    record = json.loads((work / "fit.json").read_text())
    export = record.pop("export_measured")
    export["files"]["bundle"]["path"] = str(tmp_path / "bundle")
    for name in ("train_on_all", "train_on_all_begun", "export_final", "report"):
        del record[name]
    (work / "fit.json").write_text(json.dumps({**record, "export": export}))
    trained = (work / "net.pth").stat().st_mtime_ns
    assert "trained on all" in fitted().table.measured_on
    assert (work / "net.pth").stat().st_mtime_ns == trained


def test_clips_that_are_given_to_choose_on_are_never_trained_on(
    fitted: Callable[..., Fitted], tmp_path: Path, clip_list: Path
) -> None:
    """As the test clips of others are kept for later."""
    lines = clip_list.read_text().splitlines()
    other = clip_list.parent / "held.csv"
    other.write_text("\n".join([lines[0], *lines[1::4]]))
    rest = clip_list.parent / "rest.csv"
    rest.write_text("\n".join([line for line in lines if line not in lines[1::4]]))
    fitted([rest], validation=[other])
    assert not (tmp_path / "bundle.fit/final.pth").exists()
    assert "trained on all" not in Bundle.load(tmp_path / "bundle").table.measured_on


def test_other_options_begin_anew(fitted: Callable[..., Fitted]) -> None:
    """A run of another recipe is not gone on with, and what it left is replaced."""
    fitted()
    steps: list[int] = []
    fitted(changes={**CHANGES, "seed": 1}, on_step=lambda step: steps.append(step.step))
    assert steps[0] == 1


def test_a_clip_that_was_mended_is_used(
    fitted: Callable[..., Fitted], tmp_path: Path, clip_list: Path
) -> None:
    """It was left out while it could not be read, and is looked at again when its file has changed."""
    folder = tmp_path / "data"
    shutil.copytree(clip_list.parent, folder)
    first = min(folder.rglob("*.mp4"))
    whole = first.read_bytes()
    first.write_bytes(b"no video")
    told: list[str] = []
    fitted([folder / "list.csv"], note=told.append)
    assert any(f"cannot be read: {first}" in line for line in told)
    first.write_bytes(whole)
    told.clear()
    fitted([folder / "list.csv"], note=told.append)
    assert not any("cannot be read" in line for line in told)
    assert any(" of 12 clips " in line for line in told)


def test_a_cache_may_be_a_size(
    fitted: Callable[..., Fitted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the other commands: of the usual folder, and none of that name is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fitted(cache="1GB")
    assert (tmp_path / "cache/a3d-edge/frames").is_dir()
    assert not (tmp_path / "1GB").exists()


def test_what_cannot_be_meant_is_said_before_any_work(
    fitted: Callable[..., Fitted], tmp_path: Path, clip_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's folder is not replaced; one clip is not on both sides; several processes are too many."""
    with monkeypatch.context() as torchrun:
        for name, value in (("WORLD_SIZE", "2"), ("RANK", "0"), ("MASTER_ADDR", "127.0.0.1")):
            torchrun.setenv(name, value)
        with pytest.raises(UsageError, match="without torchrun"):
            fitted()
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"`out` .*bundle: exists"):
        fitted()
    assert (tmp_path / "bundle/notes.txt").read_text() == "mine"
    (tmp_path / "bundle/notes.txt").unlink()
    with pytest.raises(UsageError, match="is in `data` and in `validation`"):
        fitted(validation=[clip_list])


def test_another_task_is_refused_with_what_to_run(fitted: Callable[..., Fitted], tmp_path: Path) -> None:
    """Sets of labels, people in boxes, and recipes for them, in one line; nothing is left."""
    (tmp_path / "sets.csv").write_text("path,label\ndrawn:crowd:1,waves;bows\n")
    (tmp_path / "people.csv").write_text("path,label\ndrawn:people:1,\n")
    for data in ("sets.csv", "people.csv"):
        with pytest.raises(
            UsageError, match="fit knows one class a clip: run 'a3d-edge train' with"
        ) as error:
            fitted([tmp_path / data])
        assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match=r"`recipe`: its task is multilabel; fit knows one class a clip"):
        fitted(changes={"task": "multilabel"})
    with pytest.raises(UsageError, match=r"`recipe`: its task is boxes; fit knows one class a clip"):
        fit([tmp_path / "people.csv"], tmp_path / "bundle", "ava")
    assert not (tmp_path / "bundle.fit").exists()


def test_lists_that_cannot_be_read_leave_nothing(fitted: Callable[..., Fitted], tmp_path: Path) -> None:
    """No folder of work that never began."""
    with pytest.raises(SourceError, match="cannot read the list of clips"):
        fitted([tmp_path / "none.csv"])
    assert not (tmp_path / "bundle.fit").exists()


@pytest.mark.parametrize("moment", ["training", "measuring"])
def test_ctrl_c_says_that_the_same_command_goes_on(
    here: Here, tmp_path: Path, clip_list: Path, frame_cache: Any, monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:  # fmt: skip
    """A real SIGINT, in a step of the training or while configurations are measured: nothing of --resume,
    which `fit` does not have."""
    from a3d_edge.cli.train_log import TrainLog
    from a3d_edge.fitting import steps

    monkeypatch.setitem(ARCHITECTURES, "slow_small", TINY)
    place, name = {"training": (TrainLog, "__call__"), "measuring": (steps, "evaluate")}[moment]
    real = getattr(place, name)

    def interrupted(*given: Any, **named: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return real(*given, **named)

    command = ("fit", clip_list, "--out", tmp_path / "bundle", "--epochs", 1, "--cache", frame_cache.folder)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs this may ignore it
    try:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, interrupted)
            code, out, err = here(*command)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out) == (130, "")
    work = tmp_path / "bundle.fit"
    kept = {"training": f"{work}/net.pth is saved after step 1", "measuring": f"{work} keeps what is done"}
    assert f"{kept[moment]}; the same command goes on\n" in err
    assert "resume" not in err
    assert err.endswith("interrupted\n")
    code, out, err = here(*command)
    assert code == 0, err
    assert Bundle.load(tmp_path / "bundle").configurations
