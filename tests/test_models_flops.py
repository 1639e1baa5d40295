"""GFLOPs and parameters: every Slow cell of the paper's tables as printed, and an independent count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

from a3d_edge.configuration import Configuration
from a3d_edge.models.flops import count
from a3d_edge.models.layers import Run, SlimBatchNorm, SlimConv, SlimLinear, md8
from a3d_edge.models.registry import describe
from a3d_edge.models.slow import Slow, SlowDescription

# (size, frames, width, GFLOPs, parameters in millions), as printed
TABLE_9 = [
    (256, 8, 1.0, 54.5, 32.5),
    (224, 8, 1.0, 41.7, 32.5),
    (224, 6, 1.0, 31.3, 32.5),
    (224, 4, 1.0, 20.9, 32.5),
    (224, 4, 0.9, 16.8, 26.5),
    (224, 4, 0.8, 13.4, 21.0),
    (192, 4, 0.8, 9.8, 21.0),
    (192, 4, 0.7, 7.6, 16.0),
    (224, 4, 0.5, 5.3, 8.3),
    (192, 4, 0.5, 3.9, 8.3),
    (160, 4, 0.5, 2.7, 8.3),
    (192, 2, 0.5, 2.0, 8.3),
    (160, 2, 0.5, 1.4, 8.3),
    (128, 2, 0.5, 0.9, 8.3),
]
TABLE_10 = [
    (256, 8, 1.0, 54.5, 32.5),
    (224, 8, 1.0, 41.7, 32.5),
    (224, 8, 0.83, 29.3, 22.5),
    (224, 8, 0.73, 22.5, 17.5),
    (224, 8, 0.63, 16.6, 13.0),
    (224, 5, 0.63, 10.4, 13.0),
    (178, 5, 0.63, 7.3, 13.0),
    (178, 3, 0.63, 4.4, 13.0),
    (142, 3, 0.63, 2.7, 13.0),
]
TABLE_1 = [  # ×1, ×0.5, ×0.1, ×0.016 of [0.016, 1]; ×1, ×0.5, ×0.1 of [0.06, 1]
    (256, 8, 1.0, 54.5, 32.5),
    (224, 4, 1.0, 20.9, 32.5),
    (224, 4, 0.5, 5.3, 8.3),
    (128, 2, 0.5, 0.9, 8.3),
    (256, 8, 1.0, 54.5, 32.5),
    (224, 8, 0.73, 22.5, 17.5),
    (178, 3, 0.63, 4.4, 13.0),
]
TABLES_5_AND_6 = [
    (256, 4, 1.0, 27.3, 32.5),
    (256, 2, 1.0, 13.6, 32.5),
    (224, 6, 0.9, 25.3, 26.5),
    (224, 8, 0.6, 15.4, 11.8),
    (224, 5, 0.73, 14.1, 17.5),
    (112, 8, 0.5, 2.8, 8.3),
]


@pytest.mark.parametrize(
    ("size", "frames", "width", "gflops", "params_m"),
    sorted({*TABLE_9, *TABLE_10, *TABLE_1, *TABLES_5_AND_6}),
)
def test_every_slow_cell_of_the_paper_comes_out_as_printed(
    size: int, frames: int, width: float, gflops: float, params_m: float
) -> None:
    """Slow R-50 of 400 classes at that size, frames and width: one decimal of GFLOPs and of parameters."""
    cost = count(describe("slow_r50"), Configuration(width, size, frames))
    assert f"{cost.gflops:.1f}" == f"{gflops:.1f}"
    assert f"{cost.params_m:.1f}" == f"{params_m:.1f}"


def test_the_full_network_has_32_45_million_parameters() -> None:
    """Two more digits than the paper prints, of the real module."""
    with torch.device("meta"):
        real = sum(p.numel() for p in describe("slow_r50").build().parameters())
    assert f"{real / 1e6:.2f}" == "32.45"
    assert count(describe("slow_r50"), Configuration(1.0, 224, 8)).params_m == real / 1e6


class _AtWidth(nn.Module):
    """A network at one width as a module of clips alone, for counters that call ``module(x)``."""

    def __init__(self, network: Slow, width: float) -> None:
        super().__init__()
        self.network, self.width = network, width

    def forward(self, x: Tensor) -> Tensor:
        return self.network.run(x, Run(self.width))


def fvcore_gmacs(network: Slow, configuration: Configuration) -> float:
    """Convolutions and linear layers as fvcore counts them when it traces the real computation."""
    clip = torch.zeros(1, 3, configuration.frames, configuration.size, configuration.size)
    analysis = FlopCountAnalysis(_AtWidth(network, configuration.width), clip)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_operator = analysis.by_operator()
    return (by_operator["conv"] + by_operator["linear"]) / 1e9


@pytest.mark.parametrize(
    ("name", "configuration"),
    [
        ("slow_small", "w1.00-s112-t8"),
        ("slow_small", "w0.50-s64-t2"),
        ("slow_small", "w0.63-s71-t3"),
        ("slow_r50", "w1.00-s64-t2"),
        ("slow_r50", "w0.70-s48-t2"),
    ],
)
def test_an_independent_counter_agrees(name: str, configuration: str) -> None:
    """fvcore's count of the real computation is exactly ours, whole and narrow, even at odd sizes."""
    description, at = describe(name), Configuration.parse(configuration)
    assert count(description, at).gflops == pytest.approx(
        fvcore_gmacs(description.build().eval(), at), rel=1e-9
    )


@pytest.mark.parametrize("width", [0.5, 0.75, 1.0])
def test_parameters_are_those_that_receive_gradients(
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


def test_streaming_encodes_one_frame_a_prediction() -> None:
    """The frame stage once, the clip stage over the window: 0.69 of the work at 224²×8 (DESIGN §4)."""
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
