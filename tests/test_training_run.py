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
from a3d_edge.models.registry import describe  # noqa: E402
from a3d_edge.training import Clip, Recipe, clips_of, train  # noqa: E402
from a3d_edge.training.recipe import RECIPES, recipe_for, stride_of  # noqa: E402

ONE = Recipe(epochs=1, batch=4, lr=0.02, range_name="0.06", val=0.0, precision="fp32")


@pytest.fixture
def run(tmp_path: Path, clip_list: Path, frame_cache: Any) -> Any:
    """`train` on the list of clips unless told otherwise, without calibration, to ``net.pth``."""

    def call(recipe: Recipe | str = "auto", data: Any = (clip_list,), **options: Any) -> Checkpoint:
        options = {"calibration_clips": 0, "cache": frame_cache.folder, **options}
        if isinstance(recipe, str):  # a name, of which the tests need the shortest run
            options["changes"] = {"val": 0.0, **options.get("changes", {})}
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
    settings = asdict(ONE.settings())
    assert settings.pop("tenth_at") == ()  # told only where there are any
    assert settings.pop("mixup") == settings.pop("label_share") == 0.0
    assert written.origin["settings"] == settings
    assert (written.origin["data"], written.origin["batch"], written.origin["steps"]) == (["list.csv"], 4, 3)
    assert told.keys() == {"decode", "train", "calibrate"}
    assert all(done == total for done, total in told.values())


def test_clips_themselves_do_as_well_as_lists_of_them(run: Any, clip_list: Path, tmp_path: Path) -> None:
    """The same weights, and a fold is left out of either."""
    recipe = Recipe(epochs=1, batch=4, fold=1, val=0.0)
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
        run(Recipe(epochs=2, val=0.0), resume=True)
    with pytest.raises(UsageError, match=r"was begun with `batch` 4, now with `batch` 16; leave"):
        run(resume=True, changes={"batch": 16})
    gone_on = run(resume=True)
    assert gone_on.resume is None
    assert all(torch.equal(whole[name], tensor) for name, tensor in gone_on.model.state_dict().items())


