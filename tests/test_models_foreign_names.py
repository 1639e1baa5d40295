"""Networks of every library by its names: logits equal theirs, and a network of pictures becomes a film's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from reference_mmaction2 import MMAction2, PictureNet, enliven_pictures
from reference_networks import Plan, enliven, random_clips
from reference_x3d import MMACTION2, PYSLOWFAST, X3D_L, X3D_XS, ReferenceX3D, X3DPlan, renamed
from torch import Tensor

from a3d_edge.errors import CheckpointError, UsageError
from a3d_edge.models import foreign
from a3d_edge.models.foreign_names import library_of, their_names
from a3d_edge.models.registry import ARCHITECTURES, describe
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription
from a3d_edge.models.widths import Run
from a3d_edge.models.x3d import X3DDescription

TOLERANCE = 1e-4
BLOCKS = (2, 1, 1, 1)
X3D_TINY = X3DPlan(BLOCKS, 7, 64, frames=4, size=64)
TINY: dict[str, Any] = {
    "tiny_slow": SlowDescription(name="tiny_slow", blocks=BLOCKS, base_width=8, frames=2),
    "tiny_8x8": SlowFastDescription(
        name="tiny_8x8", blocks=BLOCKS, base_width=8, beta_inv=1, alpha=4, frames=2, stride=8
    ),
    "tiny_x3d": X3DDescription(
        name="tiny_x3d", blocks=BLOCKS, base_width=24, features=64, frames=4, size=64, exact=True
    ),
}
LIBRARIES = {"pytorchvideo": (), "PySlowFast": PYSLOWFAST, "mmaction2": MMACTION2}


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny networks instead of the real ones, which take their time."""
    for name in list(ARCHITECTURES):
        monkeypatch.delitem(ARCHITECTURES, name)
    for name, description in TINY.items():
        monkeypatch.setitem(ARCHITECTURES, name, description)


def lively(model: Any, plan: Any) -> Any:
    torch.manual_seed(0)
    enliven(model, plan)
    return model


def x3d(plan: X3DPlan, library: str) -> tuple[ReferenceX3D, dict[str, Tensor]]:
    """A network, and its tensors as a library names them."""
    plan = X3DPlan(**{**vars(plan), "shortcut_norm": library != "pytorchvideo"})
    model = lively(ReferenceX3D(plan), plan)
    return model, renamed(model.state_dict(), LIBRARIES[library])


def read(state: dict[str, Tensor], path: Path, arch: str | None = None, **more: Any) -> Any:
    torch.save({"state_dict": state}, path)
    return foreign.read(path, arch, **more)


def close(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours - theirs).abs().max() < TOLERANCE * theirs.abs().max())


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("library", LIBRARIES)
def test_x3d_computes_what_its_library_does(library: str, tmp_path: Path) -> None:
    """At its own size, where there is one position, and at a larger one, where heads differ."""
    reference, state = x3d(X3D_TINY, library)
    checkpoint, report = read(state, tmp_path / "net.pth")
    assert (report.library, report.architecture) == (library, "tiny_x3d")
    assert checkpoint.description.first_shortcut_norm == (library != "pytorchvideo")
    (own,), (larger,) = random_clips(X3D_TINY, 64), random_clips(X3D_TINY, 96)
    with torch.no_grad():
        assert close(checkpoint.model(own), reference.positions([own]).flatten(1))
        if library == "mmaction2":
            assert close(checkpoint.model(larger), reference.positions([larger], whole=True).flatten(1))
        else:
            assert close(checkpoint.model(larger).softmax(dim=1), reference.scores(larger))
            apart = reference.positions([larger], whole=True).flatten(1).softmax(dim=1)
            assert not close(reference.scores(larger), apart)
    assert checkpoint.preprocessing.mean == (0.45, 0.45, 0.45)


