"""A run that is looked at: validation, metrics, the best moment; and that looking changes nothing."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from a3d_edge.errors import ResourceError  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint, load, statistics  # noqa: E402
from a3d_edge.training import watch as watching  # noqa: E402
from a3d_edge.training.batches import Batches  # noqa: E402
from a3d_edge.training.clips import list_clips  # noqa: E402
from a3d_edge.training.decode import FrameCache  # noqa: E402
from a3d_edge.training.evaluation import WindowSet  # noqa: E402
from a3d_edge.training.loop import Settings, train  # noqa: E402
from a3d_edge.training.watch import Validation, Validator, Watch, best_of, ends_of, metrics_of  # noqa: E402
from a3d_edge.video.preprocess import Preprocessing  # noqa: E402
from a3d_edge.video.sampler import Sampling  # noqa: E402

CLASSES = ("right", "down", "still")
SETTINGS = Settings(epochs=4, lr=0.02, warmup=0.3, seed=3)
Look = Callable[..., Watch]


@pytest.fixture
def batches(clip_list: Path, frame_cache: FrameCache) -> Batches:
    """2 steps an epoch of the 9 clips of all scenes but one."""
    clips = [clip for clip in list_clips([clip_list]) if clip.group != "scene0"]
    return Batches(clips, CLASSES, frame_cache, 32, Sampling(4, 2), Preprocessing(), 4, 3)


@pytest.fixture
def fresh(tiny_description: Any) -> Callable[[], Checkpoint]:
    """A new run's checkpoint: always the same first weights, and dropout."""

    def build() -> Checkpoint:
        torch.manual_seed(0)
        return Checkpoint(tiny_description.model_copy(update={"dropout": 0.5}).build(), CLASSES)

    return build


@pytest.fixture
def look(clip_list: Path, batches: Batches, tmp_path: Path, fresh: Callable[[], Checkpoint]) -> Look:
    """A watch of ``net.pth`` on the scene that is not trained on, once an epoch."""
    held = [clip for clip in list_clips([clip_list]) if clip.group == "scene0"]

    def windows(clips: Any) -> WindowSet:
        return WindowSet(clips, batches.cache, batches.sampling, batches.preprocessing, 1)

    def build(**changes: Any) -> Watch:
        validator = Validator(ends_of(fresh()), windows(batches.clips[:4]), windows(held), CLASSES)
        return replace(Watch(tmp_path / "net.pth", 2, validator), **changes)

    return build


def rows(out: Path) -> list[dict[str, str]]:
    with metrics_of(out).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_ends_are_the_largest_and_the_smallest(tiny_checkpoint: Checkpoint) -> None:
    """Of what is trained: the larger size that the paper tests at is not."""
    assert [str(end) for end in ends_of(tiny_checkpoint)] == ["w1.00-s32-t4", "w0.50-s18-t1"]


def test_looking_changes_nothing_and_is_resumed(
    fresh: Callable[[], Checkpoint], batches: Batches, look: Look, tmp_path: Path
) -> None:
    """Weights are those of a run without; a run that was stopped tells the same figures but the time."""
    plain = train(fresh(), batches, SETTINGS, tmp_path / "plain.pth").model.state_dict()
    out, notes = tmp_path / "net.pth", []
    watched = train(fresh(), batches, SETTINGS, out, watch=look(note=notes.append))
    assert all(torch.equal(tensor, plain[name]) for name, tensor in watched.model.state_dict().items())
    assert statistics(watched.model) == {}
    told = rows(out)
    assert [(row["epoch"], row["step"]) for row in told] == [("1", "2"), ("2", "4"), ("3", "6"), ("4", "8")]
    assert [float(row["loss"]) for row in told] == [
        pytest.approx(float(row["cross_entropy"]) + float(row["distillation"])) for row in told
    ]
    assert all(0 <= float(row["waiting"]) <= 1 for row in told)
    assert len(notes) == 4
    assert notes[0].startswith("epoch 1 of 4: of the validation clips ")

    def stop(step: Any) -> None:
        if step.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(fresh(), batches, SETTINGS, out, watch=look(), report=stop)
    gone_on = train(load(out), batches, SETTINGS, out, watch=look())
    assert gone_on.origin["validation"] == watched.origin["validation"]
    assert [(r["step"], r["val_largest"], r["val_smallest"]) for r in rows(out)] == [
        (r["step"], r["val_largest"], r["val_smallest"]) for r in told
    ]


