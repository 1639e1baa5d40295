"""What `fit` makes of a data set with folds, unasked; a fold is named by a bundle that never saw its groups.

   python benchmarks/own_data.py --data ../shared/data/surv_fight/labels.csv --work runs [--fold 0]

Fits the other folds' clips with the defaults and nothing else, and names the fold's clips with the bundle's
largest and smallest configuration, in fp32 and int8. Resumable: a fold that is finished is kept, one that is
not goes on. Writes docs/results/own_data_NAME.md of the folds that are there.
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
ENDS = ("largest", "smallest", "largest, int8", "smallest, int8")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=ROOT / "runs")
    parser.add_argument("--fold", type=int, action="append")
    given = parser.parse_args()
    name = given.data.resolve().parent.name
    with given.data.open(newline="") as file:
        rows = list(csv.DictReader(file))
    folds = sorted({int(row["fold"]) for row in rows})
    given.work.mkdir(parents=True, exist_ok=True)
    for fold in folds if given.fold is None else given.fold:
        measured(given.data, rows, given.work / f"{name}-{fold}", fold)
    lines = list(page(name, given.data, [given.work / f"{name}-{fold}.json" for fold in folds]))
    (ROOT / "docs" / "results" / f"own_data_{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def measured(data: Path, rows: list[dict[str, str]], place: Path, fold: int) -> None:
    """One fold, into ``PLACE.json``."""
    result = place.with_suffix(".json")
    if result.exists():
        return
    lists = {}
    for part in ("other", "held"):
        lists[part] = place.with_name(f"{place.name}-{part}.csv")
        with lists[part].open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "group"])
            for row in rows:
                if (int(row["fold"]) == fold) == (part == "held"):
                    writer.writerow([data.parent.resolve() / row["path"], row["label"], row["group"]])
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours("fit", str(lists["other"]), "--out", str(place))
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = ours("eval", str(place), "--data", str(lists["held"]), "--json").splitlines()
    found = {row["configuration"]: row["per_class"] for row in map(json.loads, lines)}
    costs = {row["configuration"]: row["gflops"] for row in table_of(place)}
    spent = ended.ru_utime - begun.ru_utime + ended.ru_stime - begun.ru_stime
    result.write_text(json.dumps({"scores": by_end(found, costs), "cpu_s": round(spent)}) + "\n")


def table_of(bundle: Path) -> list[dict]:
    return json.loads((bundle / "table.json").read_text())["rows"]


def by_end(found: dict[str, dict], costs: dict[str, float]) -> dict[str, list]:
    """(configuration, named right and there by class) of both ends; a fold may have another than the next."""
    ends = {}
    for suffix, precision in (("", "fp32"), (", int8", "int8")):
        names = [name for name in found if name.endswith("-int8") == (precision == "int8")]
        for end, pick in (("largest", max), ("smallest", min)):
            if names:
                name = pick(names, key=lambda name: costs[name])
                ends[end + suffix] = [name, found[name]]
    return ends


def ours(*words: str) -> str:
    program = str(Path(sys.executable).parent / "a3d-edge")
    return subprocess.run([program, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def page(name: str, data: Path, files: list[Path]):
    """The folds that are there, and all of them together."""
    found = {file.stem.rpartition("-")[2]: json.loads(file.read_text()) for file in files if file.exists()}
    machine = describe_machine()
    yield f"# `fit` on {name}, unasked"
    yield ""
    place = f"{data.resolve().parent.name}/{data.name}"
    where = f"{machine['name']}, Python {machine['python']}, torch {version('torch')}"
    yield f"`python benchmarks/own_data.py --data {place}`; {where}."
    yield f"{len(found)} of {len(files)} folds were run. Clips of a fold named right by the bundle that was"
    yield "fitted to the others, and the recall of each class. CPU-seconds are of the whole command."
    yield ""
    yield "| fold | " + " | ".join(ENDS) + " | CPU-seconds |"
    yield "|---|" + "---|" * len(ENDS) + "---|"
    for fold, one in found.items():
        cells = [
            f"{one['scores'][end][0]}: {shown([one['scores'][end][1]])}" if end in one["scores"] else "–"
            for end in ENDS
        ]
        yield f"| {fold} | " + " | ".join(cells) + f" | {one['cpu_s']} |"
    if len(found) > 1:
        of_end = [[one["scores"][end][1] for one in found.values() if end in one["scores"]] for end in ENDS]
        yield "| together | " + " | ".join(shown(parts) if parts else "–" for parts in of_end) + " | |"


def shown(parts: list[dict[str, list[int]]]) -> str:
    """Such as ``51/63, 81 % (fight 82 %, noFight 80 %)``."""
    classes = {
        name: [sum(part[name][i] for part in parts if name in part) for i in (0, 1)]
        for name in sorted({name for part in parts for name in part})
    }
    right, total = (sum(counts[i] for counts in classes.values()) for i in (0, 1))
    each = ", ".join(f"{name} {named / there:.0%}" for name, (named, there) in classes.items())
    return f"{right}/{total}, {right / total:.1%} ({each})"


if __name__ == "__main__":
    main()
