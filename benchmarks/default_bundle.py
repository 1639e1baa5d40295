"""Train, test by 4-fold cross-validation, and export the bundle interactions. What is finished is kept.

    python benchmarks/default_bundle.py --data ../shared/data/ut_interaction --work runs [--stage NAME]

Stages, in order: fold0 … fold3 (train without the fold, test on it), final (train on everything), report
(table, figure and numbers in docs/results), int8 (every fold's bundle in both precisions, on its held-out
clips: the int8 rows of the table), export (a3d_edge/bundles/interactions, both precisions).
Every stage prints the commands it runs; they are those of the installed `a3d-edge`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from _options import parser_of

from a3d_edge.configuration import Configuration
from a3d_edge.device.machine import describe_machine

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
CLASSES = ("handshake", "hug", "kick", "point", "punch", "push", "none")
ACTIONS = CLASSES[:-1]
FOLDS = (0, 1, 2, 3)
SEED = 0
# Named in full, so that what `train` does unasked can change: this is how the bundle that ships was trained.
RECIPE = [
    "--recipe", "kinetics", "--precision", "fp32", "--mirror", "on", "--val", "0",
    "--arch", "slow_small", "--classes", ",".join(CLASSES), "--input", "motion", "--aspect", "1.5",
    "--optimizer", "adamw", "--warmup", "0.1", "--weight-decay", "0.05", "--label-smoothing", "0.1",
    "--balanced", "--batch", "16", "--seed", str(SEED),
    "--epochs", "80", "--lr", "2e-3", "--rendered", "100", "--rendered-share", "0.3",
    "--calibration-clips", "0",
]  # fmt: skip
Pooled = dict[Configuration, dict[str, list[int]]]
CALIBRATION_CLIPS = "80"
# A spread over the range's 97 configurations: measuring all of them takes four times as long.
CANDIDATES = [
    "w1.00-s110-t8", "w1.00-s96-t8", "w1.00-s96-t6", "w1.00-s96-t4", "w1.00-s82-t8", "w1.00-s82-t4",
    "w0.80-s96-t8", "w0.80-s96-t4", "w0.70-s82-t6", "w0.70-s82-t4", "w0.70-s69-t4", "w0.60-s96-t4",
    "w0.50-s96-t8", "w0.50-s96-t4", "w0.50-s96-t2", "w0.50-s82-t4", "w0.50-s69-t8", "w0.50-s69-t4",
    "w0.50-s69-t2", "w0.50-s55-t4", "w0.50-s55-t2",
]  # fmt: skip


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=ROOT / "runs")
    parser.add_argument("--cache", type=Path)
    stages = [*(f"fold{k}" for k in FOLDS), "final", "report", "int8", "export"]
    parser.add_argument("--stage", choices=stages, action="append")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for stage in arguments.stage or stages:
        Stage(arguments).run(stage)


class Stage:
    """One stage of the recipe in a work folder."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.work = arguments.work
        self.lists = [arguments.data / "labels.csv", arguments.data / "none.csv"]
        self.cache = ["--cache", str(arguments.cache)] if arguments.cache else []

    def run(self, name: str) -> None:
        if name == "final":
            self.train("final", [*self.data(), *RECIPE])
        elif name.startswith("fold"):
            fold = name.removeprefix("fold")
            self.train(name, [*self.data(), *RECIPE, "--fold", fold])
            self.test(name, fold)
        elif name == "report":
            self.report()
        elif name == "int8":
            self.int8()
        else:
            self.export()

    def path(self, name: str) -> str:
        return str(self.work / f"{name}.pth")

    def data(self, option: str = "--data") -> list[str]:
        return [word for path in self.lists for word in (option, str(path))]

    def train(self, name: str, options: list[str]) -> None:
        out = Path(self.path(name))
        if out.exists() and _information(out)["resumable_at"] is None:
            print(f"{name}: finished before", flush=True)
            return
        resume = ["--resume"] if out.exists() else []
        begun = time.monotonic()
        command(
            ["train", "--out", str(out), "--json", *options, *resume, *self.cache],
            self.work / f"{name}.jsonl",
        )
        (self.work / f"{name}.seconds").write_text(f"{time.monotonic() - begun:.0f}\n")

    def evaluate(self, name: str, fold: str, extra: tuple[str, ...] = (), suffix: str = "") -> None:
        target = self.work / f"{name}{suffix}.accuracy.jsonl"
        if not target.exists():
            options = ["--fold", fold, "--views", "6", "--json", *extra, *self.cache]
            command(["eval", self.path(name), *self.data(), *options], target)

    def test(self, name: str, fold: str) -> None:
        """Calibrate on the training folds and measure on the other, the configurations of `CANDIDATES`."""
        options = [*self.data("--calibration"), "--calibration-clips", CALIBRATION_CLIPS]
        self.evaluate(name, fold, (*options, *_configurations(CANDIDATES)))

    def report(self) -> None:
        """The table from the folds' figures, and the same rows without calibration beside it."""
        full = grid(pooled(self.work))
        front = with_ends(full)
        rows = _configurations([str(row.configuration) for row in front.rows])
        for fold in FOLDS:
            self.evaluate(f"fold{fold}", str(fold), ("--no-calibration", *rows), ".uncalibrated")
        write_report(self.work, full, front)

    def int8(self) -> None:
        """Each fold's bundle in both precisions, measured as it runs on the clips that the fold left out."""
        for fold in FOLDS:
            name, bundle = f"fold{fold}", self.work / f"fold{fold}.both"
            target = self.work / f"{name}.both.accuracy.jsonl"
            if not target.exists():
                self.export_to(name, bundle, "--fold", str(fold))
                options = ["--fold", str(fold), "--views", "6", "--json", *self.cache]
                command(["eval", str(bundle), *self.data(), *options], target)
        write_int8_report(pooled(self.work, ".both"))

    def export_to(self, name: str, out: Path, *extra: str) -> None:
        options = ["--table", str(RESULTS / "default_bundle_table.json"), "--precision", "both"]
        options += ["--calibration-clips", CALIBRATION_CLIPS, "--out", str(out), "--overwrite", *extra]
        command(["export", self.path(name), *self.data("--calibration"), *options, *self.cache], None)

    def export(self) -> None:
        """Into the work folder first; then its files replace those of the package."""
        new = self.work / "default_bundle"
        self.export_to("final", new)
        package = ROOT / "a3d_edge" / "bundles" / "interactions"
        for old in package.glob("*.*"):
            if old.suffix in {".json", ".onnx", ".bin"}:
                old.unlink()
        for file in new.iterdir():
            shutil.copyfile(file, package / file.name)
        command(["verify", str(package)], None)


