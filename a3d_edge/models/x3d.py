"""The slimmable X3D (paper §1 and §4.1 suggest it as a baseline for A3D; MutualNet, TPAMI 2021, trains it).

    (N, 3, T, S, S) ─ stem 1×3×3/2 ─┊─ depth-wise 5×1×1 ─ res2/2 ─ res3/2 ─ res4/2 ─ res5/2 ─ 1×1×1 ─ mean ─
                      frame stage     clip stage                                      linear, ReLU ─ linear

A block widens with 1×1×1, filters each channel by itself with 3×3×3 (every second block then weighs the
channels by squeeze–excitation), Swish, and narrows with 1×1×1. At width 1.0 an ``exact`` member is X3D
itself, inner widths of 54, 108, 216 and 432 and all, so that public weights fit; below it channels follow
md8, as everywhere. Networks that are not ``exact`` (older ones) follow md8 at width 1.0 too: 56 and 112.

In rank 4 (export) a depth-wise 3×3×3 convolution is three depth-wise 3×3 ones, whose results are shifted in
time and added: exact, see `a3d_edge.models.layers`. Squeeze–excitation averages over all frames of the
window, so the channel weights depend on T and no block can run frame by frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from a3d_edge.models.boxed import Boxes
from a3d_edge.models.layers import ConvNorm, PlainConv, SlimConv, SlimLinear
from a3d_edge.models.network import (
    Clips,
    Graph,
    NetworkDescription,
    SlimNetwork,
    class_logits,
    frame_and_clip,
    pool,
)
from a3d_edge.models.widths import Run, md8

__all__ = ["X3D", "X3DDescription"]

Blocks = Annotated[int, Field(ge=1, le=100)]


class X3DDescription(NetworkDescription):
    """One member: blocks of each stage, stem channels (doubled from stage to stage), inner over outer
    channels, features before the classifier.

    ``exact``: the channels of X3D itself at width 1.0, see above. ``first_shortcut_norm``: whether res2's
    shortcut has a batch norm; in pytorchvideo it has none, for its number of channels does not change.
    """

    family: Literal["x3d"] = "x3d"
    blocks: tuple[Blocks, Blocks, Blocks, Blocks]
    base_width: int = Field(ge=8, le=2048, multiple_of=8)
    expansion: float = Field(default=2.25, ge=1, le=64)
    features: int = Field(default=2048, ge=8, le=1 << 16, multiple_of=8)
    exact: bool = False
    first_shortcut_norm: bool = True
    frames: int = Field(default=16, ge=1)
    stride: int = Field(default=5, ge=1)

    @property
    def head_window(self) -> int:
        """Both libraries pool as many positions as there are at the network's own size."""
        return math.ceil(self.size / 32)

    def inner(self, outputs: int) -> int:
        """Channels inside a block of so many outputs."""
        return int(outputs * self.expansion) if self.exact else md8(outputs * self.expansion)

    def squeezed(self, inner: int) -> int:
        """Channels inside squeeze–excitation: a 16th, rounded as X3D rounds (never down by over a tenth)."""
        rounded = md8(inner / 16)
        return rounded + 8 if self.exact and rounded < 0.9 * inner / 16 else rounded

    def build(self) -> X3D:
        """The network, with fresh weights."""
        return X3D(self)


