"""Batch norms tuned for one configuration: folded in by a closed form, all else as it was, kept in a file."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("av")

import torch.nn.functional as F  # noqa: E402
from fixtures_bundle import lively, noise, tiny_slow, tiny_slowfast, tiny_x3d  # noqa: E402
from torch import Tensor  # noqa: E402

from a3d_edge.configuration import Configuration  # noqa: E402
from a3d_edge.errors import A3DEdgeError, CheckpointError, UsageError  # noqa: E402
from a3d_edge.models.batch_norm import Moments, SlimBatchNorm  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint, load, norms, save, tuned  # noqa: E402
from a3d_edge.models.network import NetworkDescription  # noqa: E402
from a3d_edge.models.slow import Slow  # noqa: E402
from a3d_edge.models.widths import Run  # noqa: E402
from a3d_edge.training import Recipe, train  # noqa: E402
from a3d_edge.training.calibrate import calibrate_one  # noqa: E402
from a3d_edge.training.settings import Settings  # noqa: E402
from a3d_edge.training.tuning import tune  # noqa: E402

NARROW = Configuration(0.63, 24, 2)
HALF = Configuration(1.0, 24, 2)
SETTINGS = Settings(seed=3)


LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def batches(clips: Any, count: int) -> Iterator[tuple[int, Any, Tensor]]:
    """The same clips at each of so many steps, which go on after a run's."""
    for step in range(count):
        yield 100 + step, clips, LABELS


def test_what_is_tuned_is_folded_into_the_statistics() -> None:
    """By hand, γ·eᵃ·(x − μ)/σ + β + γ·b, against statistics alone; γ of either sign."""
    torch.manual_seed(0)
    norm, x = SlimBatchNorm(8).eval(), torch.randn(5, 8, 2, 3, 3) * 2 + 1
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1.5, 2.0, 8))
        norm.bias.copy_(torch.linspace(1.0, -1.0, 8))
    stretch, shift = torch.linspace(-0.6, 0.7, 8), torch.linspace(0.5, -0.9, 8)
    norm.tuned["a"] = (stretch, shift)
    norm.calibrate(Run(1.0, "a"), Moments.none(8).add(x))
    each = (1, 8, 1, 1, 1)
    mean, variance = x.mean((0, 2, 3, 4)).view(each), x.var((0, 2, 3, 4), correction=0).view(each)
    normal = (x - mean) / torch.sqrt(variance + norm.eps)
    weight, bias = norm.weight.detach().view(each), norm.bias.detach().view(each)
    wanted = weight * (stretch.exp().view(each) * normal + shift.view(each)) + bias
    with torch.inference_mode():
        torch.testing.assert_close(norm(x, Run(1.0, "a")), wanted, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(norm.train()(x, Run(1.0, "a")), wanted, rtol=1e-5, atol=1e-5)
        plain = F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)
        torch.testing.assert_close(norm(x, Run(1.0, "b")), plain)


@pytest.mark.parametrize("description", [tiny_slow(), tiny_slowfast(), tiny_x3d()])
def test_it_learns_and_leaves_all_else_alone(description: NetworkDescription) -> None:
    """The loss at a configuration falls; weights, running statistics and what else was tuned are the same."""
    model = lively(description)
    before, clips = copy.deepcopy(model.state_dict()), noise(description, 32, 6)
    narrow = Configuration(0.63, 32 if description.sampling.alpha > 1 else 24, 2)
    losses, seen = [], list[tuple[int, int]]()
    for steps in (0, 40):
        tune(model, [narrow], batches(clips, steps), steps, SETTINGS, lambda *done: seen.append(done))
        calibrate_one(model, narrow, [clips])
        with torch.inference_mode():
            losses.append(F.cross_entropy(model(clips, narrow), LABELS).item())
    assert losses[1] < 0.8 * losses[0]
    assert seen == [(done + 1, 40) for done in range(40)]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(set(norm.tuned) == {str(narrow)} for norm in norms(model).values())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not model.training