def command(words: list[str], target: Path | None) -> None:
    """Run ``a3d-edge`` with these words, its output into a file by way of a temporary one."""
    print("a3d-edge", *words, flush=True)
    program = str(Path(sys.executable).parent / "a3d-edge")
    if target is None:
        subprocess.run([program, *words], check=True)
        return
    temporary = target.with_suffix(".part")
    with temporary.open("w") as file:
        subprocess.run([program, *words], check=True, stdout=file)
    temporary.replace(target)


def _configurations(names: list[str]) -> list[str]:
    return [word for name in names for word in ("--configuration", name)]


def _information(path: Path) -> dict[str, object]:
    program = str(Path(sys.executable).parent / "a3d-edge")
    done = subprocess.run([program, "info", str(path), "--json"], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


# --- report ---


def pooled(work: Path, suffix: str = "") -> Pooled:
    """configuration → class → [named correctly, all], over the four folds: every clip tested once."""
    found: Pooled = {}
    for fold in FOLDS:
        for line in (work / f"fold{fold}{suffix}.accuracy.jsonl").read_text().splitlines():
            row = json.loads(line)
            configuration = Configuration.parse(row["configuration"])
            classes = found.setdefault(configuration, {name: [0, 0] for name in CLASSES})
            for name, (right, total) in row["per_class"].items():
                classes[name][0] += right
                classes[name][1] += total
    return found


def accuracy(classes: dict[str, list[int]], names: tuple[str, ...] = ACTIONS) -> float:
    return sum(classes[name][0] for name in names) / sum(classes[name][1] for name in names)


def grid(calibrated: Pooled):
    """Every configuration with its pooled accuracy and its cost."""
    from a3d_edge.models.flops import count
    from a3d_edge.models.registry import describe
    from a3d_edge.table import ConfigurationBudgetTable, Row

    description, rows = describe("slow_small", len(CLASSES)), []
    for configuration, classes in calibrated.items():
        cost = count(description, configuration)
        measured = round(accuracy(classes), 6)
        rows.append(
            Row(
                configuration=configuration,
                accuracy=measured,
                gflops=cost.gflops,
                params_m=cost.params_m,
            )
        )
    clips = sum(next(iter(calibrated.values()))[name][1] for name in ACTIONS)
    measured_on = f"4-fold cross-validation on {clips} ut_interaction clips of six actions, seven classes"
    return ConfigurationBudgetTable(architecture="slow_small", measured_on=measured_on, rows=tuple(rows))


def write_report(work: Path, full, front) -> None:
    """Write the table, the figure and the numbers of the model card."""
    calibrated, plain = pooled(work), pooled(work, ".uncalibrated")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "default_bundle_grid.json").write_text(full.to_json())
    (RESULTS / "default_bundle_table.json").write_text(front.to_json())
    lines = markdown(work, full, front, calibrated, plain)
    (RESULTS / "default_bundle_numbers.md").write_text("\n".join(lines) + "\n")
    plot(full, front, {name: accuracy(classes) for name, classes in plain.items()})
    print("\n".join(lines))


