"""The slimmable Slow network (paper §3; DESIGN §3): R-50 as the paper's, and small members for edge boards.

    (N, 3, T, S, S) ─ stem 1×7×7/2 ─ pool/2 ─ res2 ─ res3/2 ─┊─ res4/2 ─ res5/2 ─ mean ─ linear ─ (N, classes)
                      └──────────── frame stage ────────────┘ └──────── clip stage ────────┘

No kernel of the frame stage looks at another frame, so its features are made once per frame and reused.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from a3d_edge.configuration import Configuration, pick_frames
from a3d_edge.errors import UsageError
from a3d_edge.models.layers import Run, SlimBatchNorm, SlimConv, SlimLinear, max_pool_2d

__all__ = ["Slow", "SlowDescription", "fit_input"]


Blocks = Annotated[int, Field(ge=1)]


class SlowDescription(BaseModel):
    """All that makes one member of the Slow family.

    ``size`` and ``frames`` are those of γs=1 and γt=1, ``stride`` is τ at ``rate`` frames per second.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["slow"] = "slow"
    name: str
    blocks: tuple[Blocks, Blocks, Blocks, Blocks]
    base_width: int = Field(ge=8)
    classes: int = Field(default=400, ge=1)
    size: int = Field(default=224, ge=32)
    frames: int = Field(default=8, ge=1)
    stride: int = Field(default=8, ge=1)
    rate: float = Field(default=30.0, gt=0)
    temporal_kernels: tuple[int, int, int, int] = (1, 1, 3, 3)
    dropout: float = Field(default=0.5, ge=0, lt=1)

    def build(self) -> Slow:
        """The network, with fresh weights."""
        return Slow(self)


class Slow(nn.Module):
    """Slow pathway, run at any (γw, S, T) in place with shared weights.

    ``model(x, configuration=None)`` takes ``(N, 3, T, S, S)`` and returns logits ``(N, classes)``.
    """

    def __init__(self, description: SlowDescription) -> None:
        super().__init__()
        self.description = description
        base = description.base_width
        self.stem = ConvNorm(3, base, (1, 7, 7), stride=2)
        outputs = [base * 4 * 2**k for k in range(4)]
        inputs = [base, *outputs[:3]]
        stages = [
            Stage(
                inputs[k],
                outputs[k],
                description.blocks[k],
                description.temporal_kernels[k],
                stride=2 if k else 1,
            )
            for k in range(4)
        ]
        self.res2, self.res3, self.res4, self.res5 = stages
        self.dropout = nn.Dropout(description.dropout)
        self.head = SlimLinear(outputs[3], description.classes)

    def forward(self, x: Tensor, configuration: Configuration | None = None) -> Tensor:
        """Logits ``(N, classes)`` of clips ``(N, 3, T, S, S)``.

        With a configuration: its width, its calibrated batch-norm statistics, and the clip brought to its
        size and frames (`fit_input`). Without: full width at whatever size and frames come in, with the
        checkpoint's own statistics. Raises `UsageError` on another rank or too few frames.
        """
        if x.dim() != 5 or x.shape[1] != 3:
            raise UsageError(f"clips must be (N, 3, T, S, S); got {tuple(x.shape)}")
        if configuration is None:
            return self.run(x, Run())
        return self.run(fit_input(x, configuration), Run(configuration.width, str(configuration)))

    def run(self, x: Tensor, run: Run) -> Tensor:
        """Logits of clips that already have the size and frames they are to run at."""
        return self.clip_stage(self.frame_stage(x, run), run)

    def frame_stage(self, x: Tensor, run: Run) -> Tensor:
        """``(T, 3, S, S) -> (T, C, S/8, S/8)`` (or with a batch, rank 5): no frame looks at another."""
        x = max_pool_2d(F.relu(self.stem(x, run)))
        features: Tensor = self.res3(self.res2(x, run), run)
        return features

    def clip_stage(self, x: Tensor, run: Run) -> Tensor:
        """``(T, C, S/8, S/8) -> (1, classes)`` logits (or ``(N, classes)`` for rank 5)."""
        x = self.res5(self.res4(x, run), run)
        pooled = x.mean(dim=(2, 3, 4)) if x.dim() == 5 else x.mean(dim=(0, 2, 3)).unsqueeze(0)
        logits: Tensor = self.head(self.dropout(pooled), run)
        return logits


class Stage(nn.Module):
    """Bottleneck blocks of one resolution; the first carries the stride."""

    def __init__(self, inputs: int, outputs: int, blocks: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Bottleneck(inputs if i == 0 else outputs, outputs, kernel, stride if i == 0 else 1)
            for i in range(blocks)
        )

    def forward(self, x: Tensor, run: Run) -> Tensor:
        for block in self.blocks:
            x = block(x, run)
        return x


class Bottleneck(nn.Module):
    """a (kt×1×1) – b (1×3×3, carries the stride) – c (1×1×1), plus the input or its projection."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.a = ConvNorm(inputs, inner, (kernel, 1, 1))
        self.b = ConvNorm(inner, inner, (1, 3, 3), stride)
        self.c = ConvNorm(inner, outputs, (1, 1, 1))
        nn.init.zeros_(self.c.norm.weight)  # each block starts as the identity (the Kinetics recipe)
        projects = stride != 1 or inputs != outputs
        self.shortcut = ConvNorm(inputs, outputs, (1, 1, 1), stride) if projects else None

    def forward(self, x: Tensor, run: Run) -> Tensor:
        y = F.relu(self.a(x, run))
        y = F.relu(self.b(y, run))
        y = self.c(y, run)
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x, run)))


class ConvNorm(nn.Module):
    """Convolution and its batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int = 1) -> None:
        super().__init__()
        self.conv = SlimConv(inputs, outputs, kernel, stride)
        self.norm = SlimBatchNorm(outputs)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        normed: Tensor = self.norm(self.conv(x, run), run)
        return normed


def fit_input(x: Tensor, configuration: Configuration) -> Tensor:
    """Bring clips ``(N, 3, T, S, S)`` to a configuration: pick its frames, resize each.

    Bilinear, anti-aliased. A clip that fits already is returned as it is. Raises `UsageError` when there are
    too few frames.
    """
    if x.shape[2] != configuration.frames:
        x = x[:, :, pick_frames(x.shape[2], configuration.frames)]
    size = configuration.size
    if x.shape[3:] == (size, size):
        return x
    n, c, t = x.shape[:3]
    flat = x.transpose(1, 2).reshape(n * t, c, *x.shape[3:])
    resized = F.interpolate(flat, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    fitted: Tensor = resized.reshape(n, t, c, size, size).transpose(1, 2)
    return fitted.contiguous(memory_format=torch.channels_last_3d)
