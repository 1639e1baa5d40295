"""Parity: every family, head and configuration computes in ONNX Runtime what PyTorch computes, or nothing is
written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from a3d_edge.exporters import parity
from a3d_edge.exporters.parity import ParityError, check_parity, sizes_of
from fixtures_bundle import (
    CONFIGURATIONS,
    TWO_PATHWAYS,
    calibrated_checkpoint,
    export,
    noise,
    parity_clips,
    tiny_r2plus1d,
    tiny_slow,
    tiny_slowfast,
    tiny_x3d,
)

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration, format_width
from a3d_edge.engine.network_files import NetworkFiles
from a3d_edge.engine.session import BundleNetwork, open_network, relative_error
from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.network import NetworkDescription, SlimNetwork

X3D = ("w0.50-s32-t2", "w0.70-s23-t1", "w0.70-s41-t3", "w1.00-s37-t4")
AT_224 = ("w0.50-s224-t2", "w0.50-s256-t2")
"""One pooling window of 7×7 positions, and at 256² four of them."""


def parse(names: Sequence[str]) -> tuple[Configuration, ...]:
    return tuple(Configuration.parse(name) for name in names)


@pytest.fixture(scope="module")
def model() -> SlimNetwork:
    """The tiny SlowFast that was exported; not to be altered."""
    return calibrated_checkpoint(TWO_PATHWAYS, tiny_slowfast()).model


def assert_parity(bundle: Bundle, model: SlimNetwork) -> None:
    """On clips that the export has not seen, in a plain loop of our own."""
    torch.manual_seed(9)
    for configuration in bundle.configurations:
        clips = noise(model.description, configuration.size, 1)
        with torch.inference_mode():
            expected = model(clips, configuration)[0].numpy()
        fitted = model.fit(clips, configuration)
        network = open_network(bundle.files_of(configuration), threads=1)
        pictures = [x[0].transpose(0, 1).contiguous().numpy() for x in _list(fitted)]
        got = network.logits(*network.encode_window(pictures))
        assert relative_error(got, expected) < 1e-4, configuration
        assert bundle.manifest.configurations[configuration].parity.relative_error < 1e-4
        assert np.abs(expected).max() > 0.1, "logits that say nothing"


def _list(clips: Any) -> list[torch.Tensor]:
    return [clips] if isinstance(clips, torch.Tensor) else list(clips)


def assert_one_graph_a_width(bundle: Bundle, stages: Sequence[str]) -> None:
    widths = {format_width(c.width) for c in bundle.configurations}
    graphs = {path.name for path in bundle.path.glob("*.onnx")}
    assert graphs == {f"w{width}.{stage}.onnx" for width in widths for stage in stages}


def test_slowfast_at_every_configuration(slowfast: Bundle, model: SlimNetwork) -> None:
    """Three widths, all frame counts, odd sizes, and one at which the Fast pathway's pictures grow too."""
    assert_parity(slowfast, model)
    assert_one_graph_a_width(slowfast, ["clip"])


def test_lateral_convolutions_without_batch_norm(tmp_path: Path) -> None:
    """A SlowFast of mmaction2."""
    configurations, description = TWO_PATHWAYS[:2], tiny_slowfast(fusion_norm=False)
    bundle = export(tmp_path / "bundle", configurations, description)
    assert_parity(bundle, calibrated_checkpoint(configurations, description).model)


@pytest.mark.parametrize("imported", [False, True])
def test_x3d_at_every_configuration(imported: bool, tmp_path: Path) -> None:
    """Depth-wise 3×3×3 convolutions and squeeze–excitation over any number of frames, in rank 4; of an
    imported network too: X3D's own channels, a shortcut without batch norm, a head that pools windows."""
    changes = {"exact": True, "first_shortcut_norm": False, "head": "softmax_windows"} if imported else {}
    configurations, description = parse(X3D), tiny_x3d(**changes)
    bundle = export(tmp_path / "bundle", configurations, description)
    assert_parity(bundle, calibrated_checkpoint(configurations, description).model)
    assert_one_graph_a_width(bundle, ["frame", "clip", "volume"])


