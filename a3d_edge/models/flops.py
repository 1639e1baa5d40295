"""Count multiply–accumulates and parameters of a network at a configuration, as the paper counts (Eq. 1).

The network itself is run on PyTorch's meta device, where nothing is computed, and every convolution and
linear layer that runs is counted; so what is counted is what is executed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from a3d_edge.configuration import Configuration
from a3d_edge.models.batch_norm import SlimBatchNorm
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.layers import SlimConv, SlimLinear
from a3d_edge.models.network import Clips, NetworkDescription
from a3d_edge.models.widths import Run
from a3d_edge.video.sampler import Sampling, pathways

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


def count(description: NetworkDescription, configuration: Configuration, boxes: int = 1) -> Cost:
    """Cost of a configuration. Raises `UsageError` when the size is too small for the network's stride.

    ``boxes``: of people in the window, where the network takes boxes; 0 counts the network without its head's
    work. As the paper's other figures: what reads and pools the boxes is no convolution, and not counted.
    """
    with torch.device("meta"):
        model = description.build().eval()
        clips = [
            torch.empty(1, 3, len(pathway.instants), pathway.size, pathway.size)
            for pathway in pathways(_with_frames(description.sampling, configuration), configuration)
        ]
    counter = _Counter(model)
    run = Run(configuration.width)
    given: Clips = clips[0] if len(clips) == 1 else clips
    if description.takes_boxes:
        given = BoxedClips.of(clips[0] if len(clips) == 1 else clips, torch.empty(boxes, 4, device="meta"))
    with torch.no_grad():
        model.run(given, run)
        macs, parameters, frame_macs = counter.macs, counter.parameters, 0
        for graph in model.graphs(run):
            if graph.stage == "frame":
                counter.macs = 0
                graph.compute(clips[0][0].transpose(0, 1))
                frame_macs = counter.macs
    streaming = macs - frame_macs + frame_macs / configuration.frames
    return Cost(macs / 1e9, streaming / 1e9, parameters / 1e6)


def _with_frames(sampling: Sampling, configuration: Configuration) -> Sampling:
    """A window long enough: a single pathway may be asked what more frames than its own would cost."""
    longer = sampling.alpha == 1 and configuration.frames > sampling.frames
    return replace(sampling, frames=configuration.frames) if longer else sampling


class _Counter:
    """Adds up each slimmable layer's work and parameters as it runs."""

    def __init__(self, model: nn.Module) -> None:
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
            inputs_each = 1 if module.depthwise else channels
            per_output = inputs_each * module.kernel[0] * module.kernel[1] * module.kernel[2]
            self.parameters += (per_output + (module.bias is not None)) * output.shape[1]
            self.macs += per_output * output.numel()
