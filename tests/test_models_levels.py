"""Batch norms that switch with width, size and frames: which apply, what they do, how they last."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from fixtures_bundle import lively, noise, tiny_r2plus1d, tiny_slow, tiny_slowfast, tiny_x3d  # noqa: E402
from torch import Tensor  # noqa: E402

from a3d_edge.configuration import Configuration  # noqa: E402
from a3d_edge.errors import CheckpointError  # noqa: E402
from a3d_edge.models.batch_norm import Moments, SlimBatchNorm  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint, load, norms, save  # noqa: E402
from a3d_edge.models.levels import Levels  # noqa: E402
from a3d_edge.models.network import NetworkDescription, SlimNetwork  # noqa: E402
from a3d_edge.models.ranges import RANGES  # noqa: E402
from a3d_edge.models.widths import Run  # noqa: E402
from a3d_edge.training.begin import fresh, initial  # noqa: E402
from a3d_edge.training.calibrate import calibrate_one  # noqa: E402
from a3d_edge.training.distillation import backward  # noqa: E402
from a3d_edge.training.recipe import Recipe  # noqa: E402

NARROW = Configuration(0.63, 24, 2)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
LEVELS = Levels(full_size=32, full_frames=4, widths=(0.63, 0.8), sizes=(20, 24), frames=(2, 3))


def switched(description: NetworkDescription, seed: int = 1) -> SlimNetwork:
    """A lively network whose every level stretches and moves otherwise."""
    model = lively(description)
    model.switch_norms(LEVELS)
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if ".switched." in name:
            parameter.data.uniform_(-0.4, 0.4)
    return model


def test_a_range_has_the_values_below_full() -> None:
    """Of `slow_small` at 96² and 8 frames; a key of a module holds no dot, so widths are in per cent."""
    levels = RANGES["0.016"].levels(96, 8)
    assert levels.names == (
        "w50", "w60", "w70", "w80", "w90", "s55", "s69", "s82", "t2", "t4", "t6",
    )  # fmt: skip
    assert RANGES["0.06"].levels(96, 8).names == ("w63", "w73", "w83", "w93", "s61", "s76", "t3", "t5")


@pytest.mark.parametrize(
    ("configuration", "names"),
    [
        ("w1.00-s32-t4", ()),
        ("w1.00-s37-t4", ()),  # tested larger than it was trained
        ("w0.63-s20-t2", ("w63", "s20", "t2")),
        ("w1.00-s24-t4", ("s24",)),
        ("w0.80-s32-t3", ("w80", "t3")),
        ("w0.91-s29-t4", ()),  # as near to full as to 0.8 and 24, or nearer
        ("w0.71-s27-t1", ("w63", "s24", "t2")),
    ],
)
def test_the_nearest_value_of_each_dimension_applies(configuration: str, names: tuple[str, ...]) -> None:
    """None where the nearest is the full one; widths between two are drawn in training."""
    assert LEVELS.at(Configuration.parse(configuration)) == names


def test_levels_add_up_and_are_folded_into_the_statistics() -> None:
    """By hand, γ·e^(a₁+a₂)·(x − μ)/σ + β + γ·(b₁ + b₂) of the first 6 of 8 channels, tuned beside."""
    torch.manual_seed(0)
    norm, x = SlimBatchNorm(8), torch.randn(5, 6, 2, 3, 3) * 2 + 1
    norm.weight.data.copy_(torch.linspace(-1.5, 2.0, 8))
    norm.bias.data.copy_(torch.linspace(1.0, -1.0, 8))
    norm.switch_at(LEVELS.names)
    assert norm.switched is not None
    parts: list[Any] = [norm.switched["w63"], norm.switched["t2"]]
    for part in parts:
        part.stretch.data.uniform_(-0.5, 0.5)
        part.shift.data.uniform_(-0.5, 0.5)
    norm.tuned["a"] = (torch.full((6,), 0.2), torch.full((6,), -0.1))
    run, each = Run(0.63, "a", levels=("w63", "t2")), (1, 6, 1, 1, 1)
    mean, variance = x.mean((0, 2, 3, 4)).view(each), x.var((0, 2, 3, 4), correction=0).view(each)
    normal = (x - mean) / torch.sqrt(variance + norm.eps)
    stretch = (sum(part.stretch[:6] for part in parts) + 0.2).exp().view(each)
    shift = (sum(part.shift[:6] for part in parts) - 0.1).view(each)
    weight, bias = norm.weight[:6].view(each), norm.bias[:6].view(each)
    wanted = (weight * (stretch * normal + shift) + bias).detach()
    norm.calibrate(run, Moments.none(6).add(x))
    with torch.inference_mode():
        torch.testing.assert_close(norm.train()(x, run), wanted, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(norm.eval()(x, Run(0.63, "a")), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("description", [tiny_slow(), tiny_slowfast(), tiny_x3d(), tiny_r2plus1d()])
def test_a_calibrated_configuration_answers_as_it_was_trained(description: NetworkDescription) -> None:
    """By its statistics alone, on the clips it was calibrated on; without levels it answers otherwise."""
    model = switched(description)
    narrow = NARROW
    clips = model.fit(noise(description, 32, 6), narrow)
    calibrate_one(model, narrow, [clips])
    with torch.inference_mode():
        calibrated = model(clips, narrow)
        trained = model.train().run(clips, model.run_at(narrow))
        shared = model.run(clips, Run(narrow.width))
    torch.testing.assert_close(calibrated, trained, rtol=1e-3, atol=1e-3)
    assert (shared - trained).abs().max() > 0.05


def test_a_step_learns_those_it_uses_and_the_full_network_needs_none() -> None:
    """Levels of no effect change no gradient; of the others' there is none."""
    clips = noise(tiny_slow(), 32, 6)
    plain, ours = lively(tiny_slow()).train(), lively(tiny_slow()).train()
    ours.switch_norms(LEVELS)
    for model in (plain, ours):
        backward(model, clips, LABELS, (NARROW,))
    expected = dict(plain.named_parameters())
    used = {"w63", "s24", "t2"}
    for name, parameter in ours.named_parameters():
        if ".switched." in name:
            is_used = name.split(".switched.")[1].split(".")[0] in used
            assert (parameter.grad is not None) == is_used, name
        else:
            torch.testing.assert_close(parameter.grad, expected[name].grad)


