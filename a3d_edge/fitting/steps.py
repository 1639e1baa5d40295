"""Clips to a bundle in one call: each step goes on where it was stopped, and is not done twice.

clips ─ check ─ split ─ train ─ measure candidates ─ select ─ export, both precisions ─ measure ─ report
                  └──── train on all clips ──────────────────────── export with that table ─┘
         └──────────── fit.json: what was made from what, and what came out ────────────┘
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from a3d_edge.bundle import Bundle
from a3d_edge.bundles import as_path
from a3d_edge.configuration import Configuration
from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.exporters import Exporting, export_bundle
from a3d_edge.exporters.parity import ParityError
from a3d_edge.exporters.write_bundle import in_precisions
from a3d_edge.files import write_atomically
from a3d_edge.fitting.one_class import one_class_each, require_single
from a3d_edge.fitting.places import Places
from a3d_edge.fitting.report import page
from a3d_edge.fitting.state import State, content_digest, fingerprint, mark_of
from a3d_edge.models.checkpoint import Checkpoint, load, statistics
from a3d_edge.table import ConfigurationBudgetTable
from a3d_edge.training.begin import initial
from a3d_edge.training.clips import Clip, Data, paths_of
from a3d_edge.training.data_check import check_clips
from a3d_edge.training.decode import PARTS_SIDE, open_cache
from a3d_edge.training.measure import Accuracies, Measuring, evaluate
from a3d_edge.training.recipe import Recipe, clips_digest
from a3d_edge.training.reports import Note, Report, StepReport, step, unheard, unseen
from a3d_edge.training.run import train
from a3d_edge.training.share import Share
from a3d_edge.training.splits import split_to_validate
from a3d_edge.training.tabulate import tabulate
from a3d_edge.training.watch import metrics_of

__all__ = ["Fitted", "fit"]

VIEWS = 4
"""Windows a clip that accuracy is measured on."""
CALIBRATION_CLIPS = 160
"""As `train` calibrates on."""
AGAIN = "the same command"  # goes on after Ctrl-C: there is nothing to add to it


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came out: the bundle, the page about it, and the table of what was measured."""

    bundle: Path
    report: Path
    table: ConfigurationBudgetTable


def fit(
    data: Data,
    out: str | Path,
    recipe: Recipe | str = "auto",
    *,
    changes: Mapping[str, Any] | None = None,
    validation: Data = (),
    share: float = 0.2,
    init: str | Path | None = None,
    every_row: bool = False,
    device: str = "cpu",
    cache: str | Path | None = None,
    overwrite: bool = False,
    report: Report = unseen,
    on_step: Callable[[StepReport], None] | None = None,
    note: Note = unheard,
) -> Fitted:
    """Train on clips, choose configurations on others, and write a bundle with a page about it.

    Where the others were a share of ``data``, the network that is exported is then trained on all of it: the
    table's figures are those of the first one, which did not see the clips that it was measured on.

    ``recipe`` and ``changes``: see `a3d_edge.training.train`. ``validation``: clips to choose on; else those
    of the split ``val``, else ``share`` of the groups of ``data``, never a part of one. ``init``: the
    checkpoint or bundle to begin with, as `train` has it. ``every_row``: measure the whole range instead of
    about eleven. What is between is kept in ``OUT.fit``: the same call goes on there, and does nothing when
    all is done. ``overwrite``: whether a bundle at ``out`` that this did not write is replaced. Raises what
    the steps raise.
    """
    if Share.from_env().size > 1:
        raise UsageError("fit runs in one process; start it without torchrun, or use `train` with it")
    require_single(recipe, changes or {})
    first = None if init is None else as_path(init)
    if init is not None:
        initial(init)  # refused before any work
    inputs = [*paths_of([*data, *validation]), *([] if first is None else [first])]
    work = Places.at(Path(out), overwrite=overwrite, inputs=inputs)
    listed = _checked(data, work.state, cache, report, note)
    training, held = _split(listed, validation, share, note)
    run = _Run(work, recipe, changes or {}, training, held, first, every_row, device, cache, report, note)
    shared = not validation and all(clip.split != "val" for clip in listed)
    run.train(on_step)
    with _advice(work, note):
        found = run.measured()
        run.export(run.selected(found), work.measured if shared else work.out)
    if shared:
        run.train_on_all(on_step)
    with _advice(work, note):
        if shared:
            run.export_final()
        run.report(found)
    return Fitted(work.out, work.page, Bundle.load(work.out).table)


@contextmanager
def _advice(work: Places, note: Note) -> Iterator[None]:
    """After Ctrl-C, or for want of something, that nothing is lost; in training `train` says it."""
    try:
        yield
    except (KeyboardInterrupt, ResourceError):
        note(f"{work.state.folder} keeps what is done; {AGAIN} goes on")
        raise