def test_several_at_once_are_each_their_own(tiny_network: Slow) -> None:
    """Two configurations learn what each of them learns alone: they share batches, and nothing else."""
    clips = noise(tiny_slow(), 32, 6)
    both, apart = copy.deepcopy(tiny_network), copy.deepcopy(tiny_network)
    tune(both, [NARROW, HALF], batches(clips, 3), 3, SETTINGS)
    for one in (NARROW, HALF):
        tune(apart, [one], batches(clips, 3), 3, SETTINGS)
    for name, norm in norms(both).items():
        for one in (NARROW, HALF):
            for found, wanted in zip(norm.tuned[str(one)], norms(apart)[name].tuned[str(one)], strict=True):
                torch.testing.assert_close(found, wanted)
                assert not found.requires_grad
                assert found.abs().max() > 0


def test_a_loss_that_is_not_finite_changes_nothing(tiny_network: Slow) -> None:
    """It is told, with the configuration; what was tuned before is still there."""
    clips = noise(tiny_slow(), 32, 6)
    tune(tiny_network, [HALF], batches(clips, 1), 1, SETTINGS)
    before = tuned(tiny_network)
    with pytest.raises(A3DEdgeError, match=r"`tune`: the loss of w0\.63-s24-t2 is not finite; leave it at 0"):
        tune(tiny_network, [NARROW], batches(clips * float("nan"), 1), 1, SETTINGS)
    after = tuned(tiny_network)
    assert after.keys() == before.keys() == {str(HALF)}
    assert torch.equal(after[str(HALF)]["stem.norm"][0], before[str(HALF)]["stem.norm"][0])
    assert not tiny_network.training


def test_a_checkpoint_keeps_it(tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Calibrated anew with what was tuned; what does not fit is named, and older files have nothing tuned."""
    path, clips = tmp_path / "net.pth", noise(tiny_slow(), 32, 6)
    tune(tiny_checkpoint.model, [NARROW], batches(clips, 3), 3, SETTINGS)
    calibrate_one(tiny_checkpoint.model, NARROW, [clips])
    save(tiny_checkpoint, path)
    read = load(path).model
    calibrate_one(read, NARROW, [clips])
    with torch.inference_mode():
        torch.testing.assert_close(read(clips, NARROW), tiny_checkpoint.model(clips, NARROW), rtol=0, atol=0)
    payload = torch.load(path, weights_only=True)
    for value, said in (
        ([torch.zeros(3), torch.zeros(3)], "not of 8 channels"),
        ([torch.full((8,), float("inf")), torch.zeros(8)], "not finite"),
    ):
        wrong = {**payload, "tuned": {str(NARROW): {**payload["tuned"][str(NARROW)], "stem.norm": value}}}
        torch.save(wrong, path)
        with pytest.raises(CheckpointError, match=f"tuned.{NARROW}.stem.norm: {said}"):
            load(path)
    torch.save({key: value for key, value in payload.items() if key != "tuned"}, path)
    assert tuned(load(path).model) == {}


def test_a_run_tunes_its_candidates_and_goes_on_where_it_did_not(
    clip_list: Path, frame_cache: Any, tmp_path: Path
) -> None:
    """The last weights and the best; a finished run that is asked to go on tunes nothing again."""
    recipe = Recipe(epochs=2, batch=4, lr=0.02, range_name="0.06", val=0.34, precision="fp32", tune=2)
    told: dict[str, tuple[int, int]] = {}
    notes: list[str] = []

    def run(**options: Any) -> Checkpoint:
        told.clear()
        return train(
            [clip_list], tmp_path / "net.pth", recipe, calibration_clips=3, cache=frame_cache.folder,
            note=notes.append, report=lambda what, done, total: told.update({what: (done, total)}), **options,
        )  # fmt: skip

    names = {str(one) for one in run().candidates()}
    assert told["tune"] == (2, 2)
    assert "tuning the batch norms of 12 configurations in 2 steps" in notes
    for file in ("net.pth", "net.best.pth"):
        assert set(tuned(load(tmp_path / file).model)) == names
    run(resume=True)
    assert "tune" not in told
    with pytest.raises(UsageError, match="`tune` -1 is below 0"):
        Recipe(tune=-1).check()
