"""Slow R-50 with AVA's head, whole and narrower, against the tests' independent implementation.

    OMP_NUM_THREADS=1 python benchmarks/ava_head.py [--out docs/results/ava_head.md]    about a minute

Random weights of lively batch norms, two random clips, six boxes: all of the picture, one pixel in two of its
corners, one pixel wide from top to bottom, one at two borders, one within. The other implementation
(tests/reference_ava.py) is plain ``nn.Conv3d`` and RoIAlign in loops in double precision; a narrower network
of its is built with the first part of every tensor.
"""

from __future__ import annotations

import itertools
import platform
import sys
from pathlib import Path

import torch
from _options import parser_of

from a3d_edge.configuration import Configuration
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.foreign_names import their_names
from a3d_edge.models.registry import describe

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from reference_ava import for_ava, narrowed, scored, some_people
from reference_networks import Plan

CLASSES, WIDTHS, SIZES, FRAMES = 80, (1.0, 0.75), (224, 256), (8, 4, 2)
PAGE = """\
# Slow R-50 with AVA's head against an independent implementation

`python benchmarks/ava_head.py`: random weights, 80 classes, two clips, six boxes (all of the picture, one
pixel in two corners, one pixel wide, at two borders, within). *Difference*: the largest of any logit,
relative to the largest logit of the other implementation; wanted is at most 1e-4. *Spread*: the largest
deviation of a logit between the boxes of a configuration, relative to the same. Python {python},
torch {torch}, CPU, one thread.

| configuration | boxes | difference | spread |
|---|---|---|---|
"""


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, help="page to write")
    given = parser.parse_args()
    theirs = for_ava(Plan(classes=CLASSES))
    ours = describe("slow_r50", CLASSES).model_copy(update={"task": "boxes"}).build().eval()
    state, names = theirs.state_dict(), their_names(list(ours.state_dict()), "PySlowFast")
    ours.load_state_dict({name: state[other] for name, other in names.items()})
    page = PAGE.format(python=platform.python_version(), torch=torch.__version__)
    print(page, end="")
    for width, size, frames in itertools.product(WIDTHS, SIZES, FRAMES):
        other = theirs if width == 1.0 else narrowed(theirs, round(64 * width))
        clips = torch.randn(2, 3, frames, size, size, generator=torch.Generator().manual_seed(size + frames))
        boxes, owners = some_people(size)
        with torch.inference_mode():
            expected = scored(other, [clips], boxes, owners)
            got = ours(BoxedClips.of(clips, boxes, torch.tensor(owners)), Configuration(width, size, frames))
        largest = float(expected.abs().max())
        difference, spread = float((got - expected).abs().max()), float(expected.std(dim=0).max())
        row = f"| {Configuration(width, size, frames)} | {len(boxes)} | {difference / largest:.1e} | "
        row += f"{spread / largest:.2f} |\n"
        print(row, end="", flush=True)
        page += row
    if given.out is not None:
        given.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
