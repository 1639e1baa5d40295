"""A bundle for boxes, every configuration and precision, on both engines, beside PyTorch on real clips.

    OMP_NUM_THREADS=1 python benchmarks/people_parity.py CLIP … [--arch slow_small] [--table NAME | --grid]
                                                         [--out FILE.md]

Random weights and lively batch norms, calibrated on the clips; written as a bundle in fp32 and int8 by
``write_bundle``, which proves it on boxes of its own. Then each configuration is opened anew in ONNX Runtime
and in OpenVINO and asked about other people in the clips: random boxes and boxes that wander from window to
window, at borders and of a pixel, none in the first window and 64 in the second.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import torch
from _networks import alive, calibrate_by_size
from _options import parser_of
from a3d_edge.exporters.parity import TOLERANCE, compared, network_logits
from a3d_edge.exporters.people import with_moving_boxes
from a3d_edge.exporters.write_bundle import in_precisions, unmeasured_table, write_bundle

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.device.machine import processor_name
from a3d_edge.engine.engines import find_engine
from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.engine.session import open_network
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.table import find_table
from a3d_edge.training.clips import Clip
from a3d_edge.training.inputs import unlabelled_set

ENGINES = ("ort:CPU", "openvino:CPU")
PRECISIONS = ("fp32", "int8")
CLASSES = tuple(f"action {n}" for n in range(60))
Columns = dict[tuple[str, str], tuple[float, bool]]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("clips", nargs="+", type=Path, help="video files: a window of each")
    parser.add_argument("--arch", default="slow_small")
    parser.add_argument("--table", help="the configurations of a shipped table")
    parser.add_argument("--grid", action="store_true", help="the whole range's (default: its candidates)")
    parser.add_argument("--out", type=Path, help="page to write; another architecture's is added to it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = measured(given, Path(folder))
    print(text, end="")
    if given.out is not None:
        before = given.out.read_text(encoding="utf-8") if given.out.exists() else HEAD
        given.out.write_text(f"{before.split(f'## {given.arch}')[0]}{text}", encoding="utf-8")


HEAD = """\
# Bundles for boxes: every configuration on both engines, on real clips

`benchmarks/people_parity.py`: a network of random weights for 60 classes, exported, and each configuration of
the bundle beside PyTorch on windows of real clips, asked about random boxes and boxes that wander, at borders
and of a pixel; none in the first window, 64 in the second. *Error*: the largest of a logit, relative; in fp32
to the largest of its box, in int8 to the largest of all (`exporters/parity.py`, which allows 1e-3 and 0.5).

"""


def measured(given: argparse.Namespace, work: Path) -> str:
    """The part of the page on an architecture."""
    checkpoint = Checkpoint(alive(given.arch, len(CLASSES), task="boxes"), CLASSES, range_name="0.016")
    if given.table:
        fp32 = list(find_table(given.table).configurations)
    else:
        fp32 = list(checkpoint.grid() if given.grid else checkpoint.candidates())
    some = [Clip("", path) for path in given.clips]
    windows = replace(unlabelled_set(checkpoint, some, work / "frames", 1), batch_size=len(some))
    begun = time.monotonic()

    def wandering(size: int) -> BoxedClips:
        return with_moving_boxes(next(iter(windows.at_size(size)))[1])

    clips = calibrate_by_size(checkpoint.model, fp32, wandering)
    table = in_precisions(unmeasured_table(checkpoint, fp32), PRECISIONS)
    bundle = write_bundle(checkpoint, table, clips, work / "bundle", told)
    rows, boxes = [], 0
    for done, configuration in enumerate(sorted(fp32), start=1):
        others = other_people(clips[configuration.size])
        boxes = len(others.boxes.by_pathway[0])
        rows.append((configuration, columns(checkpoint, bundle, configuration, others)))
        told("engines", done, len(fp32))
    return part(given, rows, len(windows.clips), boxes, time.monotonic() - begun)


def told(step: str, done: int, total: int) -> None:
    print(step, done, total, file=sys.stderr, flush=True)


def other_people(clips: BoxedClips) -> BoxedClips:
    """The same windows with boxes that the export was not proved on."""
    wandering = with_moving_boxes(clips.clips, seed=1)
    assert wandering.boxes.owners is not None
    first = clips.clips if isinstance(clips.clips, torch.Tensor) else clips.clips[0]
    side, rng = first.shape[-1], np.random.default_rng(2)
    boxes, owners = [], []
    for number in range(1, len(first)):
        mine = wandering.boxes.by_pathway[0][wandering.boxes.owners == number]
        count = MOST_PEOPLE - len(mine) if number == 1 else 4
        corners = np.sort(rng.uniform(0, side, (count, 2, 2)), axis=1).reshape(count, 4)
        boxes += [mine, torch.from_numpy(corners.astype(np.float32))]
        owners += [number] * (len(mine) + count)
    return BoxedClips.of(clips.clips, torch.cat(boxes), torch.tensor(owners))


def columns(
    checkpoint: Checkpoint, bundle: Bundle, configuration: Configuration, clips: BoxedClips
) -> Columns:
    """(error, whether every box has the same answer) by engine and precision."""
    with torch.inference_mode():
        expected = checkpoint.model(clips, configuration).numpy()
    found: Columns = {}
    for precision in PRECISIONS:
        wanted = configuration.at(precision)
        for engine in ENGINES:
            network = open_network(bundle.files_of(wanted), engine=find_engine(engine))
            got = network_logits(network, checkpoint.model, clips)
            parity = compared(got, expected, wanted, "boxes", len(clips.clips))
            found[precision, engine] = parity.relative_error, parity.same_top1
    return found


def part(
    given: argparse.Namespace,
    rows: Sequence[tuple[Configuration, Columns]],
    windows: int,
    boxes: int,
    seconds: float,
) -> str:
    which = f" --table {given.table}" if given.table else " --grid" if given.grid else ""
    names = [f"{engine.partition(':')[0]} {precision}" for precision in PRECISIONS for engine in ENGINES]
    lines = [
        f"## {given.arch}",
        "",
        f"`--arch {given.arch}{which}`: {len(rows)} configurations in both precisions, {windows} windows, "
        f"{boxes} boxes; {processor_name()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"onnxruntime {onnxruntime.__version__}, openvino {openvino.__version__.partition('-')[0]}; "
        f"{seconds:.0f} s.",
        "",
        f"| configuration | {' | '.join(names)} |",
        f"|---{'|---' * len(names)}|",
    ]  # fmt: skip
    worst = dict.fromkeys(((p, e) for p in PRECISIONS for e in ENGINES), 0.0)
    for configuration, found in rows:
        worst = {key: max(value, found[key][0]) for key, value in worst.items()}
        lines.append(f"| {configuration} | {' | '.join(f'{found[key][0]:.1e}' for key in worst)} |")
    lines.append(f"| **largest** | {' | '.join(f'**{value:.1e}**' for value in worst.values())} |")
    others = sum(not same for _, found in rows for _, same in found.values())
    beyond = sum(not value <= TOLERANCE[precision] for (precision, _), value in worst.items())
    beyond += sum(not math.isfinite(value) for value in worst.values())
    lines += ["", f"Beyond what is allowed: {beyond}. Another answer of a box: {others}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