def test_the_best_moment_is_kept(
    fresh: Callable[[], Checkpoint], batches: Batches, look: Look, tmp_path: Path, monkeypatch: Any
) -> None:
    """By the mean of the two ends; of equals the later one. Patience counts those that are no better."""
    found = iter([(0.2, 0.6), (0.9, 0.3), (0.6, 0.6), (0.9, 0.1)])
    monkeypatch.setattr(Validator, "__call__", lambda *_: Validation(*next(found)))
    out = tmp_path / "net.pth"
    done = train(fresh(), batches, SETTINGS, out, watch=look())
    best = load(best_of(out))
    assert done.origin["validation"]["best"] == {"step": 6, "largest": 0.6, "smallest": 0.6, "score": 0.6}
    assert (best.origin["steps"], best.resume) == (6, None)
    assert (done.origin["steps"], done.origin["validation"]["in_vain"]) == (8, 1)
    assert not all(
        torch.equal(tensor, done.model.state_dict()[n]) for n, tensor in best.model.state_dict().items()
    )


@pytest.mark.parametrize(("patient_from", "steps"), [(0, 6), (6, 8)])
def test_patience_ends_a_run(
    fresh: Callable[[], Checkpoint], batches: Batches, look: Look, tmp_path: Path, monkeypatch: Any,
    patient_from: int, steps: int,
) -> None:  # fmt: skip
    """After two validations in vain, those before sub-networks join not counted; it is finished then."""
    found = iter([(0.9, 0.9), (0.1, 0.1), (0.2, 0.2), (0.3, 0.3)])
    monkeypatch.setattr(Validator, "__call__", lambda *_: Validation(*next(found)))
    notes: list[str] = []
    watch = look(patience=2, patient_from=patient_from, note=notes.append)
    done = train(fresh(), batches, SETTINGS, tmp_path / "net.pth", watch=watch)
    assert (done.origin["steps"], load(tmp_path / "net.pth").resume) == (steps, None)
    stopped = [note for note in notes if note.startswith("stopped")]
    assert stopped == (
        ["stopped: 2 validations in a row were no better than that of step 2"] if steps == 6 else []
    )


def test_without_validation_the_figures_are_kept(
    fresh: Callable[[], Checkpoint], batches: Batches, look: Look, tmp_path: Path
) -> None:
    """A run that begins anew keeps none of an older one."""
    out = tmp_path / "net.pth"
    best_of(out).write_bytes(b"older")
    metrics_of(out).write_text("older")
    train(fresh(), batches, replace(SETTINGS, epochs=2), out, watch=look(validator=None))
    assert [(row["step"], row["val_largest"]) for row in rows(out)] == [("2", ""), ("4", "")]
    assert not best_of(out).exists()


def test_a_full_disk_is_told_and_the_run_goes_on(
    fresh: Callable[[], Checkpoint], batches: Batches, look: Look, tmp_path: Path, monkeypatch: Any
) -> None:
    """Nothing that was learned is lost."""

    def full(*_: Any) -> None:
        raise ResourceError("net.best.pth: writing failed (No space left on device); nothing was changed")

    monkeypatch.setattr(watching, "save", full)
    notes: list[str] = []
    done = train(
        fresh(), batches, replace(SETTINGS, epochs=1), tmp_path / "net.pth", watch=look(note=notes.append)
    )
    assert done.origin["steps"] == 2
    assert notes[-1].endswith("nothing was changed; training goes on")


def test_tensorboard_gets_the_same_figures(
    fresh: Callable[[], Checkpoint], batches: Batches, look: Look, tmp_path: Path
) -> None:
    """With the extra of that name."""
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "board"
    train(fresh(), batches, replace(SETTINGS, epochs=2), tmp_path / "net.pth", watch=look(tensorboard=folder))
    board = loading.EventAccumulator(str(folder)).Reload()
    assert {"cross_entropy", "lr", "validation/largest"} <= set(board.Tags()["scalars"])
    told = [(event.step, event.value) for event in board.Scalars("cross_entropy")]
    assert told == [
        (int(row["step"]), pytest.approx(float(row["cross_entropy"]))) for row in rows(tmp_path / "net.pth")
    ]