def _checked(data: Data, state: State, cache: str | Path | None, report: Report, note: Note) -> list[Clip]:
    """The clips that can be read; what is odd about them is told once. Raises what makes training useless."""
    listed = one_class_each(data)
    made_from = fingerprint(clips_digest(listed), [mark_of(clip.path) for clip in listed])
    known = state.done("check", made_from)
    if known is None:
        frames = open_cache(cache, PARTS_SIDE, grey=True)  # as the small recipe looks at them
        found = check_clips(listed, frames, progress=step(report, "look"))
        for finding in found.findings:
            note(finding.message)
        found.require_trainable()
        there = set(found.clips)
        known = {"unreadable": [place for place, clip in enumerate(listed) if clip not in there]}
        state.record("check", made_from, known, {})
    return [clip for place, clip in enumerate(listed) if place not in set(known["unreadable"])]


def _split(listed: list[Clip], validation: Data, share: float, note: Note) -> tuple[list[Clip], list[Clip]]:
    """(training, validation) clips, and how they were told apart."""
    if validation:
        held = one_class_each(validation)
        there = {clip.belongs_to for clip in listed}
        if both := sorted({clip.belongs_to for clip in held} & there):
            raise UsageError(f"the group {both[0]} is in `data` and in `validation`: keep it in one of them")
        return listed, held
    training, held = split_to_validate(listed, share)
    groups = len({clip.belongs_to for clip in held})
    note(
        f"{len(held)} of {len(listed)} clips ({groups} groups) are held out to choose on; "
        f"{len(training)} are trained on"
    )
    return training, held


def _worthwhile(checkpoint: Checkpoint) -> list[Configuration]:
    """The candidates of sizes that were trained at: the paper's larger size (256γs) loses on small sets."""
    return [c for c in checkpoint.candidates() if c.size <= checkpoint.description.size]


