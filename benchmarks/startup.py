"""Start-up: `a3d-edge --help`, `import a3d_edge`, and the first prediction of a file; and what they import.

    python benchmarks/startup.py [--runs 7]

Medians of whole processes, in turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from _film import write_video
from _options import parser_of

from a3d_edge.demo.rendered import render_clip
from a3d_edge.profiling.turns import in_turns, timed_ms

HEAVY = ("torch", "onnx", "onnx_ir", "onnxscript", "matplotlib")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    program = str(Path(sys.executable).parent / "a3d-edge")
    with tempfile.TemporaryDirectory() as folder:
        clip = str(write_video(Path(folder) / "clip.mp4", render_clip("hug", 1)))
        commands = {
            "a3d-edge --help": [program, "--help"],
            "python -c 'import a3d_edge'": [sys.executable, "-c", "import a3d_edge"],
            "a3d-edge run --source FILE --max-predictions 1": [
                *(program, "run", "--source", clip, "--max-predictions", "1")
            ],
        }
        sides = {name: partial(timed_ms, partial(whole, words)) for name, words in commands.items()}
        for name, times in in_turns(sides, runs, warm_up=1).items():
            print(f"{name}: {statistics.median(times):.0f} ms")
        check = (
            "import sys, a3d_edge.cli as c; sys.argv = ['a3d-edge', 'run', '--source', %r]\n"
            "try: c.app(standalone_mode=False)\n"
            "finally: print('heavy imports:', [m for m in %r if m in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", check % (clip, HEAVY)], capture_output=True, text=True, check=True
        )
        print(done.stderr.splitlines()[-1])


def whole(words: list[str]) -> None:
    subprocess.run(words, check=True, capture_output=True)


if __name__ == "__main__":
    main()
