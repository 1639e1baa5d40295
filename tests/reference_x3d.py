"""X3D in plain ``nn.Conv3d`` with pytorchvideo's tensor names, and what PySlowFast and mmaction2 call them.

Written from the libraries' published definitions and from nothing of ours, as `reference_networks` is. They
build one network; what differs beside names:

    res2's shortcut    a batch norm in PySlowFast and mmaction2, none in pytorchvideo
    head               windows as large as the network's own size, softmax of each (pytorchvideo, PySlowFast);
                       everything averaged at once (mmaction2)
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from reference_networks import VideoStage, conv, named
from torch import Tensor, nn


@dataclass(frozen=True)
class X3DPlan:
    """What to build. ``shortcut_norm``: whether res2's shortcut has a batch norm."""

    blocks: tuple[int, int, int, int] = (3, 5, 11, 7)
    classes: int = 400
    features: int = 2048
    frames: int = 16
    size: int = 224
    shortcut_norm: bool = False
    alpha: int = 0


X3D_XS = X3DPlan(frames=4, size=160)
X3D_L = X3DPlan(blocks=(5, 10, 25, 15), size=312)

STAGES = ((24, 54, 8), (48, 108, 8), (96, 216, 16), (192, 432, 32))
"""Outer and inner channels of X3D-XS to L's stages, and those inside squeeze–excitation (the paper's Table 3
gives the former; 1/16 rounded by PySlowFast's ``round_width`` the latter)."""


