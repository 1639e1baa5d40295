"""Makes the runs of the evidence, one after the other; what is finished is not made again.

    python benchmarks/evidence/run.py --dry-run                  the plan, and what it will cost
    python benchmarks/evidence/run.py --only 0a [--work DIR]     what letters 0 and a need
    python benchmarks/evidence/run.py --run testbed-a3d-s0

A run goes on where it was stopped (its checkpoint is in WORK). When it is finished, its log is in LOGS
(docs/results/evidence), which are committed, and of which `report.py` makes docs/results/evidence.md.
`--scale tiny` proves that all parts fit together, in minutes; say `--logs` then: its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from _costs import Costs, epochs_of, gmacs_a_clip, total
from _logs import Log, commit_of, margins_of, read_logs, write_log
from _plan import LETTERS, SCALES, Run, Scale, chosen, pending, plan
from testbed import clips_of as drawn_clips
from testbed import draw

from a3d_edge.configuration import Configuration
from a3d_edge.device.machine import describe_machine
from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.checkpoint import load, save
from a3d_edge.training import Clip, Measuring, clips_of, evaluate, train
from a3d_edge.training.finish import tune_at
from a3d_edge.training.inputs import frame_cache
from a3d_edge.training.recipe import Recipe, clips_digest, recorded
from a3d_edge.training.reports import StepReport

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "docs" / "results" / "evidence"


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is."""

    work: Path
    logs: Path
    data: Path
    scale: Scale
    workers: int


@dataclass(frozen=True, slots=True)
class Clips:
    """What a run is trained, validated and tested on, and the folders of decoded frames."""

    train: Sequence[Clip]
    validate: Sequence[Clip]
    test: Sequence[Clip]
    cache: Path
    test_cache: Path


@dataclass(slots=True)
class Curve:
    """Means of every epoch, in a file that a run that goes on continues."""

    file: Path
    since: list[StepReport] = field(default_factory=list)
    begun: bool = False

    def __call__(self, report: StepReport) -> None:
        if not self.begun:
            self._keep([row for row in self.rows() if row["step"] < report.step])
            self.begun = True
        self.since.append(report)
        if report.step % report.per_epoch == 0 or report.step == report.steps:
            self._keep([*self.rows(), self._row()])
            self.since.clear()

    def rows(self) -> list[dict[str, float]]:
        """What is there."""
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def _row(self) -> dict[str, float]:
        count = len(self.since)
        named = ("cross_entropy", "distillation", "accuracy")
        means = {name: sum(getattr(one.losses, name) for one in self.since) / count for name in named}
        seconds = {name: sum(getattr(one, name) for one in self.since) for name in ("seconds", "waited")}
        rounded = {name: round(value, 4) for name, value in (*means.items(), *seconds.items())}
        return {"step": self.since[-1].step, "steps": count, **rounded}

    def _keep(self, rows: Sequence[Mapping[str, float]]) -> None:
        self.file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> int:
    given = options()
    place = Place(given.work, given.logs, given.data, SCALES[given.scale], given.workers)
    if given.scale != "full" and given.logs == LOGS:
        print("run: name a folder by --logs, one for each scale: they are not compared", file=sys.stderr)
        return 2
    try:
        runs = chosen(plan(place.scale), given.only, given.run)
    except ValueError as error:
        print(f"run: {error}; the letters are {LETTERS}, and --dry-run names all runs", file=sys.stderr)
        return 2
    if given.dry_run:
        tell(runs, place)
        return 0
    try:
        for run in runs:
            made(run, place)
    except A3DEdgeError as error:
        print(f"run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help=f"letters of {LETTERS}")
    parser.add_argument("--run", action="append", default=[], help="a run's name; repeatable")
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "evidence")
    parser.add_argument("--logs", type=Path, default=LOGS)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="the real sets")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw and prepare; 0: a thread")
    parser.add_argument("--dry-run", action="store_true")
    return parser.parse_args()


def tell(runs: Sequence[Run], place: Place) -> None:
    """The plan, and what is left of it in CPU-hours."""
    costs, done = Costs(place.work / "costs.json"), read_logs(place.logs)
    left, sizes, by_name = [], {}, {run.name: run for run in runs}
    for run in runs:
        if (why := pending(run)) is None and run.source.name != "testbed":
            why = None if listed(run, place).is_file() else f"{listed(run, place)} is not there"
        if why is None and run.source not in sizes:
            sizes[run.source] = amounts(run, place)
        longest = run if run.time_of is None else by_name[run.time_of[0]]
        hours = 0.0 if why is not None else costs.hours(run, longest, *sizes[run.source])
        state = "done" if run.name in done else why or f"{hours:.2f} CPU-hours"
        left += [hours] if run.name not in done else []
        print(f"{run.letters:8} {run.name:48} {len(run.configurations):3} configurations  {state}")
    print(f"{len(runs)} runs, {len(left)} to make: {total(left):.1f} CPU-hours")


def amounts(run: Run, place: Place) -> tuple[int, int]:
    """How many clips it trains on, and tests."""
    if run.source.name == "testbed":
        return place.scale.train, place.scale.test + place.scale.validate
    every = [listed(run, place)]
    return tuple(len(clips_of(every, run.source.fold, held_out=held)) for held in (False, True))  # type: ignore[return-value]


def listed(run: Run, place: Place) -> Path:
    """The list of a real set."""
    return place.data / run.source.name / "labels.csv"


