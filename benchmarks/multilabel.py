"""What a small network makes of many labels at once: people side by side, each of whom does one thing.

   python benchmarks/multilabel.py --work runs [--train 1200] [--test 300] [--epochs 20]

Draws clips of `a3d_edge.demo.crowd` from disjoint seeds, trains slow_small on them mutually (`--task
multilabel`), measures the candidates of its range on the test clips, and exports both ends of the table in
fp32 and int8, which are measured again as graphs. Resumable: lists and tables that are there are kept,
training goes on. Writes docs/results/multilabel.md.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from _options import parser_of

from a3d_edge.demo.rendered import CROWDED, SETS
from a3d_edge.device.machine import describe_machine
from a3d_edge.table import ConfigurationBudgetTable, Row
from a3d_edge.training.clips import Clip, crowd_clip

ROOT = Path(__file__).resolve().parents[1]
FIRST = {"train": 0, "test": 10_000_000}
"""First seed of each list; so far apart that they share none."""
CALIBRATION, VIEWS = 160, 2


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "runs")
    parser.add_argument("--train", type=int, default=1200)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    place = given.work / f"multilabel-{given.train}-{given.epochs}"
    place.mkdir(parents=True, exist_ok=True)
    lists = {
        name: listed(place, name, count) for name, count in (("train", given.train), ("test", given.test))
    }
    spent = trained(place, given.epochs)
    table = measured(place)
    ends = [table.rows[0].configuration, table.rows[-1].configuration]
    graphs = exported(place, [str(one) for one in ends])
    text = "\n".join(page(given.epochs, lists, table, graphs, spent)) + "\n"
    (ROOT / "docs" / "results" / "multilabel.md").write_text(text)
    print(text)


def listed(place: Path, name: str, count: int) -> list[Clip]:
    """The clips of a list, which is written."""
    clips = [crowd_clip(SETS[CROWDED], FIRST[name] + i) for i in range(count)]
    with (place / f"{name}.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        rows.writerows((clip.name, clip.label) for clip in clips)
    return clips


def trained(place: Path, epochs: int) -> float:
    """CPU-seconds of the training, over all runs that it took."""
    net, told = place / "net.pth", place / "train.json"
    spent = json.loads(told.read_text())["cpu_s"] if told.exists() else 0.0
    done = told.exists() and json.loads(told.read_text())["done"]
    if done:
        return float(spent)
    words = ["--resume"] if net.exists() else []
    begun = _children_s()
    try:
        command(
            "train", "--data", place / "train.csv", "--task", "multilabel", "--val", "0", "--input", "rgb",
            "--view", "whole", "--aspect", "1.5", "--epochs", epochs, "--seed", "0", "--out", net, "--cache",
            place / "frames", "--workers", "0", *words,
        )  # fmt: skip
        done = True
    finally:
        spent += _children_s() - begun
        told.write_text(json.dumps({"cpu_s": spent, "done": done}))
    return float(spent)


def measured(place: Path) -> ConfigurationBudgetTable:
    """Every candidate of the range on the test clips."""
    out = place / "table.json"
    if not out.exists():
        command(
            "table", "build", place / "net.pth", "--data", place / "test.csv", "--calibration",
            place / "train.csv", "--calibration-clips", CALIBRATION, "--cache", place / "frames", "--out",
            out, "--views", VIEWS, "--all-rows",
        )  # fmt: skip
    return ConfigurationBudgetTable.load(out)


def exported(place: Path, ends: Sequence[str]) -> ConfigurationBudgetTable:
    """The two ends as a bundle's graphs compute them, in both precisions."""
    out = place / "bundle"
    if not out.exists():
        named = [word for one in ends for word in ("--configuration", one)]
        command(
            "export", place / "net.pth", "--table", place / "table.json", *named, "--precision", "both",
            "--calibration", place / "train.csv", "--calibration-clips", CALIBRATION,
            "--validation", place / "test.csv", "--cache", place / "frames", "--out", out,
        )  # fmt: skip
    return ConfigurationBudgetTable.load(out / "table.json")


def page(
    epochs: int,
    lists: dict[str, list[Clip]],
    table: ConfigurationBudgetTable,
    graphs: ConfigurationBudgetTable,
    spent: float,
) -> Iterator[str]:
    """The result's lines."""
    train, test = lists["train"], lists["test"]
    sizes = Counter(len(clip.labels) for clip in test)
    share = sum(len(clip.labels) for clip in test) / len(test) / len(SETS[CROWDED])
    machine = describe_machine()
    yield "# Many labels at once, on drawn crowds"
    yield ""
    yield f"`python benchmarks/multilabel.py --train {len(train)} --test {len(test)} --epochs {epochs}`;"
    yield f"{machine['cpu']}, Python {sys.version.split()[0]}, torch {version('torch')}, scikit-learn"
    yield f"{version('scikit-learn')}. `slow_small` (96², 8 frames) from scratch, trained mutually by"
    yield f"`--task multilabel`: {spent:,.0f} CPU-seconds, one seed. Test clips of other seeds, two windows"
    yield "each, the highest score of any; calibrated on training clips."
    yield ""
    yield f"Of the {len(test)} test clips " + ", ".join(f"{n} show {k}" for k, n in sorted(sizes.items()))
    yield f"of the {len(SETS[CROWDED])} classes; scores drawn by chance would have a mean average precision"
    yield f"of about {share:.2f}, the share of clips that a class is true of."
    yield ""
    yield "| configuration | GFLOPs | mAP | calibration error | " + " | ".join(SETS[CROWDED]) + " |"
    yield "|" + "---|" * (4 + len(SETS[CROWDED]))
    for row in reversed(table.rows):
        yield _line(row)
    yield ""
    yield "The two ends as an exported bundle's graphs compute them:"
    yield ""
    yield "| configuration | GFLOPs | mAP | calibration error | " + " | ".join(SETS[CROWDED]) + " |"
    yield "|" + "---|" * (4 + len(SETS[CROWDED]))
    for row in reversed(graphs.rows):
        yield _line(row)


def _line(row: Row) -> str:
    by_class = row.average_precision or {}
    cells = " | ".join(f"{by_class[name]:.2f}" for name in SETS[CROWDED])
    error = "-" if row.calibration_error is None else f"{row.calibration_error:.3f}"
    return (
        f"| {row.configuration} | {row.gflops:.4f} | {row.mean_average_precision:.4f} | {error} | {cells} |"
    )


def command(*words: object) -> None:
    """Run a command of a3d-edge; end with it when it fails."""
    done = subprocess.run([sys.executable, "-m", "a3d_edge", *map(str, words)], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
