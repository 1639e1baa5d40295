"""A run that goes on: what of its recipe does, which are refused, and what older checkpoints tell."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from a3d_edge.cli.flags import as_flags  # noqa: E402
from a3d_edge.errors import UsageError  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint  # noqa: E402
from a3d_edge.training.clips import Clip  # noqa: E402
from a3d_edge.training.recipe import Recipe, check_same_clips, clips_digest, continued, recorded  # noqa: E402
from a3d_edge.video.preprocess import Preprocessing  # noqa: E402

OUT = Path("net.pth")
GIVEN = Recipe()
BEGUN = replace(
    GIVEN, arch="tiny", classes=("right", "down", "still"), input_kind="motion", aspect=1.5, fold=2, batch=4,
    balanced=True, rendered=3, epochs=7, optimizer="adamw", mutual=False, range_name="0.06", smoothing=0.1,
    precision="fp32",
)  # fmt: skip


def checkpoint_of(run: Recipe, tiny: Checkpoint) -> Checkpoint:
    """What a run leaves behind when it is interrupted."""
    tiny.preprocessing = Preprocessing("motion", run.aspect, (0, 2, 6))
    tiny.range_name = run.range_name
    tiny.origin = run.origin()
    tiny.resume = {"step": 3, "settings": asdict(run.settings()), "optimizer": {}}
    return tiny


def test_without_options_a_run_goes_on_as_it_began(tiny_checkpoint: Checkpoint) -> None:
    """Every value is the checkpoint's, whatever the defaults are."""
    there = recorded(checkpoint_of(BEGUN, tiny_checkpoint))
    assert continued(GIVEN, set(), there, OUT) == BEGUN
    assert continued(BEGUN, set(asdict(BEGUN)), there, OUT) == BEGUN
    assert continued(replace(BEGUN, optimizer="AdamW"), {"optimizer"}, there, OUT) == BEGUN


@pytest.mark.parametrize(
    ("name", "value", "were", "now"),
    [
        ("arch", "slow_r50", "--arch tiny", "--arch slow_r50"),
        ("classes", ("down", "right", "still"), "--classes right,down,still", "--classes down,right,still"),
        ("range_name", "0.016", "--range 0.06", "--range 0.016"),
        ("input_kind", "rgb", "--input motion", "--input rgb"),
        ("aspect", 1.0, "--aspect 1.5", "--aspect 1.0"),
        ("fold", 1, "--fold 2", "--fold 1"),
        ("batch", 8, "--batch 4", "--batch 8"),
        ("balanced", False, "with --balanced", "without --balanced"),
        ("rendered", 5, "--rendered 3", "--rendered 5"),
        ("rendered_share", 0.5, "--rendered-share 0.3", "--rendered-share 0.5"),
        ("epochs", 8, "--epochs 7", "--epochs 8"),
        ("lr", 0.2, "--lr 0.1", "--lr 0.2"),
        ("warmup", 0.2, "--warmup 0.17", "--warmup 0.2"),
        ("weight_decay", 0.0, "--weight-decay 0.0001", "--weight-decay 0.0"),
        ("optimizer", "sgd", "--optimizer adamw", "--optimizer sgd"),
        ("smoothing", 0.2, "--label-smoothing 0.1", "--label-smoothing 0.2"),
        ("seed", 4, "--seed 0", "--seed 4"),
        ("mutual", True, "with --no-mutual", "without --no-mutual"),
        ("val", 0.1, "--val 0.2", "--val 0.1"),
        ("window", 4.0, "without --window", "--window 4.0"),
        ("draw", "motion", "--draw anywhere", "--draw motion"),
        ("mirror", "off", "--mirror auto", "--mirror off"),
        ("dropout", 0.1, "without --dropout", "--dropout 0.1"),
        ("students_from", 0.5, "--students-from 0.0", "--students-from 0.5"),
        ("precision", "bf16", "--precision fp32", "--precision bf16"),
        ("patience", 2, "--patience 0", "--patience 2"),
        ("size", 64, "without --size", "--size 64"),
        ("frames", 16, "without --frames", "--frames 16"),
        ("random_widths", 3, "--random-widths 1", "--random-widths 3"),
        ("distillation", False, "without --no-distillation", "with --no-distillation"),
        ("multi_resolution", True, "without --multi-resolution", "with --multi-resolution"),
        ("quickest", 1.6, "--quickest 1.25", "--quickest 1.6"),
        ("mixup", 0.2, "--mixup 0.0", "--mixup 0.2"),
        ("label_share", 0.5, "--label-share 0.0", "--label-share 0.5"),
        ("switchable", True, "without --switchable-norms", "with --switchable-norms"),
        ("tune", 400, "--tune 0", "--tune 400"),
        ("alone", "w0.50-s64-t4", "without --alone", "--alone w0.50-s64-t4"),
    ],
)
def test_every_option_that_differs_is_refused(
    tiny_checkpoint: Checkpoint, name: str, value: Any, were: str, now: str
) -> None:
    """With both values, in the words of the command line; an option that was not named is not compared."""
    there = recorded(checkpoint_of(BEGUN, tiny_checkpoint))
    given = replace(BEGUN, **{name: value})
    with pytest.raises(UsageError) as caught:
        continued(given, {name}, there, OUT)
    assert as_flags(str(caught.value)) == (
        f"--resume: net.pth was begun with {were}, now with {now}; leave what differs out, or begin anew "
        "with another --out"
    )
    assert continued(given, set(), there, OUT) == BEGUN


