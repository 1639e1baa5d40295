"""Kills exports, fits and trainings by SIGKILL at random moments, and looks at what they leave.

After every kill: what was there before is as it was or wholly replaced, nothing that is there is half a thing
(each bundle is verified and opened, each checkpoint loaded), and at the end the same command goes on and
finishes. The networks are tiny, of three candidates, and the clips drawn squares; the code is that of the
command line, in a forked process that has loaded its libraries already.

    python benchmarks/kills.py --rounds 50
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from _options import parser_of

from a3d_edge.bundle import Bundle
from a3d_edge.cli import main as command_line
from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.checkpoint import load
from a3d_edge.models.ranges import candidates
from a3d_edge.models.registry import ARCHITECTURES
from a3d_edge.models.slow import SlowDescription

CLASSES = ("right", "down", "still")
TINY = SlowDescription(name="slow_small", blocks=(1, 1, 1, 1), base_width=8, size=32, frames=4, stride=2)
LEFT_OVER = (".tmp", ".old")
"""How the names of what a killed process was writing end: nobody reads those."""


@dataclass
class Work:
    """A command that is killed, what it writes, and how to see that this is whole.

    ``words``: of the first start, and of one that finds something of a start before. ``once``: when it has
    finished there is nothing left to do, so that it begins anew.
    """

    name: str
    words: Callable[[bool], list[str]]
    out: Path
    whole: Callable[[Path], None]
    once: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)

    def begin_anew(self) -> None:
        if self.once:
            shutil.rmtree(self.out.parent)
            self.out.parent.mkdir()


def clip_list(folder: Path) -> Path:
    """Squares that move right, down, or not: nine clips of each."""
    rows = ["path,label,group"]
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
        for scene in range(9):
            path = folder / label / f"{scene}.mp4"
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (48, 40))
            for number in range(24):
                image = np.full((40, 48, 3), 40 + 12 * scene, np.uint8)
                left = 4 + (number if label == "right" else 2 * scene)
                top = 4 + (number if label == "down" else 2 * scene)
                image[top : top + 10, left : left + 10] = (60, 140, 230)
                writer.write(image)
            writer.release()
            rows.append(f"{label}/{scene}.mp4,{label},scene{scene}")
    (folder / "clips.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder / "clips.csv"


def forked(words: list[str], log: Path) -> int:
    """The command line in a child of ours; its process id."""
    child = os.fork()
    if child:
        return child
    with log.open("w") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    sys.argv = ["a3d-edge", *words]
    ARCHITECTURES[TINY.name] = TINY
    candidates.__defaults__ = (3,)  # how many stand for the range: its ends, and what it was trained at
    code = 1
    try:
        command_line()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)


def finished(words: list[str], log: Path) -> float:
    """Run to its end; the seconds. Raises `SystemExit` with what it said when it fails."""
    begun = time.monotonic()
    _, status = os.waitpid(forked(words, log), 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(words)}: {log.read_text()[-2000:]}")
    return time.monotonic() - begun


def killed(words: list[str], log: Path, after_s: float) -> bool:
    """Kill it after so many seconds; False when it had finished before."""
    child = forked(words, log)
    time.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def state(out: Path) -> str:
    """What is at a place: a sum over names and contents."""
    if not out.exists():
        return "nothing"
    files = sorted(path for path in (out.rglob("*") if out.is_dir() else [out]) if path.is_file())
    sums = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def whole_bundle(path: Path) -> None:
    """Every file by its sum, and the ends of its table opened, which prove themselves by the probe."""
    bundle = Bundle.load(path)
    for configuration in (bundle.configurations[0], bundle.configurations[-1]):
        bundle.open(configuration)


def whole_checkpoint(path: Path) -> None:
    load(path)


def left_over(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.name.startswith(".") and path.name.endswith(LEFT_OVER))


def one_round(work: Work, log: Path, seconds: float, rng: random.Random) -> None:
    """Kill it once and look. Raises `SystemExit` where something is not as it has to be."""
    before = state(work.out)
    was_killed = killed(work.words(before != "nothing"), log, rng.uniform(0.0, seconds))
    after = state(work.out)
    if after != "nothing":
        try:
            work.whole(work.out)
        except A3DEdgeError as error:
            raise SystemExit(f"{work.name}: what a kill left is accepted as {work.out}: {error}") from error
    elif before != "nothing":
        raise SystemExit(f"{work.name}: what was there before is gone")
    kind = "as before" if after == before else "replaced, whole"
    work.outcomes["finished before the kill" if not was_killed else kind] += 1
    if not was_killed:
        work.begin_anew()
    for path in left_over(work.out.parent):
        work.outcomes["left-over names"] += 1
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def works(place: Path, clips: Path, net: Path) -> list[Work]:
    """The three kinds of work, each in a folder of its own."""
    for name in ("export", "train", "fit"):
        (place / name).mkdir()
    few = ["--calibration-clips", "3"]

    def export(there: bool) -> list[str]:
        again = ["--overwrite"] if there else []
        proof = ["--parity-clips", "3", "--calibration", str(clips)]
        return ["export", str(net), "--out", str(place / "export/bundle"), *few, *proof, *again]

    def train(there: bool) -> list[str]:
        return [*training(clips, place / "train/net.pth", epochs=6), *(["--resume"] if there else [])]

    def fit(there: bool) -> list[str]:
        return ["fit", str(clips), "--out", str(place / "fit/bundle"), "--epochs", "1", "--arch", TINY.name]

    return [
        Work("export", export, place / "export/bundle", whole_bundle),
        Work("train", train, place / "train/net.pth", whole_checkpoint, once=True),
        Work("fit", fit, place / "fit/bundle", whole_bundle, once=True),
    ]


def training(clips: Path, out: Path, epochs: int) -> list[str]:
    return [
        "train", "--data", str(clips), "--out", str(out), "--epochs", str(epochs), "--batch", "4", "--arch",
        TINY.name, "--calibration-clips", "3", "--workers", "0",
    ]  # fmt: skip


def begin(place: Path) -> list[Work]:
    """Clips, a trained network, a cache of their own."""
    os.environ["XDG_CACHE_HOME"] = str(place / "cache")
    clips = clip_list(place / "clips")
    finished(training(clips, place / "net.pth", epochs=1), place / "log.txt")
    return works(place, clips, place / "net.pth")


def shares(rounds: int, kinds: int) -> list[int]:
    return [rounds // kinds + (number < rounds % kinds) for number in range(kinds)]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="kills, a third of each kind of work")
    parser.add_argument("--work", nargs="*", choices=("export", "train", "fit"), help="of these alone")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)  # threads do not survive a fork
    rng = random.Random(options.seed)
    with TemporaryDirectory(prefix="a3d-edge-kills-") as name:
        place = Path(name)
        asked = [work for work in begin(place) if not options.work or work.name in options.work]
        for work, rounds in zip(asked, shares(options.rounds, len(asked)), strict=True):
            log = place / f"{work.name}.txt"
            seconds = finished(work.words(False), log)
            work.begin_anew()
            for number in range(rounds):
                one_round(work, log, seconds, rng)
                print(f"\r{work.name}: {number + 1} of {rounds}", end="", file=sys.stderr)
            finished(work.words(work.out.exists()), log)
            work.whole(work.out)
            told = ", ".join(f"{count} {kind}" for kind, count in sorted(work.outcomes.items()))
            lasting = f"{rounds} kills within {seconds:.1f} s"
            print(f"\r{work.name}: {lasting}: {told}; then it finishes", flush=True)


if __name__ == "__main__":
    main()