@pytest.mark.parametrize("library", LIBRARIES)
def test_x3d_xs_as_it_is_in_the_zoos(library: str, tmp_path: Path) -> None:
    """All its blocks and channels, 4 frames at 160²; named, for its tensors are also those of S and M."""
    reference, state = x3d(X3D_XS, library)
    checkpoint, _ = read(state, tmp_path / "net.pth", "x3d_xs")
    (clip,) = random_clips(X3D_XS, 160)
    with torch.no_grad():
        assert close(checkpoint.model(clip), reference.positions([clip]).flatten(1))
    with pytest.raises(UsageError, match=r"fits (x3d_(xs|s|m)(, )?){3} alike; name one with `arch`"):
        read(state, tmp_path / "net.pth")


def test_settings_tell_x3ds_apart(tmp_path: Path) -> None:
    """PySlowFast keeps them in its files: frames, their spacing, the crop."""
    _, state = x3d(X3D_XS, "PySlowFast")
    for name, text in {"x3d_s": "13, 6, 160", "x3d_m": "16, 5, 224"}.items():
        keys = ("NUM_FRAMES", "SAMPLING_RATE", "TRAIN_CROP_SIZE")
        lines = [f"  {key}: {value}\n" for key, value in zip(keys, text.split(", "), strict=True)]
        torch.save({"model_state": state, "cfg": f"DATA:\n{''.join(lines)}"}, tmp_path / "net.pyth")
        assert foreign.read(tmp_path / "net.pyth")[1].architecture == name
    with pytest.raises(
        CheckpointError, match=r"NUM_FRAMES is 16, not 13; .* windows are not 5×5; try `arch` x3d_m"
    ):
        foreign.read(tmp_path / "net.pyth", "x3d_s")


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_tensor_of_x3d_l_has_its_name_and_shape(library: str, tmp_path: Path) -> None:
    plan = X3DPlan(**{**vars(X3D_L), "shortcut_norm": library != "pytorchvideo"})
    with torch.device("meta"):
        tensors = renamed(ReferenceX3D(plan).state_dict(), LIBRARIES[library])
    file = foreign._file(tmp_path / "net.pth", {"model_state": tensors})
    description, _ = foreign.choose(file, [describe("x3d_l")])
    assert file.library == library
    assert foreign.compare(file, description).count == 0


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("lateral_norm", [False, True])
@pytest.mark.parametrize("arch", ["tiny_slow", "tiny_8x8"])
def test_mmaction2_computes_the_same(arch: str, lateral_norm: bool, tmp_path: Path) -> None:
    """SlowOnly and SlowFast, whose lateral convolutions have a batch norm only where they are told to."""
    alpha = 4 if arch == "tiny_8x8" else 0
    plan = Plan(BLOCKS, 8, 11, frames=2, alpha=alpha, beta_inv=1, fusion_kernel=7)
    reference = lively(MMAction2(plan, lateral_norm), plan)
    checkpoint, report = read(reference.state_dict(), tmp_path / "net.pth")
    assert (report.library, report.architecture) == ("mmaction2", arch)
    assert "does not say how its input was scaled" in report.notes[-1]
    for size in (64, 256):
        clips = random_clips(plan, size)
        with torch.no_grad():
            assert close(checkpoint.model(clips if alpha else clips[0]), reference.positions(clips))
    assert checkpoint.description.head == "global"
    assert getattr(checkpoint.description, "fusion_norm", lateral_norm) == lateral_norm
    assert checkpoint.preprocessing.std == (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("arch", "kernel"), [("slow_r50", 5), ("slowfast_r50_4x16", 5), ("slowfast_r50_8x8", 7)]
)
def test_every_tensor_of_mmaction2s_networks_has_its_name(arch: str, kernel: int, tmp_path: Path) -> None:
    alpha = {"slow_r50": 0, "slowfast_r50_4x16": 8, "slowfast_r50_8x8": 4}[arch]
    with torch.device("meta"):
        tensors = MMAction2(Plan(alpha=alpha, fusion_kernel=kernel)).state_dict()
    file = foreign._file(tmp_path / "net.pth", {"state_dict": tensors})
    assert foreign.choose(file, foreign._candidates(None))[0].name == arch


