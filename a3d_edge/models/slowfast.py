"""The slimmable SlowFast network with adaptive fusion (paper §3.2, Fig. 2 and 3).

    slow (N, 3, γt·T, γs·S, γs·S) ─ stem ──⊕─ res2 ──⊕─ res3 ──⊕─ res4 ──⊕─ res5 ─┐
                                           │         │         │         │        ├ mean ─ linear ─ logits
    fast (N, 3, α·T, S, S), whole ─ stem ──┴─ res2 ──┴─ res3 ──┴─ res4 ──┴─ res5 ─┘

Only the slow pathway gives up width, size and frames. ⊕ is the adaptive fusion: a k×1×1 convolution over the
Fast features with stride α in time (2βC channels), batch norm, ReLU (mmaction2 has neither); then the slow
pathway's frames are picked and each is resized to the slow pathway's size; then it is appended *after* the
slow channels, and the convolutions that follow use their last 2βC input channels for it at any width.

Where the paper is silent:

- interpolation: bilinear, half-pixel centres, no anti-aliasing, after batch norm and ReLU (so that at γs = 1
  nothing is touched and the fused values stay averages of activations);
- temporal down-sampling: the frames that γt picks from the window, floor(i/γt), so that a fused feature
  belongs to the moment of the slow frame it joins.

There is no frame stage: every kernel of the Fast pathway looks at other frames.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from a3d_edge.models.boxed import Boxes, unboxed
from a3d_edge.models.layers import ConvNorm, PlainConv, SlimLinear, max_pool_2d
from a3d_edge.models.network import Clips, Graph, NetworkDescription, SlimNetwork
from a3d_edge.models.slow import Kernels, Stage
from a3d_edge.models.symbolic import pick_frames_like, resize_like
from a3d_edge.models.widths import Run
from a3d_edge.video.sampler import Sampling

__all__ = ["SlowFast", "SlowFastDescription"]

Blocks = Annotated[int, Field(ge=1)]
STAGES = ("res2", "res3", "res4", "res5")


class SlowFastDescription(NetworkDescription):
    """One member of the SlowFast family.

    ``alpha``: Fast frames per slow frame; ``beta_inv``: 1/β, slow channels per Fast channel;
    ``fusion_kernel``: temporal kernel of the lateral convolutions; ``fusion_norm``: whether batch norm and
    ReLU follow them. ``size`` is also the Fast pathway's.
    """

    family: Literal["slowfast"] = "slowfast"
    blocks: tuple[Blocks, Blocks, Blocks, Blocks]
    base_width: int = Field(ge=8, le=2048)
    alpha: int = Field(ge=2, le=64)
    beta_inv: int = Field(default=8, ge=1, le=256)
    fusion_kernel: int = Field(default=5, ge=1, le=63)
    fusion_norm: bool = True
    frames: int = Field(default=4, ge=1)
    stride: int = Field(default=16, ge=1)
    temporal_kernels: Kernels = (1, 1, 3, 3)
    fast_kernels: Kernels = (3, 3, 3, 3)

    @model_validator(mode="after")
    def _fits_together(self) -> SlowFastDescription:
        if self.stride % self.alpha or self.base_width % self.beta_inv:
            raise ValueError("alpha divides the stride and beta_inv the base_width")
        kernels = (*self.temporal_kernels, *self.fast_kernels, self.fusion_kernel)
        if any(k % 2 == 0 for k in kernels) or self.fusion_kernel // 2 >= self.alpha:
            raise ValueError("temporal kernels are odd, and half of fusion_kernel is below alpha")
        return self

    @property
    def has_box_head(self) -> bool:
        return True

    @property
    def sampling(self) -> Sampling:
        """What one window looks at; the Fast pathway's frames included."""
        return Sampling(self.frames, self.stride, self.rate, self.alpha, self.size)

    def build(self) -> SlowFast:
        """The network, with fresh weights."""
        return SlowFast(self)