def test_what_cannot_be_meant_names_the_parameter(run: Any, tmp_path: Path, clip_list: Path) -> None:
    """Before anything is decoded or written."""
    for recipe, options, said in (
        (Recipe(epochs=-1), {}, "`epochs` -1 is below 0"),
        (Recipe(range_name="0.5"), {}, "unknown `range_name` '0.5'; there are 0.016, 0.06, 0.06-no-frames"),
        (Recipe(input_kind="depth"), {}, "unknown `input_kind` 'depth'; there are rgb, motion, change"),
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
        run(Recipe(epochs=0, val=0.0, classes=("down", "left", "right", "still", "up")))
    assert [str(one.message) for one in caught] == [
        "the classes left, up have no training clip, so the network cannot learn them"
    ]


def test_drawn_clips_need_no_list(run: Any) -> None:
    """Nor any file."""
    trained = run(Recipe(epochs=0, rendered=2, classes=("hug", "kick")), ())
    assert trained.classes == ("hug", "kick")
    assert clips_of([Clip("hug", None, seed=3)]) == [Clip("hug", None, seed=3)]


def test_a_name_is_a_recipe_that_suits(run: Any, tmp_path: Path) -> None:
    """``auto`` is ``small`` here, and says so; what is changed of it is changed, the rest is the recipe's."""
    notes: list[str] = []
    trained = run(changes={"epochs": 1, "batch": 4, "window": 0.8, "precision": "fp32"}, note=notes.append)
    assert notes[0] == "recipe small: adamw, 1 epochs of batches of 4"
    settings, small = trained.origin["settings"], RECIPES["small"]
    assert (settings["optimizer"], settings["lr"], settings["epochs"]) == ("adamw", small.lr, 1)
    assert (trained.preprocessing.input, trained.preprocessing.aspect) == (small.input_kind, small.aspect)
    assert (trained.origin["draw"], trained.origin["awake"]) == ("motion", True)
    written = load(tmp_path / "net.pth").description
    assert (written.stride, written.dropout) == (3, small.dropout)
    assert written.sampling.span_s == pytest.approx(0.8)
    with pytest.raises(UsageError, match="unknown `recipe` 'big'; there are auto, kinetics, small"):
        run("big", overwrite=True)
    with pytest.raises(UsageError, match=r"`window` 0\.01 s: 8 frames need 0\.27 s or more"):
        run(changes={"window": 0.01}, overwrite=True)


def test_a_large_network_and_a_large_set_follow_the_paper() -> None:
    """Either of them small: the small one's."""
    assert recipe_for(describe("slow_r50"), 240_000) == "kinetics"
    assert recipe_for(describe("slow_r50"), 500) == "small"
    assert recipe_for(describe("slow_small"), 240_000) == "small"


def test_the_stride_of_a_window_suits_a_fast_pathway() -> None:
    """τ is a multiple of α."""
    assert stride_of(4.0, describe("slow_small").sampling) == 15
    assert stride_of(4.0, describe("slowfast_r50_4x16").sampling) == 32


def test_a_share_is_validated_on_and_both_networks_are_calibrated(run: Any, tmp_path: Path) -> None:
    """Of the four scenes one; Ctrl-C and going on know the same split."""
    recipe = Recipe(epochs=2, batch=4, lr=0.02, range_name="0.06", precision="fp32")
    trained = run(recipe, calibration_clips=3)
    assert trained.origin["clips"].startswith("9 clips")
    best = load(tmp_path / "net.best.pth")
    assert (
        set(statistics(best.model)) == set(statistics(trained.model)) == {str(c) for c in best.candidates()}
    )
    assert best.origin["steps"] == trained.origin["validation"]["best"]["step"]
    (tmp_path / "net.pth").unlink()
    with pytest.raises(UsageError, match=r"net\.best\.pth: exists"):
        run(recipe)


def test_mirrors_are_for_classes_that_allow_them(run: Any) -> None:
    """``on`` is refused where a mirrored action is another one."""
    with pytest.raises(UsageError, match="`mirror` on: a class names a side"):
        run(changes={"mirror": "on"})
    with pytest.raises(UsageError, match="unknown `mirror` 'maybe'; there are auto, on, off"):
        run(changes={"mirror": "maybe"})


def test_a_network_alone_is_trained_validated_and_calibrated_at_its_configuration(
    run: Any, tmp_path: Path
) -> None:
    """And at nothing else; the checkpoint says so, and of another size of the input too."""
    recipe = Recipe(
        epochs=1, batch=4, lr=0.02, size=64, alone="w0.50-s40-t4", precision="fp32", input_kind="motion"
    )
    trained = run(recipe, calibration_clips=3)
    written = load(tmp_path / "net.pth")
    assert [str(c) for c in written.grid()] == [str(c) for c in written.candidates()] == ["w0.50-s40-t4"]
    assert set(statistics(written.model)) == {"w0.50-s40-t4"}
    assert written.description.size == 64
    best = trained.origin["validation"]["best"]
    assert best["largest"] == best["smallest"]
    with pytest.raises(UsageError, match=r"begun with `alone` w0\.50-s40-t4, now with without `alone`"):
        run(Recipe(epochs=1, alone=None), resume=True, changes={"alone": None})
    with pytest.raises(UsageError, match="`size` 16 is below 32 pixels"):
        run(Recipe(size=16), overwrite=True)


def test_a_network_that_is_begun_with_brings_its_size(run: Any, tmp_path: Path) -> None:
    """As its architecture and window; unless another is named."""
    run(changes={"epochs": 0, "size": 64})
    first = (tmp_path / "net.pth").rename(tmp_path / "first.pth")
    assert run(init=first, changes={"epochs": 0}, overwrite=True).description.size == 64
    assert run(init=first, changes={"epochs": 0, "size": 48}, overwrite=True).description.size == 48


def test_more_pictures_of_the_same_seconds(run: Any, tmp_path: Path) -> None:
    """`frames` alone keeps what a window spans; what is begun with brings both."""
    usual = run(changes={"epochs": 0}).description.sampling
    finer = run(changes={"epochs": 0, "frames": 2 * usual.frames}, overwrite=True).description.sampling
    assert finer.frames == 2 * usual.frames
    assert finer.frames * finer.stride == usual.frames * usual.stride
    first = (tmp_path / "net.pth").rename(tmp_path / "first.pth")
    assert run(init=first, changes={"epochs": 0}, overwrite=True).description.sampling == finer
    with pytest.raises(UsageError, match="`frames` 0 is outside 1 to 512"):
        run(changes={"frames": 0}, overwrite=True)
