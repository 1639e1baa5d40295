"""Pre-trained by A3D against plainly, then fine-tuned plainly on drawn tasks like those of Tables 3 and 4.

    OMP_NUM_THREADS=1 python benchmarks/pretraining.py --pretrained DIR --work DIR [--seeds 0,1,2]

PRETRAINED holds what `evidence/run.py` trained on the drawn testbed: `testbed-a3d-sN.pth`, and
`testbed-alone-w1.00-s32-t8-sN.pth` at the full configuration, as many steps of the same recipe each. From
either, and from nothing, a network learns to tell who of a crowd does what: many labels a clip, and people
in boxes. The full network alone is fine-tuned and measured, as in the paper. Resumable; writes
docs/results/pretraining.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from _options import parser_of
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration
from a3d_edge.demo.rendered import CROWDED, SETS
from a3d_edge.device.machine import describe_machine
from a3d_edge.files import write_atomically
from a3d_edge.models.checkpoint import load, save
from a3d_edge.training import Measuring, evaluate, train
from a3d_edge.training.average_precision import average_precisions
from a3d_edge.training.calibrate import calibrate
from a3d_edge.training.clips import Clip, crowd_clip, people_clip
from a3d_edge.training.inputs import window_set
from a3d_edge.training.people import people_in, sets_of
from a3d_edge.training.people_evaluation import people_scores

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "pretraining.md"
WAYS = ("a3d", "plain", "nothing")
TASKS = ("multilabel", "boxes")
PRETRAINED = {"a3d": "testbed-a3d-s{}.pth", "plain": "testbed-alone-w1.00-s32-t8-s{}.pth"}
TRAINED, MEASURED, FIRST_MEASURED = 480, 240, 10_000_000
SIZE, EPOCHS, ASPECT = 64, 8, 1.5
RESAMPLES = 1000
RECIPE: dict[str, Any] = {
    "arch": "slow_small", "size": SIZE, "input_kind": "rgb", "aspect": ASPECT, "view": "whole",
    "draw": "anywhere", "mutual": False, "val": 0.0, "smoothing": 0.0, "balanced": False, "epochs": EPOCHS,
    "lr": 1e-3, "awake": False,
}  # fmt: skip


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--pretrained", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    seeds = [int(seed) for seed in given.seeds.split(",")]
    for seed in seeds:
        for task in TASKS:
            for way in WAYS:
                made(task, way, seed, given.pretrained, given.work)
    lines = list(page(given.work, seeds))
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def made(task: str, way: str, seed: int, pretrained: Path, work: Path) -> None:
    """Fine-tuned and measured into ``TASK-WAY-sSEED.npz``, if that is not there."""
    kept = kept_at(work, task, way, seed)
    if kept.exists():
        return
    out, begun = work / f"{task}-{way}-s{seed}.pth", time.monotonic()
    make = people_clip if task == "boxes" else lambda number: crowd_clip(SETS[CROWDED], number)
    clips = [make(number) for number in range(TRAINED)]
    awake = {"awake": True, "lr": 2e-3} if way == "nothing" else {}
    train(
        clips, out, "small", changes={**RECIPE, **awake, "task": task, "seed": seed}, overwrite=True,
        init=None if way == "nothing" else begun_with(way, seed, pretrained, work), calibration_clips=0,
        cache=work / f"frames-{task}", note=print,
    )  # fmt: skip
    scores, truth = measured(task, out, [make(FIRST_MEASURED + n) for n in range(MEASURED)], clips, work)
    print(f"{task} {way} {seed}: {mean(scores, truth):.3f}, {time.monotonic() - begun:.0f} s", flush=True)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, scores=scores, truth=truth)

    write_atomically(kept, write)


def kept_at(work: Path, task: str, way: str, seed: int) -> Path:
    """Where scores ``(clips, people, classes)`` and what is true are kept."""
    return work / f"{task}-{way}-s{seed}.npz"


def begun_with(way: str, seed: int, pretrained: Path, work: Path) -> Path:
    """The pre-trained network, told to look at pictures of the crowd's shape."""
    checkpoint = load(pretrained / PRETRAINED[way].format(seed))
    checkpoint.preprocessing = replace(checkpoint.preprocessing, aspect=ASPECT)
    out = work / f"begin-{way}-s{seed}.pth"
    save(checkpoint, out)
    return out


