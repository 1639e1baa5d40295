"""Train, test by 4-fold cross-validation over people, and export the bundle `gestures`. Resumable.

    python benchmarks/gestures_bundle.py --data ../shared/data/body_gestures/labels.csv --work runs

Stages (`--stage NAME`): drawn (train on figures), fold0 … fold3 (from there on without two people, export in
both precisions, and name their clips with the bundle), final (train on everybody), report (the table, and
docs/results), export (a3d_edge/bundles/gestures), strangers (what the bundle says to film of `--others`),
demo (to drawn figures). `random` and `static` are `none`. What is finished is kept.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from _options import parser_of
from a3d_edge.exporters import Exporting, export_bundle

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.demo.scenery import draw_sensor, room
from a3d_edge.device.machine import describe_machine
from a3d_edge.models.checkpoint import load
from a3d_edge.recognizer import Recognizer
from a3d_edge.table import ConfigurationBudgetTable
from a3d_edge.training import evaluate, train
from a3d_edge.training.evaluation import Scores
from a3d_edge.training.measure import Measuring
from a3d_edge.training.reliability import wilson_interval
from a3d_edge.training.tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
PACKAGE = ROOT / "a3d_edge" / "bundles" / "gestures"
FOLDS = (0, 1, 2, 3)
DISTANCES = ("1m", "4m", "6m")
CLASSES = (
    "attention", "back", "come", "continue", "greeting", "left", "no", "right", "shrug", "slowdown", "stop",
    "turnback", "yes", "none",
)  # fmt: skip
SHOWN = {"classes": CLASSES, "view": "moving", "aspect": 1.0, "window": 3.0, "val": 0.0}
DRAWN = {**SHOWN, "rendered": 120, "mutual": False, "epochs": 14}
"""First the whole network alone, on drawn figures alone: 1,500 steps that all folds share."""
REAL = {
    **SHOWN, "rendered": 60, "rendered_share": 0.25, "epochs": 22, "lr": 1e-3, "students_from": 0.1,
}  # fmt: skip
"""Then 500 steps of mutual training, three quarters of them on people. The rest is the small recipe."""
VIEWS = 4
ROOMS = 20
CALIBRATION = 200


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=ROOT / "runs")
    parser.add_argument("--cache", default="8GB")
    parser.add_argument("--others", type=Path, action="append", default=[], help="lists of other things")
    parser.add_argument("--demo-seconds", type=int, default=180)
    stages = ["drawn", *(f"fold{k}" for k in FOLDS), "final", "report", "export", "strangers", "demo"]
    parser.add_argument("--stage", choices=stages, action="append")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    labels = with_none(given.data, given.work / "gestures.csv")
    for stage in given.stage or stages:
        print(f"{time.strftime('%H:%M:%S')} {stage}", flush=True)
        if stage.startswith("fold"):
            fold(labels, given.work, int(stage[-1]), given.cache)
        elif stage == "final":
            trained(given.work / "final.pth", [labels], REAL, given.cache, given.work / "drawn.pth")
        elif stage == "drawn":
            trained(given.work / "drawn.pth", [], DRAWN, given.cache)
        elif stage == "report":
            report(given.work, labels)
        elif stage == "export":
            export(labels, given.work, given.cache)
        elif stage == "demo":
            demo(given.demo_seconds)
        else:
            strangers(given.others, given.work / "strangers.csv", given.cache)


def with_none(data: Path, place: Path) -> Path:
    """The list with both kinds of nothing under one name."""
    with data.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group", "fold"])
        for row in rows:
            label = "none" if row["label"] in ("random", "static") else row["label"]
            writer.writerow([data.parent.resolve() / row["path"], label, row["group"], row["fold"]])
    return place


def trained(out: Path, lists: list[Path], changes: dict, cache: str, init: Path | None = None) -> None:
    if (done := out.with_suffix(".seconds")).exists():
        return
    begun, cpu = time.monotonic(), time.process_time()
    resume = out.exists()
    train(
        lists, out, "small", changes={} if resume else changes, init=None if resume else init, resume=resume,
        cache=cache, calibration_clips=0, note=print, on_step=told(out.stem),
    )  # fmt: skip
    done.write_text(json.dumps([round(time.monotonic() - begun), round(time.process_time() - cpu)]))


def told(name: str):
    def tell(step) -> None:
        if step.step % 50 == 0:
            text = f"loss {step.losses.cross_entropy:.3f}, accuracy {step.losses.accuracy:.0%}"
            print(f"{time.strftime('%H:%M:%S')} {name} {step.step} of {step.steps}: {text}", flush=True)

    return tell


def fold(labels: Path, work: Path, number: int, cache: str) -> None:
    """Scores of two people's clips by the bundle of a network that never saw them."""
    kept = work / f"fold{number}.npz"
    if kept.exists():
        return
    checkpoint = work / f"fold{number}.pth"
    trained(checkpoint, [labels], {**REAL, "fold": number}, cache, work / "drawn.pth")
    what = Exporting(
        configurations=candidates(checkpoint), precisions=("fp32", "int8"), calibration=[labels],
        calibration_clips=CALIBRATION, fold=number, cache=cache,
    )  # fmt: skip
    bundle = work / f"fold{number}"
    export_bundle(checkpoint, bundle, what, overwrite=True, note=print)
    found = evaluate(bundle, [labels], Measuring(fold=number, views=VIEWS, cache=cache), note=print)
    assert found is not None  # which is of further processes under torchrun
    arrays = {str(configuration): scores.windows for configuration, scores in found.scores.items()}
    with (temporary := kept.with_suffix(".part")).open("wb") as file:
        np.savez(file, **arrays)
    temporary.replace(kept)


