"""Batch-norm calibration against the closed form, under re-batching, and what it leaves of the model."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures_bundle import lively as lively_network
from fixtures_bundle import noise, tiny_slow, tiny_slowfast, tiny_x3d
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.checkpoint import norms
from a3d_edge.models.network import NetworkDescription
from a3d_edge.models.slow import Slow
from a3d_edge.models.widths import Run, md8
from a3d_edge.training.calibrate import calibrate, calibrate_one, calibrate_together
from a3d_edge.training.clips import list_clips
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.evaluation import WindowSet
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

FULL, NARROW = Configuration(1.0, 32, 4), Configuration(0.63, 24, 2)


@pytest.fixture
def windows(clip_list: Path, frame_cache: FrameCache) -> WindowSet:
    """2 views of each of the 12 real clips, in batches of 7."""
    return WindowSet(
        list_clips([clip_list]), frame_cache, Sampling(4, 2), Preprocessing(), views=2, batch_size=7
    )


def clips_of(windows: WindowSet, size: int) -> Tensor:
    """All windows of a size in one tensor ``(N, 3, T, S, S)``."""
    return torch.cat([clips for _, clips in windows.at_size(size)])


@pytest.mark.parametrize("configuration", [FULL, NARROW])
def test_the_first_batch_norm_gets_the_closed_form(
    tiny_network: Slow, windows: WindowSet, configuration: Configuration
) -> None:
    """numpy's mean and population variance of the stem's output over all clips, whatever the batches."""
    calibrate(tiny_network, [configuration], windows)
    with torch.inference_mode():
        fitted = tiny_network.fit(clips_of(windows, configuration.size), configuration)
        before_norm = tiny_network.stem.conv(fitted, Run(configuration.width)).double().numpy()
    mean, variance = tiny_network.stem.norm.calibrated[str(configuration)]
    np.testing.assert_allclose(mean, before_norm.mean(axis=(0, 2, 3, 4)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, before_norm.var(axis=(0, 2, 3, 4)), rtol=1e-4)


def test_how_clips_fall_into_batches_does_not_matter_to_the_first_layer(
    tiny_network: Slow, windows: WindowSet
) -> None:
    """One batch, or uneven ones in another order. Averaged batch variances would be several percent off."""
    clips = clips_of(windows, 32)
    found = []
    for batches in ([clips], list(clips.split([1, 3, 20])), [clips[12:], clips[:12]]):
        calibrate_one(tiny_network, FULL, batches)
        found.append(tiny_network.stem.norm.calibrated[str(FULL)])
    for mean, variance in found[1:]:
        torch.testing.assert_close(mean, found[0][0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(variance, found[0][1], rtol=1e-5, atol=1e-7)
    with torch.inference_mode():
        outputs = [tiny_network.stem.conv(part, Run()) for part in clips.split(1)]
    averaged = torch.stack([o.var((0, 2, 3, 4), correction=0) for o in outputs]).mean(dim=0)
    assert float(((averaged - found[0][1]) / found[0][1]).abs().max()) > 0.02


def test_every_layer_of_one_batch_equals_a_plain_pass(tiny_network: Slow, windows: WindowSet) -> None:
    """With a single batch all layers have a closed form: the batch's own statistics, layer by layer."""
    clips = tiny_network.fit(clips_of(windows, 24), NARROW)
    calibrate_one(tiny_network, NARROW, [clips])
    inputs: dict[str, Tensor] = {}
    layers = norms(tiny_network)
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, name=name: inputs.__setitem__(name, args[0].double()))
        for name, layer in layers.items()
    ]
    tiny_network.train()
    with torch.no_grad():
        tiny_network.run(clips, Run(NARROW.width))
    for hook in hooks:
        hook.remove()
    for name, layer in layers.items():
        mean, variance = layer.calibrated[str(NARROW)]
        assert mean.shape == variance.shape == (md8(len(layer.weight) * NARROW.width),)
        np.testing.assert_allclose(mean, inputs[name].mean((0, 2, 3, 4)), rtol=1e-4, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(
            variance, inputs[name].var((0, 2, 3, 4), correction=0), rtol=1e-3, err_msg=name
        )


@pytest.mark.parametrize("configuration", [FULL, NARROW])
def test_calibrated_statistics_normalise(
    tiny_network: Slow, windows: WindowSet, configuration: Configuration
) -> None:
    """In eval mode with one's own statistics every layer's output has mean ~bias and deviation ~weight.

    With the full network's statistics instead, which is what calibration is there to replace, it has not.
    """
    clips = clips_of(windows, configuration.size)
    calibrate_one(tiny_network, configuration, [clips])
    assert _worst_deviation(tiny_network, clips, configuration) < 0.05
    for layer in norms(tiny_network).values():
        layer.calibrated.clear()
    assert _worst_deviation(tiny_network, clips, configuration) > 0.5


def _worst_deviation(model: Slow, clips: Tensor, configuration: Configuration) -> float:
    """How far any channel of any layer is from the mean and deviation that its affine parameters say."""
    worst = [0.0]

    def look(layer: torch.nn.Module, _: object, output: Tensor) -> None:
        channels = output.shape[1]
        scale = layer.weight[:channels]
        mean = (output.mean((0, 2, 3, 4)) - layer.bias[:channels]) / scale
        deviation = output.std((0, 2, 3, 4), correction=0) / scale - 1
        worst.append(float(torch.maximum(mean.abs(), deviation.abs()).max()))

    hooks = [layer.register_forward_hook(look) for layer in norms(model).values()]
    with torch.inference_mode():
        model(clips, configuration)
    for hook in hooks:
        hook.remove()
    return max(worst)


def test_every_configuration_gets_its_own(tiny_network: Slow, windows: WindowSet) -> None:
    """All of a list, size by size; statistics of configurations differ; progress counts to the end."""
    told: list[tuple[int, int]] = []
    configurations = [FULL, NARROW, Configuration(0.63, 32, 2)]
    calibrate(tiny_network, configurations, windows, lambda done, total: told.append((done, total)))
    sizes = len({c.size for c in configurations})
    assert told == sorted(told)
    assert told[-1] == (sizes * len(windows.clips),) * 2
    assert set(tiny_network.stem.norm.calibrated) == {str(c) for c in configurations}
    means = [tiny_network.res4.blocks[0].a.norm.calibrated[str(c)][0][:40] for c in configurations]
    assert not torch.allclose(means[1], means[2], rtol=1e-2)


def test_calibrating_again_forgets_the_first(tiny_network: Slow, windows: WindowSet) -> None:
    """Nothing of the earlier statistics is mixed in."""
    clips = clips_of(windows, 32)
    calibrate_one(tiny_network, FULL, [clips[:6]])
    calibrate_one(tiny_network, FULL, [clips])
    again = tiny_network.stem.norm.calibrated[str(FULL)]
    with torch.inference_mode():
        expected = tiny_network.stem.conv(clips, Run()).mean((0, 2, 3, 4))
    torch.testing.assert_close(again[0], expected, rtol=1e-4, atol=1e-5)


def snapshot(model: Slow) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was_found(tiny_network: Slow, windows: WindowSet, training: bool) -> None:
    """Weights, own statistics, mode and gradients; only the calibrated statistics are new."""
    tiny_network.train(training)
    before = snapshot(tiny_network)
    calibrate(tiny_network, [NARROW], windows)
    assert all(torch.equal(before[name], t) for name, t in tiny_network.state_dict().items())
    assert all(module.training is training for module in tiny_network.modules())
    assert all(p.grad is None for p in tiny_network.parameters())
    assert all(not layer.collected for layer in norms(tiny_network).values())


def test_an_error_in_the_middle_leaves_the_model_as_it_was(tiny_network: Slow, windows: WindowSet) -> None:
    """After some batches: the older statistics stand, nothing half-collected stays, the mode is put back."""
    clips = clips_of(windows, 24)
    calibrate_one(tiny_network, NARROW, [clips[:5]])
    old = tiny_network.stem.norm.calibrated[str(NARROW)]
    before = snapshot(tiny_network)

    def failing() -> Iterator[Tensor]:
        yield clips
        raise KeyboardInterrupt

    tiny_network.train()
    with pytest.raises(KeyboardInterrupt):
        calibrate_one(tiny_network, NARROW, failing())
    assert tiny_network.training
    assert tiny_network.stem.norm.calibrated[str(NARROW)] is old
    assert all(not layer.collected for layer in norms(tiny_network).values())
    assert all(torch.equal(before[name], t) for name, t in tiny_network.state_dict().items())


def test_no_clip_is_refused(tiny_network: Slow) -> None:
    """The message names the flag; no statistics appear."""
    with pytest.raises(UsageError) as caught:
        calibrate_one(tiny_network, FULL, [])
    assert str(caught.value) == "no clip to calibrate on; name training clips with `calibration`"
    assert tiny_network.stem.norm.calibrated == {}


# Other families, and several configurations at once

ONE, OTHER = Configuration(0.5, 24, 2), Configuration(0.5, 24, 3)


@pytest.mark.parametrize("description", [tiny_slow(), tiny_slowfast(), tiny_x3d()], ids=lambda d: d.name)
def test_together_is_the_same_as_one_by_one(description: NetworkDescription) -> None:
    """Each configuration's own statistics, of every layer, from batches that come only once."""
    model = lively_network(description)
    batches = [noise(description, 24, 3), noise(description, 24, 2)]
    calibrate_together(model, [ONE, OTHER], iter(batches))
    together = {name: dict(layer.calibrated) for name, layer in norms(model).items()}
    for configuration in (ONE, OTHER):
        calibrate_one(model, configuration, batches)
    for name, layer in norms(model).items():
        for configuration in map(str, (ONE, OTHER)):
            for got, wanted in zip(
                together[name][configuration], layer.calibrated[configuration], strict=True
            ):
                torch.testing.assert_close(got, wanted)
                assert got.shape == (layer.channels_at(0.5),)


def test_both_pathways_get_the_closed_form(clip_list: Path, frame_cache: FrameCache) -> None:
    """On real clips: the slow pathway's stem at the configuration, the Fast one's on all 16 frames, whole."""
    model = lively_network(tiny_slowfast())
    windows = WindowSet(
        list_clips([clip_list]),
        frame_cache,
        model.description.sampling,
        Preprocessing(),
        views=1,
        batch_size=5,
    )
    calibrate(model, [NARROW], windows)
    given = [clips for _, clips in windows.at_size(NARROW.size)]
    slow, fast = (torch.cat(pathway) for pathway in zip(*given, strict=True))
    assert (slow.shape[2:], fast.shape[2:]) == ((4, 24, 24), (16, 32, 32))
    with torch.inference_mode():
        fitted = model.fit([slow, fast], NARROW)
        run = Run(NARROW.width)
        outputs = [
            trunk.stem.conv(x, run).double()
            for trunk, x in zip((model.slow, model.fast), fitted, strict=True)
        ]
    for trunk, output, channels in zip((model.slow, model.fast), outputs, (8, 4), strict=True):
        mean, variance = trunk.stem.norm.calibrated[str(NARROW)]
        assert mean.shape == (channels,)
        np.testing.assert_allclose(mean, output.mean((0, 2, 3, 4)), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(variance, output.var((0, 2, 3, 4), correction=0), rtol=1e-3)


def test_the_fast_pathway_does_not_depend_on_the_slow_one() -> None:
    """Its statistics are the same at every width and frame count of the slow pathway; fusion's are too."""
    description = tiny_slowfast()
    model, clips = lively_network(description), noise(description, 32, 3)
    configurations = [Configuration(0.5, 32, 1), Configuration(1.0, 32, 4)]
    calibrate_together(model, configurations, [clips])
    for name, layer in norms(model).items():
        one, other = (layer.calibrated[str(c)] for c in configurations)
        same = one[0].shape == other[0].shape and torch.allclose(one[0], other[0], rtol=1e-4, atol=1e-5)
        assert same == name.startswith(("fast", "fuse")), name


def test_no_more_than_a_batch_is_held(tiny_network: Slow) -> None:
    """The next batch is made when the one before is gone, so that any number of clips can be used."""
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()

    def batches() -> Iterator[Tensor]:
        for _ in range(4):
            assert len(alive) <= 1, "earlier batches are still held"
            clips = torch.randn(1, 3, 4, 24, 24)
            alive.add(clips)
            yield clips

    calibrate_together(tiny_network, [ONE, OTHER], batches())
