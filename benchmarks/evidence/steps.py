"""Measures what a training step takes: of A3D, and of each network alone that it is held against.

    python benchmarks/evidence/steps.py --work DIR [--rounds 12]

CPU-seconds of one thread, the batch's preparation and the optimizer included, in turns: a few steps of each
network, round after round, another one first each time, so that whatever else the machine does falls on all
of them alike. The few clips have all been read before. DIR is that of `run.py`, for the drawn clips. Writes
docs/results/evidence_steps.json, which `report.py` reads.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import torch
from _costs import gmacs_a_clip, network_of, settings_of
from _plan import COMPARED, SCALES, Run, at, plan, range_of
from testbed import clips_of, opened

from a3d_edge.configuration import Configuration
from a3d_edge.device.machine import describe_machine
from a3d_edge.files import write_atomically
from a3d_edge.models.ranges import find_range
from a3d_edge.training.batches import Batches
from a3d_edge.training.distillation import backward
from a3d_edge.training.loop import make_optimizer
from a3d_edge.training.settings import Settings, drawn
from a3d_edge.video.preprocess import Preprocessing

OUT = Path(__file__).resolve().parents[2] / "docs" / "results" / "evidence_steps.json"
EACH, CLIPS = 5, 80


@dataclass
class Subject:
    """A network that is trained, some steps at a time."""

    run: Run
    settings: Settings
    batches: Batches
    model: Any
    optimizer: torch.optim.Optimizer
    step: int = 0

    @classmethod
    def of(cls, run: Run, work: Path) -> Subject:
        network, settings = network_of(run, 12), settings_of(run, 1)
        clips = clips_of("train", CLIPS)
        side = network.size if settings.alone is None else Configuration.parse(settings.alone).size
        batches = Batches(
            clips, sorted({clip.label for clip in clips}), opened(work / "testbed" / "frames-train"), side,
            network.sampling, Preprocessing(), run.changes["batch"], 0, mirror=False,
        )  # fmt: skip
        model = network.build().train()
        model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        return cls(run, settings, batches, model, make_optimizer(model, settings))

    def some(self) -> tuple[float, float]:
        """CPU-seconds a step: of the batch's preparation, and of all."""
        network, prepared, begun = self.model.description, 0.0, time.process_time()
        within = find_range(range_of(self.run))
        for _ in range(EACH):
            asked = time.process_time()
            clips, labels = self.batches.make(*divmod(self.step, self.batches.per_epoch))
            prepared += time.process_time() - asked
            first, students = drawn(self.settings, within, network.size, network.frames, self.step, 10**6)
            self.optimizer.zero_grad(set_to_none=True)
            precision = self.run.changes["precision"]
            backward(self.model, clips, labels, students, 0.0, precision, first=first)
            self.optimizer.step()
            self.step += 1
        return prepared / EACH, (time.process_time() - begun) / EACH


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    scale = SCALES["full"]
    runs = {run.name: run for run in plan(scale)}
    names = ["testbed-a3d", *(f"testbed-alone-{at(one, scale.size, 8)}" for one in COMPARED)]
    subjects = {name: Subject.of(runs[f"{name}-s0"], given.work) for name in names}
    for subject in subjects.values():
        subject.some()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for place in range(given.rounds):
        turn = place % len(names)
        for name in names[turn:] + names[:turn]:
            found[name].append(subjects[name].some())
    rows = {
        name: {
            "prepared_ms": round(1000 * mean(one for one, _ in each), 2),
            "step_ms": round(1000 * mean(one for _, one in each), 2),
            "gmacs_a_clip": round(gmacs_a_clip(subjects[name].run), 5),
        }
        for name, each in found.items()
    }
    content = {"machine": describe_machine()["name"], "steps": given.rounds * EACH, "rows": rows}
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(OUT, lambda temporary: _write(temporary, text))
    print(text, end="")


def _write(path: Path, text: str) -> None:
    path.write_text(text)


if __name__ == "__main__":
    main()
