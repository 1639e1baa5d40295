"""Checkpoints of PySlowFast and pytorchvideo: logits equal theirs, no tensor overlooked, nothing executed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from reference_ava import for_ava, scored, some_people
from reference_networks import (
    SLOW_8X8,
    SLOWFAST_4X16,
    SLOWFAST_8X8,
    Plan,
    PySlowFast,
    PyTorchVideo,
    PyTorchVideoInPySlowFast,
    Reference,
    enliven,
    random_clips,
)

from a3d_edge.errors import CheckpointError, UsageError
from a3d_edge.models import foreign
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.checkpoint import Checkpoint, load, save
from a3d_edge.models.registry import ARCHITECTURES
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription

TOLERANCE = 1e-4

BLOCKS = (2, 1, 1, 1)
NARROW: dict[str, tuple[Any, Plan]] = {
    "tiny_slow": (
        SlowDescription(name="tiny_slow", blocks=BLOCKS, base_width=8, frames=2),
        Plan(BLOCKS, 8, 11, frames=2),
    ),
    "tiny_4x16": (
        SlowFastDescription(
            name="tiny_4x16", blocks=BLOCKS, base_width=8, beta_inv=1, alpha=8, frames=2, stride=16
        ),
        Plan(BLOCKS, 8, 11, frames=2, alpha=8, beta_inv=1, fusion_kernel=5),
    ),
    "tiny_8x8": (
        SlowFastDescription(
            name="tiny_8x8", blocks=BLOCKS, base_width=8, beta_inv=1, alpha=4, frames=2, stride=8
        ),
        Plan(BLOCKS, 8, 11, frames=2, alpha=4, beta_inv=1, fusion_kernel=7),
    ),
}
"""Networks of the same make as R-50's: fewer blocks, channels and frames."""

FULL = {"slow_r50": SLOW_8X8, "slowfast_r50_4x16": SLOWFAST_4X16, "slowfast_r50_8x8": SLOWFAST_8X8}

CFG = """DATA:
  MEAN:
  - 0.45
  - 0.45
  - 0.45
  NUM_FRAMES: 8
  SAMPLING_RATE: 2
  STD:
  - 0.225
  - 0.225
  - 0.225
  TRAIN_CROP_SIZE: 224
MIXUP:
  ALPHA: 0.8
MODEL:
  HEAD_ACT: softmax
  NUM_CLASSES: 11
SLOWFAST:
  ALPHA: 4
  BETA_INV: 1
"""


REGISTERED = dict(ARCHITECTURES)


@pytest.fixture(autouse=True)
def _narrow_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The narrow networks instead of all but one of the real ones, which take their time to compare with."""
    for name in set(REGISTERED) - {"slow_r50"}:
        monkeypatch.delitem(ARCHITECTURES, name)
    for name, (description, _) in NARROW.items():
        monkeypatch.setitem(ARCHITECTURES, name, description)
    monkeypatch.setitem(foreign.ALIASES, "tiny_slowfast", ("tiny_4x16", "tiny_8x8"))


def lively(kind: type[Reference], plan: Plan, seed: int = 0) -> Reference:
    torch.manual_seed(seed)
    model = kind(plan)
    enliven(model, plan, seed)
    return model


def written(model: Reference, path: Path, **more: Any) -> Path:
    torch.save({"model_state": model.state_dict(), **more}, path)
    return path


def altered(path: Path, name: str, value: Any) -> Path:
    """The same file with one tensor replaced, or without it."""
    payload = torch.load(path, weights_only=True)
    if value is None:
        del payload["model_state"][name]
    else:
        payload["model_state"][name] = value
    torch.save(payload, path)
    return path


def relative_error(model: Any, reference: Reference, plan: Plan, size: int) -> float:
    """Of our logits to theirs; where they give scores of several positions, of our scores to theirs."""
    clips = random_clips(plan, size)
    with torch.no_grad():
        ours = model(clips if plan.alpha else clips[0])
        positions = reference.positions(clips)
    one = positions[0, ..., 0].numel() == 1
    wanted = positions.flatten(1) if one else reference.joined(positions)
    if not one and not isinstance(reference, PyTorchVideo):
        ours = ours.softmax(dim=1)
    return float((ours - wanted).abs().max() / wanted.abs().max())


def refusal(path: Path, arch: str | None) -> str:
    with pytest.raises(CheckpointError) as caught:
        foreign.read(path, arch)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kind", [PySlowFast, PyTorchVideo])
@pytest.mark.parametrize("arch", list(NARROW))
def test_logits_equal_the_other_library(arch: str, kind: type[Reference], tmp_path: Path) -> None:
    """With one position of the head (224²) and with four (256²), in both libraries' formats."""
    plan = NARROW[arch][1]
    reference = lively(kind, plan)
    checkpoint, report = foreign.read(written(reference, tmp_path / "net.pth"), arch)
    assert relative_error(checkpoint.model, reference, plan, 224) < TOLERANCE
    assert relative_error(checkpoint.model, reference, plan, 256) < TOLERANCE
    assert report == foreign.ImportReport(kind.__name__.replace("PyTorchVideo", "pytorchvideo"), arch)


