"""The registry: every architecture builds, describes itself and is stored; a new family is one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle
from fixtures_bundle import main_here
from torch import Tensor, nn

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.errors import CheckpointError, UsageError
from a3d_edge.models.checkpoint import Checkpoint, load, save
from a3d_edge.models.flops import count
from a3d_edge.models.layers import ConvNorm, SlimLinear
from a3d_edge.models.network import Clips, Graph, NetworkDescription, SlimNetwork, frame_and_clip
from a3d_edge.models.registry import ARCHITECTURES, FAMILIES, describe, read_description
from a3d_edge.models.widths import Run
from a3d_edge.training.calibrate import calibrate_one
from a3d_edge.video.sampler import pathways

CLASSES = ("right", "down", "still")
SMALLER: dict[str, dict[str, Any]] = {
    "slow": {"blocks": (1, 1, 1, 1), "base_width": 8},
    "slowfast": {"blocks": (1, 1, 1, 1), "base_width": 16},
    "r2plus1d": {"blocks": (1, 2, 1, 1), "base_width": 8},
    "x3d": {"blocks": (1, 1, 2, 1), "base_width": 8, "features": 64},
}
"""What makes a member of each family small enough to run here; all else stays as registered."""


def windows(description: NetworkDescription, at: Configuration, count: int = 1) -> Clips:
    """``count`` windows of noise at a configuration: one tensor, or one a pathway."""
    torch.manual_seed(6)
    clips = [
        torch.randn(count, 3, len(pathway.instants), pathway.size, pathway.size)
        for pathway in pathways(description.sampling, at)
    ]
    return clips[0] if len(clips) == 1 else clips


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_builds_and_describes_itself(name: str) -> None:
    """On the meta device: its name, its family's class, its number of classes; logits of its own window."""
    description = describe(name, classes=9)
    assert (description.name, description.classes) == (name, 9)
    assert isinstance(description, FAMILIES[description.family])
    with torch.device("meta"):
        model = description.build().eval()
        at = Configuration(0.5, description.size, description.frames)
        logits = model.run(windows(description, at), Run(0.5))
    assert isinstance(model, SlimNetwork)
    assert model.description == description
    assert logits.shape == (1, 9)
    assert [graph.stage for graph in model.graphs(Run())] in (["frame", "clip"], ["clip"])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_description_survives_being_written(name: str) -> None:
    """As JSON in a checkpoint and back: equal, and of the same class."""
    description = describe(name, classes=5).model_copy(update={"head": "windows", "rate": 25.0})
    again = read_description(description.model_dump(mode="json"))
    assert again == description
    assert type(again) is type(description)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_survives_a_checkpoint(name: str, lively: Callable[..., Any], tmp_path: Path) -> None:
    """A small one of each: weights, statistics and answers at a narrow calibrated configuration."""
    registered = describe(name, classes=3)
    changes = SMALLER[registered.family] | {"size": 32, "dropout": 0.0}
    description = registered.model_copy(update=changes)
    model, at = lively(description), Configuration(0.63, 24, max(1, description.frames // 2))
    calibrate_one(model, at, [windows(description, at, count=4)])
    save(Checkpoint(model, CLASSES), tmp_path / "small.pth")
    again = load(tmp_path / "small.pth")
    assert again.description == description
    assert type(again.model) is type(model)
    clips = windows(description, Configuration(1.0, 32, description.frames))
    with torch.inference_mode():
        for configuration in (None, at, Configuration(0.5, 32, 1)):
            assert torch.equal(again.model(clips, configuration), model(clips, configuration))
        assert not torch.allclose(model(clips, at), model.run(model.fit(clips, at), Run(at.width)))


def test_architectures_are_found_by_name() -> None:
    """With another number of classes where wanted; the registered ones do not change."""
    assert describe("slow_small").classes == 7
    assert describe("slow_r50", 12).classes == 12
    assert ARCHITECTURES["slow_r50"].classes == 400


def test_an_unknown_architecture_is_answered_with_those_there_are() -> None:
    """One line with every name."""
    with pytest.raises(UsageError) as caught:
        describe("slow_r18")
    assert str(caught.value) == f"unknown `arch` 'slow_r18'; there are {', '.join(ARCHITECTURES)}"
    for name in ("slow_r50", "slow_r101", "slowfast_r50_4x16", "slowfast_r50_8x8", "x3d_m"):
        assert name in str(caught.value)


# A family that this package does not have, in one piece: this is all that a new one takes.


class ToyDescription(NetworkDescription):
    """Two convolutions; ``channels`` of them."""

    family: Literal["toy"] = "toy"
    channels: int = 16

    def build(self) -> Toy:
        return Toy(self)


class Toy(SlimNetwork):
    """A picture convolution, one over time, and a linear layer."""

    def __init__(self, description: ToyDescription) -> None:
        super().__init__(description)
        self.look = ConvNorm(3, description.channels, (1, 5, 5), 4)
        self.move = ConvNorm(description.channels, description.channels, (5, 1, 1))
        self.dropout = nn.Dropout(description.dropout)
        self.head = SlimLinear(description.channels, description.classes)

    def run(self, x: Clips, run: Run) -> Tensor:
        return self.classify(self.features(x, run), run)

    def features(self, x: Clips, run: Run) -> tuple[Tensor, ...]:
        assert isinstance(x, Tensor)
        return self._move(self._look(x, run), run)

    def graphs(self, run: Run) -> tuple[Graph, ...]:
        return frame_and_clip(lambda x: self._look(x, run), lambda x: self.classify(self._move(x, run), run))

    def _look(self, x: Tensor, run: Run) -> Tensor:
        return F.relu(self.look(x, run))

    def _move(self, x: Tensor, run: Run) -> tuple[Tensor, ...]:
        return (F.relu(self.move(x, run)),)


TOY = ToyDescription(name="toy", classes=3, size=32, frames=4, stride=2, dropout=0.0)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyDescription:
    """The family, registered: the one line."""
    monkeypatch.setitem(ARCHITECTURES, "toy", TOY)
    monkeypatch.setitem(FAMILIES, "toy", ToyDescription)  # what the registry derives from that line
    return TOY


def test_a_new_family_is_one_file_and_one_line(
    toy: ToyDescription,
    lively: Callable[..., Any],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stored, read, counted, calibrated, exported and run as a bundle, and nothing else knows of it."""
    narrow, full = Configuration(0.5, 24, 2), Configuration(1.0, 32, 4)
    save(Checkpoint(lively(describe("toy")), CLASSES), tmp_path / "toy.pth")
    checkpoint = load(tmp_path / "toy.pth")
    assert isinstance(checkpoint.model, Toy)

    cost = count(toy, narrow)
    by_hand = 2 * 6 * 6 * (8 * 3 * 25 + 8 * 8 * 5) + 8 * 3
    assert cost.gflops == pytest.approx(by_hand / 1e9, rel=1e-12)
    assert cost.streaming_gflops == pytest.approx((by_hand - 6 * 6 * 8 * 3 * 25) / 1e9, rel=1e-12)
    words = ("flops", "--arch", "toy", "--width", 0.5, "--size", 24, "--frames", 2, "--json")
    code, out, _ = main_here(capfd, monkeypatch, *words)
    assert (code, json.loads(out)["gflops"]) == (0, cost.gflops)

    for configuration in (narrow, full):
        calibrate_one(checkpoint.model, configuration, [windows(toy, configuration, count=4)])
    clips = {c.size: windows(toy, Configuration(1.0, c.size, 4), count=2) for c in (narrow, full)}
    table = unmeasured_table(checkpoint, [narrow, full])
    write_bundle(checkpoint, table, clips, tmp_path / "bundle")

    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.manifest.architecture == "toy"
    for configuration in (narrow, full):
        window = checkpoint.model.fit(clips[configuration.size], configuration)[:1]
        with torch.inference_mode():
            expected = checkpoint.model(window, configuration)[0]
        network = bundle.open(configuration)
        got = network.logits(*network.encode_window((window[0].transpose(0, 1).contiguous().numpy(),)))
        torch.testing.assert_close(torch.as_tensor(got).flatten(), expected, rtol=1e-4, atol=1e-4)


def test_without_the_line_its_checkpoints_are_refused(lively: Callable[..., Any], tmp_path: Path) -> None:
    """Another version may have the family; this one says which it has."""
    save(Checkpoint(lively(TOY), CLASSES), tmp_path / "toy.pth")
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "toy.pth")
    assert str(caught.value) == (
        f"{tmp_path / 'toy.pth'}: the checkpoint does not hold together: "
        "family 'toy' is not one of slow, slowfast, r2plus1d, x3d"
    )
