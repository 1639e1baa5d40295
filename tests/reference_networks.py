"""Slow and SlowFast in plain ``nn.Conv3d``, with the tensor names of PySlowFast and of pytorchvideo.

Written from the two libraries' published definitions and from nothing of ours, so that an imported checkpoint
can be held against what its own library would have computed. Both libraries build one network; only names,
and what the head does when there is more than one position, differ:

    PySlowFast     pool 7×7 windows - linear - softmax at every position - mean: scores
    pytorchvideo   pool 7×7 windows - linear - mean: logits
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Plan:
    """What to build: ``alpha`` 0 is Slow alone; ``frames`` are the slow pathway's."""

    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    base: int = 64
    classes: int = 400
    frames: int = 8
    alpha: int = 0
    beta_inv: int = 8
    fusion_kernel: int = 5

    @property
    def pathways(self) -> int:
        return 2 if self.alpha else 1

    @property
    def bases(self) -> list[int]:
        return [self.base, self.base // self.beta_inv][: self.pathways]

    def entering(self, pathway: int, channels: int) -> int:
        """Channels that enter a stage of a pathway: the slow one's grow by the lateral connection's."""
        return channels + (2 * channels // self.beta_inv if self.alpha and pathway == 0 else 0)


SLOW_8X8 = Plan()
SLOWFAST_4X16 = Plan(frames=4, alpha=8, fusion_kernel=5)
SLOWFAST_8X8 = Plan(frames=8, alpha=4, fusion_kernel=7)

TEMPORAL = ((1, 1, 1, 3, 3), (5, 3, 3, 3, 3))
"""Temporal kernels of the stem and the four stages, slow and fast pathway."""


def conv(inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] = (1, 1, 1)) -> nn.Conv3d:
    k = tuple(kernel)
    padding = (k[0] // 2, k[1] // 2, k[2] // 2)
    return nn.Conv3d(inputs, outputs, k, tuple(stride), padding, bias=False)


def named(**modules: nn.Module) -> nn.Module:
    """A module that only holds others under given names."""
    holder = nn.Module()
    for name, module in modules.items():
        holder.add_module(name, module)
    return holder


def pool(x: Tensor, frames: int) -> Tensor:
    """7×7 windows over all frames; smaller pictures are averaged whole."""
    return F.avg_pool3d(x, (frames, min(7, x.shape[3]), min(7, x.shape[4])), stride=1)


def stem_forward(x: Tensor, convolution: nn.Module, norm: nn.Module) -> Tensor:
    return F.max_pool3d(F.relu(norm(convolution(x))), (1, 3, 3), (1, 2, 2), (0, 1, 1))


class PySlowFastBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner, strides = outputs // 4, (1, stride, stride)
        if inputs != outputs or stride != 1:
            self.branch1 = conv(inputs, outputs, (1, 1, 1), strides)
            self.branch1_bn = nn.BatchNorm3d(outputs)
        self.branch2 = named(
            a=conv(inputs, inner, (kernel, 1, 1)),
            a_bn=nn.BatchNorm3d(inner),
            b=conv(inner, inner, (1, 3, 3), strides),
            b_bn=nn.BatchNorm3d(inner),
            c=conv(inner, outputs, (1, 1, 1)),
            c_bn=nn.BatchNorm3d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        two = self.branch2
        y = F.relu(two.a_bn(two.a(x)))
        y = F.relu(two.b_bn(two.b(y)))
        y = two.c_bn(two.c(y))
        return F.relu(y + (self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x))


class PySlowFast(nn.Module):
    """PySlowFast's ``ResNet`` (arch slow) or ``SlowFast``: takes a list of pathways, gives scores."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        stems = {}
        for p, base in enumerate(plan.bases):
            convolution = conv(3, base, (TEMPORAL[p][0], 7, 7), (1, 2, 2))
            stems[f"pathway{p}_stem"] = named(conv=convolution, bn=nn.BatchNorm3d(base))
        self.s1 = named(**stems)
        for k in range(2, 6):
            self.add_module(f"s{k}", self._stage(k))
        if plan.alpha:
            for k in range(1, 5):
                fast = plan.bases[1] * (1 if k == 1 else 2**k)
                lateral = conv(fast, 2 * fast, (plan.fusion_kernel, 1, 1), (plan.alpha, 1, 1))
                self.add_module(f"s{k}_fuse", named(conv_f2s=lateral, bn=nn.BatchNorm3d(2 * fast)))
        self.head = named(projection=nn.Linear(32 * sum(plan.bases), plan.classes))

    def _stage(self, k: int) -> nn.Module:
        blocks: dict[str, nn.Module] = {}
        for p, base in enumerate(self.plan.bases):
            outputs, kernel = base * 2**k, TEMPORAL[p][k - 1]
            inputs = self.plan.entering(p, base if k == 2 else outputs // 2)
            for i in range(self.plan.blocks[k - 2]):
                stride = 2 if i == 0 and k > 2 else 1
                blocks[f"pathway{p}_res{i}"] = PySlowFastBlock(
                    inputs if i == 0 else outputs, outputs, kernel, stride
                )
        return named(**blocks)

    def features(self, clips: Sequence[Tensor]) -> list[Tensor]:
        xs = []
        for p, x in enumerate(clips):
            stem = getattr(self.s1, f"pathway{p}_stem")
            xs.append(stem_forward(x, stem.conv, stem.bn))
        for k in range(2, 6):
            if self.plan.alpha:
                fuse = getattr(self, f"s{k - 1}_fuse")
                xs[0] = torch.cat([xs[0], F.relu(fuse.bn(fuse.conv_f2s(xs[1])))], dim=1)
            stage = getattr(self, f"s{k}")
            for p in range(self.plan.pathways):
                for i in range(self.plan.blocks[k - 2]):
                    xs[p] = getattr(stage, f"pathway{p}_res{i}")(xs[p])
        return xs

    def positions(self, clips: Sequence[Tensor]) -> Tensor:
        """Logits ``(N, t, h, w, classes)`` of every position of the head."""
        pooled = [pool(x, x.shape[2]) for x in self.features(clips)]
        logits: Tensor = self.head.projection(torch.cat(pooled, dim=1).permute(0, 2, 3, 4, 1))
        return logits

    def joined(self, positions: Tensor) -> Tensor:
        """Scores ``(N, classes)``."""
        return positions.softmax(dim=4).mean(dim=(1, 2, 3))

    def forward(self, clips: Sequence[Tensor]) -> Tensor:
        return self.joined(self.positions(clips))


class VideoStem(nn.Module):
    def __init__(self, base: int, kernel: int) -> None:
        super().__init__()
        self.conv = conv(3, base, (kernel, 7, 7), (1, 2, 2))
        self.norm = nn.BatchNorm3d(base)

    def forward(self, x: Tensor) -> Tensor:
        return stem_forward(x, self.conv, self.norm)


class VideoBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner, strides = outputs // 4, (1, stride, stride)
        if inputs != outputs or stride != 1:
            self.branch1_conv = conv(inputs, outputs, (1, 1, 1), strides)
            self.branch1_norm = nn.BatchNorm3d(outputs)
        self.branch2 = named(
            conv_a=conv(inputs, inner, (kernel, 1, 1)),
            norm_a=nn.BatchNorm3d(inner),
            conv_b=conv(inner, inner, (1, 3, 3), strides),
            norm_b=nn.BatchNorm3d(inner),
            conv_c=conv(inner, outputs, (1, 1, 1)),
            norm_c=nn.BatchNorm3d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        two = self.branch2
        y = F.relu(two.norm_a(two.conv_a(x)))
        y = F.relu(two.norm_b(two.conv_b(y)))
        y = two.norm_c(two.conv_c(y))
        return F.relu(y + (self.branch1_norm(self.branch1_conv(x)) if hasattr(self, "branch1_conv") else x))


class VideoStage(nn.Module):
    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.res_blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.res_blocks:
            x = block(x)
        return x


class PyTorchVideo(nn.Module):
    """pytorchvideo's ``create_resnet`` or ``create_slowfast``: takes a list of pathways, gives logits."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        stages = [self._joined(1, [VideoStem(base, TEMPORAL[p][0]) for p, base in enumerate(plan.bases)])]
        stages += [self._joined(k, [self._stage(k, p) for p in range(plan.pathways)]) for k in range(2, 6)]
        head = named(proj=nn.Linear(32 * sum(plan.bases), plan.classes))
        # SlowFast pools in a block of its own, which has no tensors
        self.blocks = nn.ModuleList([*stages, nn.Identity(), head] if plan.alpha else [*stages, head])

    def _joined(self, k: int, pathways: Sequence[nn.Module]) -> nn.Module:
        if not self.plan.alpha:
            return pathways[0]
        joined = named(multipathway_blocks=nn.ModuleList(pathways))
        if k < 5:
            fast = self.plan.bases[1] * (1 if k == 1 else 2**k)
            lateral = conv(fast, 2 * fast, (self.plan.fusion_kernel, 1, 1), (self.plan.alpha, 1, 1))
            joined.multipathway_fusion = named(conv_fast_to_slow=lateral, norm=nn.BatchNorm3d(2 * fast))
        return joined

    def _stage(self, k: int, p: int) -> nn.Module:
        base = self.plan.bases[p]
        outputs, kernel = base * 2**k, TEMPORAL[p][k - 1]
        inputs = self.plan.entering(p, base if k == 2 else outputs // 2)
        return VideoStage(
            [
                VideoBlock(inputs if i == 0 else outputs, outputs, kernel, 2 if i == 0 and k > 2 else 1)
                for i in range(self.plan.blocks[k - 2])
            ]
        )

    def features(self, clips: Sequence[Tensor]) -> list[Tensor]:
        xs = list(clips)
        for stage in list(self.blocks)[:5]:
            if not self.plan.alpha:
                xs = [stage(xs[0])]
                continue
            xs = [block(x) for block, x in zip(stage.multipathway_blocks, xs, strict=True)]
            if hasattr(stage, "multipathway_fusion"):
                fuse = stage.multipathway_fusion
                xs[0] = torch.cat([xs[0], F.relu(fuse.norm(fuse.conv_fast_to_slow(xs[1])))], dim=1)
        return xs

    def positions(self, clips: Sequence[Tensor]) -> Tensor:
        """Logits ``(N, t, h, w, classes)`` of every position of the head."""
        pooled = [pool(x, x.shape[2]) for x in self.features(clips)]
        logits: Tensor = self.blocks[-1].proj(torch.cat(pooled, dim=1).permute(0, 2, 3, 4, 1))
        return logits

    def joined(self, positions: Tensor) -> Tensor:
        """Logits ``(N, classes)``."""
        return positions.mean(dim=(1, 2, 3))

    def forward(self, clips: Sequence[Tensor]) -> Tensor:
        return self.joined(self.positions(clips))


class PyTorchVideoInPySlowFast(nn.Module):
    """PySlowFast's wrapper around pytorchvideo's networks: their names below ``model``, its own head."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.model = PyTorchVideo(plan)

    def positions(self, clips: Sequence[Tensor]) -> Tensor:
        return self.model.positions(clips)

    def joined(self, positions: Tensor) -> Tensor:
        """Scores ``(N, classes)``."""
        return positions.softmax(dim=4).mean(dim=(1, 2, 3))

    def forward(self, clips: Sequence[Tensor]) -> Tensor:
        return self.joined(self.positions(clips))


Reference = PySlowFast | PyTorchVideo | PyTorchVideoInPySlowFast


def random_clips(plan: Plan, size: int, seed: int = 1, count: int = 1) -> list[Tensor]:
    """Pathways ``(N, 3, T, S, S)`` whose corners differ much: positions of the head must not all agree."""
    generator = torch.Generator().manual_seed(seed)
    frames = plan.frames * max(1, plan.alpha)
    coarse = 2 * torch.randn(count, 3, frames, 3, 3, generator=generator)
    clip = F.interpolate(coarse, size=(frames, size, size), mode="trilinear")
    clip += 0.5 * torch.randn(count, 3, frames, size, size, generator=generator)
    return [clip[:, :, :: plan.alpha].contiguous(), clip] if plan.alpha else [clip]


def enliven(model: Reference, plan: Plan, seed: int = 0) -> None:
    """Random weights and batch-norm tensors, none at its initial value, that keep activations in range.

    Statistics are those of random clips, each then off by a factor of its own: no layer is normalised
    exactly, as in a checkpoint that meets new data, and no score is saturated.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm3d)]
    for parameter in model.parameters():
        if parameter.dim() == 5:
            fan_in = parameter[0].numel()
            parameter.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        if parameter.dim() == 2:
            parameter.data.normal_(0, 2 / parameter.shape[1] ** 0.5, generator=generator)
    for norm in norms:
        norm.weight.data.uniform_(0.5, 1.5, generator=generator)
        norm.bias.data.uniform_(-0.3, 0.3, generator=generator)
        norm.momentum = 1.0
    model.train()
    with torch.no_grad():
        model.positions(random_clips(plan, 64, seed, count=2))
    for norm in norms:
        mean, var = norm.running_mean, norm.running_var
        assert mean is not None
        assert var is not None
        mean.add_(torch.empty_like(mean).uniform_(-0.2, 0.2, generator=generator))
        var.mul_(torch.empty_like(var).uniform_(0.7, 1.4, generator=generator))
        norm.momentum = 0.1
    model.eval()
