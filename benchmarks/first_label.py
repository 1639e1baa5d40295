"""From nothing to the first label: environment, pip install, `run` of the demo; two versions in turns.

    python benchmarks/first_label.py --before f230ea4 [--rounds 5] [--out docs/results/first_label.md]

*Before* is a commit, *now* the working tree. Their wheels and everything they require are downloaded first
and installed from that folder: neither the network nor pip's cache makes a difference, and what a download
would be is listed beside. pip gets the flags that the version's README gives it. Which goes first changes
from round to round; medians.
"""

from __future__ import annotations

import importlib.metadata
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from _options import parser_of

from a3d_edge.device.machine import describe_machine
from a3d_edge.profiling.turns import in_turns

ROOT = Path(__file__).parent.parent
DEMO = ("run", "--source", "demo", "--max-predictions", "1")


@dataclass
class Side:
    """One version: its wheel lies in ``house`` with all that it requires."""

    name: str
    house: Path
    download_mb: float
    flags: list[str]
    installs: list[float] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Seconds of processor time of both."""

    @property
    def totals(self) -> list[float]:
        return [install + run for install, run in zip(self.installs, self.runs, strict=True)]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--before", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sides = [
            prepared(f"before ({options.before})", checked_out(options.before, work / "source"), work / "a"),
            prepared("now", ROOT, work / "b"),
        ]
        turns = {side.name: partial(turn, side, work / "venv") for side in sides}
        found = in_turns(turns, options.rounds, warm_up=1)  # the first round reads all files once
    for side in sides:
        side.installs, side.runs, side.processor = map(list, zip(*found[side.name], strict=True))
    text = report(sides, options.rounds)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


def turn(side: Side, venv: Path) -> tuple[float, float, float]:
    """Seconds to install, seconds to the label, and those of processor time of both."""
    used = processor_s()
    install, run = first_label(side, venv)
    print(f"{side.name}: {install:.1f} s + {run:.2f} s", flush=True)
    return install, run, processor_s() - used


def checked_out(commit: str, to: Path) -> Path:
    """The source as it was at a commit."""
    to.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(to)], input=archive.stdout, check=True)
    return to


def prepared(name: str, source: Path, house: Path) -> Side:
    """The wheel of a source tree, and the wheels of what it requires, in ``house``."""
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(house), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = house.glob("*.whl")
    download = ["download", "--quiet", "--only-binary=:all:", "--dest", str(house), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *download], check=True, capture_output=True)
    size = sum(file.stat().st_size for file in house.glob("*.whl")) / 1e6
    return Side(name, house, size, flags_of((source / "README.md").read_text(encoding="utf-8")))


def flags_of(readme: str) -> list[str]:
    """What pip is given in the README's command that runs, beside ``--quiet`` and what is installed."""
    command = readme.partition("<!-- ci: run -->")[2].partition("pip install")[2].partition("&&")[0]
    return [word for word in command.split() if word.startswith("--") and word != "--quiet"]


def first_label(side: Side, venv: Path) -> tuple[float, float]:
    """Seconds to make the environment and install, and to the first line of the run."""
    shutil.rmtree(venv, ignore_errors=True)
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    install = ["install", "--quiet", "--no-index", "--find-links", str(side.house), *side.flags, "a3d-edge"]
    subprocess.run([venv / "bin/pip", *install], check=True, capture_output=True)
    installed = time.perf_counter()
    with subprocess.Popen(
        [venv / "bin/a3d-edge", *DEMO], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        labelled = time.perf_counter()
    if not line or run.returncode:
        sys.exit(f"the run ended with code {run.returncode} and the line {line!r}")
    return installed - begun, labelled - installed


def processor_s() -> float:
    """Processor time of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(sides: list[Side], rounds: int) -> str:
    before, now = sides
    times, used = ratio(now.totals, before.totals), ratio(now.processor, before.processor)
    pip, here = importlib.metadata.version("pip"), describe_machine()
    lines = [
        "# From a fresh environment to the first label",
        "",
        f"`python benchmarks/first_label.py`, {here['name']}, Python {here['python']}, pip {pip}, "
        f"load of all programs {os.getloadavg()[0]:.1f}; medians of {rounds} rounds in turns, seconds "
        "(least to most). Everything is installed from a folder of wheels; *download* is what it would be.",
        "",
        "| version | environment, install | `run` to the first label | together | processor | download, MB |",
        "|---|---|---|---|---|---|",
        *(row(side) for side in sides),
        "",
        f"Now takes {times:.2f} of the time before, and {used:.2f} of the processor time. A second of "
        "`run` is the demo itself: its first window has to pass.",
    ]
    return "\n".join(lines)


def ratio(now: list[float], before: list[float]) -> float:
    return statistics.median(now) / statistics.median(before)


def row(side: Side) -> str:
    cells = [spread(values) for values in (side.installs, side.runs, side.totals, side.processor)]
    name = f"{side.name}, `pip install {' '.join(side.flags)}`" if side.flags else side.name
    return f"| {name} | {' | '.join(cells)} | {side.download_mb:.0f} |"


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
