"""Recipes: what a training run does that its clips and classes do not say.

*kinetics* is the paper's, for hundreds of thousands of clips. *small* is for the tens to thousands that
people have: it looks at change alone, begins awake, draws windows where something moves, and counts steps,
not epochs. What each part is worth was measured on unseen people and places (docs/decisions.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from a3d_edge.errors import UsageError
from a3d_edge.training.augmentation import may_mirror
from a3d_edge.training.distillation import Precision
from a3d_edge.training.loop import Settings
from a3d_edge.video.preprocess import InputKind

__all__ = ["RECIPES", "SMALL_SET", "Recipe", "named_recipe", "recipe_for"]

SMALL_SET = 20_000
"""Fewer clips than this are a small set: UCF-101 has 13 thousand, Kinetics-400 240 thousand."""

STEPS = 1000
"""Of a small set's run: body_gestures still learns after 660, and it is 7 CPU-minutes in bf16."""

EPOCHS = 10, 200


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained: input, first weights, draws, and the loop's settings.

    ``dropout`` before the classifier; ``aspect`` as in `Preprocessing`; ``awake`` as in `awaken`;
    ``balanced``, ``mirror`` and ``busy`` as in `Batches`.
    """

    name: str
    settings: Settings
    input: InputKind = "rgb"
    aspect: float = 1.0
    dropout: float = 0.5
    batch: int = 16
    awake: bool = False
    balanced: bool = False
    mirror: bool = True
    busy: bool = False


KINETICS = Recipe("kinetics", Settings(), batch=64)
SMALL = Recipe(
    "small",
    Settings(lr=2e-3, warmup=0.1, weight_decay=0.05, optimizer="adamw", smoothing=0.1, students_from=0.4),
    input="change",
    aspect=1.5,
    dropout=0.2,
    awake=True,
    balanced=True,
    busy=True,
)
RECIPES = {recipe.name: recipe for recipe in (KINETICS, SMALL)}


def named_recipe(name: str) -> Recipe:
    """A recipe by its name. Raises `UsageError` that lists them."""
    if name not in RECIPES:
        raise UsageError(f"unknown --recipe '{name}'; there are {', '.join(RECIPES)}")
    return RECIPES[name]


def recipe_for(
    classes: Sequence[str], clips: int, name: str | None = None, precision: Precision = "fp32"
) -> Recipe:
    """The recipe that suits a set of so many clips, or the named one, fitted to that set.

    Windows are mirrored only where no class names a side. A small set's epochs make about `STEPS` steps.
    """
    recipe = named_recipe(name or ("small" if clips < SMALL_SET else "kinetics"))
    settings = replace(recipe.settings, precision=precision)
    if recipe.name == "small":
        per_epoch = max(1, clips // recipe.batch)
        epochs = min(max(math.ceil(STEPS / per_epoch), EPOCHS[0]), EPOCHS[1])
        settings = replace(settings, epochs=epochs)
    return replace(recipe, settings=settings, mirror=recipe.mirror and may_mirror(classes))
