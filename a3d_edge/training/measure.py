"""Accuracy of configurations on labelled clips, and a table of it: what is measured, on what, and how.

checkpoint or bundle ─ calibrated, if asked for ─ this process's clips (`shards`) ─ Accuracies ─ table
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from a3d_edge.bundle import Bundle
from a3d_edge.bundles import as_path, is_bundle
from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.manifest import MANIFEST
from a3d_edge.models.checkpoint import Checkpoint, forget_statistics, load, statistics, untrained_note
from a3d_edge.outputs import claim
from a3d_edge.table import ConfigurationBudgetTable
from a3d_edge.task import BOXES, SINGLE, Task, is_multilabel
from a3d_edge.training.bundle_model import BundleModel, as_checkpoint
from a3d_edge.training.calibrate import calibrate
from a3d_edge.training.clips import Clip, Data, clips_of, paths_of, spread
from a3d_edge.training.evaluation import VIEWS, Scores, WindowSet
from a3d_edge.training.inputs import unlabelled_set, window_set
from a3d_edge.training.people_evaluation import PeopleScores, people_scores
from a3d_edge.training.proposals import PROPOSAL_SCORE, with_proposals
from a3d_edge.training.reports import Note, Report, step, unheard, unseen
from a3d_edge.training.scores_file import ScoresFile
from a3d_edge.training.shards import Share, device_of, evaluate_shared
from a3d_edge.training.tabulate import tabulate
from a3d_edge.training.windows import CHARADES_VIEWS, PAPER_VIEWS, Protocol

__all__ = ["Accuracies", "Measuring", "build_table", "evaluate"]


@dataclass(frozen=True, slots=True)
class Measuring:
    """How it is measured.

    ``fold``: only this fold of the clips, and the others of ``calibration``. ``calibration``: training clips
    to calibrate on anew, about ``calibration_clips`` of them. ``no_calibration``: full-width statistics for
    all, to compare. ``views``: windows a clip. ``protocol`` (default: ``paper`` where it has so many views):
    see `WindowSet`. ``scores``: file that keeps every clip's scores; the same call goes on from it.
    ``cache``: folder of decoded frames, or their size (``8GB``). Of the task ``boxes``: ``proposals``, a CSV
    of boxes that a detector found, as AVA's; those of ``proposal_score`` or more are asked about in the place
    of the true ones, and a clip has one window, about its key frame. Raises `UsageError` for a protocol
    without so many views.
    """

    fold: int | None = None
    calibration: Data = ()
    calibration_clips: int = 256
    no_calibration: bool = False
    views: int = 4
    protocol: str | None = None
    scores: str | Path | None = None
    device: str = "cpu"
    cache: str | Path | None = None
    proposals: str | Path | None = None
    proposal_score: float = PROPOSAL_SCORE

    @property
    def chosen_protocol(self) -> Protocol:
        """Raises `UsageError` for an unknown one, or one without so many views."""
        if self.protocol not in (None, *VIEWS):
            raise UsageError(f"unknown `protocol` '{self.protocol}'; there are {', '.join(VIEWS)}")
        if self.protocol == "charades" and self.views not in CHARADES_VIEWS:
            raise UsageError(
                f"`views` {self.views}: Charades is tested with 10 or 30; or use `protocol` runtime"
            )
        if self.protocol == "paper" and self.views not in PAPER_VIEWS:
            raise UsageError(
                f"`views` {self.views}: the paper's protocol has 1, 10 or 30; or use `protocol` runtime"
            )
        if self.protocol == "charades":
            return "charades"
        if self.protocol == "runtime" or self.views not in PAPER_VIEWS:
            return "runtime"
        return "paper"

    @property
    def views_in_words(self) -> str:
        """Such as ``30 views (paper)``."""
        return f"{self.views} view{'s' if self.views > 1 else ''} ({self.chosen_protocol})"

    @property
    def boxes_in_words(self) -> str:
        """Whose boxes were asked about."""
        if self.proposals is None:
            return "true boxes"
        return f"boxes of {Path(self.proposals).name} that score {self.proposal_score:g} or more"

    def training_clips(self, task: Task = SINGLE) -> list[Clip]:
        """The clips to calibrate on; none where the checkpoint's own statistics are used."""
        if self.no_calibration or not self.calibration:
            return []
        return spread(clips_of(self.calibration, self.fold, task=task), self.calibration_clips)


