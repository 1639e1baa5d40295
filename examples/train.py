"""Train, measure and choose, in Python: clips to a checkpoint and its table. Needs a3d-edge[train].

python train.py CLIPS CHECKPOINT [epochs]

CLIPS is a list of labelled clips (CSV) whose column ``fold`` says which of them are held out (1), or a folder
with one folder a class. Ctrl-C saves; the same again goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from a3d_edge.training import Measuring, Recipe, build_table, clips_of, train


def main(place: str, checkpoint: str, epochs: str = "196") -> None:
    clips = clips_of([place])
    folds = any(clip.fold is not None for clip in clips)
    kept = clips_of(clips, 1) if folds else clips
    held_out = clips_of(clips, 1, held_out=True) if folds else clips
    recipe = Recipe(arch="slow_small", epochs=int(epochs), batch=4, lr=0.02, val=0.0)
    train(kept, checkpoint, recipe, resume=Path(checkpoint).exists(), report=show)
    table = build_table(checkpoint, held_out, Measuring(views=1), report=show)
    for row in table.pareto().rows if table else ():
        print(f"{row.configuration}: accuracy {row.accuracy:.2f}, {row.gflops:.3f} GFLOPs")


def show(what: str, done: int, total: int) -> None:
    print(f"\r{what}: {done} of {total}", end="" if done < total else "\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
