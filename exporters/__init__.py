"""Checkpoint to bundle: lower, quantize, export, prove parity (needs the `export` extra): `export_bundle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a3d_edge.exporters.export import Exporting, export_bundle

__all__ = ["Exporting", "export_bundle"]


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> object:
        # The modules beside are useful one by one; only what needs all of them loads them.
        if name not in __all__:
            raise AttributeError(f"module 'a3d_edge.exporters' has no attribute '{name}'", name=name)
        from a3d_edge.exporters import export

        return getattr(export, name)


def __dir__() -> list[str]:
    return sorted(__all__)