@dataclass(frozen=True, slots=True)
class Accuracies:
    """What was found: of which network, and the scores of every configuration; of the task ``boxes`` those of
    ``people``."""

    checkpoint: Checkpoint
    scores: Mapping[Configuration, Scores] = field(default_factory=dict)
    people: Mapping[Configuration, PeopleScores] = field(default_factory=dict)

    @property
    def clips(self) -> int:
        """How many could be read."""
        if self.people:
            return next(iter(self.people.values())).clips
        return len(next(iter(self.scores.values())).truth)


def evaluate(
    subject: str | Path,
    data: Data,
    how: Measuring | None = None,
    *,
    configurations: Sequence[Configuration] = (),
    whole_range: bool = False,
    report: Report = unseen,
    note: Note = unheard,
) -> Accuracies | None:
    """Accuracy of configurations of a checkpoint, or of the graphs of a bundle: its folder, or its name.

    Default: of a bundle all, of a checkpoint the candidates of its range, with ``whole_range`` all of it.

    The label of a clip is the highest mean score over its windows; of many labels each has its highest score
    in any of them, and what is measured is their mean average precision. Under torchrun the processes share
    the clips; all but the first get None. Clips that cannot be read are left out, and named in a
    `DataWarning`. Raises `UsageError` before any work for what cannot be meant, or is not calibrated.
    """
    path = as_path(subject)
    checkpoint = as_checkpoint(Bundle.load(path)) if is_bundle(path) else load(path)
    wanted = _wanted(path, checkpoint, configurations, whole_range)
    return _measured(path, checkpoint, wanted, data, how or Measuring(), report, note)


def build_table(
    checkpoint: str | Path,
    data: Data,
    how: Measuring | None = None,
    *,
    configurations: Sequence[Configuration] = (),
    whole_range: bool = False,
    report: Report = unseen,
    note: Note = unheard,
) -> ConfigurationBudgetTable | None:
    """The measured accuracy and the counted cost of configurations; select with ``.pareto()``.

    As `evaluate` otherwise, which it is made with: None in all processes but the first.
    """
    how, loaded = how or Measuring(), load(Path(checkpoint))
    wanted = _wanted(Path(checkpoint), loaded, configurations, whole_range)
    found = _measured(Path(checkpoint), loaded, wanted, data, how, report, note)
    if found is None:
        return None
    where = ", ".join([str(place) for place in data if not isinstance(place, Clip)])
    where = f" of {where}" if where else ""
    where += f", fold {how.fold}" if how.fold is not None else ""
    what = how.boxes_in_words if found.people else how.views_in_words
    return tabulate(loaded, found.people or found.scores, f"{found.clips} clips{where}, {what}")


def _wanted(
    path: Path, checkpoint: Checkpoint, configurations: Sequence[Configuration], whole_range: bool
) -> Sequence[Configuration]:
    """Those wanted; else all of a bundle, or of the range of a checkpoint the candidates or all.

    Raises `UsageError` for one that a bundle does not have, and for some and ``whole_range`` at once.
    """
    if configurations and whole_range:
        raise UsageError("`configurations` and `whole_range` exclude each other")
    if not path.is_dir():
        return configurations or (checkpoint.grid() if whole_range else checkpoint.candidates())
    bundle = Bundle.load(path)
    for configuration in configurations:
        bundle.table.row(configuration)
    return configurations or bundle.configurations


