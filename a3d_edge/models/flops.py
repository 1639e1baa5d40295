"""Count multiply–accumulates and parameters of a network at a configuration, as the paper counts (Eq. 1).

The network itself is run on PyTorch's meta device, where nothing is computed, and every convolution and
linear layer that runs is counted; so what is counted is what is executed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from a3d_edge.configuration import Configuration
from a3d_edge.models.layers import Run, SlimBatchNorm, SlimConv, SlimLinear
from a3d_edge.models.slow import Slow, SlowDescription

__all__ = ["Cost", "count"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one configuration costs: GFLOPs (1e9 multiply–accumulates) and parameters (1e6).

    ``gflops`` is one whole window; ``streaming_gflops`` one prediction when every sampled frame is encoded
    once (one frame through the frame stage, then the clip stage); ``params_m`` counts weights, biases and
    batch-norm affine parameters that run at this width.
    """

    gflops: float
    streaming_gflops: float
    params_m: float


def count(description: SlowDescription, configuration: Configuration) -> Cost:
    """Cost of a configuration. Raises `UsageError` when the size is too small for the network's stride."""
    with torch.device("meta"):
        model = description.build().eval()
        clip = torch.empty(1, 3, configuration.frames, configuration.size, configuration.size)
    counter = _Counter(model)
    run = Run(configuration.width)
    with torch.no_grad():
        features = model.frame_stage(clip, run)
        frame_macs = counter.macs
        model.clip_stage(features, run)
    clip_macs = counter.macs - frame_macs
    streaming = frame_macs / configuration.frames + clip_macs
    return Cost(counter.macs / 1e9, streaming / 1e9, counter.parameters / 1e6)


class _Counter:
    """Adds up each slimmable layer's work and parameters as it runs."""

    def __init__(self, model: Slow) -> None:
        self.macs = 0
        self.parameters = 0
        for module in model.modules():
            if isinstance(module, SlimConv | SlimLinear | SlimBatchNorm):
                module.register_forward_hook(self._count)

    def _count(self, module: nn.Module, inputs: tuple[Tensor, Run], output: Tensor) -> None:
        channels = inputs[0].shape[1]
        if isinstance(module, SlimBatchNorm):
            self.parameters += 2 * channels
        elif isinstance(module, SlimLinear):
            self.parameters += channels * output.shape[1] + output.shape[1]
            self.macs += channels * output.numel()
        elif isinstance(module, SlimConv):
            per_output = channels * module.kernel[0] * module.kernel[1] * module.kernel[2]
            self.parameters += per_output * output.shape[1]
            self.macs += per_output * output.numel()
