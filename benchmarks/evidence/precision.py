"""What training in bfloat16 does to accuracy, against float32, on this processor: on the drawn testbed.

    python benchmarks/evidence/precision.py --work runs [--epochs 8] [--seeds 3]

Trains `slow_small` mutually, as the evidence does, in both precisions from the same seeds; tests both ends of
the range on the same clips. Differences are paired over clips and seeds, beside how much seeds differ.
Writes docs/results/precision_accuracy.md. What is finished is kept in WORK.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import stdev

import numpy as np
from _logs import unpacked
from _paired import Values, difference
from _plan import COMPARED, SCALES, TESTBED, Run, Source, at
from numpy.typing import NDArray
from run import Curve, Place, clips_for, tested, trained_network

from a3d_edge.device.machine import describe_machine, processor
from a3d_edge.training.precision import BF16_INSTRUCTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "precision_accuracy.md"
SCALE = replace(SCALES["long"], validate=0, test=2000)
PRECISIONS = ("fp32", "bf16")
ENDS = {end: at(COMPARED[place], SCALE.size, 8) for end, place in (("largest", 0), ("smallest", -1))}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    place = Place(given.work, given.work, given.work, SCALE, workers=0)
    found = {
        name: [right(place, name, seed, given.epochs) for seed in range(given.seeds)] for name in PRECISIONS
    }
    lines = list(page(found, given.epochs))
    PAGE.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def right(place: Place, precision: str, seed: int, epochs: int) -> dict[str, NDArray[np.bool_]]:
    """By end of the range: which test clips a training names."""
    told = {"arch": "slow_small", "size": SCALE.size, "epochs": epochs, "seed": seed, "precision": precision}
    name, changes = f"precision-{precision}-{epochs}-s{seed}", {**TESTBED, **told}
    run = Run(name, "", Source("testbed"), changes, tuple(ENDS.values()), (SCALE.calibration,))
    out, clips = place.work / f"{name}.pth", clips_for(run, place)
    trained_network(run, place, clips, changes, out, Curve(out.with_suffix(".steps.jsonl")))
    found = tested(run.configurations, clips.test, SCALE.calibration, clips, out)
    return {end: unpacked(found[c]) > 0 for end, c in ENDS.items()}


def page(found: dict[str, list[dict[str, NDArray[np.bool_]]]], epochs: int) -> Iterator[str]:
    here, there = describe_machine(), sorted(BF16_INSTRUCTIONS & set(processor().split()))
    seeds = len(found[PRECISIONS[0]])
    yield "# Accuracy of training in bfloat16"
    yield ""
    yield f"`python benchmarks/evidence/precision.py --work runs`; {here['name']}"
    yield f"({', '.join(there) or 'no bfloat16'}), Python {here['python']}, torch {version('torch')}."
    yield f"`slow_small` at {SCALE.size}², mutual, {SCALE.train} drawn clips, {epochs} epochs, {seeds}"
    yield f"seeds; {SCALE.test} test clips of other seeds. Accuracy by seed; the difference is paired,"
    yield "with an interval of 95 % (bootstrap over clips and seeds); the last column is the standard"
    yield "deviation of float32's seeds."
    yield ""
    yield "| configuration | fp32 | bf16 | bf16 − fp32, points | spread of seeds, points |"
    yield "|---|---|---|---|---|"
    for end, name in ENDS.items():
        values: dict[str, Values] = {
            precision: np.array([one[end] for one in runs], np.float64) for precision, runs in found.items()
        }
        shares = {
            precision: " ".join(f"{100 * each:.1f}" for each in rows.mean(axis=1))
            for precision, rows in values.items()
        }
        spread = 100 * stdev(values["fp32"].mean(axis=1)) if seeds > 1 else float("nan")
        apart = difference(values["bf16"], values["fp32"])
        yield f"| {name} ({end}) | {shares['fp32']} | {shares['bf16']} | {apart} | {spread:.1f} |"


if __name__ == "__main__":
    main()
