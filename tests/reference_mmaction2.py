"""mmaction2's SlowOnly and SlowFast in plain ``nn.Conv3d``, and torchvision's ResNet for pictures.

Written from the libraries' published definitions and from nothing of ours, as `reference_networks` is. Where
mmaction2's SlowFast is not PySlowFast's: nothing follows a lateral convolution unless ``lateral_norm`` is
set, the head averages all positions at once, and it takes the Fast features first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from reference_networks import TEMPORAL, Plan, conv, named
from torch import Tensor, nn


def conv_bn(*arguments: object) -> nn.Module:
    """mmcv's ``ConvModule`` without its activation."""
    convolution = conv(*arguments)  # type: ignore[arg-type]
    return named(conv=convolution, bn=nn.BatchNorm3d(convolution.out_channels))


def run(module: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = module.conv(x)
    return module.bn(y) if hasattr(module, "bn") else y


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.conv1 = conv_bn(inputs, inner, (kernel, 1, 1))
        self.conv2 = conv_bn(inner, inner, (1, 3, 3), (1, stride, stride))
        self.conv3 = conv_bn(inner, outputs, (1, 1, 1))
        if inputs != outputs or stride != 1:
            self.downsample = conv_bn(inputs, outputs, (1, 1, 1), (1, stride, stride))

    def forward(self, x: Tensor) -> Tensor:
        y = run(self.conv3, F.relu(run(self.conv2, F.relu(run(self.conv1, x)))))
        return F.relu(y + (run(self.downsample, x) if hasattr(self, "downsample") else x))


class Pathway(nn.Module):
    """``ResNet3dPathway``; its lateral convolutions are kept by the slow one and run on the Fast one."""

    def __init__(self, plan: Plan, p: int, lateral_norm: bool) -> None:
        super().__init__()
        base = plan.bases[p]
        self.conv1 = conv_bn(3, base, (TEMPORAL[p][0], 7, 7), (1, 2, 2))
        for k in range(1, 5):
            outputs, kernel = base * 2 ** (k + 1), TEMPORAL[p][k]
            inputs = plan.entering(p, base if k == 1 else outputs // 2)
            blocks = [
                Block(outputs if i else inputs, outputs, kernel, 2 if k > 1 and i == 0 else 1)
                for i in range(plan.blocks[k - 1])
            ]
            self.add_module(f"layer{k}", nn.Sequential(*blocks))
        for k in range(4) if plan.alpha and p == 0 else ():
            fast = plan.bases[1] * (1 if k == 0 else 2 ** (k + 1))
            lateral = conv(fast, 2 * fast, (plan.fusion_kernel, 1, 1), (plan.alpha, 1, 1))
            norm = {"bn": nn.BatchNorm3d(2 * fast)} if lateral_norm else {}
            self.add_module(f"{'conv1' if k == 0 else f'layer{k}'}_lateral", named(conv=lateral, **norm))

    def begin(self, x: Tensor) -> Tensor:
        return F.max_pool3d(F.relu(run(self.conv1, x)), (1, 3, 3), (1, 2, 2), (0, 1, 1))


class MMAction2(nn.Module):
    """``Recognizer3D`` with ``ResNet3dSlowOnly`` or ``ResNet3dSlowFast``: a list of pathways, logits."""

    def __init__(self, plan: Plan, lateral_norm: bool = False) -> None:
        super().__init__()
        self.plan = plan
        paths = [Pathway(plan, p, lateral_norm) for p in range(plan.pathways)]
        self.backbone = named(slow_path=paths[0], fast_path=paths[1]) if plan.alpha else paths[0]
        self.cls_head = named(fc_cls=nn.Linear(32 * sum(plan.bases), plan.classes))

    def positions(self, clips: Sequence[Tensor]) -> Tensor:
        back = self.backbone
        paths = [back.slow_path, back.fast_path] if self.plan.alpha else [back]
        xs = [path.begin(x) for path, x in zip(paths, clips, strict=True)]
        for k in range(1, 5):
            if self.plan.alpha:
                lateral = getattr(paths[0], "conv1_lateral" if k == 1 else f"layer{k - 1}_lateral")
                joined = run(lateral, xs[1])
                xs[0] = torch.cat([xs[0], F.relu(joined) if hasattr(lateral, "bn") else joined], dim=1)
            xs = [getattr(path, f"layer{k}")(x) for path, x in zip(paths, xs, strict=True)]
        means = [x.mean(dim=(2, 3, 4)) for x in reversed(xs)]
        logits: Tensor = self.cls_head.fc_cls(torch.cat(means, dim=1))
        return logits


class PictureBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.conv1, self.bn1 = nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        if inputs != outputs or stride != 1:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class PictureNet(nn.Module):
    """torchvision's ResNet of bottlenecks, timm's of the same name too: pictures ``(N, 3, H, W)``."""

    def __init__(self, blocks: Sequence[int], base: int, classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, base, 7, 2, 3, bias=False), nn.BatchNorm2d(base)
        inputs = base
        for k, count in enumerate(blocks, 1):
            outputs = base * 2 ** (k + 1)
            stage = [PictureBlock(inputs, outputs, 2 if k > 1 else 1)]
            stage += [PictureBlock(outputs, outputs, 1) for _ in range(count - 1)]
            self.add_module(f"layer{k}", nn.Sequential(*stage))
            inputs = outputs
        self.fc = nn.Linear(inputs, classes)

    def features(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for k in range(1, 5):
            x = getattr(self, f"layer{k}")(x)
        return x


def enliven_pictures(model: PictureNet) -> PictureNet:
    """Batch norms that are none at its initial value, in eval mode."""
    generator = torch.Generator().manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.3, 0.3),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 1.5),
            ):
                assert tensor is not None
                tensor.uniform_(low, high, generator=generator)
    return model.eval()
