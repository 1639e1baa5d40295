"""The R(2+1)D family: what a factored convolution is, its rank-4 form, and which weights a width runs."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from fixtures_bundle import lively, noise, tiny_r2plus1d
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.models.layers import SlimConv
from a3d_edge.models.network import SlimNetwork
from a3d_edge.models.r2plus1d import between
from a3d_edge.models.widths import Run, md8
from a3d_edge.training.distillation import backward


@pytest.fixture(params=[False, True], ids=["as published", "pooled"])
def model(request: pytest.FixtureRequest) -> SlimNetwork:
    return lively(tiny_r2plus1d(pooled=request.param))


# A plain R(2+1)D of PyTorch's functions alone; the names of tensors are the only link.


def conv_norm(state: dict[str, Tensor], name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = state[f"{name}.conv.weight"]
    mean, var, gamma, beta = (
        state[f"{name}.norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    padding = tuple(k // 2 for k in weight.shape[2:])
    return F.batch_norm(
        F.conv3d(x, weight, None, (1, stride, stride), padding), mean, var, gamma, beta, eps=1e-5
    )


def plain(state: dict[str, Tensor], x: Tensor, pooled: bool) -> Tensor:
    x = F.relu(conv_norm(state, "stem", x, 2))
    if pooled:
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    x = F.relu(conv_norm(state, "stem_time", x))
    for stage, blocks in {"res2": 1, "res3": 2, "res4": 1, "res5": 1}.items():
        for k in range(blocks):
            at, stride = f"{stage}.blocks.{k}", 2 if stage != "res2" and k == 0 else 1
            y = F.relu(conv_norm(state, f"{at}.a.space", x, stride))
            y = F.relu(conv_norm(state, f"{at}.a.time", y))
            y = F.relu(conv_norm(state, f"{at}.b.space", y))
            y = conv_norm(state, f"{at}.b.time", y)
            x = F.relu(y + (conv_norm(state, f"{at}.shortcut", x, stride) if stride > 1 else x))
    return F.linear(x.mean(dim=(2, 3, 4)), state["head.weight"], state["head.bias"])


def test_at_full_width_it_is_a_plain_r2plus1d(model: SlimNetwork) -> None:
    """First over the picture, then over time, ReLU between the two; nothing halves the time."""
    x = noise(model.description, 32, 2)
    assert isinstance(x, Tensor)
    with torch.inference_mode():
        expected = plain(model.state_dict(), x, model.description.pooled)
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    assert expected.std(dim=0).max() > 1e-3


def test_channels_between_are_those_published() -> None:
    """Of R(2+1)D-18's layers 144, 230, 288, 460, 576, 921 and 1152, as multiples of 8."""
    layers = [(64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    published = [144, 230, 288, 460, 576, 921, 1152]
    assert [between(*layer) for layer in layers] == [md8(channels) for channels in published]


@pytest.mark.parametrize("name", ["w1.00-s32-t4", "w0.50-s16-t1", "w0.63-s23-t3", "w0.75-s37-t2"])
def test_the_exported_form_computes_the_same(model: SlimNetwork, name: str) -> None:
    """The frame and the clip graph in rank 4, one after the other, equal rank 5: any width, odd sizes."""
    at = Configuration.parse(name)
    run, x = Run(at.width), torch.randn(1, 3, at.frames, at.size, at.size)
    frame, clip = model.graphs(run)
    assert (frame.stage, clip.stage) == ("frame", "clip")
    with torch.no_grad():
        expected = model.run(x, run)
        apart = torch.cat([frame.compute(picture) for picture in x[0].transpose(0, 1).split(1)])
        got = clip.compute(apart)
    assert got.shape == (1, 3)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_one_mutual_step_reaches_every_parameter(model: SlimNetwork) -> None:
    """No tensor is left without a gradient; a narrow run alone leaves none outside its slices."""
    x, labels = noise(model.description, 32, 3), torch.tensor([0, 1, 2])
    backward(model.train(), x, labels, (Configuration(0.5, 24, 2), Configuration(0.8, 32, 3)))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    model.zero_grad()
    model.run(x, Run(0.5)).square().sum().backward()
    for name, module in model.named_modules():
        if isinstance(module, SlimConv):
            gradient = module.weight.grad
            assert gradient is not None, name
            assert gradient.any(), name
            assert not gradient[md8(module.outputs * 0.5) :].any(), name
