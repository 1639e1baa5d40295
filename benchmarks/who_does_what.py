"""Who of four does what: a head for boxes trained mutually on drawn people, and measured by frame mAP.

    OMP_NUM_THREADS=1 nice -n 10 python benchmarks/who_does_what.py --work DIR    about 25 minutes

Every picture has four people side by side who each do one of five things, or nothing; boxes and labels are
known exactly (`a3d_edge.demo.crowd.four_acts`). Trained on 640 clips, measured on 160 others: with the true
boxes, and with boxes moved by a tenth of their sides in a drawn direction, with which a detection counts.
The run goes on where it was stopped. Writes docs/results/who_does_what.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from a3d_edge.configuration import Configuration
from a3d_edge.models.checkpoint import Checkpoint, load
from a3d_edge.training import train
from a3d_edge.training.clips import Clip, people_clip
from a3d_edge.training.inputs import window_set
from a3d_edge.training.lists.person import Box, Person
from a3d_edge.training.people import people_in
from a3d_edge.training.people_evaluation import people_scores
from a3d_edge.training.watch import ends_of

RECIPE: dict[str, Any] = {
    "task": "boxes", "arch": "slow_small", "size": 112, "input_kind": "rgb", "aspect": 1.5, "view": "whole",
    "draw": "anywhere", "mutual": True, "students_from": 0.2, "lr": 2e-3, "val": 0.0, "smoothing": 0.0,
    "label_share": 0.0, "switchable": False,
}  # fmt: skip
TRAINED, MEASURED, FIRST_MEASURED = 640, 160, 500_000
SHIFT = 0.1
RESULTS = Path(__file__).parent.parent / "docs" / "results" / "who_does_what.md"


def main() -> None:
    """Train, or go on; measure; write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, required=True, help="folder of the checkpoint and decoded frames"
    )
    parser.add_argument("--range", default="0.016", dest="range_name")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    checkpoint, seconds = trained(given.work, given.range_name, given.epochs)
    held_out = [people_clip(FIRST_MEASURED + n) for n in range(MEASURED)]
    largest, smallest = ends_of(checkpoint)
    wanted = list(dict.fromkeys([checkpoint.grid()[0], largest, *checkpoint.candidates(), smallest]))
    plain = measured(checkpoint, held_out, wanted, given.work)
    shifted = measured(checkpoint, [moved(clip, n) for n, clip in enumerate(held_out)], wanted, given.work)
    given.out.write_text(page(checkpoint, plain, shifted, seconds, given.epochs), encoding="utf-8")
    print(given.out.read_text(encoding="utf-8"))


def trained(work: Path, range_name: str, epochs: int) -> tuple[Checkpoint, float]:
    """The network, trained if need be, and the seconds that took."""
    out, note = work / "who.pth", work / "seconds.json"
    before = json.loads(note.read_text()) if note.exists() else 0.0
    if out.exists() and load(out).resume is None:
        return load(out), before
    begun = time.monotonic()
    clips = [people_clip(n) for n in range(TRAINED)]
    try:
        train(
            clips, out, "small", changes={**RECIPE, "range_name": range_name, "epochs": epochs},
            resume=out.exists(), cache=work / "frames", note=print,
            on_step=lambda step: print(step.step, step.steps, step.losses, flush=True),
        )  # fmt: skip
    finally:
        note.write_text(json.dumps(before + time.monotonic() - begun))
    return load(out), json.loads(note.read_text())


def moved(clip: Clip, number: int) -> Clip:
    """The same, asked about with boxes moved by a tenth of their sides in a direction of their own."""
    rng = np.random.default_rng([number, 5])

    def away(person: Person) -> Person:
        x1, y1, x2, y2 = person.box
        angle = rng.uniform(0, 2 * np.pi)
        across, down = SHIFT * (x2 - x1) * np.cos(angle), SHIFT * (y2 - y1) * np.sin(angle)
        box: Box = (x1 + across, y1 + down, x2 + across, y2 + down)
        return replace(person, box=box)

    return replace(clip, proposals=tuple(away(person) for person in people_in(clip)))


def measured(
    checkpoint: Checkpoint, clips: Sequence[Clip], wanted: Sequence[Configuration], work: Path
) -> dict[Configuration, tuple[float, dict[str, float]]]:
    """mAP and the average precision of every class, by configuration."""
    windows = window_set(checkpoint, clips, work / "frames", 1)
    found = people_scores(checkpoint.model, wanted, windows, checkpoint.classes)
    rows = {}
    for configuration, scores in found.items():
        of = scores.measured(checkpoint.classes)
        names = {checkpoint.classes[number - 1]: value for number, value in of.by_class.items()}
        rows[configuration] = of.mean, names
    return rows


def page(checkpoint: Checkpoint, plain: Any, shifted: Any, seconds: float, epochs: int) -> str:
    """The results as they are kept."""
    classes = checkpoint.classes
    lines = [
        "# Who of four does what",
        "",
        f"`benchmarks/who_does_what.py`: slow_small, range {checkpoint.range_name}, {epochs} epochs of "
        f"{TRAINED} drawn clips, {seconds / 60:.0f} minutes of one thread; measured on {MEASURED} others, "
        f"{4 * MEASURED} people. Each does one of {', '.join(classes)}, or nothing.",
        "",
        "Frame mAP at an overlap of 0.5 (`a3d_edge.training.frame_map`), with the true boxes, and with boxes "
        "moved by 10 % of their sides in any direction. One seed.",
        "",
        f"| configuration | true boxes | moved boxes | lost | {' | '.join(classes)} |",
        "|---|---|---|---|" + "---|" * len(classes),
    ]
    for configuration, (value, names) in plain.items():
        other = shifted[configuration][0]
        each = " | ".join(f"{names.get(name, float('nan')):.3f}" for name in classes)
        lines.append(f"| {configuration} | {value:.3f} | {other:.3f} | {value - other:+.3f} | {each} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