def test_logits_of_a_full_size_network_equal_theirs(tmp_path: Path) -> None:
    """Slow R-50 as it is in the zoos, over two frames."""
    plan = Plan(frames=2)
    reference = lively(PyTorchVideo, plan)
    checkpoint, _ = foreign.read(written(reference, tmp_path / "net.pth"), "slow_r50")
    assert relative_error(checkpoint.model, reference, plan, 224) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PySlowFast, PyTorchVideo])
@pytest.mark.parametrize("arch", list(FULL))
def test_full_networks_equal_theirs(
    arch: str, kind: type[Reference], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three networks of the paper at their own frames, 224² and 256²."""
    monkeypatch.setitem(ARCHITECTURES, arch, REGISTERED[arch])
    reference = lively(kind, FULL[arch])
    checkpoint, _ = foreign.read(written(reference, tmp_path / "net.pth"), arch)
    for size in (224, 256):
        error = relative_error(checkpoint.model, reference, FULL[arch], size)
        print(f"{arch} {kind.__name__} {size}: {error:.1e}")
        assert error < TOLERANCE


@pytest.mark.parametrize("kind", [PySlowFast, PyTorchVideo])
@pytest.mark.parametrize("arch", ["slow_r50", "slowfast_r50_8x8"])
def test_every_tensor_of_the_full_networks_has_its_name_and_shape(
    arch: str, kind: type[Reference], tmp_path: Path
) -> None:
    """Without weights: the names and shapes of the full networks are exactly those we look for."""
    with torch.device("meta"):
        tensors = kind(FULL[arch]).state_dict()
    names = {name for name in tensors if "num_batches" not in name}
    file = foreign._file(tmp_path / "net.pth", {"model_state": tensors})
    description, _ = foreign.choose(file, [REGISTERED[arch]])
    assert foreign.compare(file, description).count == 0
    assert len(description.build().state_dict()) == len(names)


def test_the_heads_of_the_two_libraries_differ_at_256(tmp_path: Path) -> None:
    """So the comparison at 256² would notice a head that is not theirs."""
    plan = NARROW["tiny_slow"][1]
    reference = lively(PySlowFast, plan)
    model = foreign.read(written(reference, tmp_path / "net.pth"), "tiny_slow")[0].model
    for head in ("windows", "global"):
        model.description = model.description.model_copy(update={"head": head})
        assert relative_error(model, reference, plan, 256) > 3 * TOLERANCE
        assert relative_error(model, reference, plan, 224) < TOLERANCE


def test_pytorchvideo_inside_pyslowfast_has_pyslowfasts_head(tmp_path: Path) -> None:
    """PySlowFast wraps pytorchvideo's networks: their names below ``model.``, softmax at each position."""
    plan = NARROW["tiny_slow"][1]
    reference = lively(PyTorchVideoInPySlowFast, plan)
    checkpoint, report = foreign.read(written(reference, tmp_path / "net.pth"), "tiny_slow")
    assert report.library == "pytorchvideo"
    assert checkpoint.description.head == "softmax_windows"
    assert relative_error(checkpoint.model, reference, plan, 256) < TOLERANCE


def test_checkpoint_is_complete_and_survives_saving(tmp_path: Path) -> None:
    """Classes by number, the paper's input and range, where it is from; and it loads again, equal."""
    description, plan = NARROW["tiny_8x8"]
    path = written(lively(PySlowFast, plan), tmp_path / "net.pyth")
    checkpoint, _ = foreign.read(path, "tiny_8x8")
    assert checkpoint.classes == tuple(f"class {k}" for k in range(11))
    assert checkpoint.description == description.model_copy(
        update={"classes": 11, "fusion_kernel": 7, "head": "softmax_windows"}
    )
    assert (checkpoint.preprocessing.input, checkpoint.range_name) == ("rgb", "0.06")
    origin = {"imported_from": "PySlowFast", "file": "net.pyth", "mutually_trained": False}
    assert checkpoint.origin == origin
    save(checkpoint, tmp_path / "ours.pth")
    again = load(tmp_path / "ours.pth")
    clips = random_clips(plan, 64)
    with torch.no_grad():
        assert torch.equal(again.model(clips), checkpoint.model(clips))
    assert (again.origin, again.classes) == (checkpoint.origin, checkpoint.classes)


@pytest.mark.parametrize("container", ["model_state", "state_dict", None])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_containers_and_prefixes(container: str | None, prefix: str, tmp_path: Path) -> None:
    """A state dict may lie in ``model_state``, in ``state_dict`` or be the file; ``module.`` is dropped."""
    reference = PyTorchVideo(NARROW["tiny_slow"][1])
    state = {prefix + name: tensor for name, tensor in reference.state_dict().items()}
    torch.save({container: state, "epoch": 3} if container else state, tmp_path / "net.pth")
    checkpoint, _ = foreign.read(tmp_path / "net.pth", "tiny_slow")
    assert torch.equal(checkpoint.model.head.weight, reference.blocks[5].proj.weight)


def test_without_arch_the_one_that_fits_is_taken(tmp_path: Path) -> None:
    path = written(PySlowFast(NARROW["tiny_slow"][1]), tmp_path / "net.pth")
    assert foreign.read(path)[1].architecture == "tiny_slow"


@pytest.mark.parametrize(("arch", "kernel"), [("tiny_4x16", 5), ("tiny_8x8", 7)])
def test_alias_follows_the_lateral_kernel_and_says_so(arch: str, kernel: int, tmp_path: Path) -> None:
    """α has no tensor: the published kernels stand for it, with a note."""
    path = written(PyTorchVideo(NARROW[arch][1]), tmp_path / "net.pth")
    _, report = foreign.read(path, "tiny_slowfast")
    assert report.architecture == arch
    assert f"{kernel}×1×1 lateral convolutions are those of {arch}" in report.notes[0]


def test_alias_with_an_unknown_kernel_must_be_named(tmp_path: Path) -> None:
    plan = Plan(BLOCKS, 8, 11, frames=2, alpha=8, beta_inv=1, fusion_kernel=3)
    path = written(PyTorchVideo(plan), tmp_path / "net.pth")
    with pytest.raises(UsageError, match="fits tiny_4x16, tiny_8x8 alike; name one with `arch`"):
        foreign.read(path, "tiny_slowfast")
    checkpoint, _ = foreign.read(path, "tiny_4x16")
    assert checkpoint.description.fusion_kernel == 3


FLOW_CFG = "DATA: {NUM_FRAMES: 8, SAMPLING_RATE: 2,\n  TRAIN_CROP_SIZE: 224}\nSLOWFAST: {ALPHA: 4}\n"


@pytest.mark.parametrize("cfg", [CFG, FLOW_CFG])
def test_alias_follows_the_files_own_settings(cfg: str, tmp_path: Path) -> None:
    """They outweigh the kernel, and leave nothing to note; the settings' mix-up α is another."""
    plan = Plan(BLOCKS, 8, 11, frames=2, alpha=4, beta_inv=1, fusion_kernel=5)
    path = written(PySlowFast(plan), tmp_path / "net.pyth", cfg=cfg)
    checkpoint, report = foreign.read(path, "tiny_slowfast")
    assert (report.architecture, report.notes) == ("tiny_8x8", ())
    assert checkpoint.description.fusion_kernel == 5


def test_arch_against_the_files_own_settings(tmp_path: Path) -> None:
    path = written(PySlowFast(NARROW["tiny_8x8"][1]), tmp_path / "net.pyth", cfg=CFG)
    assert refusal(path, "tiny_4x16") == (
        f"{path}: not tiny_4x16: its own settings say DATA.NUM_FRAMES is 8, not 16; "
        "SLOWFAST.ALPHA is 4, not 8; try `arch` tiny_8x8"
    )


def test_a_sigmoid_head_is_one_of_many_labels(tmp_path: Path) -> None:
    """As PySlowFast's networks for Charades have it; where nothing is said, it is one class."""
    cfg = CFG.replace("HEAD_ACT: softmax", "HEAD_ACT: sigmoid")
    path = written(PySlowFast(NARROW["tiny_8x8"][1]), tmp_path / "net.pyth", cfg=cfg)
    checkpoint, _ = foreign.read(path, "tiny_8x8")
    assert checkpoint.task == "multilabel"
    save(checkpoint, tmp_path / "net.pth")
    assert load(tmp_path / "net.pth").task == "multilabel"
    path = written(PySlowFast(NARROW["tiny_8x8"][1]), tmp_path / "plain.pyth", cfg=CFG)
    assert foreign.read(path, "tiny_8x8")[0].task == "single"


AVA = """AVA:
  BGR: false
DATA:
  NUM_FRAMES: 4
  REVERSE_INPUT_CHANNEL: false
  SAMPLING_RATE: 16
  TEST_CROP_SIZE: 256
  TRAIN_CROP_SIZE: 224
DETECTION:
  ALIGNED: false
  ENABLE: true
  SPATIAL_SCALE_FACTOR: 16
MODEL:
  HEAD_ACT: sigmoid
RESNET:
  SPATIAL_DILATIONS:
  - - 1
  - - 1
  - - 1
  - - 2
  SPATIAL_STRIDES: [[1], [2], [2], [1]]
TRAIN:
  DATASET: ava
"""
"""As the file of a Slow 4×16 for AVA has it."""


@pytest.mark.parametrize("arch", ["tiny_slow", "tiny_8x8"])
@pytest.mark.parametrize("said", [True, False])
def test_networks_for_boxes_are_ours(arch: str, said: bool, tmp_path: Path) -> None:
    """AVA's, of the names of the others and a res5 of stride 1 and dilation 2: by the file, or by `task`."""
    description, plan = NARROW[arch]
    theirs = for_ava(plan)
    cfg = AVA.replace("NUM_FRAMES: 4", f"NUM_FRAMES: {2 * max(1, plan.alpha)}")
    cfg = cfg.replace("SAMPLING_RATE: 16", f"SAMPLING_RATE: {8 // max(1, plan.alpha)}")
    if plan.alpha:
        cfg = cfg.replace("[[1], [2], [2], [1]]", "[[1, 1], [2, 2], [2, 2], [1, 1]]")
        cfg = cfg.replace("  - - 1\n", "  - - 1\n    - 1\n").replace("  - - 2\n", "  - - 2\n    - 2\n")
        cfg += "SLOWFAST:\n  ALPHA: 4\n"
    more = {"cfg": cfg} if said else {}
    path = written(theirs, tmp_path / "net.pyth", **more)
    checkpoint, report = foreign.read(path, arch, task=None if said else "boxes")
    assert (checkpoint.task, checkpoint.description.frames) == ("boxes", description.frames)
    assert any("DETECTION.ALIGNED is false" in note for note in report.notes) is said
    save(checkpoint, tmp_path / "net.pth")
    model = load(tmp_path / "net.pth").model.eval()
    clips = random_clips(plan, 64)
    boxes, owners = some_people(64)
    given = BoxedClips.of(
        clips if plan.alpha else clips[0], boxes, torch.zeros(len(owners), dtype=torch.long)
    )
    with torch.no_grad():
        expected = scored(theirs, [clip[:1] for clip in clips], boxes, [0] * len(owners))
        got = model(given)
    assert (got - expected).abs().max() <= TOLERANCE * expected.abs().max()


def test_a_window_of_another_length_is_taken_over(tmp_path: Path) -> None:
    """As fine-tuned networks have it; Charades at its own 24 pictures a second, and read blue first."""
    path = written(PySlowFast(NARROW["tiny_slow"][1]), tmp_path / "ava.pyth", cfg=AVA)
    checkpoint, report = foreign.read(path, "tiny_slow")
    assert (checkpoint.description.frames, checkpoint.description.stride) == (4, 16)
    assert "its windows are 4 frames, 16 apart at 30 a second, as its settings say" in report.notes
    cfg = CFG.replace("HEAD_ACT: softmax", "HEAD_ACT: sigmoid").replace("NUM_FRAMES: 8", "NUM_FRAMES: 64")
    cfg = cfg.replace("- 0.45\n  - 0.45\n", "- 0.4\n  - 0.45\n")
    cfg = cfg.replace("DATA:\n", "DATA:\n  REVERSE_INPUT_CHANNEL: true\n") + "TRAIN:\n  DATASET: charades\n"
    path = written(PySlowFast(NARROW["tiny_8x8"][1]), tmp_path / "charades.pyth", cfg=cfg)
    checkpoint, _ = foreign.read(path, "tiny_8x8")
    sampling = checkpoint.description.sampling
    assert (checkpoint.task, sampling.frames, sampling.stride, sampling.rate) == ("multilabel", 16, 8, 24.0)
    assert checkpoint.preprocessing.mean == (0.45, 0.45, 0.4)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  - - 2\n", "  - - 1\n", "RESNET.SPATIAL_DILATIONS is [1, 1, 1, 1], not [1, 1, 1, 2] a pathway"),
        ("[2], [1]]", "[2], [2]]", "RESNET.SPATIAL_STRIDES is [1, 2, 2, 2], not [1, 2, 2, 1] a pathway"),
        ("BGR: false", "BGR: true", "it takes BGR"),
        ("REVERSE_INPUT_CHANNEL: false", "REVERSE_INPUT_CHANNEL: true", "it takes BGR"),
        ("NUM_FRAMES: 4", "NUM_FRAMES: 99999999", "DATA.NUM_FRAMES is 99999999, not 2"),
    ],
)
def test_heads_for_boxes_that_no_network_here_has(old: str, new: str, said: str, tmp_path: Path) -> None:
    """What differs from AVA's network."""
    path = written(PySlowFast(NARROW["tiny_slow"][1]), tmp_path / "net.pyth", cfg=AVA.replace(old, new))
    assert said in refusal(path, "tiny_slow")


