"""Whose box, live: two real people, a detector and the head of a bundle, paced at 30 frames a second.

    python benchmarks/people_live.py --bundle DIR --clips LIST.csv [--seconds 60] [--people hog]

`--bundle`: of the task boxes (docs/guides/people.md makes one). `--clips`: a list of clips of two people,
such as UT-Interaction's; they are shown one after the other, enlarged to 640×480 with their aspect kept, as
one film, which is played at its own pace by `a3d-edge run --realtime --json`. Each side is a process:

    detector         `--people hog`, or another source that is named
    boxes as a feed  the same boxes from a file of lines, made by that detector before: the head alone

Told: whether every frame is accounted for, and how many predictions took longer than a hop, in the first 15 s
and after them, when the controller has settled. Latencies are of detector and head together.
Others' load is told with them. Writes docs/results/people_live.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import psutil
from _film import write_video
from _options import parser_of
from numpy.typing import NDArray

from a3d_edge.bundle import Bundle
from a3d_edge.people.opening import open_people

WIDTH, HEIGHT, RATE = 640, 480, 30
SETTLED_S = 15.0
RESULTS = Path(__file__).parent.parent / "docs" / "results" / "people_live.md"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--people", default="hog")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    bundle = Bundle.load(given.bundle)
    with tempfile.TemporaryDirectory() as folder:
        film = write_video(Path(folder, "film.mp4"), pictures(given.clips, round(given.seconds * RATE)))
        boxes = feed(film, given.people, Path(folder, "boxes.jsonl"), bundle.sampling.stride)
        sides = {
            f"`--people {given.people}`": side(given, bundle, film, given.people),
            "the same boxes as a feed": side(given, bundle, film, str(boxes)),
        }
    given.out.write_text(page(given, bundle, sides), encoding="utf-8")
    print(given.out.read_text(encoding="utf-8"))


def pictures(clips: Path, frames: int) -> Iterator[NDArray[np.uint8]]:
    """The clips of 30 frames a second in the list's order, again and again, as large as they fit."""
    with clips.open(newline="", encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if float(row.get("fps") or RATE) == RATE and row["label"] != "point"
        ]
    shown = 0
    while True:
        for row in rows:
            capture = cv2.VideoCapture(str(clips.parent / row["path"]))
            while (read := capture.read())[0]:
                yield enlarged(read[1])
                shown += 1
                if shown == frames:
                    return
            capture.release()


def enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = min(WIDTH / width, HEIGHT / height)
    w, h = round(width * scale), round(height * scale)
    top, left = (HEIGHT - h) // 2, (WIDTH - w) // 2
    out = np.full((HEIGHT, WIDTH, 3), 114, np.uint8)
    out[top : top + h, left : left + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC)
    return out


def feed(film: Path, people: str, out: Path, every: int) -> Path:
    """What the detector finds in every so many frames, as lines."""
    detector: Any = open_people(people)
    capture, number = cv2.VideoCapture(str(film)), 0
    with out.open("w", encoding="utf-8") as file:
        while (read := capture.read())[0]:
            if number % every == 0:
                found = [{"box": one.box, "score": one.score} for one in detector.detect(read[1])]
                file.write(json.dumps({"time": number / RATE, "people": found}) + "\n")
            number += 1
    return out


