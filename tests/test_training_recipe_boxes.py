"""What a run of the task ``boxes`` is, unasked: the paper's recipe, or a small one, and trained plainly."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from a3d_edge.errors import UsageError
from a3d_edge.models.registry import describe
from a3d_edge.task import BOXES
from a3d_edge.training.loop import learning_rate
from a3d_edge.training.recipe import RECIPES, Recipe, recipe_for, stride_of
from a3d_edge.training.run import train
from a3d_edge.training.settings import Settings


def test_the_recipe_that_suits() -> None:
    """By the size of the network and the list, as of other tasks."""
    assert recipe_for(describe("slow_small"), 10, BOXES) == "people"
    assert recipe_for(describe("slow_r50"), 200_000, BOXES) == "ava"
    assert recipe_for(describe("slow_r50"), 200_000) == "kinetics"


def test_ava_is_fine_tuned_as_the_paper_says() -> None:
    """20 epochs of 32, 0.05, linear over the first 5 epochs, a tenth from the 10th and the 15th."""
    recipe = RECIPES["ava"]
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.mutual) == (20, 32, 0.05, False)
    rates = [learning_rate(recipe.settings(), step, 200) for step in range(200)]  # 10 steps an epoch
    assert rates[0] == pytest.approx(0.005)
    assert rates[25] == pytest.approx(0.0275)
    assert rates[50] == rates[99] == 0.05
    assert rates[100] == rates[149] == pytest.approx(0.005)
    assert rates[150] == rates[199] == pytest.approx(0.0005)


def test_charades_is_fine_tuned_as_the_paper_says() -> None:
    """57 epochs of 8, half of PySlowFast's 0.0375, linear over 4 epochs, a tenth from the 41st and the 49th;
    a window of every 8th of 24 pictures a second."""
    recipe = RECIPES["charades"]
    recipe.check()
    assert (recipe.task, recipe.epochs, recipe.batch, recipe.mutual) == ("multilabel", 57, 8, False)
    rates = [learning_rate(recipe.settings(), step, 570) for step in range(570)]  # 10 steps an epoch
    assert rates[20] == pytest.approx(0.01875 * 0.55, rel=0.02)
    assert rates[40] == rates[409] == 0.01875
    assert rates[410] == rates[489] == pytest.approx(0.001875)
    assert rates[490] == rates[569] == pytest.approx(0.0001875)
    assert recipe.window is not None
    sampling = describe("slow_r50").sampling
    assert stride_of(recipe.window, sampling) * 24 / sampling.rate == 8


def test_a_recipe_of_fine_tuning_keeps_its_rate(tmp_path: Path) -> None:
    """Others take a quarter of theirs, where weights are given; what is named is taken as it is."""
    from a3d_edge.training.clips import people_clip

    clips = [people_clip(n) for n in range(2)]
    shared = {"calibration_clips": 1, "cache": tmp_path / "frames"}
    small = {"arch": "slow_small", "size": 48, "epochs": 0, "val": 0.0, "precision": "fp32"}
    train(clips, tmp_path / "begun.pth", "people", changes=small, **shared)
    for name, rate in (("ava", 0.05), ("people", 0.25 * 2e-3)):
        found = train(
            clips, tmp_path / f"{name}.pth", name, changes=small, init=tmp_path / "begun.pth", **shared
        )
        assert found.origin["settings"]["lr"] == rate


def test_other_runs_are_as_they_were() -> None:
    """Half a cosine, and a checkpoint that says nothing of steps."""
    assert "tenth_at" not in Settings().told()
    assert Settings(tenth_at=(0.5,)).told()["tenth_at"] == (0.5,)
    assert learning_rate(Settings(warmup=0.0), 100, 200) == pytest.approx(0.05, abs=1e-3)
    with pytest.raises(UsageError, match="name shares of the run between 0 and 1, ascending"):
        Settings(tenth_at=(0.75, 0.5))


def test_parts_of_pictures_are_not_for_boxes() -> None:
    """Who is not in the part that moves would not be seen."""
    with pytest.raises(UsageError, match="`view` moving: people in boxes are looked for in the `whole`"):
        Recipe(task=BOXES, view="moving").check()


def test_a_run_and_how_it_goes_on(tmp_path: Path) -> None:
    """Plainly unless mutual training is asked for; what begins with it has its task and input."""
    from a3d_edge.training.clips import people_clip

    clips = [people_clip(n) for n in range(4)]
    changes = {"task": BOXES, "size": 48, "epochs": 1, "batch": 2, "val": 0.0, "precision": "fp32"}
    shared = {"calibration_clips": 2, "cache": tmp_path / "frames"}
    plain = train(clips, tmp_path / "plain.pth", changes=changes, **shared)
    assert plain.task == BOXES
    assert plain.origin["settings"]["mutual"] is False
    both = train(clips, tmp_path / "both.pth", changes={**changes, "mutual": True}, **shared)
    assert both.origin["settings"]["mutual"] is True
    from_it = train(clips, tmp_path / "more.pth", changes={"epochs": 0}, init=tmp_path / "both.pth", **shared)
    assert from_it.task == BOXES
    assert from_it.preprocessing == both.preprocessing
