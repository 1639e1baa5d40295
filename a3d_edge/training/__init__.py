"""Clips to a trained, calibrated and measured network (needs the `train` extra).

    train(clips, "net.pth")            → evaluate("net.pth", clips), build_table("net.pth", clips)

PyTorch is loaded by the first of these names that is used. They print nothing: progress goes to ``report``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a3d_edge.training.clips import Clip, clips_of
    from a3d_edge.training.measure import Accuracies, Measuring, build_table, evaluate
    from a3d_edge.training.recipe import Recipe
    from a3d_edge.training.run import train

__all__ = ["Accuracies", "Clip", "Measuring", "Recipe", "build_table", "clips_of", "evaluate", "train"]

_HOMES = {
    "Accuracies": "measure",
    "Clip": "clips",
    "Measuring": "measure",
    "Recipe": "recipe",
    "build_table": "measure",
    "clips_of": "clips",
    "evaluate": "measure",
    "train": "run",
}


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'a3d_edge.training' has no attribute '{name}'", name=name)
        return getattr(import_module(f"a3d_edge.training.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
