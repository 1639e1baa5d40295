"""``a3d-edge train --init``: whose weights a run can begin with, and what it says about the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fixtures_bundle import main_here

from a3d_edge.video.preprocess import MOTION_OFFSETS, Preprocessing

torch = pytest.importorskip("torch")
pytest.importorskip("av")

if TYPE_CHECKING:
    from a3d_edge.models.checkpoint import Checkpoint

Begin = Callable[..., tuple[int, str, str]]

CLASSES = ("hug", "kick", "none")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of the rendered clips for all runs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def begin(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> Begin:
    """Begins a run with another checkpoint's weights and ends it before its first step."""
    return lambda *options: main_here(
        capfd, monkeypatch, "train", "--rendered", 1, "--classes", ",".join(CLASSES), "--epochs", 0,
        "--calibration-clips", 0, "--cache", cache, "--out", tmp_path / "new.pth", "--json",
        "--init", tmp_path / "old.pth", *options,
    )  # fmt: skip


def write_old(path: Path, classes: int, *, arch: str = "slow_small", **fields: object) -> Checkpoint:
    """A checkpoint with no weight at its initial value; ``fields`` differ from the architecture's own."""
    from a3d_edge.models.checkpoint import Checkpoint, save
    from a3d_edge.models.registry import describe

    torch.manual_seed(1)
    model = describe(arch, classes).model_copy(update=fields).build()
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point():
            tensor.data.uniform_(0.5, 1.5)
    checkpoint = Checkpoint(model, tuple(f"class {i}" for i in range(classes)))
    save(checkpoint, path)
    return checkpoint


def assert_refused(result: tuple[int, str, str], *words: str) -> None:
    """Exit 2 with one line that says all of it."""
    code, out, err = result
    assert (code, out, err.count("\n")) == (2, "", 1)
    for word in words:
        assert word in err


def test_the_same_classes_take_over_everything(begin: Begin, tmp_path: Path) -> None:
    """Every weight and statistic, head included, and nothing to say about it."""
    from a3d_edge.models.checkpoint import load

    old = write_old(tmp_path / "old.pth", 3)
    assert begin() == (0, "", "")
    new = load(tmp_path / "new.pth")
    assert new.classes == CLASSES
    for name, tensor in old.model.state_dict().items():
        assert torch.equal(new.model.state_dict()[name], tensor), name


@pytest.mark.parametrize("classes", [2, 400])
def test_other_classes_leave_the_head_fresh(begin: Begin, tmp_path: Path, classes: int) -> None:
    """All but the head is taken over; the head is as a run from scratch has it, and stderr says so."""
    from a3d_edge.models.checkpoint import load
    from a3d_edge.models.registry import describe

    old = write_old(tmp_path / "old.pth", classes).model.state_dict()
    code, out, err = begin("--seed", 5)
    assert (code, out) == (0, "")
    assert err == f"--init {tmp_path}/old.pth: has {classes} classes, this run 3: the head starts fresh\n"
    new = load(tmp_path / "new.pth").model.state_dict()
    torch.manual_seed(5)
    scratch = describe("slow_small", 3).build().state_dict()
    for name, tensor in new.items():
        expected = scratch if name.startswith("head.") else old
        assert torch.equal(tensor, expected[name]), name


def test_weights_of_the_same_shapes_may_come_from_another_size(begin: Begin, tmp_path: Path) -> None:
    """Size, frames and dropout are this run's own: no weight depends on them."""
    from a3d_edge.models.checkpoint import load

    write_old(tmp_path / "old.pth", 3, name="mine", size=64, frames=4, dropout=0.0)
    assert begin() == (0, "", "")
    new = load(tmp_path / "new.pth").description
    assert (new.name, new.size, new.frames) == ("slow_small", 96, 8)


@pytest.mark.parametrize("classes", [3, 5])
@pytest.mark.parametrize(
    ("fields", "tensor"),
    [
        ({"blocks": (1, 2, 1, 1)}, "res3."),
        ({"base_width": 8}, "stem."),
        ({"temporal_kernels": (1, 1, 3, 1)}, "res5."),
    ],
    ids=["deeper", "narrower", "kernels"],
)
def test_another_architecture_is_refused(
    begin: Begin, tmp_path: Path, classes: int, fields: dict[str, object], tensor: str
) -> None:
    """Even one whose weights fit in part, and even with other classes; nothing is written."""
    write_old(tmp_path / "old.pth", classes, name="other", **fields)
    assert_refused(
        begin(),
        f"error: --init {tmp_path}/old.pth: is of architecture other, whose {tensor}",
        "does not fit --arch slow_small; name a checkpoint of the same architecture",
    )
    assert not (tmp_path / "new.pth").exists()


def test_another_input_is_refused(begin: Begin, tmp_path: Path) -> None:
    """The first layer has the same shape for pictures and for motion, but does not mean the same."""
    from a3d_edge.models.checkpoint import save

    old = write_old(tmp_path / "old.pth", 3)
    old.preprocessing = Preprocessing("motion", 1.5, MOTION_OFFSETS)
    save(old, tmp_path / "old.pth")
    assert_refused(
        begin(),
        "old.pth: was trained on other input (input motion, here rgb; aspect 1.5, here 1.0; offsets",
        "match --input and --aspect, or name another checkpoint",
    )
    assert begin("--input", "motion", "--aspect", 1.5) == (0, "", "")