@dataclass(frozen=True, slots=True)
class _Run:
    """The steps, each made from the one before."""

    work: Places
    recipe: Recipe | str
    changes: Mapping[str, Any]
    training: list[Clip]
    held: list[Clip]
    init: Path | None
    every_row: bool
    device: str
    cache: str | Path | None
    tell: Report
    note: Note

    def train(self, on_step: Callable[[StepReport], None] | None) -> None:
        """The checkpoint. A run that was begun with the same goes on; another one is begun anew."""
        self._trained("train", self.work.checkpoint, self.training, self.held, on_step)

    def train_on_all(self, on_step: Callable[[StepReport], None] | None) -> None:
        """The checkpoint that is exported, from the clips that were held out too: small sets have few."""
        every = [*self.training, *self.held]
        if self.work.state.done("train_on_all", self._from_clips()) is None:
            self.note(f"trained once more, on all {len(every)} clips, for what is exported")
        self._trained("train_on_all", self.work.final, every, None, on_step)

    def _trained(
        self, name: str, path: Path, clips: list[Clip], held: list[Clip] | None,
        on_step: Callable[[StepReport], None] | None,
    ) -> None:  # fmt: skip
        changes = self.changes if held else {**self.changes, "val": 0.0, "patience": 0}

        def work() -> Mapping[str, Any]:
            state, begins = self.work.state, "begun" if held else f"{name}_begun"
            begun = path.exists() and state.done(begins, self._from_clips()) is not None
            if not begun:
                path.unlink(missing_ok=True)
                state.record(begins, self._from_clips(), {}, {})
            train(
                clips, path, self.recipe, changes=changes, val=held, init=None if begun else self.init,
                resume=begun, overwrite=not begun, device=self.device, cache=self.cache, report=self.tell,
                on_step=on_step, note=self.note, again=AGAIN,
            )  # fmt: skip
            return {}

        self._step(name, self._from_clips(), work, {path.name: path})

    def measured(self) -> Accuracies:
        """Every candidate on the clips that were held out; what was measured before is read."""
        checkpoint = load(self.work.checkpoint)
        wanted = checkpoint.grid() if self.every_row else _worthwhile(checkpoint)
        made_from = fingerprint(self._from_checkpoint(), [str(one) for one in wanted])
        if self.work.state.done("measuring", made_from) is None:
            self.work.scores.unlink(missing_ok=True)
            self.work.state.record("measuring", made_from, {}, {})
        there = statistics(checkpoint.model)  # of the candidates; the whole range needs more
        how = Measuring(
            calibration=() if all(str(one) in there for one in wanted) else self.training,
            calibration_clips=CALIBRATION_CLIPS, views=VIEWS, scores=self.work.scores, device=self.device,
            cache=self.cache,
        )  # fmt: skip
        found = evaluate(
            self.work.checkpoint, self.held, how, configurations=wanted, report=self.tell, note=self.note
        )
        assert found is not None  # which is of further processes
        return found

    def selected(self, found: Accuracies) -> ConfigurationBudgetTable:
        """The rows worth running, and always both ends of the range."""
        where = f"{found.clips} held-out clips, {VIEWS} views (runtime)"
        table = tabulate(found.checkpoint, found.scores, where)
        kept = {row.configuration for row in table.pareto().rows}
        kept |= {table.rows[0].configuration, table.rows[-1].configuration}
        chosen = table.with_rows(row for row in table.rows if row.configuration in kept)
        text, path = chosen.to_json(), self.work.table
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, lambda temporary: _write(temporary, text))
        return chosen

    def export(self, table: ConfigurationBudgetTable, out: Path) -> None:
        """The bundle in both precisions, its rows measured as they run, every one opened and proved."""

        def work() -> Mapping[str, Any]:
            return self._proved(self.work.checkpoint, out, in_precisions(table, ("fp32", "int8")), self.held)

        name = "export" if out == self.work.out else "export_measured"
        self._step(name, self._from_table(), work, {"bundle": out})

    def export_final(self) -> None:
        """The bundle of the network that was trained on all clips, with the table of the one that was not."""
        measured = Bundle.load(self.work.measured).table
        where = f"{measured.measured_on}, by a network that did not see them; this one was trained on all"

        def work() -> Mapping[str, Any]:
            table = measured.with_rows(measured.rows, measured_on=where)
            return self._proved(self.work.final, self.work.out, table, [])

        self._step("export_final", self._from_table(), work, {"bundle": self.work.out})

    def _proved(
        self, checkpoint: Path, out: Path, table: ConfigurationBudgetTable, held: list[Clip]
    ) -> Mapping[str, Any]:
        try:
            bundle = self._exported(checkpoint, out, table, table.configurations, held)
        except ParityError as error:
            far = set(error.configurations)
            if any(one.precision == "fp32" for one in far):
                raise  # an exporter's fault; int8 rounds, and badly where a network has learnt little
            self.note(f"{', '.join(map(str, error.configurations))}: left out, too far from fp32")
            near = [one for one in table.configurations if one not in far]
            bundle = self._exported(checkpoint, out, table, near, held)
        proved = step(self.tell, "verify")
        for done, configuration in enumerate(bundle.configurations, start=1):
            bundle.open(configuration)
            proved(done, len(bundle.configurations))
        return {"configurations": len(bundle.configurations)}

    def _exported(
        self, checkpoint: Path, out: Path, table: ConfigurationBudgetTable,
        wanted: Sequence[Configuration], held: list[Clip],
    ) -> Bundle:  # fmt: skip
        seen = self.training if held else [*self.training, *self.held]
        what = Exporting(
            table=table, configurations=wanted, calibration=seen, calibration_clips=CALIBRATION_CLIPS,
            validation=held, cache=self.cache,
        )  # fmt: skip
        bundle: Bundle = export_bundle(
            checkpoint, out, what, overwrite=out.exists(), report=self.tell, note=self.note
        )
        return bundle

    def report(self, found: Accuracies) -> None:
        """The page, of everything before."""

        def work() -> Mapping[str, Any]:
            bundle, seconds = Bundle.load(self.work.out), self._seconds()
            metrics = metrics_of(self.work.checkpoint)
            text = page(found, self.held, self.training, bundle, metrics, seconds, self.cache)
            write_atomically(self.work.page, lambda temporary: _write(temporary, text))
            return {}

        self._step("report", self._from_table(), work, {"report.html": self.work.page})

    def _step(
        self, name: str, made_from: str, work: Callable[[], Mapping[str, Any]], files: Mapping[str, Path]
    ) -> None:
        state = self.work.state
        if state.done(name, made_from) is not None:
            return
        begun, cpu = time.monotonic(), time.process_time()
        result = work()
        spent = {"seconds": round(time.monotonic() - begun, 1), "cpu_s": round(time.process_time() - cpu, 1)}
        state.record(name, made_from, {**result, **spent}, files)

    def _seconds(self) -> dict[str, dict[str, float]]:
        """What the steps took, as far as they were done at one go."""
        made_from = dict.fromkeys(("train", "train_on_all"), self._from_clips())
        made_from |= dict.fromkeys(("export", "export_measured", "export_final"), self._from_table())
        found = {name: self.work.state.done(name, digest) for name, digest in made_from.items()}
        return {name: result for name, result in found.items() if result is not None}

    def _from_clips(self) -> str:
        clips = clips_digest(self.training), clips_digest(self.held)
        recipe = self.recipe if isinstance(self.recipe, str) else asdict(self.recipe)
        init = (
            [] if self.init is None else [content_digest(self.init)]
        )  # without one, as in records of before
        return fingerprint(clips, recipe, dict(self.changes), *init)

    def _from_checkpoint(self) -> str:
        return fingerprint(self._from_clips(), self.every_row, VIEWS)

    def _from_table(self) -> str:
        return fingerprint(self._from_checkpoint(), self.work.table.read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
