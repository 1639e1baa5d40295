"""Which recipe suits which clips, and that the small one learns what it is for."""

from __future__ import annotations

import pytest

from a3d_edge.errors import UsageError
from a3d_edge.training.loop import Settings
from a3d_edge.training.recipe import named_recipe, recipe_for

CLASSES = ("stop", "come", "none")


@pytest.mark.parametrize(("clips", "name"), [(30, "small"), (19_999, "small"), (240_000, "kinetics")])
def test_the_number_of_clips_chooses_the_recipe(clips: int, name: str) -> None:
    """Unless it is named."""
    assert recipe_for(CLASSES, clips).name == name
    assert recipe_for(CLASSES, clips, "kinetics").name == "kinetics"
    assert recipe_for(CLASSES, clips, "small").name == "small"


def test_kinetics_is_the_paper_s_recipe_whatever_the_set() -> None:
    """As the loop's own defaults, in batches of 64."""
    recipe = recipe_for(CLASSES, 30, "kinetics")
    assert (recipe.settings, recipe.batch, recipe.input) == (Settings(), 64, "rgb")
    assert (recipe.awake, recipe.balanced, recipe.busy) == (False, False, False)


@pytest.mark.parametrize(("clips", "epochs"), [(10, 200), (235, 72), (360, 46), (3000, 10)])
def test_a_small_set_is_seen_for_as_many_steps_whatever_its_size(clips: int, epochs: int) -> None:
    """About a thousand; a handful of clips not for ever, and thousands ten times."""
    assert recipe_for(CLASSES, clips).settings.epochs == epochs


def test_sides_are_never_mirrored() -> None:
    """Where a class names one."""
    assert recipe_for(CLASSES, 100).mirror
    assert not recipe_for((*CLASSES, "left"), 100).mirror
    assert not recipe_for((*CLASSES, "left"), 10, "kinetics").mirror


def test_precision_is_the_caller_s() -> None:
    """Nothing else of the settings changes."""
    low, full = recipe_for(CLASSES, 100, precision="bf16").settings, recipe_for(CLASSES, 100).settings
    assert (low.precision, full.precision) == ("bf16", "fp32")
    assert low.lr == full.lr == 2e-3


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    """By name."""
    with pytest.raises(UsageError, match="'imagenet'; there are kinetics, small"):
        named_recipe("imagenet")
