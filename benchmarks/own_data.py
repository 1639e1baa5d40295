"""What `train` makes of a data set with folds, unasked; each is named by a network that never saw its groups.

    python benchmarks/own_data.py --data ../shared/data/surv_fight/labels.csv --work runs [--fold 0]

Trains on the other folds with the default recipe and nothing else (`--val 0`: all of them), calibrates on 80
training clips, and names the fold's clips at both ends of the range and at the network's own size. Resumable:
a fold that is finished is kept. Writes docs/results/own_data_NAME.md of the folds that are there.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from _options import parser_of

from a3d_edge.device.machine import describe_machine

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ("w1.00-s110-t8", "w1.00-s96-t8", "w0.50-s55-t2")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=ROOT / "runs")
    parser.add_argument("--fold", type=int, action="append")
    parser.add_argument("--cache")
    given = parser.parse_args()
    name = given.data.resolve().parent.name
    with given.data.open(newline="") as file:
        folds = sorted({int(row["fold"]) for row in csv.DictReader(file)})
    given.work.mkdir(parents=True, exist_ok=True)
    for fold in given.fold or folds:
        measured(given.data, given.work / f"{name}-{fold}", fold, given.cache)
    lines = list(page(name, given.data, [given.work / f"{name}-{fold}.json" for fold in folds]))
    (ROOT / "docs" / "results" / f"own_data_{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def measured(data: Path, place: Path, fold: int, cache: str | None) -> None:
    """One fold, into ``PLACE.json``."""
    result = place.with_suffix(".json")
    if result.exists():
        return
    checkpoint = place.with_suffix(".pth")
    common = ["--data", str(data), "--fold", str(fold), *(["--cache", cache] if cache else [])]
    going_on = ["--resume"] if checkpoint.exists() else []
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours("train", *common, "--val", "0", "--out", str(checkpoint), "--calibration-clips", "80", *going_on)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    wanted = [word for one in SHOWN for word in ("--configuration", one)]
    calibrated = ["--calibration", str(data), "--calibration-clips", "80"]
    lines = ours("eval", str(checkpoint), *common, *calibrated, *wanted, "--json").splitlines()
    scores = {row["configuration"]: row["per_class"] for row in map(json.loads, lines)}
    spent = ended.ru_utime - begun.ru_utime + ended.ru_stime - begun.ru_stime
    result.write_text(json.dumps({"scores": scores, "cpu_s": round(spent)}) + "\n")


def ours(*words: str) -> str:
    program = str(Path(sys.executable).parent / "a3d-edge")
    return subprocess.run([program, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def page(name: str, data: Path, files: list[Path]):
    """The folds that are there, and all of them together."""
    found = {file.stem.rpartition("-")[2]: json.loads(file.read_text()) for file in files if file.exists()}
    machine = describe_machine()
    yield f"# `train` on {name}, unasked"
    yield ""
    place = f"{data.resolve().parent.name}/{data.name}"
    where = f"{machine['name']}, Python {machine['python']}, torch {version('torch')}"
    yield f"`python benchmarks/own_data.py --data {place}`; {where}."
    yield f"{len(found)} of {len(files)} folds were run. Clips named right, and the recall of each class."
    yield ""
    yield "| fold | " + " | ".join(SHOWN) + " | CPU-seconds of training |"
    yield "|---|" + "---|" * len(SHOWN) + "---|"
    for fold, one in found.items():
        yield f"| {fold} | " + " | ".join(shown([one["scores"][c]]) for c in SHOWN) + f" | {one['cpu_s']} |"
    if len(found) > 1:
        cells = (shown([one["scores"][c] for one in found.values()]) for c in SHOWN)
        yield "| together | " + " | ".join(cells) + " | |"


def shown(parts: list[dict[str, list[int]]]) -> str:
    """Such as ``51/63, 81 % (fight 82 %, noFight 80 %)``."""
    classes = {
        name: [sum(part[name][i] for part in parts if name in part) for i in (0, 1)] for name in parts[0]
    }
    right, total = (sum(counts[i] for counts in classes.values()) for i in (0, 1))
    each = ", ".join(f"{name} {named / there:.0%}" for name, (named, there) in classes.items())
    return f"{right}/{total}, {right / total:.1%} ({each})"


if __name__ == "__main__":
    main()
