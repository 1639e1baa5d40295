"""GFLOPs and parameters against independent counts; the paper's cells are in test_models_paper_cells."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

from a3d_edge.configuration import Configuration
from a3d_edge.models.batch_norm import SlimBatchNorm
from a3d_edge.models.flops import count
from a3d_edge.models.layers import SlimConv, SlimLinear
from a3d_edge.models.network import SlimNetwork
from a3d_edge.models.registry import describe
from a3d_edge.models.slow import Slow, SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription
from a3d_edge.models.widths import Run, md8
from a3d_edge.models.x3d import X3DDescription


def test_the_full_network_has_32_45_million_parameters() -> None:
    """Two more digits than the paper prints, of the real module."""
    with torch.device("meta"):
        real = sum(p.numel() for p in describe("slow_r50").build().parameters())
    assert f"{real / 1e6:.2f}" == "32.45"
    assert count(describe("slow_r50"), Configuration(1.0, 224, 8)).params_m == real / 1e6


class _AtWidth(nn.Module):
    """A network at one width as a module of pathways alone, for counters that call ``module(*x)``."""

    def __init__(self, network: SlimNetwork, width: float) -> None:
        super().__init__()
        self.network, self.width = network, width

    def forward(self, *x: Tensor) -> Tensor:
        return self.network.run(x[0] if len(x) == 1 else x, Run(self.width))


def fvcore_gmacs(network: SlimNetwork, configuration: Configuration) -> float:
    """Convolutions and linear layers as fvcore counts them when it traces the real computation."""
    sampling = network.description.sampling
    frames, size = configuration.frames, configuration.size
    clips = [torch.zeros(1, 3, frames, size, size)]
    if sampling.alpha > 1:  # the Fast pathway is whole, or as large as the slow one where that is larger
        fast_size = max(network.description.size, size)
        clips.append(torch.zeros(1, 3, sampling.frames * sampling.alpha, fast_size, fast_size))
    analysis = FlopCountAnalysis(_AtWidth(network, configuration.width), tuple(clips))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_operator = analysis.by_operator()
    return (by_operator["conv"] + by_operator["linear"]) / 1e9


@pytest.mark.parametrize(
    ("name", "configuration"),
    [
        ("slow_small", "w1.00-s112-t8"),
        ("slow_small", "w0.63-s71-t3"),
        ("slow_r50", "w0.70-s48-t2"),
        ("slowfast_small", "w0.63-s61-t3"),
        ("slowfast_small", "w0.50-s110-t1"),
        ("slowfast_r50_4x16", "w0.63-s45-t3"),
        ("x3d_m", "w0.63-s51-t2"),
        ("r2plus1d_small", "w0.63-s71-t3"),
    ],
)
def test_an_independent_counter_agrees(name: str, configuration: str) -> None:
    """fvcore's count of the real computation is exactly ours, whole and narrow, even at odd sizes."""
    # What takes long: 32 Fast frames at 224², and tracing X3D-M's 26 blocks, of which four kinds are enough.
    less = {"slowfast_r50_4x16": {"size": 32}, "x3d_m": {"blocks": (2, 2, 1, 1)}}
    at = Configuration.parse(configuration)
    description = describe(name).model_copy(update=less.get(name, {}))
    with torch.device("meta"):
        model = description.build().eval()
    theirs = fvcore_gmacs(model.to_empty(device="cpu"), at)  # no weights drawn: only shapes are counted
    assert count(description, at).gflops == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("width", [0.5, 0.75, 1.0])
def test_parameters_are_the_slices_that_run(
    tiny_description: SlowDescription, lively: Callable[..., Slow], width: float
) -> None:
    """The count equals the sizes of the slices that run, by the layers' own shapes."""
    expected = 0
    for name, module in lively(tiny_description).named_modules():
        if isinstance(module, SlimConv):
            inputs = 3 if name == "stem.conv" else md8(module.weight.shape[1] * width)
            expected += md8(module.outputs * width) * inputs * int(torch.tensor(module.kernel).prod())
        elif isinstance(module, SlimBatchNorm):
            expected += 2 * md8(len(module.weight) * width)
        elif isinstance(module, SlimLinear):
            expected += 3 * md8(module.weight.shape[1] * width) + 3
    assert count(tiny_description, Configuration(width, 32, 4)).params_m == expected / 1e6


@pytest.mark.parametrize("width", [0.5, 0.63, 1.0])
@pytest.mark.parametrize("family", ["slow", "slowfast", "x3d"])
def test_parameters_are_those_that_receive_gradients(
    family: str,
    width: float,
    tiny_description: SlowDescription,
    tiny_slowfast: SlowFastDescription,
    tiny_x3d: X3DDescription,
) -> None:
    """The count equals the number of single weights that a run at that width can learn by."""
    description = {"slow": tiny_description, "slowfast": tiny_slowfast, "x3d": tiny_x3d}[family]
    model = description.build().eval().double()
    # All weights above 0, as the clips are: no unit is silent, so every weight that runs has a gradient.
    for name, parameter in model.named_parameters():
        parameter.data.uniform_(0.05, 0.15).mul_(1e-9 if ".excite." in name else 1)  # no sigmoid saturates
    torch.manual_seed(0)
    clips = [torch.rand(2, 3, 4, 64, 64, dtype=torch.float64)]
    if family == "slowfast":
        clips.append(torch.rand(2, 3, 16, 64, 64, dtype=torch.float64))
    logits = model.run(clips[0] if len(clips) == 1 else clips, Run(width))
    (logits * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    reached = sum(int((p.grad != 0).sum()) for p in model.parameters() if p.grad is not None)
    assert count(description, Configuration(width, 64, 4)).params_m == reached / 1e6


def test_two_pathways_share_no_frames(tiny_slowfast: SlowFastDescription) -> None:
    """Without a frame stage nothing is reused: a prediction costs its whole window."""
    cost = count(tiny_slowfast, Configuration(0.63, 24, 2))
    assert cost.streaming_gflops == cost.gflops


def test_streaming_encodes_one_frame_a_prediction() -> None:
    """The frame stage once, the clip stage over the window: 0.69 of the work at 224²×8."""
    cost = count(describe("slow_r50"), Configuration(1.0, 224, 8))
    assert cost.streaming_gflops / cost.gflops == pytest.approx(0.69, abs=0.01)
    single = count(describe("slow_r50"), Configuration(1.0, 224, 1))
    assert single.streaming_gflops == single.gflops


def test_counting_allocates_no_weights_and_leaves_the_random_state() -> None:
    """It is a question, not an experiment: a later random number is the same."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    count(describe("slow_r50"), Configuration(0.5, 128, 2))
    assert torch.equal(torch.rand(3), expected)
