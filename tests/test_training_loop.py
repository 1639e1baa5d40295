"""The training loop: schedule, resume bit for bit, interruption at any instant, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from a3d_edge.errors import A3DEdgeError, ResourceError, UsageError
from a3d_edge.models.checkpoint import Checkpoint, load, save
from a3d_edge.models.ranges import RANGES
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription
from a3d_edge.training.batches import Batches
from a3d_edge.training.clips import list_clips
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.distillation import Precision
from a3d_edge.training.loop import Settings, StepReport, learning_rate, train
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

CLASSES = ("right", "down", "still")
Whole = tuple[Checkpoint, list[StepReport]]
SETTINGS = Settings(epochs=2, lr=0.02, warmup=0.3, smoothing=0.1, seed=3)


@pytest.fixture
def batches(clip_list: Path, frame_cache: FrameCache) -> Batches:
    """3 steps an epoch of 4 real clips."""
    return Batches(
        clips=list_clips([clip_list]),
        classes=CLASSES,
        cache=frame_cache,
        size=32,
        sampling=Sampling(4, 2),
        preprocessing=Preprocessing(),
        batch_size=4,
        seed=3,
    )


@pytest.fixture
def fresh(tiny_description: SlowDescription) -> Callable[[], Checkpoint]:
    """A new run's checkpoint: always the same first weights; dropout is on, so that its randomness counts."""

    def build() -> Checkpoint:
        torch.manual_seed(0)
        return Checkpoint(tiny_description.model_copy(update={"dropout": 0.5}).build(), CLASSES)

    return build


@dataclass
class InterruptAt:
    """Remembers every report and presses Ctrl-C in that of one step."""

    step: int
    reports: list[StepReport] = field(default_factory=list)

    def __call__(self, report: StepReport) -> None:
        self.reports.append(report)
        if report.step == self.step:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole_runs() -> dict[str, Whole]:
    """Uninterrupted runs, each made once."""
    return {}


@pytest.fixture
def uninterrupted(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path, whole_runs: dict[str, Whole]
) -> Callable[[str], Whole]:
    """The uninterrupted run of an optimizer: its result and reports."""

    def run(optimizer: Any) -> Whole:
        if optimizer not in whole_runs:
            reports: list[StepReport] = []
            settings = replace(SETTINGS, optimizer=optimizer)
            result = train(fresh(), batches, settings, tmp_path / "whole.pth", report=reports.append)
            whole_runs[optimizer] = result, reports
        return whole_runs[optimizer]

    return run


def assert_same(a: Checkpoint, b: Checkpoint) -> None:
    for (name, one), other in zip(a.model.state_dict().items(), b.model.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("at", [1, 4, 6])
def test_a_resumed_run_equals_an_uninterrupted_one(
    fresh: Callable[[], Checkpoint],
    batches: Batches,
    uninterrupted: Callable[[str], Whole],
    tmp_path: Path,
    optimizer: Any,
    at: int,
) -> None:
    """Ctrl-C after a step, the file loaded as in a new process, trained on: weights, statistics, losses."""
    settings, parts, out = replace(SETTINGS, optimizer=optimizer), InterruptAt(at), tmp_path / "out.pth"
    expected, reports = uninterrupted(optimizer)
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), batches, settings, out, report=parts)
    torch.manual_seed(12345)  # a new process has another random state
    resumed = load(out)
    assert resumed.resume is not None
    assert resumed.resume["step"] == at
    parts.step = 99
    assert_same(train(resumed, batches, settings, out, report=parts), expected)
    assert parts.reports == reports
    assert [report.step for report in reports] == [1, 2, 3, 4, 5, 6]
    assert_same(load(out), expected)
    assert load(out).resume is None


@pytest.mark.parametrize("call", [1, 2, 3])
def test_ctrl_c_in_the_middle_of_a_step_loses_only_that_step(
    fresh: Callable[[], Checkpoint],
    batches: Batches,
    uninterrupted: Callable[[str], Whole],
    tmp_path: Path,
    call: int,
) -> None:
    """Within the full network's or a student's forward of step 3: step 2 is saved as if 3 never began."""
    checkpoint, calls = fresh(), 0

    def interrupt(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3 * 2 + call:
            raise KeyboardInterrupt

    out = tmp_path / "out.pth"
    hook = checkpoint.model.res5.register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint, batches, SETTINGS, out)
    hook.remove()
    resumed = load(out)
    assert resumed.resume is not None
    assert resumed.resume["step"] == 2
    assert_same(train(resumed, batches, SETTINGS, out), uninterrupted("sgd")[0])


