"""Clips to a trained, calibrated and measured network (needs the `train` extra).

    train(clips, "net.pth")            → evaluate("net.pth", clips), build_table("net.pth", clips)

PyTorch is loaded by the first of these names that is used. They print nothing: progress goes to ``report``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from a3d_edge.training.clips import Clip, clips_of
    from a3d_edge.training.measure import Accuracies, Measuring, build_table, evaluate
    from a3d_edge.training.recipe import Recipe
    from a3d_edge.training.run import train

    def fit(*given: Any, **named: Any) -> Any:
        """`a3d_edge.fitting.fit`, which has its types: it exports too, so it stands above this package."""


__all__ = ["Accuracies", "Clip", "Measuring", "Recipe", "build_table", "clips_of", "evaluate", "fit", "train"]

_HOMES = {
    "Accuracies": "training.measure",
    "Clip": "training.clips",
    "Measuring": "training.measure",
    "Recipe": "training.recipe",
    "build_table": "training.measure",
    "clips_of": "training.clips",
    "evaluate": "training.measure",
    "fit": "fitting.steps",
    "train": "training.run",
}


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'a3d_edge.training' has no attribute '{name}'", name=name)
        return getattr(import_module(f"a3d_edge.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
