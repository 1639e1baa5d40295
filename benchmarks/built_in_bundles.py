"""Train, test by 4-fold cross-validation, and export a bundle that is built in. Resumable.

    python benchmarks/built_in_bundles.py gestures --data ../shared/data/body_gestures/labels.csv --work runs
    python benchmarks/built_in_bundles.py interactions --data ../shared/data/ut_interaction/labels.csv \\
        --data ../shared/data/ut_interaction/none.csv --work runs

Stages (`--stage NAME`): drawn (train on figures), fold0 … fold3 (from there on without a fold's people,
export in both precisions, and name their clips with the bundle), final (train on everybody), report (the
table, and docs/results), export (a3d_edge/bundles/NAME), strangers (what the bundle says to film of
`--others`), demo (to drawn figures). Of the gestures `random` and `static` are `none`. What is finished is
kept.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from _options import parser_of
from a3d_edge.exporters import Exporting, export_bundle

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.demo.scenery import draw_sensor, room
from a3d_edge.device.machine import describe_machine
from a3d_edge.models.checkpoint import load, save
from a3d_edge.recognizer import Recognizer
from a3d_edge.table import ConfigurationBudgetTable
from a3d_edge.training import evaluate, train
from a3d_edge.training.evaluation import Scores
from a3d_edge.training.measure import Measuring
from a3d_edge.training.reliability import wilson_interval
from a3d_edge.training.tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
FOLDS = (0, 1, 2, 3)
VIEWS = 4
ROOMS = 20
CALIBRATION = 200
NOTHING = ("random", "static")  # of the gestures: none


@dataclass(frozen=True)
class Plan:
    """A bundle's classes, how it is shown its clips, how it is trained, and by what its accuracy is told.

    First on drawn figures alone (``drawn``), steps that all folds share; then mutual training, three quarters
    of it on people (``real``). The rest is the small recipe. ``parts``: of the clips, by a word of their
    path; ``way``: how much of the way from drawn figures' weights to people's is gone, as weights between
    them know more of other people (Wortsman et al., 2022); ``least``: the shares of the first part's clips
    and of those of nothing that a row must name, in both precisions, to ship.
    """

    classes: tuple[str, ...]
    shown: dict
    drawn: dict
    real: dict
    parts: dict[str, tuple[str, ...]]
    least: tuple[float, float] = (0.0, 0.0)
    way: float = 1.0


AS_MADE = {"label_share": 0.0, "switchable": False}  # the small recipe had neither when interactions were
PLANS = {
    "gestures": Plan(
        ("attention", "back", "come", "continue", "greeting", "left", "no", "right", "shrug", "slowdown",
         "stop", "turnback", "yes", "none"),
        {"view": "close", "input_kind": "local", "quickest": 1.6, "aspect": 1.0, "window": 3.0, "val": 0.0,
         "range_name": "0.06"},
        {"rendered": 360, "students_from": 0.5, "epochs": 18},
        {"rendered": 60, "rendered_share": 0.25, "epochs": 22, "lr": 1e-3, "students_from": 0.0},
        {"1 and 4 m": ("_1m_", "_4m_"), "1 m": ("_1m_",), "4 m": ("_4m_",), "6 m": ("_6m_",)},
        least=(0.6, 0.7),
        way=0.75,
    ),
    "interactions": Plan(
        ("handshake", "hug", "kick", "point", "punch", "push", "none"),
        {"view": "moving", "aspect": 1.5, "val": 0.0, **AS_MADE},
        {"rendered": 200, "mutual": False, "epochs": 14},
        {"rendered": 60, "rendered_share": 0.25, "epochs": 44, "lr": 1e-3, "students_from": 0.1},
        {"six actions": ("/videos/",)},
        least=(0.78, 0.75),
    ),
}  # fmt: skip


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("bundle", choices=PLANS)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--work", type=Path, default=ROOT / "runs")
    parser.add_argument("--cache", default="8GB")
    parser.add_argument("--others", type=Path, action="append", default=[], help="lists of other things")
    parser.add_argument("--demo-seconds", type=int, default=180)
    stages = ["drawn", *(f"fold{k}" for k in FOLDS), "final", "report", "export", "strangers", "demo"]
    parser.add_argument("--stage", choices=stages, action="append")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    making = Making(given.bundle, PLANS[given.bundle], given.work, given.cache)
    making.list_clips(given.data)
    for stage in given.stage or stages:
        print(f"{time.strftime('%H:%M:%S')} {stage}", flush=True)
        if stage.startswith("fold"):
            making.fold(int(stage[-1]))
        elif stage == "final":
            making.shipped("final", making.plan.real)
        elif stage == "drawn":
            making.trained("drawn", making.plan.drawn)
        elif stage == "report":
            making.report(given.data)
        elif stage == "export":
            making.export()
        elif stage == "demo":
            making.demo(given.demo_seconds)
        else:
            making.strangers(given.others)


@dataclass(frozen=True)
class Making:
    """One bundle in a work folder."""

    name: str
    plan: Plan
    work: Path
    cache: str

    @property
    def labels(self) -> Path:
        return self.work / f"{self.name}.csv"

    @property
    def final(self) -> Path:
        return self.work / ("final.pth" if self.plan.way == 1.0 else "final-shipped.pth")

    @property
    def package(self) -> Path:
        return ROOT / "a3d_edge" / "bundles" / self.name

    def result(self, what: str) -> Path:
        return RESULTS / f"{self.name}_bundle_{what}"

    def list_clips(self, data: list[Path]) -> None:
        """All lists as one, with both kinds of nothing under one name; a group's fold is that of any list."""
        folds = {row["group"]: row["fold"] for place in data for row in rows_of(place) if "fold" in row}
        with self.labels.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "group", "fold"])
            for place in data:
                for row in rows_of(place):
                    label = "none" if row["label"] in NOTHING else row["label"]
                    path = place.parent.resolve() / row["path"]
                    writer.writerow([path, label, row["group"], folds[row["group"]]])

    def trained(self, name: str, changes: dict, init: Path | None = None) -> Path:
        out, done = self.work / f"{name}.pth", self.work / f"{name}.seconds"
        if done.exists():
            return out
        begun, cpu, resume = time.monotonic(), time.process_time(), out.exists()
        changes = {**self.plan.shown, "classes": self.plan.classes, **changes}
        train(
            [] if init is None else [self.labels], out, "small", changes={} if resume else changes,
            init=None if resume else init, resume=resume, cache=self.cache, calibration_clips=0, note=print,
            on_step=told(name),
        )  # fmt: skip
        done.write_text(json.dumps([round(time.monotonic() - begun), round(time.process_time() - cpu)]))
        return out

    def shipped(self, name: str, changes: dict) -> Path:
        """Trained on people, and then so much of the way there from what drawn figures made (``way``)."""
        drawn = self.work / "drawn.pth"
        whole = self.trained(name, changes, drawn)
        if self.plan.way == 1.0:
            return whole
        begun, ended, out = load(drawn), load(whole), self.work / f"{name}-shipped.pth"
        before, after = begun.model.state_dict(), ended.model.state_dict()
        mixed = {key: torch.lerp(before[key], value, self.plan.way) for key, value in after.items()}
        ended.model.load_state_dict(mixed)
        save(ended, out)
        return out

    def fold(self, number: int) -> None:
        """Scores of the fold's clips by the bundle of a network that never saw its people."""
        kept = self.work / f"fold{number}.npz"
        if kept.exists():
            return
        checkpoint = self.shipped(f"fold{number}", {**self.plan.real, "fold": number})
        what = Exporting(
            configurations=candidates(checkpoint), precisions=("fp32", "int8"), calibration=[self.labels],
            calibration_clips=CALIBRATION, fold=number, cache=self.cache,
        )  # fmt: skip
        bundle = self.work / f"fold{number}"
        export_bundle(checkpoint, bundle, what, overwrite=True, note=print)
        measuring = Measuring(fold=number, views=VIEWS, cache=self.cache)
        found = evaluate(bundle, [self.labels], measuring, note=print)
        assert found is not None  # which is of further processes under torchrun
        arrays = {str(configuration): scores.windows for configuration, scores in found.scores.items()}
        with (temporary := kept.with_suffix(".part")).open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(kept)

    def pooled(self) -> tuple[dict[Configuration, Scores], list[str]]:
        """Scores of every clip by the network that did not see its people; and the clips' paths."""
        rows = rows_of(self.labels)
        order = [row for number in FOLDS for row in rows if int(row["fold"]) == number]
        truth = np.array([self.plan.classes.index(row["label"]) for row in order], np.intp)
        parts = [np.load(self.work / f"fold{number}.npz") for number in FOLDS]
        scores = {}
        for name in parts[0].files:
            windows = padded([part[name] for part in parts])
            scores[Configuration.parse(name)] = Scores(np.nansum(windows, axis=1), truth, windows)
        return scores, [row["path"] for row in order]

    def report(self, data: list[Path]) -> None:
        scores, paths = self.pooled()
        sets = " and ".join(f"{place.parent.name}/{place.name}" for place in data)
        where = f"4-fold cross-validation over groups, {len(paths)} clips of {sets}, {VIEWS} views"
        table = tabulate(load(self.final), scores, where)
        bad = {c.at("fp32") for c, found in scores.items() if self.falls_short(found, paths)}
        worth = table.with_rows(row for row in table.rows if row.configuration.at("fp32") not in bad)
        front = {row.configuration for row in of_precision(worth, "fp32").pareto().rows}
        ends = {of_precision(worth, "fp32").rows[place].configuration for place in (0, -1)}
        kept = {c for c in scores if c.at("fp32") in front | ends}
        chosen = table.with_rows(row for row in table.rows if row.configuration in kept)
        self.result("table.json").write_text(chosen.to_json())
        lines = list(self.page(data, table, scores, paths, kept))
        self.result("numbers.md").write_text("\n".join(lines) + "\n")
        print("\n".join(lines))

    def falls_short(self, scores: Scores, paths: list[str]) -> bool:
        """Whether a configuration names too little to be worth running."""
        words = next(iter(self.plan.parts.values()))
        acted = np.array([any(word in path for word in words) for path in paths])
        nothing = scores.truth == self.plan.classes.index("none")
        right = scores.summed.argmax(axis=1) == scores.truth
        return any(
            right[part].mean() < least for part, least in zip((acted, nothing), self.plan.least, strict=True)
        )

    def page(self, data, table, scores, paths, kept):
        here, plan = describe_machine(), self.plan
        words = " ".join(f"--data ../shared/data/{place.parent.name}/{place.name}" for place in data)
        yield f"# `{self.name}`: the numbers"
        yield ""
        yield (
            f"`python benchmarks/built_in_bundles.py {self.name} {words} --work runs`; "
            f"{here['name']}, Python {here['python']}, torch {version('torch')}, "
            f"onnxruntime {version('onnxruntime')}."
        )
        yield ""
        yield f"{table.measured_on}."
        yield "Each clip is named by the exported graphs of a network that never saw its people."
        acted, nothing = plan.least
        yield f"{len(plan.classes)} labels; intervals of 95 % (Wilson). In the bundle are, of what names"
        yield f"{acted:.0%} of {next(iter(plan.parts))} and {nothing:.0%} of none in both precisions, the"
        yield "front and both ends."
        yield ""
        heads = " | ".join(plan.parts)
        yield f"| configuration | GFLOPs | {heads} | none named | calibration error | in it |"
        yield "|---|---|" + "---|" * (len(plan.parts) + 3)
        none = plan.classes.index("none")
        for row in sorted(table.rows, key=lambda row: (row.precision, -row.gflops)):
            found = scores[row.configuration]
            right = found.summed.argmax(axis=1) == found.truth
            chosen = [
                np.array([any(w in path for w in words) for path in paths]) for words in plan.parts.values()
            ]
            shares = " | ".join(share(right[part]) for part in chosen)
            nothing = share(right[found.truth == none])
            yield (
                f"| {row.configuration} | {row.gflops:.4f} | {shares} | {nothing} | "
                f"{row.calibration_error:.3f} | {'yes' if row.configuration in kept else ''} |"
            )
        yield ""
        shipped = [row for row in of_precision(table, "fp32").rows if row.configuration in kept]
        for place, name in ((0, "largest"), (-1, "smallest")):
            row = sorted(shipped, key=lambda row: -row.gflops)[place]
            each = ", ".join(f"{label} {value:.0%}" for label, value in (row.recall or {}).items())
            yield f"Recall at the {name}, {row.configuration}, of all clips: {each}."
            yield ""
        spent = {p.stem: json.loads(p.read_text()) for p in sorted(self.work.glob("*.seconds"))}
        yield f"Training, [seconds, CPU-seconds], on a machine shared with other work: {json.dumps(spent)}."

    def export(self) -> None:
        """Into the work folder first; then it takes the place of the package's."""
        table = ConfigurationBudgetTable.load(self.result("table.json"))
        what = Exporting(
            table=table, configurations=table.configurations, calibration=[self.labels],
            calibration_clips=CALIBRATION, cache=self.cache,
        )  # fmt: skip
        made = self.work / self.name
        export_bundle(self.final, made, what, overwrite=True, note=print)
        self.package.mkdir(exist_ok=True)
        for old in self.package.glob("*.*"):
            old.unlink()
        for file in made.iterdir():
            shutil.copyfile(file, self.package / file.name)
        ours("table", "plot", self.name, "--overwrite", "--out", str(RESULTS / f"{self.name}_bundle.png"))

    def strangers(self, lists: list[Path]) -> None:
        """How often the bundle that ships sees an action where there is none."""
        bundle, listed = Bundle.load(self.package), self.work / "strangers.csv"
        lines = ["| film | configuration | windows | an action named | seen |", "|---|---|---|---|---|"]
        for place in lists:
            rows = [row for row in rows_of(place) if row["label"] in ("none", "noFight", *NOTHING)]
            with listed.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["path", "label"])
                writer.writerows([place.parent.resolve() / row["path"], "none"] for row in rows)
            found = evaluate(self.package, [listed], Measuring(views=VIEWS, cache=self.cache))
            assert found is not None
            name = f"{place.parent.name}/{place.name}, {len(rows)} clips of {rows[0]['label']}"
            for configuration, scores in found.scores.items():
                flat = scores.windows.reshape(-1, len(self.plan.classes))
                best = flat.argmax(axis=1)
                limits = [bundle.threshold(configuration, each) or 0.0 for each in self.plan.classes]
                named = best != self.plan.classes.index("none")
                seen = named & (flat.max(axis=1) > np.array(limits)[best])
                shares = f"{named.mean():.1%} | {seen.mean():.1%}"
                lines.append(f"| {name} | {configuration} | {len(flat)} | {shares} |")
        lines += [empty_rooms(bundle, configuration) for configuration in bundle.configurations]
        self.result("strangers.md").write_text("\n".join(lines) + "\n")
        print("\n".join(lines))

    def demo(self, seconds: int) -> None:
        """What a newcomer sees: the drawn demo at `auto`, and pinned to both ends, by the command line."""
        rows = Bundle.load(self.package).table
        ends = [str(of_precision(rows, "fp32").rows[place].configuration) for place in (-1, 0)]
        lines = ["| budget | scenes named right | predictions right |", "|---|---|---|"]
        for budget in ("auto", *ends):
            words = ["run", "--source", "demo", "--bundle", self.name, "--budget", budget, "--json"]
            truth = json.loads(ours(*words, "--seconds", str(seconds)).splitlines()[-1])["truth"]
            scenes, single = (
                f"{truth[a]} of {truth[b]}" for a, b in (("scenes_agreed", "scenes"), ("agreed", "of"))
            )
            lines.append(f"| {budget} | {scenes} | {single} |")
        command = f"a3d-edge run --source demo --bundle {self.name} --seconds {seconds}"
        head = f"`{command}`, from the first scene on, with each `--budget`."
        self.result("demo.md").write_text("\n".join([head, "", *lines]) + "\n")
        print("\n".join(lines))