def write_int8_report(measured: Pooled) -> None:
    """Add the int8 rows, with their own accuracy, to the table; both precisions side by side as a page."""
    from a3d_edge.table import ConfigurationBudgetTable, Row

    path = RESULTS / "default_bundle_table.json"
    table = ConfigurationBudgetTable.load(path)
    fp32 = [row for row in table.rows if row.precision == "fp32"]
    int8 = [
        Row(
            configuration=row.configuration.at("int8"),
            accuracy=round(accuracy(measured[row.configuration.at("int8")]), 6),
            gflops=row.gflops,
            streaming_gflops=row.streaming_gflops,
            params_m=row.params_m,
        )
        for row in fp32
    ]
    both = ConfigurationBudgetTable(
        architecture=table.architecture, measured_on=table.measured_on, rows=(*fp32, *int8)
    )
    path.write_text(both.to_json())
    here = describe_machine()
    lines = [
        "# int8 beside fp32, default bundle",
        "",
        "`python benchmarks/default_bundle.py --data ../shared/data/ut_interaction --work runs --stage",
        "int8`: each fold's network exported in both precisions, activation ranges from its training folds,",
        "and measured as the bundle runs (ONNX Runtime) on the clips that the fold left out; pooled.",
        f"{here['name']}; Python {here['python']}, onnxruntime {version('onnxruntime')}.",
        "",
        "| configuration | fp32, six actions | int8 | difference, points | fp32, none kept | int8 |",
        "|---|---|---|---|---|---|",
    ]
    for row in reversed(fp32):
        one, other = measured[row.configuration], measured[row.configuration.at("int8")]
        points = 100 * (accuracy(other) - accuracy(one))
        none = [f"{found['none'][0]}/{found['none'][1]}" for found in (one, other)]
        lines.append(
            f"| {row.configuration} | {accuracy(one):.1%} | {accuracy(other):.1%} | {points:+.1f} | "
            f"{none[0]} | {none[1]} |"
        )
    (RESULTS / "default_bundle_int8.md").write_text("\n".join([*lines, ""]))
    print("\n".join(lines))


def with_ends(full):
    """The Pareto front, and always the cheapest and the dearest configuration: the range that was trained."""
    front = {row.configuration: row for row in full.pareto().rows}
    ends = {row.configuration: row for row in (full.rows[0], full.rows[-1])}
    return full.with_rows(row for row in full.rows if row.configuration in front | ends)


def markdown(work, full, front, calibrated, plain) -> list[str]:
    largest = full.rows[-1].gflops
    seconds = {p.stem: int(p.read_text()) for p in sorted(work.glob("*.seconds"))}
    here = describe_machine()
    lines = [
        f"Machine: {here['name']}; Python {here['python']}, torch {version('torch')}.",
        "",
        "Command: `python benchmarks/default_bundle.py --data ../shared/data/ut_interaction --work runs`",
        "",
        f"Training seconds (machine shared with other work): {seconds}",
        "",
        "## The table: Pareto front, with the ends of the range",
        "",
        "| configuration | GFLOPs | budget | accuracy, calibrated | without calibration | none kept |",
        "|---|---|---|---|---|---|",
    ]
    for row in reversed(front.rows):
        lines.append(_line(row, largest, calibrated, plain))
    lines += ["", "## Every configuration that was measured", "", lines[8], lines[9]]
    for row in reversed(full.rows):
        lines.append(_line(row, largest, calibrated, plain))
    best = calibrated[front.rows[-1].configuration]
    lines += [
        "",
        f"Per class at {front.rows[-1].configuration}: "
        + ", ".join(f"{n} {r}/{t}" for n, (r, t) in best.items()),
    ]
    return lines


def _line(row, largest: float, calibrated, plain) -> str:
    name = row.configuration
    none_right, none_all = calibrated[name]["none"]
    return (
        f"| {name} | {row.gflops:.4f} | {row.gflops / largest:.3f} | {row.accuracy:.1%} | "
        f"{f'{accuracy(plain[name]):.1%}' if name in plain else '–'} | {none_right}/{none_all} |"
    )


def plot(full, front, plain: dict[str, float]) -> None:
    from a3d_edge.plots.curves import load_matplotlib

    load_matplotlib().use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), dpi=120)
    axes.scatter(
        [r.gflops for r in full.rows],
        [100 * r.accuracy for r in full.rows],
        s=10,
        c="#9db4c8",
        label="all that were measured",
    )
    axes.plot(
        [r.gflops for r in front.rows],
        [100 * r.accuracy for r in front.rows],
        "o-",
        c="#1f5f99",
        label="the bundle's table",
    )
    costs, bare = [r.gflops for r in front.rows], [100 * plain[r.configuration] for r in front.rows]
    axes.plot(costs, bare, "x:", c="#b04a3a", label="the same without calibration")
    axes.axhline(100 / len(CLASSES), c="0.6", lw=0.8, ls="--")
    axes.text(full.rows[-1].gflops, 100 / len(CLASSES) - 5, "chance", color="0.4", fontsize=8, ha="right")
    axes.set_xscale("log")
    axes.set_ylim(0, 100)
    axes.set_xlabel("GFLOPs of one window (multiply–accumulates, 1e9)")
    axes.set_ylabel("accuracy, 4-fold, six actions (%)")
    axes.legend(frameon=False, loc="upper left", ncols=3, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(RESULTS / "default_bundle.png")


if __name__ == "__main__":
    main()