class X3D(SlimNetwork):
    """X3D, run at any (γw, S, T) in place with shared weights."""

    def __init__(self, description: X3DDescription) -> None:
        super().__init__(description)
        base = description.base_width
        outputs = [base * 2**k for k in range(4)]
        inputs = [base, *outputs[:3]]
        last = description.inner(outputs[3])
        self.stem = SlimConv(3, base, (1, 3, 3), stride=2)
        self.stem_time = ConvNorm(base, base, (5, 1, 1), depthwise=True)
        self.res2, self.res3, self.res4, self.res5 = (
            _Stage(inputs[k], outputs[k], blocks, description, norm=k > 0 or description.first_shortcut_norm)
            for k, blocks in enumerate(description.blocks)
        )
        self.widen = ConvNorm(outputs[3], last, (1, 1, 1))
        self.project = SlimConv(last, description.features, (1, 1, 1))
        self.dropout = nn.Dropout(description.dropout)
        self.head = SlimLinear(description.features, description.classes)

    def run(self, x: Clips, run: Run) -> Tensor:
        return self.classify(self.features(x, run), run)

    def features(self, x: Clips, run: Run) -> tuple[Tensor, ...]:
        """The last features before pooling: ``(N, C, T, h, w)``."""
        assert isinstance(x, Tensor)
        return self._clip_features(self.stem(x, run), run)

    def classify(self, features: Sequence[Tensor], run: Run, boxes: Boxes | None = None) -> Tensor:
        """Logits of the last features: X3D has one more layer between pooling and classifier."""
        description = self.description
        pooled = pool(features, description.head, description.head_window).unsqueeze(3)
        projected = F.relu(self.project(pooled, run))[..., 0]
        return class_logits(self.dropout(projected), self.head, run, description.head, description.task)

    def graphs(self, run: Run) -> tuple[Graph, ...]:
        return frame_and_clip(
            lambda x: self.stem(x, run), lambda x: self.classify(self._clip_features(x, run), run)
        )

    def _clip_features(self, x: Tensor, run: Run) -> tuple[Tensor, ...]:
        x = F.relu(self.stem_time(x, run))
        for stage in (self.res2, self.res3, self.res4, self.res5):
            x = stage(x, run)
        return (F.relu(self.widen(x, run)),)


class _Stage(nn.Module):
    """Blocks of one resolution; the first carries the stride, every second one squeeze–excitation."""

    def __init__(
        self, inputs: int, outputs: int, blocks: int, description: X3DDescription, norm: bool
    ) -> None:
        super().__init__()
        inner = description.inner(outputs)
        squeezed = description.squeezed(inner)
        self.blocks = nn.ModuleList(
            _Block(outputs if i else inputs, outputs, inner, 0 if i % 2 else squeezed, None if i else norm)
            for i in range(blocks)
        )

    def forward(self, x: Tensor, run: Run) -> Tensor:
        for block in self.blocks:
            x = block(x, run)
        return x


class _Block(nn.Module):
    """a (1×1×1) – b (depth-wise 3×3×3, stride, squeeze–excitation, Swish) – c (1×1×1), plus the input.

    ``squeezed`` channels inside squeeze–excitation, 0 without; ``norm`` of the shortcut, None for a block
    that has no shortcut, and no stride.
    """

    def __init__(self, inputs: int, outputs: int, inner: int, squeezed: int, norm: bool | None) -> None:
        super().__init__()
        stride = 1 if norm is None else 2
        shortcut = ConvNorm if norm else PlainConv
        self.a = ConvNorm(inputs, inner, (1, 1, 1))
        self.b = ConvNorm(inner, inner, (3, 3, 3), stride, depthwise=True)
        self.excite = _Excitation(inner, squeezed) if squeezed else None
        self.c = ConvNorm(inner, outputs, (1, 1, 1))
        nn.init.zeros_(self.c.norm.weight)  # each block starts as the identity, as in the other families
        self.shortcut = None if norm is None else shortcut(inputs, outputs, (1, 1, 1), stride)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        y = self.b(F.relu(self.a(x, run)), run)
        y = F.silu(y if self.excite is None else self.excite(y, run))
        y = self.c(y, run)
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x, run)))


class _Excitation(nn.Module):
    """Squeeze–excitation: channels weighted by what all of the window's positions have in common."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.reduce = SlimConv(channels, inner, (1, 1, 1), bias=True)
        self.expand = SlimConv(inner, channels, (1, 1, 1), bias=True)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        weights: Tensor = self.expand(F.relu(self.reduce(_mean(x), run)), run)
        return x * weights.sigmoid()


def _mean(x: Tensor) -> Tensor:
    """Mean over time and positions, kept as one of each: ``(N, C, 1, 1, 1)`` or ``(1, C, 1, 1)``."""
    return x.mean(dim=(2, 3, 4), keepdim=True) if x.dim() == 5 else x.mean(dim=(0, 2, 3), keepdim=True)
