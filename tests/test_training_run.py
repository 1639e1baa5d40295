"""A whole training run, called from Python: clips to a checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("av")

from a3d_edge.errors import DataWarning, UsageError  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint, load, statistics  # noqa: E402
from a3d_edge.training import Clip, Recipe, clips_of, train  # noqa: E402

ONE = Recipe(epochs=1, batch=4, lr=0.02, range_name="0.06")


@pytest.fixture
def run(tmp_path: Path, clip_list: Path, frame_cache: Any) -> Any:
    """`train` on the list of clips unless told otherwise, without calibration, to ``net.pth``."""

    def call(recipe: Recipe | None = None, data: Any = (clip_list,), **options: Any) -> Checkpoint:
        options = {"calibration_clips": 0, "cache": frame_cache.folder, **options}
        return train(data, tmp_path / "net.pth", recipe, **options)

    return call


def test_clips_become_a_calibrated_checkpoint(run: Any, tmp_path: Path) -> None:
    """Written and returned alike, with what it was made of; every part of the work is reported to its end."""
    told: dict[str, tuple[int, int]] = {}

    def report(what: str, done: int, total: int) -> None:
        told[what] = (done, total)

    notes: list[str] = []
    trained = run(ONE, calibration_clips=3, report=report, note=notes.append)
    written = load(tmp_path / "net.pth")
    assert set(statistics(written.model)) == {str(c) for c in trained.candidates()}
    assert (len(trained.candidates()), len(trained.grid())) == (12, 46)
    assert notes == [
        "calibrating 12 of the range's 46 configurations on 3 clips; where others are measured or exported, "
        "name `calibration` clips"
    ]
    assert written.classes == trained.classes == ("down", "right", "still")
    assert written.origin["settings"] == asdict(ONE.settings())
    assert (written.origin["data"], written.origin["batch"], written.origin["steps"]) == (["list.csv"], 4, 3)
    assert told.keys() == {"decode", "train", "calibrate"}
    assert all(done == total for done, total in told.values())


def test_clips_themselves_do_as_well_as_lists_of_them(run: Any, clip_list: Path, tmp_path: Path) -> None:
    """The same weights, and a fold is left out of either."""
    recipe = Recipe(epochs=1, batch=4, fold=1)
    by_list = run(recipe, [str(clip_list)]).model.state_dict()
    told = load(tmp_path / "net.pth").origin["clips"]
    by_clips = run(recipe, clips_of([clip_list]), overwrite=True)
    assert by_clips.origin["clips"] == told
    assert told.startswith("6 clips")
    assert by_clips.origin["data"] == []
    assert all(torch.equal(by_list[name], tensor) for name, tensor in by_clips.model.state_dict().items())


def test_a_run_goes_on_with_its_own_recipe(run: Any, tmp_path: Path) -> None:
    """After Ctrl-C, and equals one that was not stopped; what is named must agree, the default is not."""

    def stop(step: Any) -> None:
        if step.step == 2:
            raise KeyboardInterrupt

    whole = run(ONE).model.state_dict()
    notes: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(ONE, overwrite=True, on_step=stop, note=notes.append)
    assert notes == [f"{tmp_path}/net.pth is saved after step 2; the same command with `resume` goes on"]
    with pytest.raises(UsageError, match=r"was begun with `epochs` 1, now with `epochs` 2; leave"):
        run(Recipe(epochs=2), resume=True)
    with pytest.raises(UsageError, match=r"was begun with `batch` 4, now with `batch` 16; leave"):
        run(Recipe(), resume=True, named={"batch"})
    gone_on = run(resume=True)
    assert gone_on.resume is None
    assert all(torch.equal(whole[name], tensor) for name, tensor in gone_on.model.state_dict().items())


def test_what_cannot_be_meant_names_the_parameter(run: Any, tmp_path: Path, clip_list: Path) -> None:
    """Before anything is decoded or written."""
    for recipe, options, said in (
        (Recipe(epochs=-1), {}, "`epochs` -1 is below 0"),
        (Recipe(range_name="0.5"), {}, "unknown `range_name` '0.5'; there are 0.016, 0.06"),
        (Recipe(input_kind="depth"), {}, "unknown `input_kind` 'depth'; there are rgb and motion"),
        (ONE, {"resume": True, "overwrite": True}, "`resume` and `overwrite` exclude each other: a run that"),
        (
            ONE,
            {"resume": True},
            f"`resume`: there is no {tmp_path}/net.pth to go on with; leave `resume` ",
        ),
        (ONE, {"data": ()}, "name training clips with `data`, or `rendered` N and `classes` for drawn ones"),
        (ONE, {"device": "abacus"}, "`device` abacus: PyTorch cannot use it here; write cpu, or"),
    ):
        with pytest.raises(ValueError) as caught:
            run(recipe, **options)
        assert isinstance(caught.value, UsageError)
        assert str(caught.value).startswith(said)
    assert not list(tmp_path.iterdir())
    (tmp_path / "net.pth").write_text("mine")
    with pytest.raises(
        UsageError, match="exists; add `overwrite` to replace it, `resume` to go on with it, "
    ):
        run(ONE)
    assert (tmp_path / "net.pth").read_text() == "mine"


def test_classes_without_clips_are_told(run: Any) -> None:
    """In one warning, and none where all have some."""
    with pytest.warns(DataWarning) as caught:
        run(Recipe(epochs=0, classes=("down", "left", "right", "still", "up")))
    assert [str(one.message) for one in caught] == [
        "the classes left, up have no training clip, so the network cannot learn them"
    ]


def test_drawn_clips_need_no_list(run: Any) -> None:
    """Nor any file."""
    trained = run(Recipe(epochs=0, rendered=2, classes=("hug", "kick")), ())
    assert trained.classes == ("hug", "kick")
    assert clips_of([Clip("hug", None, seed=3)]) == [Clip("hug", None, seed=3)]
