"""The contract of ``model(x, configuration=None)`` of the Slow family, and of its descriptions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.registry import describe
from a3d_edge.models.slow import Slow, SlowDescription
from a3d_edge.models.widths import Run

R50_R101 = ("slow_r50", "slow_r101")


@pytest.fixture
def clips() -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(2, 3, 4, 32, 32)


@pytest.mark.parametrize(
    "configuration", [None, "w1.00-s32-t4", "w0.50-s32-t2", "w0.63-s24-t3", "w0.75-s37-t1"]
)
def test_logits_have_one_row_a_clip(
    tiny_network: Slow, clips: torch.Tensor, configuration: str | None
) -> None:
    """(N, classes), finite, at any configuration; the network itself does not change."""
    before = {name: tensor.clone() for name, tensor in tiny_network.state_dict().items()}
    with torch.inference_mode():
        logits = tiny_network(clips, configuration and Configuration.parse(configuration))
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_network.state_dict().items())


def test_configurations_differ_and_need_no_undoing(tiny_network: Slow, clips: torch.Tensor) -> None:
    """Each has its own answer, and running one leaves no trace in the next."""
    names = ["w1.00-s32-t4", "w0.50-s32-t4", "w1.00-s24-t4", "w1.00-s32-t2"]
    with torch.inference_mode():
        first = [tiny_network(clips, Configuration.parse(name)) for name in names]
        again = [tiny_network(clips, Configuration.parse(name)) for name in reversed(names)]
    assert all(torch.equal(a, b) for a, b in zip(first, reversed(again), strict=True))
    assert not any(torch.allclose(first[0], other, rtol=1e-3) for other in first[1:])


def test_without_configuration_the_clip_is_taken_as_it_comes(tiny_network: Slow) -> None:
    """Full width with the checkpoint's own statistics, at whatever size and frames come in."""
    clip = torch.randn(1, 3, 3, 45, 45)
    with torch.inference_mode():
        assert torch.equal(tiny_network(clip), tiny_network.run(clip, Run()))
        assert torch.equal(tiny_network(clip), tiny_network(clip, Configuration(1.0, 45, 3)))


def test_clips_of_a_batch_do_not_see_each_other(tiny_network: Slow, clips: torch.Tensor) -> None:
    """A clip's logits in eval mode are those it has alone."""
    configuration = Configuration(0.5, 24, 2)
    with torch.inference_mode():
        together = tiny_network(clips, configuration)
        apart = torch.cat([tiny_network(clip, configuration) for clip in clips.split(1)])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-6)


def test_a_configuration_uses_its_calibrated_statistics(tiny_network: Slow, clips: torch.Tensor) -> None:
    """Only the configuration that was calibrated changes its answer."""
    one, other = Configuration(0.5, 32, 4), Configuration(0.5, 24, 4)
    with torch.inference_mode():
        before = tiny_network(clips, one), tiny_network(clips, other), tiny_network(clips)
        tiny_network.stem.norm.calibrated[str(one)] = (torch.full((8,), 0.3), torch.full((8,), 2.0))
        assert not torch.allclose(tiny_network(clips, one), before[0], rtol=1e-3)
        assert torch.equal(tiny_network(clips, other), before[1])
        assert torch.equal(tiny_network(clips), before[2])


@pytest.mark.parametrize("shape", [(3, 4, 32, 32), (2, 4, 4, 32, 32), (4, 3, 32, 32), (1, 1, 4, 32, 32)])
def test_another_shape_is_refused(tiny_network: Slow, shape: tuple[int, ...]) -> None:
    """The message shows what came."""
    with pytest.raises(UsageError) as caught:
        tiny_network(torch.zeros(shape))
    assert str(caught.value) == f"tiny takes clips (N, 3, T, S, S); got {shape}"


def test_too_few_frames_are_refused(tiny_network: Slow) -> None:
    """Frames are picked, never invented."""
    with pytest.raises(UsageError, match="6 frames cannot be picked from a window of 4"):
        tiny_network(torch.zeros(1, 3, 4, 32, 32), Configuration(1.0, 32, 6))