def test_a_task_against_the_files_own(tmp_path: Path) -> None:
    """Is refused, as is one that is none, or that a family has no head for."""
    path = written(PySlowFast(NARROW["tiny_slow"][1]), tmp_path / "net.pyth", cfg=AVA)
    with pytest.raises(CheckpointError, match="settings say that its task is boxes, not multilabel"):
        foreign.read(path, "tiny_slow", task="multilabel")
    with pytest.raises(UsageError, match="unknown `task` 'ava'; there are single, multilabel, boxes"):
        foreign.read(path, "tiny_slow", task="ava")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("NUM_FRAMES: 8", "NUM_FRAMES: 64", "DATA.NUM_FRAMES is 64, not 8"),
        ("SAMPLING_RATE: 2", "SAMPLING_RATE: 1", "DATA.SAMPLING_RATE is 1, not 2"),
        ("TRAIN_CROP_SIZE: 224", "TRAIN_CROP_SIZE: 256", "its head's windows are not 7×7"),
        ("DATA:", "RESNET:\n  STRIDE_1X1: true\nDATA:", "RESNET.STRIDE_1X1 is true"),
    ],
)
def test_settings_that_no_network_here_has(old: str, new: str, said: str, tmp_path: Path) -> None:
    """What changes the computation and no tensor's shape is refused, not overlooked."""
    cfg = CFG.replace(old, new)
    path = written(PySlowFast(NARROW["tiny_8x8"][1]), tmp_path / "net.pyth", cfg=cfg)
    message = refusal(path, "tiny_8x8")
    assert said in message
    assert "no network here" in message or "no architecture here" in message


