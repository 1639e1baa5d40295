"""What a small network makes of many labels at once: people side by side, each of whom does one thing.

   python benchmarks/multilabel.py --work runs [--train 1200] [--test 300] [--epochs 30]

Draws clips of `a3d_edge.demo.crowd` from disjoint seeds, trains slow_small on them mutually (`--task
multilabel`) and measures both ends of its range on the test clips. Resumable: what is measured is kept,
training goes on. Writes docs/results/multilabel.md.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from _options import parser_of

from a3d_edge.demo.rendered import CROWDED, SETS
from a3d_edge.device.machine import describe_machine
from a3d_edge.models.checkpoint import load
from a3d_edge.training.clips import Clip, crowd_clip
from a3d_edge.training.watch import ends_of

ROOT = Path(__file__).resolve().parents[1]
FIRST = {"train": 0, "test": 10_000_000}
"""First seed of each list; so far apart that they share none."""
VIEWS = 2


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "runs")
    parser.add_argument("--train", type=int, default=1200)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    place = given.work / f"multilabel-{given.train}-{given.epochs}"
    place.mkdir(parents=True, exist_ok=True)
    lists = {
        name: listed(place, name, count) for name, count in (("train", given.train), ("test", given.test))
    }
    spent = trained(place, given.epochs)
    found = measured(place, given.test)
    text = "\n".join(page(given.epochs, lists, found, spent)) + "\n"
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
    before = json.loads(told.read_text()) if told.exists() else {"cpu_s": 0.0, "done": False}
    if before["done"]:
        return float(before["cpu_s"])
    begun, done = _children_s(), False
    try:
        command(
            "train", "--data", place / "train.csv", "--task", "multilabel", "--val", "0", "--input", "rgb",
            "--view", "whole", "--aspect", "1.5", "--epochs", epochs, "--seed", "0", "--out", net, "--cache",
            place / "frames", "--workers", "0", *(["--resume"] if net.exists() else []),
        )  # fmt: skip
        done = True
    finally:
        spent = before["cpu_s"] + _children_s() - begun
        told.write_text(json.dumps({"cpu_s": spent, "done": done}))
    return float(spent)


def measured(place: Path, clips: int) -> list[dict[str, Any]]:
    """What ``eval`` says of the largest configuration that is trained, and of the smallest."""
    out = place / f"eval-{clips}.jsonl"
    if not out.exists():
        ends = [word for end in ends_of(load(place / "net.pth")) for word in ("--configuration", end)]
        said = command(
            "eval", place / "net.pth", "--data", place / "test.csv", "--cache", place / "frames", "--views",
            VIEWS, "--json", *ends,
        )  # fmt: skip
        out.write_text(said)
    return [json.loads(line) for line in out.read_text().splitlines()]


def page(
    epochs: int, lists: dict[str, list[Clip]], found: list[dict[str, Any]], spent: float
) -> Iterator[str]:
    """The result's lines."""
    train, test, names = lists["train"], lists["test"], SETS[CROWDED]
    sizes = Counter(len(clip.labels) for clip in test)
    share = sum(len(clip.labels) for clip in test) / len(test) / len(names)
    yield "# Many labels at once, on drawn crowds"
    yield ""
    yield f"`python benchmarks/multilabel.py --train {len(train)} --test {len(test)} --epochs {epochs}`;"
    yield f"{describe_machine()['cpu']}, Python {sys.version.split()[0]}, torch {version('torch')},"
    yield f"scikit-learn {version('scikit-learn')}. `slow_small` (96², 8 frames) from scratch, trained"
    yield f"mutually by `--task multilabel`: {spent:,.0f} CPU-seconds, calibration included; one seed. Test"
    yield f"clips of other seeds, {VIEWS} windows each, of which the highest score of a class counts."
    yield ""
    yield f"Of the {len(test)} test clips " + ", ".join(f"{n} show {k}" for k, n in sorted(sizes.items()))
    yield f"of the {len(names)} classes. Scores drawn by chance would have a mean average precision of about"
    yield f"{share:.2f}, the share of clips that a class is true of."
    yield ""
    yield "| configuration | mAP | " + " | ".join(names) + " |"
    yield "|" + "---|" * (2 + len(names))
    for row in found:
        cells = " | ".join(f"{row['average_precision'][name]:.2f}" for name in names)
        yield f"| {row['configuration']} | {row['mean_average_precision']:.4f} | {cells} |"


def command(*words: object) -> str:
    """What a command of a3d-edge says on stdout; ends with it when it fails."""
    line = [sys.executable, "-m", "a3d_edge", *map(str, words)]
    done = subprocess.run(line, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