def test_fresh_blocks_are_the_identity(tiny_description: SlowDescription) -> None:
    """The last batch norm of every block starts at 0 (the Kinetics recipe), all others at 1."""
    torch.manual_seed(0)
    for name, parameter in tiny_description.build().named_parameters():
        if name.endswith("norm.weight"):
            assert (parameter == (0.0 if name.endswith(".c.norm.weight") else 1.0)).all(), name


def test_dropout_acts_in_training_only(
    tiny_description: SlowDescription, lively: Callable[..., Slow]
) -> None:
    """In eval mode the answer is the same each time; in training it is not."""
    model = lively(tiny_description.model_copy(update={"dropout": 0.5}))
    clip = torch.randn(2, 3, 4, 32, 32)
    assert torch.equal(model(clip), model(clip))
    model.train()
    assert not torch.equal(model(clip), model(clip))


@pytest.mark.parametrize("head", ["global", "windows", "softmax_windows"])
def test_an_imported_head_is_the_same_network(
    tiny_description: SlowDescription, lively: Callable[..., Slow], head: str
) -> None:
    """At 224² and below there is one window of positions, and all heads agree; at 256² they differ."""
    description = tiny_description.model_copy(update={"size": 224, "frames": 1})
    plain, imported = (lively(description.model_copy(update={"head": kind})) for kind in ("global", head))
    with torch.inference_mode():
        for size in (142, 224):
            clip = torch.randn(1, 3, 1, size, size)
            torch.testing.assert_close(imported(clip), plain(clip), rtol=1e-5, atol=1e-5)
        clip = torch.randn(1, 3, 1, 256, 256)
        assert torch.allclose(imported(clip), plain(clip), rtol=1e-5) == (head == "global")


def test_r50_is_the_paper_s() -> None:
    """3-4-6-3 bottlenecks, 64…512 inner and 256…2048 outer channels; temporal kernels in res4 and res5."""
    with torch.device("meta"):
        model = describe("slow_r50").build()
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if name.endswith("conv.weight")}
    assert shapes["stem.conv.weight"] == (64, 3, 1, 7, 7)
    blocks = [(len(stage.blocks)) for stage in (model.res2, model.res3, model.res4, model.res5)]
    assert blocks == [3, 4, 6, 3]
    for k, (kernel, inner) in enumerate([(1, 64), (1, 128), (3, 256), (3, 512)]):
        for block in range(blocks[k]):
            inputs = inner * 4 if block else (64, 256, 512, 1024)[k]
            at = f"res{k + 2}.blocks.{block}"
            assert shapes[f"{at}.a.conv.weight"] == (inner, inputs, kernel, 1, 1)
            assert shapes[f"{at}.b.conv.weight"] == (inner, inner, 1, 3, 3)
            assert shapes[f"{at}.c.conv.weight"] == (inner * 4, inner, 1, 1, 1)
    assert len(shapes) == 1 + 3 * 16 + 4  # the stem, the blocks, one projection a stage
    assert model.head.weight.shape == (400, 2048)


def test_r101_only_has_a_longer_res4() -> None:
    """3-4-23-3 bottlenecks; every other stage is that of R-50, tensor by tensor."""
    with torch.device("meta"):
        short, long = ({n: p.shape for n, p in describe(a).build().named_parameters()} for a in R50_R101)
    extra = set(long) - set(short)
    assert {name: long[name] for name in short} == short
    assert {name.split(".blocks.")[0] for name in extra} == {"res4"}
    assert {int(name.split(".")[2]) for name in extra} == set(range(6, 23))


@pytest.mark.parametrize(
    "change",
    [
        {"base_width": 4},
        {"classes": 0},
        {"blocks": (1, 0, 1, 1)},
        {"blocks": (1, 1)},
        {"depth": 3},
        {"dropout": 1},
        {"head": "max"},
        {"temporal_kernels": (1, 3, 3, 3)},
        {"temporal_kernels": (1, 1, 2, 3)},
    ],
)
def test_a_description_that_cannot_be_is_refused(
    tiny_description: SlowDescription, change: dict[str, object]
) -> None:
    """Descriptions come from checkpoint files: every field is bounded, unknown ones are refused."""
    with pytest.raises(ValidationError, match=next(iter(change))):
        SlowDescription.model_validate(tiny_description.model_dump() | change)