def test_settings_of_input_and_head_are_kept(tmp_path: Path) -> None:
    """Mean and deviation of the input; a head built for training at several sizes averages everything."""
    cfg = CFG.replace("- 0.45\n  - 0.45\n", "- 0.4\n  - 0.45\n").replace("0.225", "0.25")
    cfg += "MULTIGRID:\n  SHORT_CYCLE: true\n"
    path = written(PySlowFast(NARROW["tiny_8x8"][1]), tmp_path / "net.pyth", cfg=cfg)
    checkpoint, _ = foreign.read(path, "tiny_8x8")
    assert checkpoint.preprocessing.mean == (0.4, 0.45, 0.45)
    assert checkpoint.preprocessing.std == (0.25, 0.25, 0.25)
    assert checkpoint.description.head == "global"


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """Tiny Slow as PySlowFast writes it."""
    return written(PySlowFast(NARROW["tiny_slow"][1]), tmp_path / "net.pyth")


def test_wrong_architecture_names_the_one_that_fits(tiny_file: Path) -> None:
    message = refusal(tiny_file, "slow_r50")
    assert message.startswith(f"{tiny_file}: not slow_r50 as PySlowFast names it: 165 missing (s")
    assert ", …), 0 unexpected, " in message
    assert "s1.pathway0_stem.conv.weight is (8, 3, 1, 7, 7), not (64, 3, 1, 7, 7)" in message
    assert message.endswith("; it fits tiny_slow: try that with `arch`")


