"""One call from clips to a bundle: `fit`. Needs the `train`, `export` and `plot` extras."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a3d_edge.fitting.steps import Fitted as Fitted
    from a3d_edge.fitting.steps import fit as fit

__all__ = ["Fitted", "fit"]


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'a3d_edge.fitting' has no attribute '{name}'", name=name)
        from a3d_edge.fitting import steps

        return getattr(steps, name)


def __dir__() -> list[str]:
    return sorted(__all__)