def candidates(checkpoint: Path) -> list[Configuration]:
    loaded = load(checkpoint)
    return [c for c in loaded.candidates() if c.size <= loaded.description.size]


# --- report ---


def pooled(work: Path, labels: Path) -> tuple[dict[Configuration, Scores], list[str]]:
    """Scores of every clip by the network that did not see its person; and the clips' distances."""
    with labels.open(newline="") as file:
        rows = list(csv.DictReader(file))
    held = [[row for row in rows if int(row["fold"]) == number] for number in FOLDS]
    order = [row for part in held for row in part]
    truth = np.array([CLASSES.index(row["label"]) for row in order], np.intp)
    parts = [np.load(work / f"fold{number}.npz") for number in FOLDS]
    scores = {}
    for name in parts[0].files:
        windows = padded([part[name] for part in parts])
        scores[Configuration.parse(name)] = Scores(np.nansum(windows, axis=1), truth, windows)
    return scores, [next(d for d in DISTANCES if f"_{d}_" in row["path"]) for row in order]


def padded(parts: list[np.ndarray]) -> np.ndarray:
    """Of all folds; a clip with fewer windows than another repeats its last."""
    most = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(p, ((0, 0), (0, most - p.shape[1]), (0, 0)), "edge") for p in parts])


def report(work: Path, labels: Path) -> None:
    scores, distances = pooled(work, labels)
    where = f"4-fold cross-validation over people, {len(distances)} clips of body_gestures, {VIEWS} views"
    table = tabulate(load(work / "final.pth"), scores, where)
    front = {row.configuration for row in of_precision(table, "fp32").pareto().rows}
    ends = {of_precision(table, "fp32").rows[place].configuration for place in (0, -1)}
    kept = {c for c in scores if c.at("fp32") in front | ends}
    chosen = table.with_rows(row for row in table.rows if row.configuration in kept)
    (RESULTS / "gestures_bundle_table.json").write_text(chosen.to_json())
    lines = list(page(work, table, scores, np.array(distances), kept))
    (RESULTS / "gestures_bundle_numbers.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def of_precision(table: ConfigurationBudgetTable, precision: str) -> ConfigurationBudgetTable:
    return table.with_rows(row for row in table.rows if row.precision == precision)


def page(work, table, scores, distances, kept):
    here = describe_machine()
    yield "# `gestures`: the numbers"
    yield ""
    yield (
        "`python benchmarks/gestures_bundle.py --data ../shared/data/body_gestures/labels.csv --work runs`; "
        f"{here['name']}, Python {here['python']}, torch {version('torch')}, "
        f"onnxruntime {version('onnxruntime')}."
    )
    yield ""
    yield f"{table.measured_on}."
    yield "Each clip is named by the exported graphs of a network that never saw the person."
    yield "14 labels; intervals of 95 % (Wilson). Rows in the bundle are marked."
    yield ""
    yield "| configuration | GFLOPs | 1 and 4 m | 1 m | 4 m | 6 m | none named | calibration error | in it |"
    yield "|---|---|---|---|---|---|---|---|---|"
    none = CLASSES.index("none")
    for row in sorted(table.rows, key=lambda row: (row.precision, -row.gflops)):
        found = scores[row.configuration]
        right = found.summed.argmax(axis=1) == found.truth
        shares = [share(right[np.isin(distances, d)]) for d in (("1m", "4m"), ("1m",), ("4m",), ("6m",))]
        yield (
            f"| {row.configuration} | {row.gflops:.4f} | {' | '.join(shares)} | "
            f"{share(right[found.truth == none])} | {row.calibration_error:.3f} | "
            f"{'yes' if row.configuration in kept else ''} |"
        )
    yield ""
    for place, name in ((0, "largest"), (-1, "smallest")):
        row = sorted(of_precision(table, "fp32").rows, key=lambda row: -row.gflops)[place]
        each = ", ".join(f"{label} {value:.0%}" for label, value in (row.recall or {}).items())
        yield f"Recall at the {name}, {row.configuration}, all distances: {each}."
        yield ""
    spent = {p.stem: json.loads(p.read_text()) for p in sorted(work.glob("*.seconds"))}
    yield f"Training, [seconds, CPU-seconds], on a machine shared with other work: {json.dumps(spent)}."


def share(right: np.ndarray) -> str:
    low, high = wilson_interval(int(right.sum()), len(right))
    return f"{right.mean():.1%} ({low:.0%}–{high:.0%})"


def export(labels: Path, work: Path, cache: str) -> None:
    """Into the work folder first; then it takes the place of the package's."""
    table = ConfigurationBudgetTable.load(RESULTS / "gestures_bundle_table.json")
    what = Exporting(
        table=table, configurations=table.configurations, calibration=[labels],
        calibration_clips=CALIBRATION, cache=cache,
    )  # fmt: skip
    export_bundle(work / "final.pth", work / "gestures", what, overwrite=True, note=print)
    PACKAGE.mkdir(exist_ok=True)
    for old in PACKAGE.glob("*.*"):
        old.unlink()
    for file in (work / "gestures").iterdir():
        shutil.copyfile(file, PACKAGE / file.name)


def strangers(lists: list[Path], listed: Path, cache: str) -> None:
    """How often the bundle that ships sees a gesture where there is none."""
    bundle = Bundle.load(PACKAGE)
    lines = ["| film | configuration | windows | a gesture named | seen |", "|---|---|---|---|---|"]
    for place in lists:
        with place.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["label"] in ("none", "noFight")]
        with listed.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label"])
            writer.writerows([place.parent.resolve() / row["path"], "none"] for row in rows)
        found = evaluate(PACKAGE, [listed], Measuring(views=VIEWS, cache=cache))
        assert found is not None
        name = f"{place.parent.name}/{place.name}, {len(rows)} clips of {rows[0]['label']}"
        for configuration, scores in found.scores.items():
            flat = scores.windows.reshape(-1, len(CLASSES))
            best = flat.argmax(axis=1)
            limits = np.array([bundle.threshold(configuration, each) or 0.0 for each in CLASSES])
            named = best != CLASSES.index("none")
            seen = named & (flat.max(axis=1) > limits[best])
            shares = f"{named.mean():.1%} | {seen.mean():.1%}"
            lines.append(f"| {name} | {configuration} | {len(flat)} | {shares} |")
    for configuration in bundle.configurations:
        lines.append(empty_rooms(bundle, configuration))
    (RESULTS / "gestures_bundle_strangers.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


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


def demo(seconds: int) -> None:
    """What a newcomer sees: the drawn demo at `auto`, and pinned to both ends, by the command line."""
    rows = Bundle.load(PACKAGE).table
    ends = [str(of_precision(rows, "fp32").rows[place].configuration) for place in (-1, 0)]
    lines = ["| budget | scenes named right | predictions right |", "|---|---|---|"]
    for budget in ("auto", *ends):
        words = ["run", "--source", "demo", "--bundle", "gestures", "--budget", budget, "--json"]
        program = str(Path(sys.executable).parent / "a3d-edge")
        done = subprocess.run(
            [program, *words, "--seconds", str(seconds)], check=True, capture_output=True, text=True
        )
        truth = json.loads(done.stdout.splitlines()[-1])["truth"]
        scenes, single = (
            f"{truth[a]} of {truth[b]}" for a, b in (("scenes_agreed", "scenes"), ("agreed", "of"))
        )
        lines.append(f"| {budget} | {scenes} | {single} |")
    command = f"a3d-edge run --source demo --bundle gestures --seconds {seconds}"
    head = f"`{command}`, from the first scene on, with each `--budget`."
    (RESULTS / "gestures_bundle_demo.md").write_text("\n".join([head, "", *lines]) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