def test_ctrl_c_while_weights_change_keeps_the_last_saved_file(
    fresh: Callable[[], Checkpoint],
    batches: Batches,
    uninterrupted: Callable[[str], Whole],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A half-updated network is never saved."""
    out, steps = tmp_path / "out.pth", 0
    real = torch.optim.SGD.step

    def step(self: torch.optim.SGD, closure: None = None) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            with torch.no_grad():
                self.param_groups[0]["params"][0].add_(1.0)
            raise KeyboardInterrupt
        real(self, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), batches, SETTINGS, out, save_every_s=0.0)
    monkeypatch.undo()
    resumed = load(out)
    assert resumed.resume is not None
    assert resumed.resume["step"] == 2
    assert_same(train(resumed, batches, SETTINGS, out), uninterrupted("sgd")[0])


def test_ctrl_c_before_the_first_step_leaves_no_file(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path
) -> None:
    """Nothing was learned, nothing is written; an older file of that name is as it was."""
    out = tmp_path / "out.pth"
    for content in (None, b"older"):
        if content:
            out.write_bytes(content)
        checkpoint = fresh()
        checkpoint.model.stem.register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(checkpoint, batches, SETTINGS, out)
        assert (out.read_bytes() if out.exists() else None) == content


def test_checkpoints_are_saved_by_the_clock(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path
) -> None:
    """Every ``save_every_s`` seconds of the given clock, with the step to resume from."""
    out, now, saved = tmp_path / "out.pth", [0.0], []

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    def report(step: StepReport) -> None:
        saved.append(load(out).resume["step"] if out.exists() else None)

    train(fresh(), batches, SETTINGS, out, save_every_s=2.0, report=report, clock=clock)
    assert saved == [None, None, 2, 2, 3, 3] or saved == [None, None, 2, 2, 4, 4]
    assert load(out).resume is None


def test_another_run_s_checkpoint_is_not_resumed(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path
) -> None:
    """The settings that differ are named."""
    out = tmp_path / "out.pth"
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), batches, SETTINGS, out, report=InterruptAt(2))
    with pytest.raises(UsageError) as caught:
        train(load(out), batches, replace(SETTINGS, lr=0.5, seed=4), out)
    assert str(caught.value) == (
        "`resume`: the checkpoint was trained with other settings (lr 0.02, now 0.5; seed 3, now 4)"
    )


def test_no_room_at_the_end_leaves_the_run_as_it_was_last_saved(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On disk and in memory: not finished, to go on from the last step that was saved."""

    def without_room(checkpoint: Checkpoint, path: Path) -> None:
        if checkpoint.resume is None:
            raise ResourceError("no room")
        save(checkpoint, path)

    monkeypatch.setattr("a3d_edge.training.loop.save", without_room)
    checkpoint, out = fresh(), tmp_path / "out.pth"
    with pytest.raises(ResourceError, match=r"^no room$"):
        train(checkpoint, batches, SETTINGS, out, save_every_s=0)
    for left in (checkpoint, load(out)):
        assert left.resume is not None
        assert left.resume["step"] == 5
        assert "steps" not in left.origin


def test_a_finished_run_says_how_it_was_made(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path
) -> None:
    """Settings and steps join what the caller wrote; the model is in eval mode; the file says the same."""
    checkpoint = fresh()
    checkpoint.origin = {"data": "squares"}
    result = train(checkpoint, batches, SETTINGS, tmp_path / "out.pth")
    assert result.origin["data"] == "squares"
    assert result.origin["steps"] == 6
    assert result.origin["settings"]["lr"] == 0.02
    assert not result.model.training
    assert load(tmp_path / "out.pth").origin == result.origin


class OneBatch(Batches):
    """Every step sees the same four clips."""

    def make(self, epoch: int, place: int) -> tuple[torch.Tensor, torch.Tensor]:
        return super().make(0, 0)


def test_training_learns(fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path) -> None:
    """On one batch, learned by heart: the labels are named, and the sub-networks come to agree."""
    reports: list[StepReport] = []
    same = OneBatch(**{name: getattr(batches, name) for name in Batches.__slots__})
    settings = Settings(epochs=9, lr=0.01, warmup=0.1, optimizer="adamw")
    train(fresh(), same, settings, tmp_path / "out.pth", report=reports.append)
    first, last = reports[0].losses, reports[-6:]
    assert sum(r.losses.cross_entropy for r in last) / 6 < 0.3 * first.cross_entropy
    assert sum(r.losses.accuracy for r in last) / 6 > 0.9
    early = max(r.losses.distillation for r in reports)
    assert sum(r.losses.distillation for r in last) / 6 < 0.5 * early


def test_a_slowfast_trains_and_resumes(
    tiny_slowfast: SlowFastDescription, batches: Batches, tmp_path: Path
) -> None:
    """Mutually, with all we add to it, on one batch of real clips: the loss falls; resumed, it is bit for bit
    the same."""
    changes = {"base_width": 8, "beta_inv": 2, "frames": 2, "dropout": 0.2}
    description = tiny_slowfast.model_copy(update=changes)
    fields = {name: getattr(batches, name) for name in Batches.__slots__}
    same = OneBatch(**(fields | {"sampling": description.sampling}))
    settings = Settings(epochs=4, lr=0.01, warmup=0.1, optimizer="adamw", label_share=0.5)

    def fresh() -> Checkpoint:
        torch.manual_seed(0)
        model = description.build()
        model.switch_norms(RANGES["0.016"].levels(description.size, description.frames))
        return Checkpoint(model, CLASSES)

    reports: list[StepReport] = []
    expected = train(fresh(), same, settings, tmp_path / "whole.pth", report=reports.append)
    assert sum(r.losses.cross_entropy for r in reports[-3:]) / 3 < 0.6 * reports[0].losses.cross_entropy
    assert max(r.losses.distillation for r in reports) > 0

    parts, out = InterruptAt(5), tmp_path / "parts.pth"
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), same, settings, out, report=parts)
    parts.step = 99
    assert_same(train(load(out), same, settings, out, report=parts), expected)
    assert parts.reports == reports