def test_slowfast_read_as_slow_names_the_one_that_fits(tmp_path: Path) -> None:
    path = written(PyTorchVideo(NARROW["tiny_4x16"][1]), tmp_path / "net.pth")
    message = refusal(path, "tiny_slow")
    assert "unexpected (blocks." in message
    assert message.endswith("; it fits tiny_4x16, tiny_8x8: try that with `arch`")


def test_missing_unexpected_and_misshaped_tensors_are_listed(tiny_file: Path) -> None:
    """Each kind with its count and first names, in the file's own words."""
    altered(tiny_file, "s3.pathway0_res0.branch2.a_bn.bias", None)
    altered(tiny_file, "s9.weight", torch.zeros(1))
    altered(tiny_file, "s2.pathway0_res0.branch2.a.weight", torch.zeros(8, 8, 3, 1, 1))
    assert refusal(tiny_file, "tiny_slow") == (
        f"{tiny_file}: not tiny_slow as PySlowFast names it: "
        "1 missing (s3.pathway0_res0.branch2.a_bn.bias), 1 unexpected (s9.weight), 1 mis-shaped "
        "(s2.pathway0_res0.branch2.a.weight is (8, 8, 3, 1, 1), not (8, 8, 1, 1, 1)); "
        "no architecture here fits"
    )


