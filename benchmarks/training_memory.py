"""What memory training takes, of short clips and of long ones.

    python benchmarks/training_memory.py [--minutes 0.05 --minutes 3] [--out docs/results/training_memory.md]

Two films of each length, 320×240 at 30 fps, a square that moves before noise; each length is trained on in a
process of its own by the small recipe (20 steps of 2 clips), and a process that trains on nothing tells what
the libraries take. Peak of what is resident, of it what lies in files that are mapped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from _options import parser_of

from a3d_edge.device.machine import describe_machine

RATE, WIDTH, HEIGHT = 30, 320, 240
TRAINS = """
import sys, re, threading, json
from pathlib import Path
from a3d_edge.training import train
most = {"VmRSS": 0, "RssFile": 0}
ended = threading.Event()
def look():
    while not ended.wait(0.1):
        for name, value in re.findall(r"(VmRSS|RssFile):\\s+(\\d+)", Path("/proc/self/status").read_text()):
            most[name] = max(most[name], int(value))
looking = threading.Thread(target=look)
looking.start()
import torch, av, cv2
if len(sys.argv) > 1:
    place = Path(sys.argv[1])
    train([place / "clips.csv"], place / "net.pth", "small", changes={"val": 0.0, "epochs": 20, "batch": 2},
          cache=place / "frames", calibration_clips=2)
else:
    ended.wait(1.0)
ended.set()
looking.join()
print(json.dumps(most))
"""


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--minutes", type=float, action="append", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    here = describe_machine()
    lines = [
        "# What memory training takes",
        "",
        f"`python benchmarks/training_memory.py`; {here['name']}, Python {here['python']}, "
        f"torch {version('torch')}. `slow_small` by the small recipe, batches of 2, clips of 320×240 at "
        "30 fps; peak of the whole process.",
        "",
        "| each clip | resident | of it mapped files |",
        "|---|---|---|",
        told("no training, the libraries alone"),
    ]
    print(lines[-1], flush=True)
    for minutes in options.minutes or [0.05, 3.0]:
        with tempfile.TemporaryDirectory() as name:
            make_clips(Path(name), minutes)
            lines.append(told(f"{60 * minutes:g} s", name))
        print(lines[-1], flush=True)
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n")


def make_clips(place: Path, minutes: float) -> None:
    """Two films and a list of them."""
    for label in ("first", "second"):
        film(place / f"{label}.mp4", round(60 * minutes * RATE))
    (place / "clips.csv").write_text("path,label\nfirst.mp4,first\nsecond.mp4,second\n")


def film(path: Path, frames: int) -> None:
    import av

    rng = np.random.default_rng(0)
    wall = rng.integers(60, 120, (HEIGHT, WIDTH, 1), dtype=np.uint8).repeat(3, axis=2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            picture, left = wall.copy(), 3 * number % (WIDTH - 40)
            picture[80:160, left : left + 40] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


def told(what: str, *arguments: str) -> str:
    """A row: what a process of its own takes at most, in MB."""
    ended = subprocess.run(
        [sys.executable, "-c", TRAINS, *arguments], check=True, capture_output=True, text=True
    )
    most = json.loads(ended.stdout.splitlines()[-1])
    return f"| {what} | {most['VmRSS'] / 1024:.0f} MB | {most['RssFile'] / 1024:.0f} MB |"


if __name__ == "__main__":
    main()