def test_no_epochs_save_the_network_as_it_is(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path
) -> None:
    """``epochs=0`` writes an untrained checkpoint."""
    train(fresh(), batches, replace(SETTINGS, epochs=0), tmp_path / "out.pth")
    assert_same(load(tmp_path / "out.pth"), fresh())


def test_without_mutual_training_there_are_no_students(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path
) -> None:
    """Cross entropy alone."""
    reports: list[StepReport] = []
    train(
        fresh(), batches, replace(SETTINGS, mutual=False, epochs=1), tmp_path / "o.pth", report=reports.append
    )
    assert [report.losses.distillation for report in reports] == [0.0] * 3


@pytest.mark.parametrize(("precision", "also"), [("fp32", ""), ("bf16", ", or train in `precision` fp32")])
def test_a_loss_that_is_not_finite_stops_the_run(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path, precision: Precision, also: str
) -> None:
    """The message names the step and the flags; the checkpoint saved before is kept."""
    out, checkpoint = tmp_path / "out.pth", fresh()
    save(fresh(), out)
    before = out.read_bytes()
    with torch.no_grad():
        checkpoint.model.head.weight.fill_(math.inf)
    with pytest.raises(A3DEdgeError) as caught:
        train(checkpoint, batches, replace(SETTINGS, precision=precision), out)
    assert str(caught.value) == f"the loss of step 0 is not finite; lower `lr` (now 0.02){also}"
    assert out.read_bytes() == before