def depthwise(channels: int, kernel: Sequence[int], stride: int = 1) -> nn.Conv3d:
    padding = tuple(k // 2 for k in kernel)
    k = tuple(kernel)
    return nn.Conv3d(channels, channels, k, (1, stride, stride), padding, groups=channels, bias=False)


class Excitation(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(channels, inner, 1), nn.ReLU(), nn.Conv3d(inner, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        weighted: Tensor = x * self.block(x.mean(dim=(2, 3, 4), keepdim=True))
        return weighted


class X3DBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, inner: int, squeezed: int, index: int, norm: bool) -> None:
        super().__init__()
        stride = 1 if index else 2
        if index == 0:
            self.branch1_conv = conv(inputs, outputs, (1, 1, 1), (1, 2, 2))
            if norm:
                self.branch1_norm = nn.BatchNorm3d(outputs)
        excitation = nn.Identity() if index % 2 else Excitation(inner, squeezed)
        self.branch2 = named(
            conv_a=conv(inputs, inner, (1, 1, 1)),
            norm_a=nn.BatchNorm3d(inner),
            conv_b=depthwise(inner, (3, 3, 3), stride),
            norm_b=nn.Sequential(nn.BatchNorm3d(inner), excitation),
            conv_c=conv(inner, outputs, (1, 1, 1)),
            norm_c=nn.BatchNorm3d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        two = self.branch2
        y = F.relu(two.norm_a(two.conv_a(x)))
        y = two.norm_b(two.conv_b(y))
        y = two.norm_c(two.conv_c(y * torch.sigmoid(y)))
        if hasattr(self, "branch1_conv"):
            x = self.branch1_conv(x)
        if hasattr(self, "branch1_norm"):
            x = self.branch1_norm(x)
        return F.relu(x + y)


class X3DStem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        spatial = conv(3, 24, (1, 3, 3), (1, 2, 2))
        self.conv = nn.Sequential()
        self.conv.add_module("conv_t", spatial)  # so named there, though it is the spatial one
        self.conv.add_module("conv_xy", depthwise(24, (5, 1, 1)))
        self.norm = nn.BatchNorm3d(24)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class ReferenceX3D(nn.Module):
    """pytorchvideo's ``create_x3d``, its softmax left out; takes a list of one pathway."""

    def __init__(self, plan: X3DPlan) -> None:
        super().__init__()
        self.plan = plan
        stages: list[nn.Module] = [X3DStem()]
        inputs = 24
        for k, (outputs, inner, squeezed) in enumerate(STAGES):
            norm = k > 0 or plan.shortcut_norm
            blocks = [
                X3DBlock(outputs if i else inputs, outputs, inner, squeezed, i, norm)
                for i in range(plan.blocks[k])
            ]
            stages.append(VideoStage(blocks))
            inputs = outputs
        pool = named(
            pre_conv=conv(192, 432, (1, 1, 1)),
            pre_norm=nn.BatchNorm3d(432),
            post_conv=conv(432, plan.features, (1, 1, 1)),
        )
        stages.append(named(pool=pool, proj=nn.Linear(plan.features, plan.classes)))
        self.blocks = nn.ModuleList(stages)

    def positions(self, clips: Sequence[Tensor], whole: bool = False) -> Tensor:
        """Logits ``(N, t, h, w, classes)`` of every window; ``whole``: of one window, as mmaction2."""
        x = clips[0]
        for stage in list(self.blocks)[:5]:
            x = stage(x)
        head = self.blocks[5]
        x = F.relu(head.pool.pre_norm(head.pool.pre_conv(x)))
        side = math.ceil(self.plan.size / 32)
        frames, height, width = x.shape[2:]
        window = (frames, height, width) if whole else (frames, min(side, height), min(side, width))
        x = F.relu(head.pool.post_conv(F.avg_pool3d(x, window, stride=1)))
        logits: Tensor = head.proj(x.permute(0, 2, 3, 4, 1))
        return logits

    def scores(self, clip: Tensor) -> Tensor:
        """Scores ``(N, classes)``: the mean over positions of each one's softmax."""
        return self.positions([clip]).softmax(dim=4).mean(dim=(1, 2, 3))


PYSLOWFAST = (
    (r"blocks\.0\.conv\.conv_t", "s1.pathway0_stem.conv_xy"),
    (r"blocks\.0\.conv\.conv_xy", "s1.pathway0_stem.conv"),
    (r"blocks\.0\.norm", "s1.pathway0_stem.bn"),
    (r"blocks\.5\.pool\.pre_conv", "head.conv_5"),
    (r"blocks\.5\.pool\.pre_norm", "head.conv_5_bn"),
    (r"blocks\.5\.pool\.post_conv", "head.lin_5"),
    (r"blocks\.5\.proj", "head.projection"),
    *((rf"blocks\.{k}\.res_blocks\.", f"s{k + 1}.pathway0_res") for k in range(1, 5)),
    (r"branch1_conv", "branch1"),
    (r"branch1_norm", "branch1_bn"),
    (r"norm_b\.0", "b_bn"),
    (r"norm_b\.1\.block\.0", "se.fc1"),
    (r"norm_b\.1\.block\.2", "se.fc2"),
    (r"norm_([ac])", r"\1_bn"),
    (r"conv_([abc])\.", r"\1."),
)

MMACTION2 = (
    (r"blocks\.0\.conv\.conv_t", "backbone.conv1_s.conv"),
    (r"blocks\.0\.conv\.conv_xy", "backbone.conv1_t.conv"),
    (r"blocks\.0\.norm", "backbone.conv1_t.bn"),
    (r"blocks\.5\.pool\.pre_conv", "backbone.conv5.conv"),
    (r"blocks\.5\.pool\.pre_norm", "backbone.conv5.bn"),
    (r"blocks\.5\.pool\.post_conv", "cls_head.fc1"),
    (r"blocks\.5\.proj", "cls_head.fc2"),
    (r"blocks\.(\d)\.res_blocks\.", r"backbone.layer\1."),
    (r"branch1_conv", "downsample.conv"),
    (r"branch1_norm", "downsample.bn"),
    (r"branch2\.norm_b\.1\.block\.0", "se_module.fc1"),
    (r"branch2\.norm_b\.1\.block\.2", "se_module.fc2"),
    (r"norm_b\.0", "norm_b"),
    *((rf"branch2\.conv_{k}", f"conv{n}.conv") for n, k in enumerate("abc", 1)),
    *((rf"branch2\.norm_{k}", f"conv{n}.bn") for n, k in enumerate("abc", 1)),
)


def renamed(state: dict[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """A state dict under another library's names; mmaction2's first linear layer is a matrix."""
    found = {}
    for name, tensor in state.items():
        new = name
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        found[new] = tensor.flatten(1) if new == "cls_head.fc1.weight" else tensor
    assert len(found) == len(state)
    return found
