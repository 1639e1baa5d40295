"""The slimmable Slow network (paper §3): R-50 as the paper's, and small members for edge boards.

    (N, 3, T, S, S) ─ stem 1×7×7/2 ─ pool/2 ─ res2 ─ res3/2 ─┊─ res4/2 ─ res5/2 ─ mean ─ linear ─ (N, classes)
                      └──────────── frame stage ────────────┘ └──────── clip stage ────────┘

No kernel of the frame stage looks at another frame, so its features are made once per frame and reused.
With a head for boxes res5 has stride 1 and dilation 2 (`a3d_edge.models.roi`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from a3d_edge.models.boxed import Boxes, unboxed
from a3d_edge.models.layers import ConvNorm, SlimLinear, max_pool_2d
from a3d_edge.models.network import Clips, Graph, NetworkDescription, SlimNetwork, frame_and_clip
from a3d_edge.models.widths import Run

__all__ = ["Bottleneck", "Slow", "SlowDescription", "Stage"]

Blocks = Annotated[int, Field(ge=1, le=100)]
Kernel = Annotated[int, Field(ge=1, le=31)]
Kernels = tuple[Kernel, Kernel, Kernel, Kernel]


class SlowDescription(NetworkDescription):
    """One member of the Slow family: bottlenecks of each stage, stem channels, temporal kernels of ``a``."""

    family: Literal["slow"] = "slow"
    blocks: tuple[Blocks, Blocks, Blocks, Blocks]
    base_width: int = Field(ge=8, le=2048)
    temporal_kernels: Kernels = (1, 1, 3, 3)

    @model_validator(mode="after")
    def _has_a_frame_stage(self) -> SlowDescription:
        if self.temporal_kernels[:2] != (1, 1) or any(k % 2 == 0 for k in self.temporal_kernels):
            raise ValueError("temporal_kernels are odd, and those of res2 and res3 are 1")
        return self

    @property
    def has_box_head(self) -> bool:
        return True

    def build(self) -> Slow:
        """The network, with fresh weights."""
        return Slow(self)


class Slow(SlimNetwork):
    """Slow pathway, run at any (γw, S, T) in place with shared weights."""

    def __init__(self, description: SlowDescription) -> None:
        super().__init__(description)
        base = description.base_width
        self.stem = ConvNorm(3, base, (1, 7, 7), stride=2)
        outputs = [base * 4 * 2**k for k in range(4)]
        inputs = [base, *outputs[:3]]
        self.res2, self.res3, self.res4, self.res5 = (
            Stage(inputs[k], outputs[k], blocks, description.temporal_kernels[k], *description.steps(k))
            for k, blocks in enumerate(description.blocks)
        )
        self.dropout = nn.Dropout(description.dropout)
        self.head = SlimLinear(outputs[3], description.classes)

    def run(self, x: Clips, run: Run) -> Tensor:
        clips, boxes = unboxed(x)
        assert isinstance(clips, Tensor)
        return self.clip_stage(self.frame_stage(clips, run), run, boxes)

    def frame_stage(self, x: Tensor, run: Run) -> Tensor:
        """``(T, 3, S, S) -> (T, C, S/8, S/8)`` (or with a batch, rank 5): no frame looks at another."""
        x = max_pool_2d(F.relu(self.stem(x, run)))
        features: Tensor = self.res3(self.res2(x, run), run)
        return features

    def clip_stage(self, x: Tensor, run: Run, boxes: Boxes | None = None) -> Tensor:
        """``(T, C, S/8, S/8) -> (1, classes)`` logits (or ``(N, classes)`` for rank 5); of boxes theirs."""
        last = self.res5(self.res4(x, run), run)
        return self.classify((last,), run, boxes)

    def features(self, x: Clips, run: Run) -> tuple[Tensor, ...]:
        """The last features before pooling: ``(N, C, T, h, w)``."""
        clips, _ = unboxed(x)
        assert isinstance(clips, Tensor)
        return (self.res5(self.res4(self.frame_stage(clips, run), run), run),)

    def graphs(self, run: Run) -> tuple[Graph, ...]:
        return frame_and_clip(
            lambda x: self.frame_stage(x, run),
            lambda x, boxes=None: self.clip_stage(x, run, boxes),
            takes_boxes=self.description.takes_boxes,
        )


class Stage(nn.Module):
    """Bottleneck blocks of one resolution; the first carries the stride, and what was fused (``tail``)."""

    def __init__(
        self, inputs: int, outputs: int, blocks: int, kernel: int, stride: int, dilation: int = 1,
        tail: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        first = Bottleneck(inputs, outputs, kernel, stride, dilation, tail, **options)
        rest = (Bottleneck(outputs, outputs, kernel, 1, dilation, **options) for _ in range(blocks - 1))
        self.blocks = nn.ModuleList([first, *rest])

    def forward(self, x: Tensor, run: Run) -> Tensor:
        for block in self.blocks:
            x = block(x, run)
        return x


class Bottleneck(nn.Module):
    """a (kt×1×1) – b (1×3×3, carries stride and dilation) – c (1×1×1), plus the input or its projection."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, dilation: int = 1, tail: int = 0,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        inner = outputs // 4
        self.a = ConvNorm(inputs, inner, (kernel, 1, 1), tail=tail, **options)
        self.b = ConvNorm(inner, inner, (1, 3, 3), stride, dilation=dilation, **options)
        self.c = ConvNorm(inner, outputs, (1, 1, 1), **options)
        nn.init.zeros_(self.c.norm.weight)  # each block starts as the identity (the Kinetics recipe)
        projects = stride != 1 or inputs != outputs
        self.shortcut = (
            ConvNorm(inputs, outputs, (1, 1, 1), stride, tail=tail, **options) if projects else None
        )

    def forward(self, x: Tensor, run: Run) -> Tensor:
        y = F.relu(self.a(x, run))
        y = F.relu(self.b(y, run))
        y = self.c(y, run)
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x, run)))
