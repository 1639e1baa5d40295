"""Frame mAP of files beside ActivityNet's own script: three random sets, by both.

    python benchmarks/frame_map_official.py --official FOLDER [--out docs/results/frame_map.md]

FOLDER: ``Evaluation`` of github.com/activitynet/ActivityNet, with ``get_ava_performance.py`` and ``ava/``,
which is run as it is, in a process of its own (with the names that NumPy has dropped since). The sets have
what such programs differ at: equal scores, the same box twice, overlaps of exactly a half, boxes at the
borders and of no extent, more than 50 detections of a frame, frames without any, classes that are nowhere
true, never found, or not in the label map, excluded seconds, seconds without leading zeros.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _options import parser_of

from a3d_edge.training.frame_map_files import frame_map_of_files

SEEDS = (1, 2, 3)
CLASSES = {number: f"action {number}" for number in range(1, 41) if number % 5}
NOWHERE_TRUE, NEVER_FOUND = (3, 4), (6, 7)
VIDEOS, SECONDS, CROWDED = 6, 40, 10
DRIVER = """
import runpy, sys
import numpy as np
for name, value in {"float": float, "bool": bool, "int": int, "NAN": float("nan")}.items():
    if not hasattr(np, name):
        setattr(np, name, value)
folder = sys.argv.pop(1)
sys.path[:0] = [folder, folder + "/ava"]
runpy.run_path(folder + "/get_ava_performance.py", run_name="__main__")
"""
TOLD = re.compile(
    r"'PascalBoxes_(?:PerformanceByCategory/AP|(Precision/mAP))@0\.5IOU(?:/([^']*))?':\s*([^,}]+)"
)

PAGE = """\
# Frame mAP beside ActivityNet's own script

`python benchmarks/frame_map_official.py --official FOLDER`: `frame_map_of_files` (rules `official`) and
ActivityNet's `get_ava_performance.py` on the same random files. They have equal scores, the same box twice,
overlaps of exactly a half, boxes at the borders and without extent, frames with more than 50 detections and
without any, classes that are nowhere true or never found, actions that the label map lacks, and excluded
seconds. *Largest difference*: of the mean and of every class that is true somewhere. By the rules
`pyslowfast` such files, whose detections stand in any order, have another mean
([people in boxes](../guides/people.md)).

The folder that this page was made with: {origin}.

| seed | true rows | found | classes | not true | official mAP | ours | largest difference | `pyslowfast` |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Files:
    """What both are given, and how many rows each has."""

    truth: Path
    found: Path
    label_map: Path
    exclusions: Path
    rows: tuple[int, int]


def drawn(seed: int, folder: Path) -> Files:
    """A random set."""
    rng = np.random.default_rng(seed)
    true: list[str] = []
    found: list[str] = []
    for video in range(VIDEOS):
        for second in range(900, 900 + SECONDS):
            people = [_box(rng) for _ in range(rng.integers(0, 4))]
            acts = [rng.choice(41, rng.integers(1, 4), replace=False).tolist() for _ in people]
            crowded = (second - 900) % CROWDED == 0
            key = f"video_{video},{second if second % 2 else f'{second:04d}'}"
            for person, box in enumerate(people):
                true += [
                    f"{key},{_cells(box)},{action},{person}"
                    for action in acts[person]
                    if action and action not in NOWHERE_TRUE
                ]
            for _ in range(rng.integers(60, 120) if crowded else rng.integers(0, 25)):
                whose = int(rng.integers(len(people))) if people and rng.random() < 0.8 else None
                box = _box(rng) if whose is None else _near(people[whose], rng)
                right = whose is not None and rng.random() < 0.7
                action = int(rng.choice(acts[whose])) if right else int(rng.integers(1, 41))
                if action and action not in NEVER_FOUND:
                    row = f"{key},{_cells(box)},{action},{rng.integers(6 * right, 21) / 20:g}"
                    found += [row] * (2 if rng.random() < 0.05 else 1)
    named = {"truth.csv": true, "found.csv": [found[n] for n in rng.permutation(len(found))]}
    excluded = [f"video_{v},{s:04d}" for v in range(VIDEOS) for s in rng.choice(range(900, 940), 3, False)]
    named["excluded.csv"] = excluded
    named["map.pbtxt"] = [f'item {{\n  name: "{name}"\n  id: {n}\n}}' for n, name in CLASSES.items()]
    for name, lines in named.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    paths = (folder / name for name in ("truth.csv", "found.csv", "map.pbtxt", "excluded.csv"))
    return Files(*paths, (len(true), len(found)))