def test_r2plus1d_at_every_configuration(tmp_path: Path) -> None:
    """Convolutions over time alone after every one over the picture; the frame stage is the stem's."""
    configurations, description = parse(X3D), tiny_r2plus1d(pooled=True)
    bundle = export(tmp_path / "bundle", configurations, description)
    assert_parity(bundle, calibrated_checkpoint(configurations, description).model)
    assert_one_graph_a_width(bundle, ["frame", "clip", "volume"])


@pytest.mark.parametrize(
    ("family", "head"), [("slow", "windows"), ("slow", "softmax_windows"), ("slowfast", "softmax_windows")]
)
def test_heads_of_others_pool_one_window_or_four_with_one_graph(
    tmp_path: Path, family: str, head: str
) -> None:
    """At 224² and at 256², where pooling everything at once would give other logits."""
    if family == "slow":
        description = tiny_slow().model_copy(update={"size": 224, "frames": 2, "head": head})
    else:
        description = tiny_slowfast(size=224, frames=2, alpha=2, fusion_kernel=3, head=head)
    configurations = parse(AT_224)
    bundle = export(tmp_path / "bundle", configurations, description)
    model = calibrated_checkpoint(configurations, description).model
    assert_parity(bundle, model)
    assert len(list(bundle.path.glob("*.onnx"))) == (3 if family == "slow" else 1)
    clips = parity_clips(configurations, description)
    one, four = (relative_error(*_with_and_without(model, clips[c.size], c)) for c in configurations)
    assert one < 1e-5
    assert four > 1e-3


def _with_and_without(model: SlimNetwork, clips: Any, configuration: Configuration) -> tuple[Any, Any]:
    """Logits with the network's own head, and with the global one."""
    own = model.description
    with torch.inference_mode():
        expected = model(clips, configuration).numpy()
        model.description = own.model_copy(update={"head": "global"})
        try:
            return expected, model(clips, configuration).numpy()
        finally:
            model.description = own


class Swapped(BundleNetwork):
    """Hands each pathway the other one's pictures, once it has been opened."""

    opened = False

    def __init__(self, files: NetworkFiles, threads: int) -> None:
        super().__init__(files, threads)
        self.opened = True

    def logits(self, *features: Any) -> Any:
        return super().logits(*(reversed(features) if self.opened else features))


class Late(Swapped):
    """Hands the Fast pathway its pictures one place later."""

    def logits(self, *features: Any) -> Any:
        slow, fast = features
        return BundleNetwork.logits(self, slow, np.roll(fast, 1, axis=0) if self.opened else fast)


@pytest.mark.parametrize("wrong", [Swapped, Late])
def test_pathways_that_are_mixed_up_are_refused(
    slowfast: Bundle, model: SlimNetwork, monkeypatch: pytest.MonkeyPatch, wrong: type[BundleNetwork]
) -> None:
    """A graph takes any number of frames of any size in either pathway, so it is parity that notices."""
    clips = parity_clips(TWO_PATHWAYS, model.description)
    check_parity(model, slowfast, clips)
    monkeypatch.setattr(parity, "BundleNetwork", wrong)
    with pytest.raises(ParityError, match=r"parity: w0\.50-s32-t1 differs from PyTorch on 2 clips") as caught:
        check_parity(model, slowfast, clips)
    assert caught.value.configurations[0] == slowfast.configurations[0]


@pytest.mark.parametrize(
    "part", ["fast.res2.blocks.0.b.conv.weight", "fuse_res4.conv.weight", "slow.stem.conv.weight"]
)
def test_a_tensor_of_either_pathway_that_differs_is_refused(
    slowfast: Bundle, model: SlimNetwork, part: str
) -> None:
    """Also one of the fusion: none of them is without effect."""
    weight = dict(model.named_parameters())[part]
    kept = weight.detach().clone()
    try:
        weight.data *= 1.5
        with pytest.raises(A3DEdgeError, match=r"parity: w0\.50-s32-t1 differs from PyTorch"):
            check_parity(model, slowfast, parity_clips(TWO_PATHWAYS, model.description))
    finally:
        weight.data.copy_(kept)