@pytest.mark.parametrize("name", ["head.projection.weight", "head.projection.bias"])
def test_head_of_another_kind(name: str, tiny_file: Path) -> None:
    """Class counts that differ, and a projection that is no matrix, are mis-shaped, never a crash."""
    altered(tiny_file, name, torch.zeros(3))
    assert f"mis-shaped (head.projection.{'bias' if 'bias' in name else 'weight'}" in refusal(
        tiny_file, "tiny_slow"
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted(dtype: Any, tiny_file: Path) -> None:
    payload = torch.load(tiny_file, weights_only=True)
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in payload["model_state"].items()}
    torch.save({"model_state": state}, tiny_file)
    checkpoint, _ = foreign.read(tiny_file, "tiny_slow")
    assert {t.dtype for t in checkpoint.model.state_dict().values()} == {torch.float32}
    assert torch.equal(checkpoint.model.head.weight, state["head.projection.weight"].float())


BIAS = "s1.pathway0_stem.bn.bias"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (BIAS, torch.full((8,), float("nan")), "not finite"),
        (BIAS, torch.full((8,), 1e300, dtype=torch.float64), "not finite"),
        (BIAS, torch.zeros(8, dtype=torch.int64), "not plain numbers"),
        (BIAS, torch.zeros(8, dtype=torch.complex64), "not plain numbers"),
        (BIAS, torch.zeros(8).to_sparse(), "not plain numbers"),
        (BIAS, torch.zeros(1).expand(8), "more values than the file holds"),
        (BIAS, [0.0] * 8, "is a list, not a tensor"),
        ("s1.pathway0_stem.bn.running_var", torch.full((8,), -1.0), "negative variance"),
    ],
)
def test_values_that_cannot_be_weights(name: str, value: Any, said: str, tiny_file: Path) -> None:
    message = refusal(altered(tiny_file, name, value), "tiny_slow")
    assert said in message
    assert name in message


