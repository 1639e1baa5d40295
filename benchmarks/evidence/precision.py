"""What training in bfloat16 does to accuracy, against float32, on this processor: on the drawn testbed.

    python benchmarks/evidence/precision.py --work runs [--epochs 8] [--seeds 3]

Trains `slow_small` mutually, as the evidence does, in both precisions from the same seeds; tests both ends of
the range on the same clips. Differences are paired over clips and seeds, beside how much seeds differ.
Writes docs/results/precision_accuracy.md. What is finished is kept in WORK.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import stdev

import numpy as np
from _paired import Values, difference
from _plan import COMPARED, TESTBED, at
from testbed import clips_of, draw

from a3d_edge.configuration import Configuration
from a3d_edge.device.machine import describe_machine, processor
from a3d_edge.training import Measuring, evaluate, train
from a3d_edge.training.precision import BF16_INSTRUCTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "precision_accuracy.md"
TRAIN, TEST, SIZE = 2000, 2000, 32
PRECISIONS = ("fp32", "bf16")
ENDS = {end: at(COMPARED[place], SIZE, 8) for end, place in (("largest", 0), ("smallest", -1))}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    found = {
        name: [right(given.work, name, seed, given.epochs) for seed in range(given.seeds)]
        for name in PRECISIONS
    }
    lines = list(page(found, given.epochs))
    PAGE.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def right(work: Path, precision: str, seed: int, epochs: int) -> dict[str, list[int]]:
    """By end of the range: 1 for each test clip that a training names."""
    out = work / f"precision-{precision}-{epochs}-s{seed}.pth"
    if (kept := out.with_suffix(".json")).exists():
        return json.loads(kept.read_text())  # type: ignore[no-any-return]
    clips, tested = clips_of("train", TRAIN), clips_of("test", TEST)
    caches = work / "testbed" / "frames-train", work / "testbed" / "frames-test"
    draw(clips, caches[0], 1)
    draw(tested, caches[1], 1)
    changes = {**TESTBED, "arch": "slow_small", "size": SIZE, "epochs": epochs, "seed": seed}
    train(
        clips, out, "small", changes={**changes, "precision": precision}, calibration_clips=0,
        cache=caches[0], overwrite=True,
    )  # fmt: skip
    how = Measuring(calibration=clips, calibration_clips=256, views=1, protocol="runtime", cache=caches[1])
    measured = evaluate(out, tested, how, configurations=[Configuration.parse(c) for c in ENDS.values()])
    assert measured is not None  # no torchrun
    scores = {str(c): one for c, one in measured.scores.items()}
    each = {end: (scores[c].summed.argmax(axis=1) == scores[c].truth) for end, c in ENDS.items()}
    kept.write_text(json.dumps({end: one.astype(int).tolist() for end, one in each.items()}))
    return right(work, precision, seed, epochs)


def page(found: dict[str, list[dict[str, list[int]]]], epochs: int) -> Iterator[str]:
    here, there = describe_machine(), sorted(BF16_INSTRUCTIONS & set(processor().split()))
    seeds = len(found[PRECISIONS[0]])
    yield "# Accuracy of training in bfloat16"
    yield ""
    yield f"`python benchmarks/evidence/precision.py --work runs`; {here['name']}"
    yield f"({', '.join(there) or 'no bfloat16'}), Python {here['python']}, torch {version('torch')}."
    yield f"`slow_small` at {SIZE}², mutual, {TRAIN} drawn clips, {epochs} epochs, {seeds} seeds; {TEST} test"
    yield "clips of other seeds. Accuracy by seed; the difference is paired, with an interval of 95 %"
    yield "(bootstrap over clips and seeds); the last column is the standard deviation of float32's seeds."
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
