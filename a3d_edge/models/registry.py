"""Architectures by name. A new family is one file with a description class, and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from a3d_edge.errors import UsageError
from a3d_edge.models.network import NetworkDescription
from a3d_edge.models.r2plus1d import R2Plus1DDescription
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription
from a3d_edge.models.x3d import X3DDescription

__all__ = ["ARCHITECTURES", "describe", "layers_of", "read_description", "require_small"]

R50, R101, SMALL = (3, 4, 6, 3), (3, 4, 23, 3), (1, 1, 1, 1)
X3D = (3, 5, 11, 7)  # of XS, S and M: one network, which sees more or less

ARCHITECTURES: dict[str, NetworkDescription] = {
    description.name: description
    for description in (
        SlowDescription(name="slow_r50", blocks=R50, base_width=64),
        SlowDescription(name="slow_r101", blocks=R101, base_width=64),
        SlowDescription(name="slow_small", blocks=SMALL, base_width=16, classes=7, size=96),
        SlowFastDescription(name="slowfast_r50_4x16", blocks=R50, base_width=64, alpha=8),
        SlowFastDescription(  # both public libraries have a lateral kernel of 7 here
            name="slowfast_r50_8x8",
            blocks=R50,
            base_width=64,
            alpha=4,
            fusion_kernel=7,
            frames=8,
            stride=8,
        ),
        SlowFastDescription(
            name="slowfast_small", blocks=SMALL, base_width=16, alpha=8, beta_inv=4, classes=7, size=96
        ),
        R2Plus1DDescription(
            name="r2plus1d_small", blocks=SMALL, base_width=16, pooled=True, classes=7, size=96
        ),
        X3DDescription(name="x3d_xs", blocks=X3D, base_width=24, exact=True, size=160, frames=4, stride=12),
        X3DDescription(name="x3d_s", blocks=X3D, base_width=24, exact=True, size=160, frames=13, stride=6),
        X3DDescription(name="x3d_m", blocks=X3D, base_width=24, exact=True),
        X3DDescription(name="x3d_l", blocks=(5, 10, 25, 15), base_width=24, exact=True, size=312),
    )
}

FAMILIES = {description.family: type(description) for description in ARCHITECTURES.values()}


def describe(name: str, classes: int | None = None) -> NetworkDescription:
    """The description of an architecture, with another number of classes where given. Raises `UsageError`."""
    if name not in ARCHITECTURES:
        raise UsageError(f"unknown `arch` '{name}'; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name].model_copy(update={} if classes is None else {"classes": classes})


LAYERS = ("exact", "first_shortcut_norm", "fusion_kernel", "fusion_norm", "frames", "stride")
"""Fields in which networks of one architecture may differ, being older, of another library or window."""


def layers_of(other: NetworkDescription, description: NetworkDescription) -> NetworkDescription:
    """A description with another's layers and window where both are of one architecture: its weights fit."""
    if other.name != description.name:
        return description
    content = other.model_dump()
    return description.model_copy(update={key: content[key] for key in LAYERS if key in content})


def read_description(content: Mapping[str, Any]) -> NetworkDescription:
    """A description as a checkpoint stores it. Raises pydantic's ValidationError, or ValueError for a family
    that this version does not have."""
    family = content.get("family")
    if family not in FAMILIES:
        raise ValueError(f"family '{family}' is not one of {', '.join(FAMILIES)}")
    return FAMILIES[family].model_validate(content)


def require_small(description: NetworkDescription, stored: int) -> None:
    """Raise ValueError when a network has more numbers than are ``stored``, before any memory is taken."""
    with torch.device("meta"):
        model = description.build()
    wanted = sum(one.numel() for one in model.parameters())
    if wanted > stored:
        raise ValueError(f"description: a network of {wanted} parameters, where {stored} numbers are stored")
