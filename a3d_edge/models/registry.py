"""Architectures by name. A new family is one file with a description class, and a line here."""

from __future__ import annotations

from a3d_edge.errors import UsageError
from a3d_edge.models.slow import SlowDescription

__all__ = ["ARCHITECTURES", "describe"]

ARCHITECTURES: dict[str, SlowDescription] = {
    description.name: description
    for description in (
        SlowDescription(name="slow_r50", blocks=(3, 4, 6, 3), base_width=64),
        SlowDescription(name="slow_small", blocks=(1, 1, 1, 1), base_width=16, classes=7, size=96),
    )
}


def describe(name: str, classes: int | None = None) -> SlowDescription:
    """The description of an architecture, with another number of classes where given. Raises `UsageError`."""
    if name not in ARCHITECTURES:
        raise UsageError(f"unknown --arch '{name}'; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name].model_copy(update={} if classes is None else {"classes": classes})
