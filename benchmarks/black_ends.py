"""Can a clip's class be told from how it was cut, without a look at what is in it?

    python benchmarks/black_ends.py ../shared/data/tennis_strokes/labels.csv
        [--out docs/results/black_ends.md]

Editors leave black pictures at the ends of clips, with their mark or without, and where classes were cut by
different ones that names the class. What is known of a clip here is whether it ends in black, and whether
anything is to be seen there; a random forest learns from the other folds. Training and `eval` leave such
pictures out (`a3d_edge.training.blank`).
"""

from __future__ import annotations

import platform
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from _options import parser_of
from sklearn.ensemble import RandomForestClassifier

from a3d_edge.training.blank import BLANK
from a3d_edge.training.clips import list_clips
from a3d_edge.training.decode import DecodedClip, open_cache

MARK = 24  # grey levels between the darkest and the lightest place of a black picture


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("list", type=Path)
    parser.add_argument("--cache", default="8GB")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    clips, frames = list_clips([options.list]), open_cache(options.cache)
    cut = np.array([end_of(frames.get(clip)) for clip in clips])
    labels, folds = np.array([clip.label for clip in clips]), np.array([clip.fold for clip in clips])
    by_class = [(name, cut[labels == name]) for name in sorted(set(labels))]
    lines = [
        f"# What black ends tell: `{options.list.parent.name}`",
        "",
        f"`python benchmarks/black_ends.py {options.list.parent.name}/{options.list.name}`; "
        f"{len(clips)} clips, {len(set(folds))} folds; "
        f"Python {platform.python_version()}, scikit-learn {version('scikit-learn')}.",
        "",
        "| class | clips | end in black | with a mark in it |",
        "|---|---|---|---|",
        *(f"| {name} | {len(of)} | {of[:, 0].mean():.0%} | {of[:, 1].mean():.0%} |" for name, of in by_class),
        "",
        f"Named by these two alone, by the other folds' clips: {right(cut, labels, folds):.1%}. "
        f"The commonest class: {Counter(labels).most_common(1)[0][1] / len(labels):.1%}.",
    ]
    print("\n".join(lines))
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n")


def end_of(clip: DecodedClip) -> tuple[bool, bool]:
    """Whether a clip ends in black, and whether something is to be seen in that."""
    last = clip.frames[len(clip.takes) - 1].astype(np.float32)
    black = bool(clip.takes[-1] == BLANK)
    return black, black and float(np.ptp(cv2.GaussianBlur(last, (0, 0), 1.5))) > MARK


def right(known: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> float:
    """The share of clips that a forest of the other folds names."""
    found = np.zeros(len(labels), bool)
    for fold in sorted(set(folds)):
        others = folds != fold
        forest = RandomForestClassifier(300, random_state=0).fit(known[others], labels[others])
        found[~others] = forest.predict(known[~others]) == labels[~others]
    return float(found.mean())


if __name__ == "__main__":
    main()
