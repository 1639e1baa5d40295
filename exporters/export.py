"""A whole export: a checkpoint calibrated on clips, its rows measured, written as a bundle and proved.

checkpoint ─ rows (a table's, or named, or the range's) ─ calibrated ─ windows of clips ─ `write_bundle`
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from a3d_edge.exporters.parity import sizes_of
from a3d_edge.exporters.people import with_moving_boxes
from a3d_edge.exporters.write_bundle import (
    in_precisions,
    require_calibrated,
    require_replaceable,
    unmeasured_table,
    write_bundle,
)

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration, Precision
from a3d_edge.demo.rendered import CLASSES
from a3d_edge.errors import UsageError
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.checkpoint import Checkpoint, load, untrained_note
from a3d_edge.models.network import Clips
from a3d_edge.models.ranges import find_range
from a3d_edge.outputs import claim_folder
from a3d_edge.table import ConfigurationBudgetTable, find_table
from a3d_edge.task import BOXES
from a3d_edge.training.bundle_model import BundleModel
from a3d_edge.training.calibrate import calibrate
from a3d_edge.training.clips import Clip, Data, clips_of, paths_of, spread
from a3d_edge.training.evaluation import WindowSet, evaluate
from a3d_edge.training.inputs import unlabelled_set, window_set
from a3d_edge.training.people_evaluation import people_scores
from a3d_edge.training.reliability import measured_fields
from a3d_edge.training.reports import Note, Report, step, unheard, unseen

__all__ = ["Exporting", "export_bundle"]

VIEWS = 4  # of each clip that accuracy is measured on


@dataclass(frozen=True, slots=True)
class Exporting:
    """What is exported, and on which clips it is calibrated, proved and measured.

    ``table``: export its rows, with their accuracy: a table, a ``.json`` file, or a shipped one's name.
    ``configurations``: only these (default: the table's, else the candidates of ``range_name``, which is by
    default the range trained; with ``whole_range`` all of it). ``precisions``: of each (default: those of the
    configurations that are named, else fp32). ``calibration``: training clips (default: the checkpoint has
    its statistics); ``validation``: labelled ones to measure every row's accuracy on. ``fold``: left out of
    the one, and the only one of the other. Of the calibration clips, ``calibration_clips`` are used,
    ``parity_clips`` compared with PyTorch on, and int8's ranges measured on ``range_clips``. ``cache``:
    folder of decoded frames.
    """

    table: ConfigurationBudgetTable | str | None = None
    configurations: Sequence[Configuration] = ()
    whole_range: bool = False
    precisions: Sequence[Precision] = ()
    range_name: str | None = None
    calibration: Data = ()
    validation: Data = ()
    fold: int | None = None
    calibration_clips: int = 256
    parity_clips: int = 8
    range_clips: int = 48
    cache: str | Path | None = None

    @property
    def chosen_precisions(self) -> tuple[Precision, ...]:
        """Those asked for, fp32 first."""
        named = self.precisions or [c.precision for c in self.configurations]
        return tuple(sorted(set(named))) or ("fp32",)


def export_bundle(
    checkpoint: str | Path,
    out: str | Path,
    what: Exporting | None = None,
    *,
    overwrite: bool = False,
    report: Report = unseen,
    note: Note = unheard,
) -> Bundle:
    """Write one bundle: a subgraph per width over one weights file, calibrated and proved on real clips.

    Without clips to calibrate on, parity is shown on rendered ones. ``overwrite``: whether a bundle that is
    at ``out`` is replaced. Raises `UsageError` before any work for what cannot be meant, or is not
    calibrated; and what `write_bundle` raises.
    """
    path, out, what = Path(checkpoint), Path(out), what or Exporting()
    if what.range_name is not None:
        find_range(what.range_name)
    require_replaceable(out)
    read = [path, *paths_of(what.calibration), *paths_of(what.validation)]
    claim_folder(out, inputs=read, overwrite=overwrite)
    loaded = load(path)
    if known := untrained_note(loaded):
        note(known)
    loaded.range_name = what.range_name or loaded.range_name
    clips = clips_of(what.calibration, what.fold, task=loaded.task) if what.calibration else []
    clips = spread(clips, what.calibration_clips)
    rows = _rows(loaded, what)
    labelled = (
        clips_of(what.validation, what.fold, held_out=True, task=loaded.task) if what.validation else []
    )
    if not clips:
        require_calibrated(loaded, rows)
    windows = window_set(loaded, labelled, what.cache, VIEWS) if labelled else None  # refuses unknown labels
    if clips:
        training = unlabelled_set(loaded, clips, what.cache, 1)
        clips = list(training.clips)
        fp32 = sorted({c.at("fp32") for c in rows.configurations})
        calibrate(loaded.model, fp32, training, step(report, "calibrate"))
    parity = _windows(loaded, clips, what.parity_clips, rows, what.cache)
    int8 = "int8" in what.chosen_precisions
    ranges = _windows(loaded, clips, what.range_clips, rows, what.cache) if int8 else {}
    measured = _measured(loaded, rows, windows, what.validation, report) if windows else None
    return write_bundle(loaded, rows, parity, out, report, range_clips=ranges, measured=measured, note=note)


def _rows(loaded: Checkpoint, what: Exporting) -> ConfigurationBudgetTable:
    """The table to export: the named one, else candidates or the whole grid without accuracy; or a part."""
    wanted = what.configurations
    if what.whole_range and (wanted or what.table is not None):
        raise UsageError("`whole_range` excludes `configurations` and `table`, which say what is exported")
    if what.table is None:
        default = loaded.grid() if what.whole_range else loaded.candidates()
        rows = unmeasured_table(loaded, wanted or default)
    else:
        rows = find_table(what.table) if isinstance(what.table, str) else what.table
        if rows.architecture != loaded.description.name:
            name = f"`table` {what.table}" if isinstance(what.table, str) else "the `table`"
            raise UsageError(f"{name} is of {rows.architecture}, the checkpoint is {loaded.description.name}")
        if rows.task != loaded.task:
            raise UsageError(f"the `table` is of the task {rows.task}, the checkpoint is of {loaded.task}")
        rows = rows.with_rows(rows.row(c) for c in wanted) if wanted else rows
    as_named = wanted and not what.precisions
    return rows if as_named else in_precisions(rows, what.chosen_precisions)


def _windows(
    loaded: Checkpoint,
    clips: Sequence[Clip],
    count: int,
    rows: ConfigurationBudgetTable,
    cache: str | Path | None,
) -> dict[int, Clips]:
    """The most central window of the first clips, at every size; fewer where memory allows no larger batch.

    Without clips of the user's, of rendered ones, whatever the network's classes are.
    """
    some = list(clips[:count]) or [Clip(CLASSES[i % len(CLASSES)], None, seed=i) for i in range(count)]
    few = replace(unlabelled_set(loaded, some, cache, 1), batch_size=len(some))
    found = {size: next(iter(few.at_size(size)))[1] for size in sizes_of(rows.configurations)}
    if not loaded.description.takes_boxes:
        return found
    return {size: x if isinstance(x, BoxedClips) else with_moving_boxes(x) for size, x in found.items()}


def _measured(
    loaded: Checkpoint, rows: ConfigurationBudgetTable, windows: WindowSet, data: Data, report: Report
) -> Callable[[Bundle], ConfigurationBudgetTable]:
    """The table with the accuracy of every row as its own graphs compute it, in both precisions alike."""

    views = "true boxes" if loaded.task == BOXES else f"{VIEWS} views (runtime)"

    def measure(bundle: Bundle) -> ConfigurationBudgetTable:
        model = BundleModel(bundle)
        told, names = step(report, "accuracy"), loaded.classes
        if loaded.task == BOXES:
            people = people_scores(model, rows.configurations, windows, names, told)
            fields = {c: of.fields(names) for c, of in people.items()}
        else:
            scores = evaluate(model, rows.configurations, windows, names, told)
            fields = {c: measured_fields(of, names) for c, of in scores.items()}
        measured = [row.model_copy(update=fields[row.configuration]) for row in rows.rows]
        places = ", ".join([str(place) for place in data if not isinstance(place, Clip)])
        where = f"{len(windows.clips)} clips{f' of {places}' if places else ''}, {views}"
        return rows.with_rows(measured, measured_on=where)

    return measure