@pytest.fixture
def pictures() -> PictureNet:
    torch.manual_seed(0)
    return enliven_pictures(PictureNet((1, 1, 1, 1), 8, 5))


@pytest.fixture
def _one_block(monkeypatch: pytest.MonkeyPatch, _tiny: None) -> None:
    one = SlowDescription(name="tiny_slow", blocks=(1, 1, 1, 1), base_width=8, frames=5)
    monkeypatch.setitem(ARCHITECTURES, "tiny_slow", one)


@pytest.mark.usefixtures("_one_block")
def test_a_network_of_pictures_sees_in_a_still_clip_what_it_saw_in_the_picture(
    pictures: PictureNet, tmp_path: Path
) -> None:
    """Where no kernel reaches beyond the clip: the frames at its ends have zeros for neighbours."""
    checkpoint, report = read(pictures.state_dict(), tmp_path / "resnet.pth")
    assert (report.library, report.architecture) == ("torchvision", "tiny_slow")
    picture = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    still = picture.unsqueeze(2).expand(-1, -1, 5, -1, -1)
    with torch.no_grad():
        wanted = pictures.features(picture)
        (seen,) = checkpoint.model.features(still, Run())
    assert close(seen[:, :, 2], wanted)  # two kernels of 3, one after the other, reach two frames
    assert not close(seen[:, :, 0], wanted)
    assert torch.equal(checkpoint.model.head.weight, pictures.fc.weight)
    assert checkpoint.description.classes == 5
    assert checkpoint.preprocessing.mean == (0.485, 0.456, 0.406)


@pytest.mark.usefixtures("_one_block")
def test_a_classifier_of_other_classes_starts_fresh(pictures: PictureNet, tmp_path: Path) -> None:
    """The same at every import, and said; of as many classes it is kept."""
    for prefix in ("", "module.", "backbone."):
        state = {prefix + name: tensor for name, tensor in pictures.state_dict().items()}
        checkpoint, report = read(state, tmp_path / "resnet.pth", "tiny_slow", classes=["a", "b"])
        assert report.library == "torchvision"
    assert "its classifier is of 5 classes, not 2: left out" in report.notes
    assert checkpoint.model.head.weight.shape == (2, 256)
    again, _ = foreign.read(tmp_path / "resnet.pth", "tiny_slow", ["a", "b"])
    assert torch.equal(again.model.head.weight, checkpoint.model.head.weight)
    assert torch.equal(checkpoint.model.stem.conv.weight[:, :, 0], pictures.conv1.weight)
    kept, _ = foreign.read(tmp_path / "resnet.pth", "tiny_slow", list("abcde"))
    assert torch.equal(kept.model.head.weight, pictures.fc.weight)


def test_a_network_of_pictures_becomes_nothing_but_slow(pictures: PictureNet, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="it becomes a Slow one, not x3d_m"):
        read(pictures.state_dict(), tmp_path / "resnet.pth", "x3d_m")
    with pytest.raises(CheckpointError, match=r"not slow_r50 as torchvision names it: \d+ missing \(layer1"):
        read(pictures.state_dict(), tmp_path / "resnet.pth", "slow_r50")


def test_every_tensor_of_resnet_50_has_its_name_and_shape(tmp_path: Path) -> None:
    with torch.device("meta"):
        tensors = PictureNet((3, 4, 6, 3), 64, 1000).state_dict()
    file = foreign._file(tmp_path / "net.pth", tensors)
    assert foreign.choose(file, foreign._candidates(None))[0].name == "slow_r50"


def test_tensors_that_no_library_has_are_refused() -> None:
    for name in ("neck.weight", "res2.blocks.0.extra.weight"):
        with pytest.raises(ValueError, match="is in no network of mmaction2"):
            their_names([name], "mmaction2")
    assert library_of(["layer1.0.conv1.weight"]) is None
