"""The slimmable R(2+1)D (Tran et al., CVPR 2018): every convolution first over the picture, then over time.

    (N, 3, T, S, S) ─ stem 1×7×7/2 ─ (pool/2) ─┊─ 3×1×1 ─ res2 ─ res3/2 ─ res4/2 ─ res5/2 ─ mean ─ linear
                      frame stage                clip stage

A basic block is two 3×3×3 convolutions, each factored: 1×3×3 (carries the stride), batch norm, ReLU, 3×1×1.
Between the two are so many channels that both have as many weights as the one they stand for. Time is not
halved from res3 on, as in the original: a window of any number of frames, down to one, is to run.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from a3d_edge.models.layers import ConvNorm, SlimLinear, max_pool_2d
from a3d_edge.models.network import Clips, Graph, NetworkDescription, SlimNetwork, frame_and_clip
from a3d_edge.models.widths import Run, md8

__all__ = ["R2Plus1D", "R2Plus1DDescription", "between"]

Blocks = Annotated[int, Field(ge=1)]

STEM = 45 / 64  # of the stem's channels are between its two convolutions


def between(inputs: int, outputs: int) -> int:
    """Channels between the parts of a 3×3×3 convolution, md8 of the paper's ⌊27·I·O / (9·I + 3·O)⌋."""
    return md8(27 * inputs * outputs // (9 * inputs + 3 * outputs))


class R2Plus1DDescription(NetworkDescription):
    """One member: basic blocks of each stage, channels of the stem and of res2 (doubled stage by stage).

    ``pooled``: the stem's pictures are max-pooled, as Slow's are: a quarter of the work, for small members.
    """

    family: Literal["r2plus1d"] = "r2plus1d"
    blocks: tuple[Blocks, Blocks, Blocks, Blocks]
    base_width: int = Field(ge=8, multiple_of=8)
    pooled: bool = False

    def build(self) -> R2Plus1D:
        """The network, with fresh weights."""
        return R2Plus1D(self)


class R2Plus1D(SlimNetwork):
    """R(2+1)D, run at any (γw, S, T) in place with shared weights."""

    def __init__(self, description: R2Plus1DDescription) -> None:
        super().__init__(description)
        base = description.base_width
        outputs = [base * 2**k for k in range(4)]
        inputs = [base, *outputs[:3]]
        first = md8(STEM * base)
        self.pooled = description.pooled
        self.stem = ConvNorm(3, first, (1, 7, 7), stride=2)
        self.stem_time = ConvNorm(first, base, (3, 1, 1))
        self.res2, self.res3, self.res4, self.res5 = (
            _Stage(inputs[k], outputs[k], blocks, stride=2 if k else 1)
            for k, blocks in enumerate(description.blocks)
        )
        self.dropout = nn.Dropout(description.dropout)
        self.head = SlimLinear(outputs[3], description.classes)

    def run(self, x: Clips, run: Run) -> Tensor:
        return self.classify(self.features(x, run), run)

    def features(self, x: Clips, run: Run) -> tuple[Tensor, ...]:
        """The last features before pooling: ``(N, C, T, h, w)``."""
        assert isinstance(x, Tensor)
        return self._clip_features(self._frame_features(x, run), run)

    def graphs(self, run: Run) -> tuple[Graph, ...]:
        return frame_and_clip(
            lambda x: self._frame_features(x, run),
            lambda x: self.classify(self._clip_features(x, run), run),
        )

    def _frame_features(self, x: Tensor, run: Run) -> Tensor:
        x = F.relu(self.stem(x, run))
        return max_pool_2d(x) if self.pooled else x

    def _clip_features(self, x: Tensor, run: Run) -> tuple[Tensor, ...]:
        x = F.relu(self.stem_time(x, run))
        for stage in (self.res2, self.res3, self.res4, self.res5):
            x = stage(x, run)
        return (x,)


class _Stage(nn.Module):
    """Basic blocks of one resolution; the first carries the stride."""

    def __init__(self, inputs: int, outputs: int, blocks: int, stride: int) -> None:
        super().__init__()
        rest = (_Block(outputs, outputs, 1) for _ in range(blocks - 1))
        self.blocks = nn.ModuleList([_Block(inputs, outputs, stride), *rest])

    def forward(self, x: Tensor, run: Run) -> Tensor:
        for block in self.blocks:
            x = block(x, run)
        return x


class _Block(nn.Module):
    """Two factored convolutions, plus the input or its projection."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.a, self.b = _Factored(inputs, outputs, stride), _Factored(outputs, outputs, 1)
        nn.init.zeros_(self.b.time.norm.weight)  # each block starts as the identity, as in the other families
        projects = stride != 1 or inputs != outputs
        self.shortcut = ConvNorm(inputs, outputs, (1, 1, 1), stride) if projects else None

    def forward(self, x: Tensor, run: Run) -> Tensor:
        y = self.b(F.relu(self.a(x, run)), run)
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x, run)))


class _Factored(nn.Module):
    """1×3×3, ReLU, 3×1×1; each with its batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = between(inputs, outputs)
        self.space = ConvNorm(inputs, inner, (1, 3, 3), stride)
        self.time = ConvNorm(inner, outputs, (3, 1, 1))

    def forward(self, x: Tensor, run: Run) -> Tensor:
        y: Tensor = self.time(F.relu(self.space(x, run)), run)
        return y