def test_a_checkpoint_keeps_them(tmp_path: Path) -> None:
    """With their values; what is none, or is not in the file, is named; older files have none."""
    checkpoint, path = Checkpoint(switched(tiny_slow()), ("a", "b", "c")), tmp_path / "net.pth"
    save(checkpoint, path)
    read = load(path).model
    assert read.levels == LEVELS
    for name, tensor in checkpoint.model.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor), name
    payload = torch.load(path, weights_only=True)
    for key, value, said in (
        ("sizes", [20, 24, 28], r"levels: state\.stem\.norm\.switched\.s28\.stretch is not there"),
        ("widths", [0.63, 1.5], r"levels\.widths"),
        ("frames", [1] * 65, r"levels\.frames"),
    ):
        torch.save({**payload, "levels": {**payload["levels"], key: value}}, path)
        with pytest.raises(CheckpointError, match=said):
            load(path)
    stray = {**payload["state"], "stem.norm.switched.s28.stretch": torch.zeros(8)}  # one key of a level
    more = {**payload["levels"], "sizes": [20, 24, 28]}
    torch.save({**payload, "levels": more, "state": stray}, path)
    with pytest.raises(CheckpointError, match=r"levels: state\.stem\.norm\.switched\.s28\.shift"):
        load(path)
    old = Checkpoint(lively(tiny_slow()), ("a", "b", "c"))
    save(old, path)
    payload = torch.load(path, weights_only=True)
    torch.save({key: value for key, value in payload.items() if key != "levels"}, path)
    assert load(path).model.levels is None