def test_a_claim_of_endless_classes_allocates_nothing(tiny_file: Path) -> None:
    """Two expanded tensors can claim terabytes in a few bytes."""
    altered(tiny_file, "head.projection.weight", torch.zeros(1).expand(10**10, 256))
    altered(tiny_file, "head.projection.bias", torch.zeros(1).expand(10**10))
    assert "10000000000" in refusal(tiny_file, "tiny_slow")


class _Code:
    """Runs when unpickled without care."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"model_state": {"s1": _Code(tmp_path / "ran")}}, tmp_path / "net.pth")
    assert "nothing in it was run" in refusal(tmp_path / "net.pth", "slow_r50")
    (tmp_path / "raw.pkl").write_bytes(pickle.dumps(_Code(tmp_path / "ran")))
    refusal(tmp_path / "raw.pkl", "slow_r50")
    assert not (tmp_path / "ran").exists()


def test_truncated_file(tiny_file: Path) -> None:
    tiny_file.write_bytes(tiny_file.read_bytes()[:-1000])
    assert "is it complete?" in refusal(tiny_file, "tiny_slow")


def test_missing_file(tmp_path: Path) -> None:
    assert "no such checkpoint" in refusal(tmp_path / "none.pth", "slow_r50")


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ([1, 2], "holds a list"),
        ({}, "neither PySlowFast, pytorchvideo, mmaction2 nor torchvision names tensors so (nothing"),
        ({"epoch": 3}, "names tensors so (nothing, …)"),
        ({"model_state": {7: torch.zeros(1)}}, "names tensors so (7, …)"),
        ({"fc.weight": torch.zeros(1)}, "names tensors so (fc.weight, …)"),
    ],
)
def test_files_of_no_known_library(payload: Any, said: str, tmp_path: Path) -> None:
    torch.save(payload, tmp_path / "net.pth")
    assert said in refusal(tmp_path / "net.pth", "slow_r50")


def test_our_own_checkpoint_needs_no_import(tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    save(tiny_checkpoint, tmp_path / "ours.pth")
    assert "is an a3d-edge checkpoint already" in refusal(tmp_path / "ours.pth", "slow_r50")


def test_unknown_architecture_lists_those_there_are(tiny_file: Path) -> None:
    with pytest.raises(
        UsageError, match=r"'slow_r5' cannot be imported; there are slow_r50, .*, slowfast_r50"
    ):
        foreign.read(tiny_file, "slow_r5")


def test_aliases_are_of_registered_architectures() -> None:
    assert set(foreign.ALIASES["slowfast_r50"]) < set(REGISTERED)


def test_class_names_must_be_as_many_as_classes(tiny_file: Path) -> None:
    with pytest.raises(UsageError, match=r"`classes`: 2 names; .* has 11 classes"):
        foreign.read(tiny_file, "tiny_slow", ["a", "b"])
    names = [f"n{k}" for k in range(11)]
    assert foreign.read(tiny_file, "tiny_slow", names)[0].classes == tuple(names)