def test_the_rate_warms_up_linearly_then_follows_half_a_cosine() -> None:
    """Closed form, at the paper's Kinetics recipe: 34 of 196 epochs from 0.01 to 0.1, then to 0."""
    steps, warm = 19600, 3332
    settings = Settings(epochs=196, lr=0.1, warmup=0.17)
    assert learning_rate(settings, 0, steps) == pytest.approx(0.01)
    assert learning_rate(settings, warm // 2, steps) == pytest.approx(0.055)
    assert learning_rate(settings, warm, steps) == pytest.approx(0.1)
    assert learning_rate(settings, warm + (steps - warm) // 2, steps) == pytest.approx(0.05)
    assert learning_rate(settings, steps - 1, steps) == pytest.approx(0.0, abs=1e-6)
    for step in range(0, steps, 777):
        expected = (
            0.1 * (0.1 + 0.9 * step / warm)
            if step < warm
            else 0.05 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
        )
        assert learning_rate(settings, step, steps) == pytest.approx(expected, rel=1e-9)


def test_every_step_runs_at_the_rate_it_reports(
    fresh: Callable[[], Checkpoint], batches: Batches, tmp_path: Path
) -> None:
    """The reported rates are the schedule's, and reports count from the first step to the last."""
    reports: list[StepReport] = []
    train(fresh(), batches, SETTINGS, tmp_path / "out.pth", report=reports.append)
    assert [r.lr for r in reports] == [learning_rate(SETTINGS, step, 6) for step in range(6)]
    assert {(r.steps, r.per_epoch) for r in reports} == {(6, 3)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": -1}, "`epochs` -1 is below 0"),
        ({"lr": 0.0}, "`lr` 0.0 is out of range"),
        ({"lr": math.nan}, "`lr` nan is out of range"),
        ({"optimizer": "adam"}, "unknown `optimizer` 'adam'; there are sgd and adamw"),
        ({"label_share": 1.5}, "`label_share` 1.5 is outside [0, 1]"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_their_name(
    change: dict[str, Any], message: str
) -> None:
    """Before anything is decoded."""
    with pytest.raises(UsageError) as caught:
        Settings(**change)
    assert str(caught.value) == message


def test_a_checkpoint_that_knew_no_precision_goes_on_in_float32(
    batches: Batches, fresh: Callable[[], Checkpoint], tmp_path: Path
) -> None:
    """What an older version saved is what is the default now; in bf16 it would be another run."""
    out = tmp_path / "out.pth"
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), batches, SETTINGS, out, report=InterruptAt(2))
    old = load(out)
    assert old.resume is not None
    del old.resume["settings"]["precision"]
    save(old, out)
    with pytest.raises(UsageError, match="precision fp32, now bf16"):
        train(load(out), batches, replace(SETTINGS, precision="bf16"), out)
    assert train(load(out), batches, SETTINGS, out).origin["steps"] == 6


def test_an_unknown_precision_is_refused() -> None:
    """Named with those there are."""
    with pytest.raises(UsageError, match="'fp16'; there are fp32 and bf16"):
        Settings(precision="fp16")  # type: ignore[arg-type]


def test_students_join_when_they_are_to(
    batches: Batches, fresh: Callable[[], Checkpoint], tmp_path: Path
) -> None:
    """Of six steps the first three teach nobody, the others do; at 1 none ever would, and that is refused."""
    reports: list[StepReport] = []
    settings = replace(SETTINGS, students_from=0.5)
    train(fresh(), batches, settings, tmp_path / "out.pth", report=reports.append)
    taught = [report.losses.distillation > 0 for report in reports]
    assert taught == [False, False, False, True, True, True]
    with pytest.raises(UsageError, match="students_from"):
        Settings(students_from=1.0)


def test_a_run_that_goes_on_keeps_its_scheme(
    batches: Batches, fresh: Callable[[], Checkpoint], tmp_path: Path
) -> None:
    """Recorded in the checkpoint and compared; one from before there was a choice has the paper's."""
    out = tmp_path / "out.pth"
    for changed in (
        {"random_widths": 3},
        {"distillation": False},
        {"multi_resolution": True},
        {"mixup": 0.2},
    ):
        settings = replace(SETTINGS, **changed)
        with pytest.raises(KeyboardInterrupt):
            train(fresh(), batches, settings, out, report=InterruptAt(2))
        [(name, value)] = changed.items()
        with pytest.raises(UsageError, match=f"{name} {value}, now {getattr(SETTINGS, name)}"):
            train(load(out), batches, SETTINGS, out)
        assert train(load(out), batches, settings, out).origin["settings"][name] == value
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), batches, SETTINGS, out, report=InterruptAt(2))
    old = load(out)
    assert old.resume is not None
    for name in ("random_widths", "distillation", "multi_resolution", "alone"):
        del old.resume["settings"][name]
    save(old, out)
    assert train(load(out), batches, SETTINGS, out).origin["steps"] == 6


def test_without_distillation_students_learn_from_labels_alone() -> None:
    """Whatever the share."""
    assert Settings(label_share=0.3).labels_of_students == 0.3
    assert Settings(label_share=0.3, distillation=False).labels_of_students == 1.0


def test_schemes_that_cannot_be_meant_are_refused() -> None:
    """By their names."""
    with pytest.raises(UsageError, match="`alone` and `multi_resolution` exclude each other"):
        Settings(alone="w0.50-s32-t2", multi_resolution=True)
    with pytest.raises(UsageError, match="'half' is not a configuration"):
        Settings(alone="half")
    with pytest.raises(UsageError, match="`random_widths` -1 is below 0"):
        Settings(random_widths=-1)


def test_the_full_configuration_alone_is_the_full_network(
    batches: Batches, fresh: Callable[[], Checkpoint], tmp_path: Path
) -> None:
    """The same weights to the bit: a network trained alone differs by its configuration alone."""
    plain = train(fresh(), batches, replace(SETTINGS, mutual=False), tmp_path / "plain.pth")
    alone = train(fresh(), batches, replace(SETTINGS, alone="w1.00-s32-t4"), tmp_path / "alone.pth")
    there = plain.model.state_dict()
    assert all(torch.equal(there[name], tensor) for name, tensor in alone.model.state_dict().items())