def test_a_channel_that_is_constant_is_folded_exactly() -> None:
    """Where a variance below 0 would be wanted, 0 is kept, and the mean goes by that."""
    norm, x = SlimBatchNorm(8), torch.full((4, 8, 2, 3, 3), 3.0)
    norm.tuned["a"] = (torch.full((8,), 0.4), torch.full((8,), 0.5))
    norm.calibrate(Run(1.0, "a"), Moments.none(8).add(x))
    with torch.inference_mode():
        trained = norm.train()(x, Run(1.0, "a"))
        torch.testing.assert_close(norm.eval()(x, Run(1.0, "a")), trained, rtol=1e-3, atol=1e-3)


def test_a_bundle_knows_nothing_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are those of a network without levels, to the byte, and it is read again as exported."""
    pytest.importorskip("onnxruntime")
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle
    from fixtures_bundle import parity_clips

    from a3d_edge.models.from_bundle import checkpoint_of
    from a3d_edge.models.registry import ARCHITECTURES

    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny_slow())
    weights = []
    for model in (lively(tiny_slow()), switched(tiny_slow())):
        checkpoint = Checkpoint(model, ("right", "down", "still"))
        calibrate_one(model, NARROW, [noise(tiny_slow(), 24, 4)])
        table = unmeasured_table(checkpoint, [NARROW])
        folder = tmp_path / str(len(weights))
        bundle = write_bundle(checkpoint, table, parity_clips([NARROW]), folder)
        weights.append((folder / "weights.bin").read_bytes())
    assert weights[0] == weights[1]
    rebuilt, clips = checkpoint_of(bundle).model, noise(tiny_slow(), 24, 2)
    with torch.inference_mode():
        torch.testing.assert_close(rebuilt(clips, NARROW), model(clips, NARROW), rtol=0, atol=0)


def test_what_is_left_out_of_a_beginning_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the values that this run does not switch at; a run that switches there says nothing."""
    from a3d_edge.models.registry import ARCHITECTURES

    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny_slow())
    save(Checkpoint(switched(tiny_slow()), ("a", "b", "c")), tmp_path / "old.pth")
    old, notes = initial(tmp_path / "old.pth"), list[str]()
    fresh(Recipe(arch="tiny", range_name="0.06", switchable=True), ("a", "b", "c"), "old", old, notes.append)
    assert notes == [
        "`init` old: what its batch norms have for w80, s24 is left out, as this run's do not switch there"
    ]
    notes.clear()
    fresh(
        Recipe(arch="tiny", alone="w0.63-s24-t2", switchable=True), ("a", "b", "c"), "old", old, notes.append
    )
    assert len(notes) == 1


@pytest.mark.parametrize("mutual", [True, False])
def test_a_network_begins_with_those_that_both_have(
    mutual: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another range the same value's; a run without narrower networks has none at all."""
    from a3d_edge.models.registry import ARCHITECTURES

    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny_slow())
    theirs = switched(tiny_slow())  # w63, s20, t2 and t3 are also of the range 0.06
    save(Checkpoint(theirs, ("a", "b", "c")), tmp_path / "old.pth")
    recipe = Recipe(arch="tiny", range_name="0.06", switchable=True, mutual=mutual)
    ours = fresh(recipe, ("a", "b", "c"), "old", initial(tmp_path / "old.pth"), lambda _: None).model
    assert (ours.levels is not None) == mutual
    for name, norm in norms(ours).items():
        for level, affine in () if norm.switched is None else norm.switched.items():
            there = norms(theirs)[name].switched
            assert there is not None
            if level in LEVELS.names:
                assert torch.equal(affine.stretch, there[level].stretch)
            else:
                assert not affine.stretch.any()


def test_a_share_of_what_a_student_loses_is_by_labels(
    tiny_description: NetworkDescription, lively: Callable[..., SlimNetwork]
) -> None:
    """Gradients are a weighted sum of those by the teacher and by the labels."""
    clips, share = noise(tiny_slow(), 32, 6), 0.3
    begun = lively(tiny_description).train()
    found: list[dict[str, Tensor]] = []
    for each in (0.0, 1.0, share):
        model = copy.deepcopy(begun)
        backward(model, clips, LABELS, (NARROW,), 0.1, label_share=each)
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, gradient in found[2].items():
        wanted = (1 - share) * found[0][name] + share * found[1][name]
        scale = float(wanted.abs().max())
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5 * scale + 1e-7, msg=name)
