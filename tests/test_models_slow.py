"""The contract of ``model(x, configuration=None)`` of the Slow family, and of its descriptions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.layers import Run
from a3d_edge.models.registry import ARCHITECTURES, describe
from a3d_edge.models.slow import Slow, SlowDescription, fit_input


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
    assert str(caught.value) == f"clips must be (N, 3, T, S, S); got {shape}"


def test_too_few_frames_are_refused(tiny_network: Slow) -> None:
    """Frames are picked, never invented."""
    with pytest.raises(UsageError, match="6 frames cannot be picked from a window of 4"):
        tiny_network(torch.zeros(1, 3, 4, 32, 32), Configuration(1.0, 32, 6))


def test_a_clip_that_fits_is_used_as_it_is(clips: torch.Tensor) -> None:
    """No copy, so that what the exporter and the runtime prepare is exactly what the network eats."""
    assert fit_input(clips, Configuration(0.5, 32, 4)) is clips


def test_frames_are_picked_and_each_is_resized_alone(clips: torch.Tensor) -> None:
    """Frames 0 and 2 of 4; each as PyTorch's anti-aliased bilinear resize of that picture."""
    fitted = fit_input(clips, Configuration(0.5, 20, 2))
    assert fitted.shape == (2, 3, 2, 20, 20)
    for place, frame in enumerate((0, 2)):
        alone = F.interpolate(clips[:, :, frame], size=(20, 20), mode="bilinear", antialias=True)
        torch.testing.assert_close(fitted[:, :, place], alone)
    even = fit_input(torch.full((1, 3, 2, 32, 32), 0.7), Configuration(1.0, 17, 2))
    np.testing.assert_allclose(even, 0.7, rtol=1e-6)


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


def test_architectures_are_found_by_name() -> None:
    """With another number of classes where wanted; an unknown one is answered with those there are."""
    assert describe("slow_small").classes == 7
    assert describe("slow_r50", 12).classes == 12
    assert ARCHITECTURES["slow_r50"].classes == 400
    with pytest.raises(UsageError) as caught:
        describe("slow_r101")
    assert str(caught.value) == "unknown --arch 'slow_r101'; there are slow_r50, slow_small"


@pytest.mark.parametrize(
    "change",
    [
        {"base_width": 4},
        {"classes": 0},
        {"blocks": (1, 0, 1, 1)},
        {"blocks": (1, 1)},
        {"depth": 3},
        {"dropout": 1},
    ],
)
def test_a_description_that_cannot_be_is_refused(
    tiny_description: SlowDescription, change: dict[str, object]
) -> None:
    """Descriptions come from checkpoint files: every field is bounded, unknown ones are refused."""
    with pytest.raises(ValidationError, match=next(iter(change))):
        SlowDescription.model_validate(tiny_description.model_dump() | change)
