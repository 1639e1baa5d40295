"""SlowFast with adaptive fusion: what fuses with what, what stays whole, and the two layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.batch_norm import SlimBatchNorm
from a3d_edge.models.checkpoint import norms
from a3d_edge.models.layers import SlimConv
from a3d_edge.models.registry import describe
from a3d_edge.models.slowfast import SlowFast, SlowFastDescription
from a3d_edge.models.widths import Run, md8
from a3d_edge.training.distillation import backward

STAGES = ("res2", "res3", "res4", "res5")
LATERALS = ("fuse_stem", "fuse_res2", "fuse_res3", "fuse_res4")
ENTERING = (16, 64, 128, 256)
"""Slow channels at each fusion of the tiny network; β is 1/4, so half as many are appended."""


@pytest.fixture
def model(tiny_slowfast: SlowFastDescription, lively: Callable[..., SlowFast]) -> SlowFast:
    return lively(tiny_slowfast)


def clips(frames: int = 4, size: int = 32, fast_size: int = 32, count: int = 1) -> list[Tensor]:
    """[slow, fast] of noise: what is fused where can be told apart."""
    generator = torch.Generator().manual_seed(7)
    shapes = (count, 3, frames, size, size), (count, 3, 16, fast_size, fast_size)
    return [torch.randn(shape, generator=generator) for shape in shapes]


# A plain SlowFast, from the original paper's table and PyTorch's functions alone; names are the only link.


def conv_norm(state: dict[str, Tensor], name: str, x: Tensor, stride: Any = 1, relu: bool = True) -> Tensor:
    weight = state[f"{name}.conv.weight"]
    y = F.conv3d(x, weight, None, stride, tuple(k // 2 for k in weight.shape[2:]))
    mean, var, gamma, beta = (
        state[f"{name}.norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    y = F.batch_norm(y, mean, var, gamma, beta, eps=1e-5)
    return F.relu(y) if relu else y


def plain_stage(state: dict[str, Tensor], name: str, x: Tensor, stride: int) -> Tensor:
    """One bottleneck, as the tiny network has in every stage."""
    at, step = f"{name}.blocks.0", (1, stride, stride)
    y = conv_norm(state, f"{at}.a", x)
    y = conv_norm(state, f"{at}.b", y, step)
    y = conv_norm(state, f"{at}.c", y, relu=False)
    return F.relu(y + conv_norm(state, f"{at}.shortcut", x, step, relu=False))


def plain_slowfast(
    state: dict[str, Tensor], slow: Tensor, fast: Tensor
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Fused tensors, the lateral part of each, and the logits of SlowFast with α = 4."""
    slow, fast = (
        F.max_pool3d(conv_norm(state, f"{p}.stem", x, (1, 2, 2)), (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for p, x in (("slow", slow), ("fast", fast))
    )
    fused, laterals = [], []
    for k, (stage, lateral) in enumerate(zip(STAGES, LATERALS, strict=True)):
        laterals.append(conv_norm(state, lateral, fast, (4, 1, 1)))
        fused.append(torch.cat([slow, laterals[-1]], dim=1))
        slow = plain_stage(state, f"slow.{stage}", fused[-1], 2 if k else 1)
        fast = plain_stage(state, f"fast.{stage}", fast, 2 if k else 1)
    pooled = torch.cat([slow.mean(dim=(2, 3, 4)), fast.mean(dim=(2, 3, 4))], dim=1)
    return fused, laterals, F.linear(pooled, state["head.weight"], state["head.bias"])


def seen(model: SlowFast, x: list[Tensor], run: Run) -> dict[str, Tensor]:
    """What went into and came out of every slow stage and the stem of one forward pass."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_: object, inputs: tuple[Any, ...], output: Tensor) -> None:
            found[f"{name}.in"], found[f"{name}.out"] = inputs[0], output

        return hook

    stages = [(name, getattr(model.slow, name)) for name in STAGES]
    hooks = [module.register_forward_hook(keep(name)) for name, module in stages]
    with torch.no_grad():
        found["logits"] = model.run(x, run)
    for hook in hooks:
        hook.remove()
    return found


def test_at_full_size_it_is_a_plain_slowfast(model: SlowFast) -> None:
    """γ = 1: every fused tensor, appended channels last, and the logits equal the plain implementation's."""
    slow, fast = clips(count=2)
    fused, _, logits = plain_slowfast(model.state_dict(), slow, fast)
    got = seen(model, [slow, fast], Run())
    for stage, expected in zip(STAGES, fused, strict=True):
        torch.testing.assert_close(got[f"{stage}.in"], expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(got["logits"], logits, rtol=1e-6, atol=1e-6)
    assert logits.std() > 0.01


@pytest.mark.parametrize(
    "configuration", ["w1.00-s32-t4", "w0.50-s24-t2", "w0.63-s23-t3", "w0.93-s32-t1", "w0.75-s40-t4"]
)
def test_fusion_appends_the_fast_features_of_the_slow_frames(model: SlowFast, configuration: str) -> None:
    """{γt·T, (γs·S)², md8(γw·C) + 2βC}: slow channels first, then picked and resized Fast ones, all 2βC."""
    at = Configuration.parse(configuration)
    fast_size = max(32, at.size)
    slow, fast = clips(at.frames, at.size, fast_size)
    # The lateral features do not depend on the slow pathway: any slow input of the Fast one's size will do.
    laterals = plain_slowfast(model.state_dict(), torch.zeros(1, 3, 4, fast_size, fast_size), fast)[1]
    got = seen(model, [slow, fast], Run(at.width))
    picked = [int(i * 4 / at.frames) for i in range(at.frames)]
    side = -(-at.size // 4)
    for k, stage in enumerate(STAGES):
        own, side = md8(ENTERING[k] * at.width), side if k < 2 else -(-side // 2)
        fused = got[f"{stage}.in"]
        assert fused.shape == (1, own + ENTERING[k] // 2, at.frames, side, side)
        if k:
            assert torch.equal(fused[:, :own], got[f"{STAGES[k - 1]}.out"])
        for place, frame in enumerate(picked):
            expected = F.interpolate(laterals[k][:, :, frame], size=(side, side), mode="bilinear")
            torch.testing.assert_close(fused[:, own:, place], expected, rtol=1e-5, atol=1e-5)


def test_a_lateral_channel_meets_the_same_weights_at_any_width(model: SlowFast) -> None:
    """Only the last 2βC columns of what follows a fusion see Fast: emptied, the Fast clip stops mattering."""
    x = clips()
    other = [x[0], torch.randn_like(x[1])]

    def slow_features(clip: list[Tensor], width: float) -> Tensor:
        with torch.no_grad():
            return model.features(clip, Run(width))[0]

    assert not torch.allclose(slow_features(x, 0.5), slow_features(other, 0.5), rtol=1e-3)
    with torch.no_grad():
        for k, stage in enumerate(STAGES):
            block = getattr(model.slow, stage).blocks[0]
            for layer in (block.a, block.shortcut):
                assert layer.conv.weight.shape[1] == ENTERING[k] * 3 // 2
                layer.conv.weight[:, ENTERING[k] :] = 0.0
    for width in (0.5, 0.63, 1.0):
        assert torch.equal(slow_features(x, width), slow_features(other, width))


@pytest.mark.parametrize("width", [0.5, 0.63, 0.9])
def test_the_fast_pathway_is_the_same_at_any_width_size_and_frame_count(
    model: SlowFast, width: float
) -> None:
    """Its features at a narrow, small, short configuration are those of the full one, bit for bit."""
    slow, fast = clips(count=2)
    with torch.no_grad():
        expected = model.features([slow, fast], Run())[1]
        got = model.features([slow[:, :, ::2, :24, :24], fast], Run(width))[1]
    assert torch.equal(got, expected)
    assert expected.shape == (2, 128, 16, 1, 1)


def share(alive: Tensor) -> float:
    """How many are; on so few positions a ReLU may silence one or the other."""
    return float(alive.float().mean())


def test_one_mutual_step_reaches_every_parameter(model: SlowFast) -> None:
    """Slow, Fast, fusion and head: no tensor is without one, and of each nearly every filter has one."""
    x, labels = clips(count=3), torch.tensor([0, 1, 2])
    backward(model.train(), x, labels, (Configuration(0.5, 24, 2), Configuration(0.8, 32, 3)))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert share(parameter.grad.reshape(len(parameter), -1).any(dim=1)) > 0.9, name


def test_a_narrow_student_trains_all_of_fast_and_its_slice_of_slow(model: SlowFast) -> None:
    """Distillation at width 0.5 alone: Fast and fusion whole; of Slow the first channels and the last 2βC."""
    model.train().run(clips(2, 24, count=3), Run(0.5)).square().sum().backward()
    for name, module in model.named_modules():
        if not isinstance(module, SlimConv):
            continue
        gradient = module.weight.grad
        assert gradient is not None, name
        if name.startswith(("fast", "fuse")):
            assert share(gradient.flatten(1).any(dim=1)) > 0.9, name
            continue
        outputs, inputs = md8(module.outputs * 0.5), module.weight.shape[1] - module.tail
        narrow = 3 if name == "slow.stem.conv" else md8(inputs * 0.5)
        assert gradient[:outputs, :narrow].any(), name
        assert not gradient[outputs:].any(), name
        assert not gradient[:, narrow:inputs].any(), name
        if module.tail:
            assert share(gradient[:outputs, inputs:].flatten(2).any(dim=2)) > 0.9, name
    head = model.head.weight.grad
    assert head is not None
    assert head[:, :256].any()
    assert not head[:, 256:512].any()
    assert head[:, 512:].any(dim=0).all()


@pytest.mark.parametrize("width", [0.5, 0.99])
def test_running_statistics_are_the_full_network_s_alone(model: SlowFast, width: float) -> None:
    """Students leave them, the Fast pathway's too; the full width moves all of them."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train().run(clips(count=2), Run(width))
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())
    model.run(clips(count=2), Run())
    assert not any(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())


def test_clips_are_brought_to_a_configuration_pathway_by_pathway(model: SlowFast) -> None:
    """Slow gives up frames, floor(i / γt), and size; Fast neither, and is as it came."""
    slow, fast = clips(count=2)
    fitted = model.fit([slow, fast], Configuration(0.5, 24, 3))
    assert fitted[0].shape == (2, 3, 3, 24, 24)
    even = model.fit([slow, fast], Configuration(0.5, 32, 3))
    assert torch.equal(even[0], slow[:, :, [0, 1, 2]])
    assert torch.equal(model.fit([slow, fast], Configuration(0.5, 32, 2))[0], slow[:, :, [0, 2]])
    assert fitted[1] is fast
    assert even[1] is fast


@pytest.mark.parametrize(("size", "fast"), [(16, 32), (32, 32), (37, 37), (48, 48)])
def test_the_largest_rows_enlarge_the_fast_pathway_too(model: SlowFast, size: int, fast: int) -> None:
    """Fast stays at the network's size (224² in the paper) unless the configuration is larger (256²)."""
    fitted = model.fit(clips(), Configuration(1.0, size, 4))
    assert fitted[0].shape[3:] == (size, size)
    assert fitted[1].shape == (1, 3, 16, fast, fast)


CONFIGURATIONS = [
    "w1.00-s32-t4", "w1.00-s37-t4", "w0.50-s16-t1", "w0.63-s23-t3", "w0.75-s25-t2", "w0.93-s32-t3",
    "w0.50-s41-t4",
]  # fmt: skip


@pytest.mark.parametrize("head", ["global", "windows", "softmax_windows"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_exported_form_computes_the_same(
    tiny_slowfast: SlowFastDescription, lively: Callable[..., SlowFast], configuration: str, head: str
) -> None:
    """One rank-4 graph of [slow, fast] frames equals rank 5: any width, odd sizes, 3 of 4 frames."""
    model = lively(tiny_slowfast.model_copy(update={"head": head}))
    at = Configuration.parse(configuration)
    run = Run(at.width)
    (graph,) = model.graphs(run)
    assert (graph.stage, graph.inputs) == ("clip", ("slow", "fast"))
    fitted = model.fit(clips(), at)
    with torch.no_grad():
        expected = model.run(fitted, run)
        got = graph.compute(*(x[0].transpose(0, 1).contiguous() for x in fitted))
    assert got.shape == (1, 3)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_large_features_pool_in_windows_in_both_layouts(lively: Callable[..., SlowFast]) -> None:
    """9×7 positions a pathway: three windows; the imported heads differ from the global one."""
    answers = []
    for head in ("global", "windows", "softmax_windows"):
        model = lively(
            SlowFastDescription(
                name="tiny", blocks=(1, 1, 1, 1), base_width=8, alpha=2, beta_inv=2, fusion_kernel=3,
                frames=1, stride=2, classes=3, size=224, head=head, dropout=0.0,
            )
        )  # fmt: skip
        model.head.weight.data.mul_(50)
        generator = torch.Generator().manual_seed(1)
        slow, fast = (torch.randn(1, 3, t, 272, 208, generator=generator) for t in (1, 2))
        with torch.no_grad():
            answers.append(model([slow, fast]))
            got = model.graphs(Run())[0].compute(slow[0].transpose(0, 1), fast[0].transpose(0, 1))
        torch.testing.assert_close(got, answers[-1], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(answers[0], answers[1], rtol=1e-3)
    assert not torch.allclose(answers[1], answers[2], rtol=1e-5)


def test_it_answers_a_list_of_clips(model: SlowFast) -> None:
    """``model([slow, fast])`` as they come and at a configuration; clips of a batch are apart."""
    x, at = clips(count=2), Configuration(0.5, 24, 2)
    with torch.inference_mode():
        assert torch.equal(model(x), model.run(x, Run()))
        assert torch.equal(model(tuple(x), at), model.run(model.fit(x, at), Run(0.5)))
        apart = torch.cat([model([t[i : i + 1] for t in x], at) for i in range(2)])
        torch.testing.assert_close(model(x, at), apart, rtol=1e-5, atol=1e-5)
        assert model(clips(4, 45, 37)).shape == (1, 3)


def test_a_configuration_uses_its_calibrated_statistics(model: SlowFast) -> None:
    """In the Fast pathway too, though it runs whole."""
    x, one, other = clips(), Configuration(0.5, 24, 2), Configuration(0.5, 24, 4)
    with torch.inference_mode():
        before = model(x, one), model(x, other)
        norm = model.fast.res3.blocks[0].a.norm
        norm.calibrated[str(one)] = (norm.running_mean + 0.5, norm.running_var * 2)
        assert not torch.allclose(model(x, one), before[0], rtol=1e-4)
        assert torch.equal(model(x, other), before[1])


TAKES = "tiny_slowfast takes clips [slow, fast], each (N, 3, T, S, S); got "


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(1, 3, 4, 32, 32), TAKES + "(1, 3, 4, 32, 32)"),
        ([torch.zeros(1, 3, 4, 32, 32)], TAKES + "(1, 3, 4, 32, 32)"),
        ([torch.zeros(4, 3, 32, 32), torch.zeros(16, 3, 32, 32)], TAKES + "(4, 3, 32, 32), (16, 3, 32, 32)"),
        ([torch.zeros(1, 3, 4, 32, 32)] * 3, TAKES + ", ".join(["(1, 3, 4, 32, 32)"] * 3)),
        (
            [torch.zeros(1, 3, 4, 32, 32), torch.zeros(1, 4, 16, 32, 32)],
            TAKES + "(1, 3, 4, 32, 32), (1, 4, 16, 32, 32)",
        ),
        ([], TAKES),
    ],
)
def test_other_clips_are_refused(model: SlowFast, given: Any, message: str) -> None:
    """One pathway, another rank, three of them: the message says what it takes and what came."""
    for configuration in (None, Configuration(0.5, 24, 2)):
        with pytest.raises(UsageError) as caught:
            model(given, configuration)
        assert str(caught.value) == message


@pytest.mark.parametrize(("slow", "fast", "wanted"), [(4, 16, 5), (2, 16, 4), (4, 8, 4), (4, 15, 4)])
def test_too_few_frames_are_refused(model: SlowFast, slow: int, fast: int, wanted: int) -> None:
    """Of either pathway; Fast always needs all of its window."""
    x = [torch.zeros(1, 3, slow, 32, 32), torch.zeros(1, 3, fast, 32, 32)]
    with pytest.raises(UsageError, match="cannot be picked from a window of"):
        model(x, Configuration(1.0, 32, wanted))


def test_without_a_configuration_the_clips_are_taken_as_they_come(model: SlowFast) -> None:
    """A longer or shorter window of both pathways; refused is only a Fast clip too short to be fused."""
    with torch.inference_mode():
        for slow, fast in ((2, 8), (3, 16), (8, 32)):
            x = [torch.randn(1, 3, slow, 32, 32), torch.randn(1, 3, fast, 32, 32)]
            assert torch.isfinite(model(x)).all()
        with pytest.raises(UsageError, match="4 frames cannot be picked from a window of 3"):
            model([torch.zeros(1, 3, 4, 32, 32), torch.zeros(1, 3, 12, 32, 32)])


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 1},
        {"alpha": 3},
        {"base_width": 4},
        {"base_width": 18},
        {"fusion_kernel": 4},
        {"fusion_kernel": 9},
        {"fast_kernels": (3, 3, 3, 2)},
        {"blocks": (1, 1, 1, 0)},
        {"size": 31},
        {"beta": 8},
    ],
)
def test_a_description_that_cannot_be_is_refused(
    tiny_slowfast: SlowFastDescription, change: dict[str, object]
) -> None:
    """Descriptions come from checkpoint files."""
    with pytest.raises(ValidationError):
        SlowFastDescription.model_validate(tiny_slowfast.model_dump() | change)


@pytest.mark.parametrize(
    ("name", "frames", "alpha", "kernel"), [("slowfast_r50_4x16", 4, 8, 5), ("slowfast_r50_8x8", 8, 4, 7)]
)
def test_r50_is_the_original_s(name: str, frames: int, alpha: int, kernel: int) -> None:
    """β = 1/8, lateral convolutions of 2βC filters; the stages after them see 80, 320, 640, 1280 channels."""
    description = describe(name)
    with torch.device("meta"):
        model = description.build()
    assert (description.sampling.frames, description.sampling.alpha) == (frames, alpha)
    assert description.sampling.samples == 32
    assert description.sampling.frames * description.sampling.stride == 64
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes["slow.stem.conv.weight"] == (64, 3, 1, 7, 7)
    assert shapes["fast.stem.conv.weight"] == (8, 3, 5, 7, 7)
    for k, width in enumerate((8, 32, 64, 128)):
        assert shapes[f"{LATERALS[k]}.conv.weight"] == (2 * width, width, kernel, 1, 1)
        first = f"slow.{STAGES[k]}.blocks.0"
        assert shapes[f"{first}.a.conv.weight"][1:3] == (10 * width, 1 if k < 2 else 3)
        assert shapes[f"{first}.shortcut.conv.weight"][1] == 10 * width
        assert shapes[f"fast.{STAGES[k]}.blocks.0.a.conv.weight"][1:3] == (width, 3)
    assert shapes["head.weight"] == (400, 2304)
    assert model.head.tail == 256


def test_every_norm_narrows_as_its_convolution(model: SlowFast) -> None:
    """Calibration and export rely on it: whole in Fast and fusion, md8 in Slow, at every width."""
    channels: dict[str, int] = {}
    hooks = [
        module.register_forward_hook(lambda _, i, o, name=name: channels.update({name: o.shape[1]}))
        for name, module in model.named_modules()
        if isinstance(module, SlimBatchNorm)
    ]
    for width in (0.5, 0.63, 1.0):
        with torch.no_grad():
            model.run(clips(), Run(width))
        assert {name: norm.channels_at(width) for name, norm in norms(model).items()} == channels
    assert len(hooks) == len(channels)
