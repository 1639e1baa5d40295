"""Does a network name the action, or the shape of the clip? Feed it what has no action in it.

    python benchmarks/shortcuts.py --data ../shared/data/ut_interaction --work runs [--cache DIR]

On the held-out clips of every fold: the clip as it is; one still frame of it (its middle, held);
a grey rectangle of its shape and length. Writes docs/results/shortcuts.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _options import parser_of

from a3d_edge.configuration import Configuration
from a3d_edge.models.checkpoint import load
from a3d_edge.training.calibrate import calibrate
from a3d_edge.training.clips import list_clips, split_fold, spread
from a3d_edge.training.decode import DecodedClip, FrameCache
from a3d_edge.training.evaluation import WindowSet, evaluate
from a3d_edge.video.sampler import Sampling

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("clip", "still frame", "grey rectangle")


class Altered(FrameCache):
    """A frame cache whose clips have lost their action."""

    kind = "clip"

    def get(self, clip):
        decoded = super().get(clip)
        if self.kind == "clip":
            return decoded
        picture = decoded.frames[len(decoded.frames) // 2]
        picture = picture if self.kind == "still frame" else np.full_like(picture, 115)
        return DecodedClip(np.broadcast_to(picture, decoded.frames.shape), decoded.times)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=ROOT / "runs")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "cache")
    arguments = parser.parse_args()
    clips = list_clips([arguments.data / "labels.csv"])
    everything = list_clips([arguments.data / "labels.csv", arguments.data / "none.csv"])
    right = {kind: [0, 0] for kind in KINDS}
    for fold in range(4):
        checkpoint = load(arguments.work / f"fold{fold}.pth")
        largest = checkpoint.grid()[0]
        smallest = Configuration(0.5, min(c.size for c in checkpoint.grid()), 2)
        d = checkpoint.description
        cache = Altered(arguments.cache)
        sampling, held_out = Sampling(d.frames, d.stride), split_fold(clips, fold)[1]
        windows = WindowSet(held_out, cache, sampling, checkpoint.preprocessing, 3)
        train, _ = split_fold(everything, fold)
        some = WindowSet(
            spread(train, 80), FrameCache(arguments.cache), sampling, checkpoint.preprocessing, 1
        )
        calibrate(checkpoint.model, [largest, smallest], some)
        for kind in KINDS:
            cache.kind = kind
            scores = evaluate(checkpoint.model, [largest, smallest], windows, checkpoint.classes)
            for place, configuration in enumerate((largest, smallest)):
                right[kind][place] += int(
                    (scores[configuration].summed.argmax(1) == scores[configuration].truth).sum()
                )
    lines = [
        "# Shortcuts: accuracy without any action",
        "",
        "Command: `python benchmarks/shortcuts.py --data ../shared/data/ut_interaction --work runs`",
        "",
        f"| held-out clips of six actions ({len(clips)}) | {largest} | {smallest} |",
        "|---|---|---|",
        *(f"| {kind} | {a}/{len(clips)} ({a / len(clips):.0%}) | {b}/{len(clips)} ({b / len(clips):.0%}) |"
          for kind, (a, b) in right.items()),
    ]  # fmt: skip
    (ROOT / "docs" / "results" / "shortcuts.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