def measured(
    task: str, out: Path, clips: Sequence[Clip], training: Sequence[Clip], work: Path
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores ``(clips, people, classes)`` of the full network, and what is true; of a crowd as one."""
    checkpoint = load(out)
    full = Configuration(1.0, SIZE, checkpoint.description.frames)
    cache = work / f"frames-{task}"
    if task == "multilabel":
        how = Measuring(
            views=1, protocol="runtime", calibration=list(training), calibration_clips=128, cache=cache
        )
        found = evaluate(out, list(clips), how, configurations=[full])
        assert found is not None  # no torchrun
        scores = found.scores[full]
        return scores.summed[:, None], scores.truth[:, None].astype(bool)
    calibrate(checkpoint.model, [full], window_set(checkpoint, training[:128], cache, 1))
    people = people_scores(
        checkpoint.model, [full], window_set(checkpoint, clips, cache, 1), checkpoint.classes
    )
    values = np.stack([people[full].scores[str(n)] for n in range(len(clips))]).astype(np.float64)
    return values, np.stack([sets_of(people_in(clip), checkpoint.classes) for clip in clips]).astype(bool)


def mean(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Mean average precision over all people of all clips."""
    flat = scores.reshape(-1, scores.shape[-1]), truth.reshape(-1, truth.shape[-1])
    return float(np.mean(list(average_precisions(*flat).values())))


def page(work: Path, seeds: Sequence[int]) -> Iterator[str]:
    """The result's lines."""
    words = ",".join(map(str, seeds))
    yield "# Pre-trained by A3D or plainly, then fine-tuned on two drawn tasks"
    yield ""
    yield f"`python benchmarks/pretraining.py --pretrained runs --work runs --seeds {words}`;"
    yield f"{describe_machine()['name']}, Python {sys.version.split()[0]}, torch {version('torch')}."
    yield "`slow_small`, pre-trained on the drawn testbed (12 classes, 32², `evidence/run.py --scale long`,"
    yield f"as many steps either way), then fine-tuned plainly at {SIZE}² on {TRAINED} drawn crowds,"
    yield f"{EPOCHS} epochs of the whole network alone; measured on {MEASURED} others of other seeds. Mean"
    yield "average precision of the full network; of `boxes` over people, each in the true box. Differences"
    yield "in points, with intervals of 95 %: bootstrap over seeds and clips, paired."
    yield ""
    yield "| task | " + " | ".join(WAYS) + " | A3D − plain | A3D − nothing |"
    yield "|---|" + "---|" * (len(WAYS) + 2)
    for task in TASKS:
        found = {way: [read(work, task, way, seed) for seed in seeds] for way in WAYS}
        values = " | ".join(f"{np.mean([mean(*one) for one in found[way]]):.3f}" for way in WAYS)
        against = " | ".join(interval(found["a3d"], found[other]) for other in WAYS[1:])
        yield f"| {task} | {values} | {against} |"


Found = tuple[NDArray[np.float64], NDArray[np.bool_]]


def read(work: Path, task: str, way: str, seed: int) -> Found:
    with np.load(kept_at(work, task, way, seed)) as file:
        return file["scores"], file["truth"]


def interval(ours: Sequence[Found], theirs: Sequence[Found]) -> str:
    """In points: how much higher ours are, and the interval of resampled seeds and clips."""
    rng, clips = np.random.default_rng(0), len(ours[0][0])
    differences = []
    for resample in range(RESAMPLES):
        chosen = rng.integers(clips, size=clips) if resample else np.arange(clips)
        seeds = rng.integers(len(ours), size=len(ours)) if resample else range(len(ours))
        pairs = [
            mean(*(part[chosen] for part in ours[s])) - mean(*(part[chosen] for part in theirs[s]))
            for s in seeds
        ]
        differences.append(np.mean(pairs))
    low, high = np.quantile(differences[1:], (0.025, 0.975))
    return f"{100 * differences[0]:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


if __name__ == "__main__":
    main()