class SlowFast(SlimNetwork):
    """Slow pathway at any (γw, S, T), Fast pathway always whole. Takes ``[slow, fast]``."""

    def __init__(self, description: SlowFastDescription) -> None:
        super().__init__(description)
        base, fast_base = description.base_width, description.base_width // description.beta_inv
        fused = 2 * fast_base  # channels that the first lateral connection adds
        self.slow = _Trunk(base, description, (1, 7, 7), description.temporal_kernels, fused)
        self.fast = _Trunk(fast_base, description, (5, 7, 7), description.fast_kernels, whole=True)
        kernel, lateral = (
            (description.fusion_kernel, 1, 1),
            ConvNorm if description.fusion_norm else PlainConv,
        )
        widths = [fast_base, *(fast_base * 4 * 2**k for k in range(3))]
        self.fuse_stem, self.fuse_res2, self.fuse_res3, self.fuse_res4 = (
            lateral(width, 2 * width, kernel, temporal_stride=description.alpha, whole=True)
            for width in widths
        )
        self.dropout = nn.Dropout(description.dropout)
        self.head = SlimLinear(32 * (base + fast_base), description.classes, tail=32 * fast_base)

    def run(self, x: Clips, run: Run) -> Tensor:
        (slow, fast), boxes = unboxed(x)
        return self.classify(self._features(slow, fast, run), run, boxes)

    def features(self, x: Clips, run: Run) -> tuple[Tensor, ...]:
        """The last features before pooling, of the slow and the Fast pathway: ``(N, C, T, h, w)`` each."""
        (slow, fast), _ = unboxed(x)
        return self._features(slow, fast, run)

    def graphs(self, run: Run) -> tuple[Graph, ...]:
        def compute(slow: Tensor, fast: Tensor, *boxes: Tensor) -> Tensor:
            return self.classify(self._features(slow, fast, run), run, Boxes(boxes) if boxes else None)

        names = ("boxes", "fast_boxes") if self.description.takes_boxes else ()
        return (Graph("clip", ("slow", "fast", *names), compute),)

    def _features(self, slow: Tensor, fast: Tensor, run: Run) -> tuple[Tensor, Tensor]:
        slow, fast = self.slow.begin(slow, run), self.fast.begin(fast, run)
        for lateral, stage in zip(
            (self.fuse_stem, self.fuse_res2, self.fuse_res3, self.fuse_res4), STAGES, strict=True
        ):
            fused = lateral(fast, run)
            fused = F.relu(fused) if isinstance(lateral, ConvNorm) else fused
            slow = self.slow.stage(stage)(fuse(slow, fused), run)
            fast = self.fast.stage(stage)(fast, run)
        return slow, fast


def fuse(slow: Tensor, lateral: Tensor) -> Tensor:
    """Adaptive fusion: pick the slow pathway's frames, resize to its size, append after its channels.

    ``slow`` is ``(N, md8(γC), γt·T, h, w)``, ``lateral`` ``(N, 2βC, T, H, W)``; or both in rank 4. At γ = 1
    this is the plain SlowFast concatenation. Source: paper §3.2.
    """
    return torch.cat([slow, resize_like(pick_frames_like(lateral, slow), slow)], dim=1)


class _Trunk(nn.Module):
    """Stem and the four stages of one pathway. ``fused``: channels appended to the stem's output."""

    def __init__(
        self,
        base: int,
        description: SlowFastDescription,
        stem: tuple[int, int, int],
        kernels: Kernels,
        fused: int = 0,
        whole: bool = False,
    ) -> None:
        super().__init__()
        self.stem = ConvNorm(3, base, stem, stride=2, whole=whole)
        outputs = [base * 4 * 2**k for k in range(4)]
        inputs = [base, *outputs[:3]]
        tails = [fused, *(fused * 4 * 2**k for k in range(3))]
        self.res2, self.res3, self.res4, self.res5 = (
            Stage(
                inputs[k] + tails[k],
                outputs[k],
                description.blocks[k],
                kernels[k],
                *description.steps(k),
                tails[k],
                whole=whole,
            )
            for k in range(4)
        )

    def begin(self, x: Tensor, run: Run) -> Tensor:
        """Stem and pooling."""
        return max_pool_2d(F.relu(self.stem(x, run)))

    def stage(self, name: str) -> Stage:
        """A stage by name."""
        stage: Stage = getattr(self, name)
        return stage
