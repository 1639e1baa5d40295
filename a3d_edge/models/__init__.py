"""Slimmable networks (needs the `export` or `train` extra): ``load_checkpoint(path) -> nn.Module``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a3d_edge.models.checkpoint import load_checkpoint

__all__ = ["load_checkpoint"]


def __getattr__(name: str) -> object:
    # Ranges and names are useful without torch; only what needs it loads it.
    if name != "load_checkpoint":
        raise AttributeError(f"module 'a3d_edge.models' has no attribute '{name}'")
    from a3d_edge.models.checkpoint import load_checkpoint

    return load_checkpoint
