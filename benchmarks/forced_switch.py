"""Switch the configuration before every window of a 1,000-frame file, and hold it against pinned runs.

    python benchmarks/forced_switch.py [--bundle DIR|NAME] [--frames 1000]

Prints frames captured, windows against those of a pinned run, switches, and the largest difference of any
score from the pinned run of the same configuration on the same frames.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path

from _film import scenes, write_video
from _options import parser_of

from a3d_edge.bundle import Bundle
from a3d_edge.cli import app


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--bundle")
    parser.add_argument("--frames", type=int, default=1000)
    arguments = parser.parse_args()
    bundle = Bundle.default() if arguments.bundle is None else Bundle.find(arguments.bundle)
    with tempfile.TemporaryDirectory() as folder:
        clip = str(write_video(Path(folder) / "clip.mp4", islice(scenes(100), arguments.frames)))
        pinned = {}
        for name in (str(c) for c in bundle.configurations):
            predictions, _ = run(bundle, clip, "--budget", name)
            pinned[name] = {p["window_start_s"]: scores(p) for p in predictions}
        predictions, summary = run(bundle, clip, "--switch-every", "1")
    starts = [p["window_start_s"] for p in predictions]
    largest = pinned[str(bundle.configurations[-1])]
    worst = max(
        abs(score - pinned[p["configuration"]][p["window_start_s"]][label])
        for p in predictions
        for label, score in scores(p).items()
    )
    ran = Counter(p["configuration"] for p in predictions)
    dropped, missing = summary["dropped"], sorted(set(largest) - set(starts))
    print(f"frames: {arguments.frames} written, {summary['frames_captured']} captured, {dropped}")
    print(f"windows: {len(starts)}, of a run pinned to the largest {len(largest)}; missing: {missing}")
    print(f"in order, none twice: {starts == sorted(set(starts))}")
    print(f"switches: {summary['switches']}; windows by configuration: {dict(ran)}")
    print(f"largest difference from the pinned run of the same configuration: {worst:.1e}")


def run(bundle: Bundle, clip: str, *options: str) -> tuple[list[dict], dict]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        app(
            ["run", "--bundle", str(bundle.path), "--source", clip, "--json", *options], standalone_mode=False
        )
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    return [e for e in events if e["event"] == "prediction"], events[-1]


def scores(prediction: dict) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in prediction["top"]}


if __name__ == "__main__":
    main()