def ours(*words: str) -> str:
    """What a command of a3d-edge says on stdout."""
    program = str(Path(sys.executable).parent / "a3d-edge")
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


def rows_of(place: Path) -> list[dict[str, str]]:
    with place.open(newline="") as file:
        return list(csv.DictReader(file))


def told(name: str):
    def tell(step) -> None:
        if step.step % 50 == 0:
            text = f"loss {step.losses.cross_entropy:.3f}, accuracy {step.losses.accuracy:.0%}"
            print(f"{time.strftime('%H:%M:%S')} {name} {step.step} of {step.steps}: {text}", flush=True)

    return tell


def candidates(checkpoint: Path) -> list[Configuration]:
    loaded = load(checkpoint)
    return [c for c in loaded.candidates() if c.size <= loaded.description.size]


def padded(parts: list[np.ndarray]) -> np.ndarray:
    """Of all folds; a clip with fewer windows than another repeats its last."""
    most = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(p, ((0, 0), (0, most - p.shape[1]), (0, 0)), "edge") for p in parts])


def of_precision(table: ConfigurationBudgetTable, precision: str) -> ConfigurationBudgetTable:
    return table.with_rows(row for row in table.rows if row.precision == precision)


def share(right: np.ndarray) -> str:
    low, high = wilson_interval(int(right.sum()), len(right))
    return f"{right.mean():.1%} ({low:.0%}–{high:.0%})"


def empty_rooms(bundle: Bundle, configuration: Configuration) -> str:
    """Drawn rooms with nobody in them, through the sensor's noise and changes of light."""
    found = []
    for seed in range(ROOMS):
        rng = np.random.default_rng([seed, 5])
        picture, sensor = room(rng, 320, 240, 150.0), draw_sensor(rng, 320, 240)
        with Recognizer(bundle, live=False, budget=str(configuration)) as recognizer:
            for number in range(90):
                found += recognizer.push(sensor.expose(picture.copy(), number / 15), number / 15)
    named = np.array([prediction.label != "none" for prediction in found])
    seen = np.array([prediction.seen is not False for prediction in found]) & named
    words = f"| drawn rooms without anybody, {ROOMS} | {configuration} | {len(found)} | {named.mean():.1%} | "
    return f"{words}{seen.mean():.1%} |"


if __name__ == "__main__":
    main()