def _measured(
    path: Path,
    checkpoint: Checkpoint,
    wanted: Sequence[Configuration],
    data: Data,
    how: Measuring,
    report: Report,
    note: Note,
) -> Accuracies | None:
    """Scores of configurations; None in all processes but the first, which alone has something to say."""
    if how.chosen_protocol == "charades" and not is_multilabel(checkpoint.task):
        raise UsageError("`protocol` charades tests networks of many labels; this one tells one class a clip")
    share = Share.from_env()
    scores = None if how.scores is None else Path(how.scores)
    if scores is not None:
        read = [path, *paths_of(data), *paths_of(how.calibration)]
        claim(scores, name="scores", inputs=read, overwrite=True)
    device = device_of(how.device, share)
    clips = clips_of(data, how.fold, held_out=True, task=checkpoint.task)
    if how.proposals is not None:
        if checkpoint.task != BOXES:
            raise UsageError(
                f"`proposals`: the network's task is {checkpoint.task}, which asks about no boxes"
            )
        clips = with_proposals(clips, Path(how.proposals), how.proposal_score)
    windows = replace(window_set(checkpoint, clips, how.cache, how.views), protocol=how.chosen_protocol)
    kept = _scores_file(scores, path, checkpoint, wanted, windows, how) if scores is not None else None
    if kept is not None:
        kept.read()  # refuse a file of something else before any work
    if share.first and (known := untrained_note(checkpoint)):
        note(known)
    _prepare(checkpoint, wanted, how, report)
    checkpoint.model.to(device)
    what = "evaluate" if share.size == 1 else f"evaluate (process 1 of {share.size}, its share)"
    if checkpoint.task == BOXES:
        if share.size > 1 or kept is not None:
            raise UsageError("of people in boxes one process measures, and keeps no `scores`; leave it out")
        people = people_scores(checkpoint.model, wanted, windows, checkpoint.classes, step(report, what))
        return Accuracies(checkpoint, people=people)
    found = evaluate_shared(
        checkpoint.model, wanted, windows, checkpoint.classes, share, kept, step(report, what)
    )
    return None if found is None else Accuracies(checkpoint, found)


def _prepare(checkpoint: Checkpoint, wanted: Sequence[Configuration], how: Measuring, report: Report) -> None:
    """Calibrate the network as is asked. Raises `UsageError` where statistics are missing."""
    if isinstance(checkpoint.model, BundleModel):
        if how.calibration or how.no_calibration:
            raise UsageError("a bundle has its statistics built in; calibrate its checkpoint instead")
        return
    if how.no_calibration:
        forget_statistics(checkpoint.model)
        return
    if training := how.training_clips(checkpoint.task):
        windows = unlabelled_set(checkpoint, training, how.cache, 1)
        calibrate(checkpoint.model, wanted, windows, step(report, "calibrate"))
    there = statistics(checkpoint.model)
    if bare := [c for c in wanted if str(c) not in there]:
        others = f" and {len(bare) - 1} more are" if len(bare) > 1 else " is"
        raise UsageError(f"{bare[0]}{others} not calibrated; name training clips with `calibration`")


def _scores_file(
    file: Path,
    path: Path,
    checkpoint: Checkpoint,
    wanted: Sequence[Configuration],
    windows: WindowSet,
    how: Measuring,
) -> ScoresFile:
    identity = path / MANIFEST if path.is_dir() else path  # whose digest tells checkpoints and bundles apart
    header: dict[str, Any] = {
        "checkpoint": hashlib.sha256(identity.read_bytes()).hexdigest(),
        "calibration": _calibration(how, checkpoint.task),
        "protocol": windows.protocol,
        "views": windows.views,
        "clips": _digest(windows.clips),
        "configurations": [str(c) for c in wanted],
    }
    if is_multilabel(checkpoint.task):  # what is kept of many windows is their highest score, not their sum
        header["task"] = checkpoint.task
    return ScoresFile(file, header, (len(windows.clips), len(wanted), len(checkpoint.classes)))


def _calibration(how: Measuring, task: Task) -> str:
    if how.no_calibration:
        return "none"
    return _digest(how.training_clips(task)) if how.calibration else "the checkpoint's own"


def _digest(clips: Sequence[Clip]) -> str:
    """Tells lists of clips apart: by number, files and labels, in order."""
    named = ((clip.path.resolve() if clip.path else clip.name, clip) for clip in clips)
    names = "\n".join(f"{name}{clip.part}\t{clip.label}" for name, clip in named)
    return f"{len(clips)} clips, sha256 {hashlib.sha256(names.encode()).hexdigest()[:16]}"