def test_all_that_differ_are_told_at_once(tiny_checkpoint: Checkpoint) -> None:
    """Not one after the other."""
    there = recorded(checkpoint_of(replace(BEGUN, fold=None), tiny_checkpoint))
    given = replace(BEGUN, arch="slow_r50", batch=1)
    with pytest.raises(
        UsageError, match="with `arch` tiny, without `fold`, `batch` 4, now with `arch` slow_r50"
    ):
        continued(given, {"arch", "batch", "fold"}, there, OUT)


def test_a_finished_run_is_compared_too(tiny_checkpoint: Checkpoint) -> None:
    """Its settings are in its origin."""
    finished = checkpoint_of(BEGUN, tiny_checkpoint)
    assert finished.resume is not None
    finished.origin["settings"], finished.resume = finished.resume["settings"], None
    assert continued(GIVEN, set(), recorded(finished), OUT) == BEGUN


def test_an_older_checkpoint_tells_less(tiny_checkpoint: Checkpoint) -> None:
    """What it does not say is taken as given, and not compared."""
    old = checkpoint_of(BEGUN, tiny_checkpoint)
    old.origin = {"data": ["clips.csv"], "fold": 2, "rendered": 3, "batch": 4}
    there = recorded(old)
    given = replace(GIVEN, balanced=True, rendered_share=0.5)
    went_on = continued(given, {"balanced", "rendered_share"}, there, OUT)
    assert went_on == replace(BEGUN, rendered_share=0.5, mirror="on", val=0.0)
    check_same_clips(old, [Clip("a", Path("x.mp4"))], OUT)


def test_other_clips_are_refused(tiny_checkpoint: Checkpoint) -> None:
    """By names and labels, in order; another folder is the same data, moved."""
    clips = [Clip("a", Path("here/x.mp4")), Clip("b", Path("here/y.mp4"))]
    tiny_checkpoint.origin = {"clips": clips_digest(clips)}
    check_same_clips(tiny_checkpoint, [replace(c, path=Path("there") / str(c.path)) for c in clips], OUT)
    for other in (clips[:1], clips[::-1], [clips[0], replace(clips[1], label="a")]):
        with pytest.raises(
            UsageError, match=r"`resume`: net\.pth was begun with other `data` \(2 clips, sha256"
        ):
            check_same_clips(tiny_checkpoint, other, OUT)
