"""The X3D family: its block, its exact rank-4 form, and what squeeze–excitation looks at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.flops import count
from a3d_edge.models.layers import SlimConv
from a3d_edge.models.registry import describe, read_description
from a3d_edge.models.widths import Run, md8
from a3d_edge.models.x3d import X3D, X3DDescription
from a3d_edge.training.distillation import backward

BLOCKS = {"res2": 1, "res3": 2, "res4": 1, "res5": 1}


@pytest.fixture(params=[False, True], ids=["md8", "exact"])
def model(request: pytest.FixtureRequest, tiny_x3d: X3DDescription, lively: Callable[..., X3D]) -> X3D:
    """With inner widths of multiples of 8, and with X3D's own: 18, 36, 72 and 144."""
    return lively(tiny_x3d.model_copy(update={"exact": request.param}))


def window(frames: int = 4, size: int = 32, count: int = 1) -> Tensor:
    return torch.randn(count, 3, frames, size, size, generator=torch.Generator().manual_seed(8))


# A plain X3D of PyTorch's functions alone; the names of tensors are the only link.


def conv(state: dict[str, Tensor], name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    step, padding = (1, stride, stride), tuple(k // 2 for k in weight.shape[2:])
    return F.conv3d(x, weight, state.get(f"{name}.bias"), step, padding, groups=groups)


def conv_norm(state: dict[str, Tensor], name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    mean, var, gamma, beta = (
        state[f"{name}.norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return F.batch_norm(conv(state, f"{name}.conv", x, stride, groups), mean, var, gamma, beta, eps=1e-5)


def plain_block(state: dict[str, Tensor], at: str, x: Tensor, stride: int) -> Tensor:
    y = F.relu(conv_norm(state, f"{at}.a", x))
    y = conv_norm(state, f"{at}.b", y, stride, groups=y.shape[1])
    if f"{at}.excite.reduce.weight" in state:
        squeezed = F.adaptive_avg_pool3d(y, 1)
        hidden = F.relu(conv(state, f"{at}.excite.reduce", squeezed))
        y = y * torch.sigmoid(conv(state, f"{at}.excite.expand", hidden))
    y = conv_norm(state, f"{at}.c", y * torch.sigmoid(y))
    return F.relu(y + (conv_norm(state, f"{at}.shortcut", x, stride) if stride > 1 else x))


def plain_x3d(state: dict[str, Tensor], x: Tensor) -> Tensor:
    x = conv(state, "stem", x, 2)
    x = F.relu(conv_norm(state, "stem_time", x, groups=x.shape[1]))
    for stage, blocks in BLOCKS.items():
        for k in range(blocks):
            x = plain_block(state, f"{stage}.blocks.{k}", x, 1 if k else 2)
    x = F.adaptive_avg_pool3d(F.relu(conv_norm(state, "widen", x)), 1)
    features = F.relu(conv(state, "project", x)).flatten(1)
    return F.linear(features, state["head.weight"], state["head.bias"])


def test_at_full_width_it_is_a_plain_x3d(model: X3D) -> None:
    """Depth-wise 3×3×3, excitation in every second block, Swish, pooling before the last layer."""
    state = model.state_dict()
    excited = {name.split(".excite")[0] for name in state if ".excite." in name}
    assert excited == {f"{stage}.blocks.0" for stage in BLOCKS}
    x = window(count=2)
    expected = plain_x3d(state, x)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-6)
    assert expected.std(dim=0).max() > 1e-3


CONFIGURATIONS = [
    "w1.00-s32-t4",
    "w0.50-s16-t1",
    "w0.63-s23-t3",
    "w0.75-s37-t2",
    "w0.93-s48-t4",
    "w0.50-s41-t8",
]


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_exported_form_computes_the_same(model: X3D, configuration: str) -> None:
    """The frame and the clip graph in rank 4, one after the other, equal rank 5: any width, odd sizes."""
    at = Configuration.parse(configuration)
    run, x = Run(at.width), window(at.frames, at.size)
    frame, clip = model.graphs(run)
    assert (frame.stage, clip.stage) == ("frame", "clip")
    with torch.no_grad():
        expected = model.run(x, run)
        encoded = frame.compute(x[0].transpose(0, 1))
        apart = torch.cat([frame.compute(picture) for picture in x[0].transpose(0, 1).split(1)])
        got = clip.compute(encoded)
    torch.testing.assert_close(apart, encoded, rtol=1e-5, atol=1e-6)
    assert got.shape == (1, 3)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_excitation_weighs_by_all_frames(model: X3D) -> None:
    """The last frame alone changes what comes out at the first, and by the same factor at every position."""
    excite = model.res3.blocks[0].excite
    assert excite is not None
    torch.manual_seed(2)
    channels = 36 if model.description.exact else 40
    x = torch.randn(1, channels, 4, 5, 5) + 3
    changed = x.clone()
    changed[:, :, 3] += torch.randn(1, channels, 1, 1) * 3
    with torch.no_grad():
        before, after = excite(x, Run()), excite(changed, Run())
        rank4 = excite(changed[0].transpose(0, 1), Run())
    factors = (after / before)[:, :, :3]
    assert (factors[:, :, :1, :1, :1] - 1).abs().max() > 1e-3
    torch.testing.assert_close(factors, factors[:, :, :1, :1, :1].expand_as(factors), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(rank4, after[0].transpose(0, 1))


def test_one_mutual_step_reaches_every_parameter(model: X3D) -> None:
    """No tensor is left without a gradient; a narrow run alone leaves none outside its slices."""
    x, labels = window(count=3), torch.tensor([0, 1, 2])
    backward(model.train(), x, labels, (Configuration(0.5, 24, 2), Configuration(0.8, 32, 3)))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
        alive = parameter.grad.reshape(len(parameter), -1).any(dim=1).float()
        # What is pooled before its ReLU has one value a clip, and may be silent for all three.
        pooled = ".excite." in name or name == "project.weight"
        assert alive.mean() > (0.0 if pooled else 0.9), name
    model.zero_grad()
    model.run(x, Run(0.5)).square().sum().backward()
    for name, module in model.named_modules():
        if isinstance(module, SlimConv):
            gradient = module.weight.grad
            assert gradient is not None, name
            assert gradient.any(), name
            assert not gradient[min(module.outputs, md8(module.outputs * 0.5)) :].any(), name
            if not module.depthwise and name != "stem":
                assert not gradient[:, md8(module.weight.shape[1] * 0.5) :].any(), name


INNER = {False: (56, 112, 216, 432), True: (54, 108, 216, 432)}
SQUEEZED = {False: (8, 8, 16, 24), True: (8, 8, 16, 32)}
OLD_X3D_M = describe("x3d_m").model_copy(update={"exact": False})
"""``x3d_m`` as it was before X3D's own channels: a checkpoint's description without the field."""


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("width", [1.0, 0.63, 0.5, 0.99])
def test_channels_at_a_width(width: float, exact: bool) -> None:
    """All of a layer's at 1.0, X3D's own where it is exact; below it the nearest multiple of 8 of its count,
    but never more than it has."""

    def at_width(channels: int) -> int:
        return channels if width == 1.0 else min(channels, md8(channels * width))

    with torch.device("meta"):
        model = (describe("x3d_m") if exact else OLD_X3D_M).build().eval()
        found: dict[str, int] = {}
        for name, module in model.named_modules():
            if isinstance(module, SlimConv):
                module.register_forward_hook(lambda _, i, o, name=name: found.update({name: o.shape[1]}))
        model.run(torch.empty(1, 3, 1, 32, 32), Run(width))
    for k, channels in enumerate(INNER[exact]):
        stage = f"res{k + 2}"
        at = f"{stage}.blocks.0"
        assert found[f"{at}.a.conv"] == found[f"{at}.b.conv"] == at_width(channels), stage
        assert found[f"{at}.excite.reduce"] == md8(SQUEEZED[exact][k] * width), stage
        assert found[f"{at}.excite.expand"] == at_width(channels), stage
        assert found[f"{at}.c.conv"] == md8(24 * 2**k * width), stage
    assert found["stem"] == found["stem_time.conv"] == md8(24 * width)
    assert found["widen.conv"] == md8(432 * width)
    assert found["project"] == md8(2048 * width)


@pytest.mark.parametrize(
    ("name", "gflops", "weights_m", "public_m"),
    [
        ("x3d_xs", 0.60, 3.76, 3794274),
        ("x3d_s", 1.96, 3.76, 3794274),
        ("x3d_m", 4.73, 3.76, 3794274),
        ("x3d_l", 18.37, 6.08, None),
    ],
)
def test_cost_is_the_published_one(name: str, gflops: float, weights_m: float, public_m: int | None) -> None:
    """X3D's Table 4, a view at the network's own size; parameters without those of batch norms, as its are.

    pytorchvideo's network itself counts 3,794,274; PySlowFast's, which ours is, has one batch norm more.
    """
    description = describe(name)
    cost = count(description, Configuration(1.0, description.size, description.frames))
    assert cost.gflops == pytest.approx(gflops, abs=0.006)
    with torch.device("meta"):
        model = description.build()
    plain = sum(p.numel() for n, p in model.named_parameters() if ".norm." not in n)
    assert plain / 1e6 == pytest.approx(weights_m, abs=0.008)
    total = sum(p.numel() for p in model.parameters())
    assert total == round(cost.params_m * 1e6)
    assert public_m in (None, total - 2 * 24)


def test_networks_from_before_stay_as_they_were() -> None:
    """A checkpoint's description without the field is of md8 at width 1.0 too, and costs what it did."""
    content = describe("x3d_m").model_dump(mode="json")
    del content["exact"], content["first_shortcut_norm"]
    assert read_description(content) == OLD_X3D_M
    cost = count(OLD_X3D_M, Configuration(1.0, 224, 16))
    assert cost.gflops == pytest.approx(4.80, abs=0.005)
    assert cost.params_m == pytest.approx(3.77, abs=0.005)
    assert count(OLD_X3D_M, Configuration(0.5, 112, 8)).gflops < 0.05 * cost.gflops


def test_the_head_pools_windows_of_the_networks_own_size(model: X3D) -> None:
    """At twice its size there are four of them; averaged logits and averaged scores differ from one mean."""
    torch.manual_seed(0)
    last = torch.rand(1, model.widen.conv.outputs, 4, 2, 2) * torch.tensor([[0.1, 1.0], [3.0, 9.0]])
    found = {}
    with torch.no_grad():
        for head in ("global", "windows", "softmax_windows"):
            model.description = model.description.model_copy(update={"head": head})
            found[head] = model.classify([last], Run())
            rank4 = model.classify([last[0].transpose(0, 1)], Run())
            torch.testing.assert_close(rank4, found[head], rtol=1e-5, atol=1e-5)
        parts = [last[..., i : i + 1, j : j + 1] for i in range(2) for j in range(2)]
        model.description = model.description.model_copy(update={"head": "global"})
        each = torch.stack([model.classify([part], Run()) for part in parts])
    torch.testing.assert_close(found["windows"], each.mean(dim=0), rtol=1e-5, atol=1e-5)
    scores = each.softmax(dim=2).mean(dim=0)
    torch.testing.assert_close(found["softmax_windows"].softmax(dim=1), scores, rtol=1e-5, atol=1e-5)
    assert (found["softmax_windows"] - found["windows"]).abs().max() > 1e-3
    frames = model.features(window(size=64), Run())[0]
    assert frames.shape[3:] == (2, 2)


@pytest.mark.parametrize("given", [[torch.zeros(1, 3, 4, 32, 32)] * 2, torch.zeros(4, 3, 32, 32)])
def test_other_clips_are_refused(model: X3D, given: object) -> None:
    """Two pathways, or another rank."""
    with pytest.raises(UsageError, match=r"^tiny_x3d takes clips \(N, 3, T, S, S\); got \("):
        model(given)


@pytest.mark.parametrize(
    "change", [{"expansion": 0.5}, {"base_width": 12}, {"features": 10}, {"blocks": (1, 1)}, {"depth": 2}]
)
def test_a_description_that_cannot_be_is_refused(tiny_x3d: X3DDescription, change: dict[str, object]) -> None:
    """Channels at γ = 1 are multiples of 8, as at any width."""
    with pytest.raises(ValidationError):
        X3DDescription.model_validate(tiny_x3d.model_dump() | change)