def clips_for(run: Run, place: Place) -> Clips:
    """Drawn if need be."""
    if run.source.name != "testbed":
        every, cache = [listed(run, place)], place.work / f"frames-{run.source.name}"
        fold = run.source.fold
        return Clips(clips_of(every, fold), [], clips_of(every, fold, held_out=True), cache, cache)
    scale, folder = place.scale, place.work / "testbed"
    parts = [
        drawn_clips(name, count)
        for name, count in (("train", scale.train), ("val", scale.validate), ("test", scale.test))
    ]
    grey = run.changes["input_kind"] != "rgb"
    caches = folder / "frames-train", folder / "frames-test"
    draw(parts[0], caches[0], max(1, place.workers), grey)
    draw([*parts[1], *parts[2]], caches[1], max(1, place.workers), grey)
    return Clips(*parts, *caches)


def made(run: Run, place: Place) -> None:
    """Trained, tested and logged; or said why not."""
    logs = read_logs(place.logs)
    if run.name in logs:
        return
    if (why := pending(run)) is not None:
        print(f"{run.name}: left out, {why}")
        return
    if missing := [name for name in run.needs if name not in logs]:
        print(f"{run.name}: left out, it needs {', '.join(missing)}")
        return
    print(f"{run.name}: begins", flush=True)
    clips = clips_for(run, place)
    changes = {**run.changes, "epochs": epochs_now(run, len(clips.train), logs)}
    out, curve = place.work / f"{run.name}.pth", Curve(place.work / f"{run.name}.steps.jsonl")
    begun = cpu_s()
    trained_network(run, place, clips, changes, out, curve)
    if run.tune:
        tuned_network(run, clips, out)
    spent = cpu_s() - begun
    write_log(place.logs, run.name, content(run, place, clips, out, curve, spent))


def trained_network(
    run: Run, place: Place, clips: Clips, changes: Mapping[str, Any], out: Path, curve: Curve
) -> None:
    """Begun, or gone on with."""
    init = None if run.init is None else place.work / f"{run.init}.pth"
    resume = out.exists()
    torch.set_num_threads(1)
    train(
        list(clips.train), out, "small", changes=dict(changes),
        init=None if resume else init, resume=resume, overwrite=not resume, calibration_clips=0,
        cache=clips.cache, workers=place.workers, on_step=curve,
    )  # fmt: skip


def tuned_network(run: Run, clips: Clips, out: Path) -> None:
    """Once it is trained; a run that goes on begins this anew."""
    checkpoint = load(out)
    recipe = replace(Recipe(), **{**recorded(checkpoint), "tune": run.tune})
    some = [Configuration.parse(name) for name in run.configurations]
    tune_at(some, checkpoint, list(clips.train), frame_cache(checkpoint, clips.cache), recipe)
    save(checkpoint, out)


def epochs_now(run: Run, clips: int, logs: Mapping[str, Log]) -> int:
    """As many as the plan has; or as take the time that another run took."""
    usual = epochs_of(run, clips)
    if run.time_of is None:
        return usual
    whole, own = (sum(row["seconds"] for row in logs[name].content["curve"]) for name in run.time_of)
    return max(1, round(usual * whole / own))


def cpu_s() -> float:
    """CPU-seconds of this process and its children so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def content(run: Run, place: Place, clips: Clips, out: Path, curve: Curve, spent: float) -> dict[str, Any]:
    """What the log says."""
    checkpoint = load(out)
    groups = {clip.group: place for place, clip in enumerate(clips.test) if clip.group}
    rows = curve.rows()
    return {
        "run": run.name,
        "letters": run.letters,
        "source": asdict(run.source),
        "scale": asdict(place.scale),
        "commit": commit_of(ROOT),
        "machine": describe_machine()["name"],
        "torch": version("torch"),
        "threads": torch.get_num_threads(),
        "settings": {**run.changes, **checkpoint.origin["settings"]},
        "classes": list(checkpoint.classes),
        "clips": {"train": clips_digest(clips.train), "test": clips_digest(clips.test)},
        "groups": [groups[clip.group] for clip in clips.test] if len(groups) > 1 else None,
        "steps": checkpoint.origin["steps"],
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "cpu_s": round(spent, 1),
        "gmacs_a_clip": round(gmacs_a_clip(run, len(checkpoint.classes)), 5),
        "curve": rows,
        "validation": checkpoint.origin.get("validation"),
        "tests": tests(run, place, clips, out),
    }  # fmt: skip


def tests(run: Run, place: Place, clips: Clips, out: Path) -> dict[str, dict[str, str]]:
    """Packed margins by test and configuration."""
    usual = run.calibrations[0]
    found = {"test": tested(run.configurations, clips.test, usual, clips, out)}
    if clips.validate:
        found["val"] = tested(run.configurations, clips.validate, usual, clips, out)
    for count in run.calibrations[1:]:
        found[f"test:{count}"] = tested(run.few, clips.test, count, clips, out)
    return found


def tested(
    names: Sequence[str], those: Sequence[Clip], count: int, clips: Clips, out: Path
) -> dict[str, str]:
    """The margins of clips at configurations that are calibrated on ``count`` training clips, 0: not."""
    how = Measuring(
        calibration=list(clips.train) if count else (), calibration_clips=max(count, 1),
        no_calibration=not count, views=1, protocol="runtime", cache=clips.test_cache,
    )  # fmt: skip
    wanted = [Configuration.parse(name) for name in names]
    measured = evaluate(out, list(those), how, configurations=wanted)
    assert measured is not None  # no torchrun
    return {str(c): margins_of(scores.summed, scores.truth) for c, scores in measured.scores.items()}


if __name__ == "__main__":
    sys.exit(main())