def test_figures_are_of_each_configuration_and_progress_is_told(slowfast: Bundle, model: SlimNetwork) -> None:
    """As many clips as are given, and the largest error among them."""
    told: list[tuple[int, int]] = []
    clips = parity_clips(TWO_PATHWAYS, model.description)
    found = check_parity(model, slowfast, clips, lambda done, total: told.append((done, total)))
    assert set(found) == set(TWO_PATHWAYS)
    assert {entry.clips for entry in found.values()} == {2}
    assert told == [(number, 5) for number in range(1, 6)]


def test_the_largest_error_of_all_clips_counts(
    slowfast: Bundle, model: SlimNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clip of two that is wrong is enough."""

    class SecondIsWrong(BundleNetwork):
        calls = 0

        def logits(self, *features: Any) -> Any:
            self.calls += 1  # the first is the probe
            return super().logits(*features) * (1.01 if self.calls == 3 else 1.0)

    monkeypatch.setattr(parity, "BundleNetwork", SecondIsWrong)
    clips = parity_clips(TWO_PATHWAYS, model.description)
    with pytest.raises(A3DEdgeError, match=r"on 2 clips \(relative error 0\.01, same top-1\)"):
        check_parity(model, slowfast, clips)


def test_sizes_come_once_in_order() -> None:
    """What parity clips are needed at."""
    assert sizes_of(CONFIGURATIONS) == [18, 23, 32, 37]


def test_a_plain_session_opens_the_graph_of_a_width(slowfast: Bundle, model: SlimNetwork) -> None:
    """Without our code, the file as it lies: inputs by name, of any number of frames and any size, and the
    logits of the width's largest configuration, whose statistics the graph names."""
    for width in (0.5, 0.7, 1.0):
        largest = max(c for c in TWO_PATHWAYS if c.width == width)
        session = ort.InferenceSession(str(slowfast.path / f"w{width:.2f}.clip.onnx"))
        assert [(i.name, i.shape) for i in session.get_inputs()] == [
            ("slow", ["frames", 3, "size", "size"]),
            ("fast", ["fast_frames", 3, "fast_size", "fast_size"]),
        ]
        assert [(o.name, o.shape) for o in session.get_outputs()] == [("logits", [1, 3])]
        clips = noise(model.description, largest.size, 1)
        with torch.inference_mode():
            expected = model(clips, largest)[0].numpy()
        slow, fast = (x[0].transpose(0, 1).contiguous().numpy() for x in model.fit(clips, largest))
        assert len(slow) == largest.frames
        assert fast.shape == (16, 3, max(32, largest.size), max(32, largest.size))
        got = session.run(None, {"slow": slow, "fast": fast})[0][0]
        assert relative_error(got, expected) < 1e-4


def test_only_one_of_several_pathways_is_not_enough(slowfast: Bundle, model: SlimNetwork) -> None:
    """The slow pathway alone gives other logits: the test above could not pass with a Fast one unused."""
    largest = TWO_PATHWAYS[-1]
    network = open_network(slowfast.files_of(largest), threads=1)
    clips = noise(model.description, largest.size, 1)
    slow, fast = (x[0].transpose(0, 1).contiguous().numpy() for x in model.fit(clips, largest))
    logits = network.logits(slow, fast)
    assert relative_error(network.logits(slow, np.zeros_like(fast)), logits) > 0.05
    assert relative_error(network.logits(np.zeros_like(slow), fast), logits) > 0.05


def test_descriptions_of_the_tests_are_what_they_say() -> None:
    """Guards the fixtures: two pathways, and sizes above and below the network's own."""
    description: NetworkDescription = tiny_slowfast()
    assert dataclasses.astuple(description.sampling) == (4, 4, 30.0, 4, 32)
    assert min(c.size for c in TWO_PATHWAYS) < description.size < max(c.size for c in TWO_PATHWAYS)
