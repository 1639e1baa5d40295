"""``a3d-edge eval``: accuracy of configurations on labelled clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from a3d_edge.cli.common import BUILT_IN, emit, require
from a3d_edge.cli.measuring import (
    CacheOption,
    CalibrationClipsOption,
    CalibrationOption,
    DataOption,
    DeviceOption,
    FoldOption,
    NoCalibrationOption,
    ProposalScoreOption,
    ProposalsOption,
    ProtocolOption,
    ScoresOption,
    ViewsOption,
    WholeRangeOption,
    measuring_progress,
)
from a3d_edge.cli.notices import say, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from a3d_edge.configuration import Configuration
    from a3d_edge.training import Accuracies, Measuring
    from a3d_edge.training.evaluation import Scores
    from a3d_edge.training.people_evaluation import PeopleScores


def evaluate(
    checkpoint: Annotated[
        str, typer.Argument(help=f"Checkpoint (.pth), or bundle: a folder, or {BUILT_IN}.")
    ],
    data: DataOption,
    fold: FoldOption = None,
    calibration: CalibrationOption = None,
    calibration_clips: CalibrationClipsOption = 256,
    no_calibration: NoCalibrationOption = False,
    views: ViewsOption = 4,
    protocol: ProtocolOption = None,
    scores: ScoresOption = None,
    device: DeviceOption = "cpu",
    cache: CacheOption = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            "--configuration",
            help="Such as w0.50-s112-t4; repeatable; default: all of a bundle, about 12 of a checkpoint.",
        ),
    ] = None,
    whole_range: WholeRangeOption = False,
    proposals: ProposalsOption = None,
    proposal_score: ProposalScoreOption = 0.8,
    json_lines: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")] = False,
) -> None:
    """Accuracy of configurations: the label of a clip is the highest mean score over its windows.

    Under torchrun (``torchrun --nproc-per-node 4 -m a3d_edge eval …``) the processes share the clips.
    """
    require("train", "torch", "av")
    from a3d_edge import training
    from a3d_edge.configuration import Configuration

    how = training.Measuring(
        fold, calibration or [], calibration_clips, no_calibration, views, protocol, scores, device, cache,
        proposals, proposal_score,
    )  # fmt: skip
    wanted = [Configuration.parse(name) for name in configuration or []]
    with measuring_progress(log=not json_lines) as report:
        found = training.evaluate(
            checkpoint, data, how, configurations=wanted, whole_range=whole_range, report=report, note=say
        )
    if found is not None:  # under torchrun the first process prints
        _tell(found, how, json_lines)


def _tell(found: Accuracies, how: Measuring, json_lines: bool) -> None:
    from a3d_edge.task import is_multilabel

    for c, people in found.people.items():
        _tell_people(c, people, found.checkpoint.classes, how, json_lines)
    tell_one = _tell_sets if is_multilabel(found.checkpoint.task) else _tell_accuracy
    for c, of in found.scores.items():
        tell_one(c, of, found.checkpoint.classes, how, json_lines)


def _tell_people(
    c: Configuration, of: PeopleScores, classes: Sequence[str], how: Measuring, json_lines: bool
) -> None:
    fields = {
        "configuration": str(c),
        **of.fields(classes),
        "people": of.people,
        "proposals": None if how.proposals is None else str(how.proposals),
    }
    if json_lines:
        emit("average_precision", fields)
        return
    tell(
        f"{c!s:20} mAP {of.quality:6.1%} at IoU 0.5  {of.clips} key frames, {of.people} people, "
        f"{how.boxes_in_words}"
    )


def _tell_accuracy(
    c: Configuration, of: Scores, classes: Sequence[str], how: Measuring, json_lines: bool
) -> None:
    from a3d_edge.training.reliability import accuracy_interval

    low, high = accuracy_interval(of)
    fields = {
        "configuration": str(c),
        "top1": of.accuracy,
        "top5": of.top(5),
        "clips": len(of.truth),
        "accuracy_interval": [low, high],
        "views": how.views,
        "protocol": how.chosen_protocol,
        "per_class": of.per_class(classes),
    }
    if json_lines:
        emit("accuracy", fields)
    else:
        tell(
            f"{c!s:20} top-1 {of.accuracy:6.1%} ({low:.1%} to {high:.1%})  top-5 {of.top(5):6.1%}  "
            f"{len(of.truth)} clips, {how.views_in_words}"
        )


def _tell_sets(
    c: Configuration, of: Scores, classes: Sequence[str], how: Measuring, json_lines: bool
) -> None:
    from a3d_edge.training.average_precision import average_precisions

    fields = {
        "configuration": str(c),
        "mean_average_precision": of.quality,
        "clips": len(of.truth),
        "views": how.views,
        "protocol": how.chosen_protocol,
        "average_precision": average_precisions(of.summed, of.truth, classes),
    }
    if json_lines:
        emit("average_precision", fields)
    else:
        tell(f"{c!s:20} mAP {of.quality:6.1%}  {len(of.truth)} clips, {how.views_in_words}")