def side(given: argparse.Namespace, bundle: Bundle, film: Path, people: str) -> dict[str, Any]:
    """One run, and what it told."""
    taken = psutil.cpu_percent(interval=3.0) / 100
    command = [
        sys.executable, "-m", "a3d_edge", "run", "--source", str(film), "--realtime", "--json",
        "--profile", "none", "--bundle", str(given.bundle), "--people", people,
        *(() if given.threads is None else ("--threads", str(given.threads))),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    predictions = [line for line in lines if line["event"] == "prediction"]
    summary = lines[-1]
    begun = predictions[0]["stream_time_s"]
    first = [one for one in predictions if one["stream_time_s"] - begun < SETTLED_S]
    late_part = predictions[len(first) :]
    hop_ms = 1000 * bundle.hop_s
    return {
        "taken_before": taken,
        "frames": summary["frames_captured"],
        "accounted": summary["frames_captured"] == summary["frames_used"] + sum(summary["dropped"].values()),
        "used": summary["frames_used"],
        "dropped": {name: count for name, count in summary["dropped"].items() if count},
        "skipped": summary["windows_skipped"],
        "predictions": len(predictions),
        "first": timed(first, hop_ms),
        "settled": timed(late_part, hop_ms),
        "detector_ms": summary["people"].get("detector_ms"),
        "people": Counter(len(one["people"]) for one in predictions),
        "tracks": len({person["id"] for one in predictions for person in one["people"]}),
        "switches": summary["switches"],
        "configurations": summary["configurations"],
        "limiting": Counter(one["limiting_signal"] for one in late_part),
    }


def timed(predictions: list[dict[str, Any]], hop_ms: float) -> dict[str, Any]:
    taken = sorted(one["latency_ms"] for one in predictions)
    return {
        "count": len(taken),
        "late": sum(one > hop_ms for one in taken),
        "p50": median(taken),
        "p95": taken[int(0.95 * (len(taken) - 1))],
        "age_p95": sorted(one["age_ms"] for one in predictions)[int(0.95 * (len(taken) - 1))],
    }


def page(given: argparse.Namespace, bundle: Bundle, sides: dict[str, Any]) -> str:
    """The results as they are kept."""
    cores = os.cpu_count()
    lines = [
        "# Whose box, live",
        "",
        f"`benchmarks/people_live.py`: a film of {given.seconds:.0f} s of real people, two at a time "
        f"(UT-Interaction, enlarged to {WIDTH}×{HEIGHT}), played at {RATE} frames a second on {cores} cores. "
        "The load of all others just before each run is in the table. Bundle: "
        f"{bundle.manifest.architecture}, {len(bundle.configurations)} configurations, task {bundle.task}, a "
        f"prediction every {1000 * bundle.hop_s:.0f} ms, which is the deadline; its labels are of drawn "
        "figures and mean nothing here.",
        "",
        "| | " + " | ".join(sides) + " |",
        "|---|" + "---|" * len(sides),
    ]
    rows = {
        "load of others before, of all cores": lambda one: f"{one['taken_before']:.0%}",
        "frames captured, used": lambda one: f"{one['frames']}, {one['used']}",
        "dropped, by reason": lambda one: ", ".join(
            f"{v} {k.replace('_', ' ')}" for k, v in one["dropped"].items()
        ),
        "every frame accounted for": lambda one: "yes" if one["accounted"] else "NO",
        "predictions, windows skipped": lambda one: f"{one['predictions']}, {one['skipped']}",
        f"first {SETTLED_S:.0f} s: later than a hop": lambda one: (
            f"{one['first']['late']} of {one['first']['count']}"
        ),
        "after them: later than a hop": lambda one: f"{one['settled']['late']} of {one['settled']['count']}",
        "detector and head, p50, p95 (ms)": lambda one: (
            f"{one['settled']['p50']:.0f}, {one['settled']['p95']:.0f}"
        ),
        "age of an answer, p95 (ms)": lambda one: f"{one['settled']['age_p95']:.0f}",
        "detector alone, p50, p95 (ms)": lambda one: _told(one["detector_ms"]),
        "switches": lambda one: str(one["switches"]),
        "people in a window: windows": lambda one: _counted(one["people"]),
        "tracks": lambda one: str(one["tracks"]),
        "limiting, after the first part": lambda one: _counted(one["limiting"]),
        "configurations": lambda one: _counted(one["configurations"]),
    }
    for name, tell in rows.items():
        lines.append(f"| {name} | " + " | ".join(tell(one) for one in sides.values()) + " |")
    return "\n".join(lines) + "\n"


def _told(taken: dict[str, float] | None) -> str:
    return "–" if taken is None else f"{taken['p50']:.0f}, {taken['p95']:.0f}"


def _counted(counts: Any) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    main()