def _box(rng: np.random.Generator) -> tuple[float, ...]:
    """On a grid, so that overlaps are often exactly a half; some at the borders."""
    x1, y1 = rng.integers(0, 12, 2) / 16
    x2, y2 = x1 + rng.integers(1, 5) / 16, y1 + rng.integers(1, 5) / 16
    return (0.0, y1, x2, 1.0) if rng.random() < 0.2 else (x1, y1, x2, y2)


def _near(box: tuple[float, ...], rng: np.random.Generator) -> tuple[float, ...]:
    """The box of somebody, as it is, half of it, twice as wide, of no extent, or moved."""
    x1, y1, x2, y2 = box
    forms = [
        (x1, y1, x2, y2), (x1, y1, (x1 + x2) / 2, y2), (x1, y1, 2 * x2 - x1, y2), (x1, y1, x1, y2),
        tuple(np.array([x1, y1, x2, y2]) + rng.normal(0, 0.02, 4)),
    ]  # fmt: skip
    return forms[rng.choice(5, p=(0.2, 0.2, 0.15, 0.05, 0.4))]


def _cells(box: tuple[float, ...]) -> str:
    return ",".join(repr(float(value)) for value in box)


def official(folder: Path, files: Files) -> Mapping[str, float]:
    """What ActivityNet's script prints: by class name, and the mean by the empty one."""
    given = ["-l", files.label_map, "-g", files.truth, "-d", files.found, "-e", files.exclusions]
    command = [sys.executable, "-O", "-c", DRIVER, folder, *given]
    done = subprocess.run([str(cell) for cell in command], capture_output=True, text=True, check=False)
    told = {
        name: float(value.strip().removeprefix("np.float64(").rstrip(")"))
        for _, name, value in TOLD.findall(done.stdout)
    }
    if done.returncode or "" not in told:
        sys.exit(f"{folder}: get_ava_performance.py did not tell a mean: {done.stderr[-800:]}")
    return told


def compared(folder: Path, seed: int) -> str:
    """A row of the page; ends the program where one has classes that the other has not."""
    with tempfile.TemporaryDirectory() as work:
        files = drawn(seed, Path(work))
        theirs = official(folder, files)
        ours = frame_map_of_files(files.truth, files.found, files.label_map, files.exclusions)
        other = frame_map_of_files(
            files.truth, files.found, files.label_map, files.exclusions, rules="pyslowfast"
        )
    named = {CLASSES[number]: value for number, value in ours.by_class.items()}
    empty = {name for name, value in theirs.items() if math.isnan(value)}
    if set(named) != set(theirs) - {""} - empty or empty != set(CLASSES.values()) - set(named):
        sys.exit(f"seed {seed}: {sorted(set(named) ^ (set(theirs) - empty))} are told by one alone")
    worst = max(abs(theirs[name] - value) for name, value in {**named, "": ours.mean}.items())
    means = f"{theirs['']:.6f} | {ours.mean:.6f} | {worst:.1e} | {other.mean:.6f}"
    rows = " | ".join(f"{count:,}" for count in files.rows)
    return f"| {seed} | {rows} | {len(named)} | {len(empty)} | {means} |"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--official", type=Path, required=True, help="folder of get_ava_performance.py")
    parser.add_argument("--origin", default="not said", help="where that is from, for the page")
    parser.add_argument("--out", type=Path, help="page to write")
    given = parser.parse_args()
    if not (given.official / "get_ava_performance.py").is_file():
        sys.exit(f"{given.official}: has no get_ava_performance.py; name ActivityNet's folder Evaluation")
    rows = (compared(given.official.resolve(), seed) for seed in SEEDS)
    page = PAGE.format(origin=given.origin) + "".join(f"{row}\n" for row in rows)
    print(page, end="")
    if given.out is not None:
        given.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
