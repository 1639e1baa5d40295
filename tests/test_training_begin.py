"""What a run begins with: an imported network's own layers and input, its classifier where classes agree."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from reference_mmaction2 import PictureNet, enliven_pictures

from a3d_edge.models import foreign
from a3d_edge.models.checkpoint import Checkpoint, save
from a3d_edge.models.registry import ARCHITECTURES, describe
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription
from a3d_edge.models.x3d import X3DDescription
from a3d_edge.training.begin import fresh, initial
from a3d_edge.training.recipe import Recipe

ONE = (1, 1, 1, 1)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for description in (
        SlowDescription(name="slow", blocks=ONE, base_width=8),
        SlowFastDescription(name="slowfast", blocks=ONE, base_width=8, beta_inv=1, alpha=4, stride=8),
        X3DDescription(name="x3d", blocks=ONE, base_width=8, features=16, exact=True),
    ):
        monkeypatch.setitem(ARCHITECTURES, description.name, description)


def nothing(text: str) -> None:
    """What nobody reads here."""


@pytest.mark.parametrize(
    ("arch", "layers"),
    [
        ("x3d", {"first_shortcut_norm": False}),  # pytorchvideo's
        ("x3d", {"exact": False}),  # ours from before
        ("slowfast", {"fusion_norm": False, "fusion_kernel": 7}),  # mmaction2's
    ],
)
def test_it_has_the_layers_of_the_network_it_begins_with(
    arch: str, layers: dict[str, object], tmp_path: Path
) -> None:
    """Its head and size are the architecture's: those of another library are how it was tested."""
    theirs = describe(arch, 3).model_copy(update={**layers, "head": "softmax_windows", "size": 64})
    old = Checkpoint(theirs.build(), ("a", "b", "c"))
    save(old, tmp_path / "old.pth")
    begun = fresh(
        Recipe(arch=arch), ("a", "b", "c"), tmp_path / "old.pth", initial(tmp_path / "old.pth"), nothing
    )
    assert begun.description == describe(arch, 3).model_copy(update=layers)
    for name, tensor in old.model.state_dict().items():
        assert torch.equal(begun.model.state_dict()[name], tensor), name


def test_it_looks_through_the_eyes_of_a_network_of_pictures(tmp_path: Path) -> None:
    """Mean and deviation are the pictures', so that batch norms meet what they met."""
    torch.manual_seed(0)
    torch.save(enliven_pictures(PictureNet(ONE, 8, 5)).state_dict(), tmp_path / "resnet.pth")
    imported, _ = foreign.read(tmp_path / "resnet.pth", "slow")
    save(imported, tmp_path / "seed.pth")
    said: list[str] = []
    begun = fresh(Recipe(arch="slow"), ("a", "b"), tmp_path / "seed.pth", imported, said.append)
    assert begun.preprocessing == imported.preprocessing != Checkpoint(begun.model, ("a", "b")).preprocessing
    assert torch.equal(begun.model.res4.blocks[0].a.conv.weight, imported.model.res4.blocks[0].a.conv.weight)
    assert said == [f"`init` {tmp_path}/seed.pth: has 5 classes, this run 2: the head starts fresh"]
