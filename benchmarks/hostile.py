"""Hostile files of every kind, each given to the real command line in a process of its own.

    python benchmarks/hostile.py [--kind graphs] [--only NAME] [--out FILE.md]

Each case must end with one line of error, the exit code of its kind, no traceback and nothing that acts on a
terminal, within --seconds of processor time and --megabytes for the whole tree of processes, and execute
nothing (a case that is executed leaves a mark).

Checkpoints need PyTorch, graphs the onnx package; without them their kinds are left out, and that is said.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import _hostile_cases
import _hostile_people
import psutil
from _hostile_cases import Case

KINDS = {**_hostile_cases.KINDS, **_hostile_people.KINDS}
CLI = (sys.executable, "-c", "from a3d_edge.cli import main; main()")
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case did: ``cpu_s`` of all its processes, ``peak_mb`` of all at once, ``wrong``: what was."""

    case: Case
    code: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    said: str
    wrong: tuple[str, ...]


def tree(process: psutil.Process) -> Iterator[psutil.Process]:
    """It and all below it."""
    yield process
    yield from process.children(recursive=True)


def run(case: Case, arguments: argparse.Namespace, work: Path) -> Outcome:
    """Run a case; its process, and all that it has begun, has ended then."""
    out, err = work / "stdout", work / "stderr"
    begun, peak, cpu = time.monotonic(), 0.0, {}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(work / "cache")}
    with case.beside(), out.open("wb") as o, err.open("wb") as e:
        child = subprocess.Popen(
            [*CLI, *case.words], stdout=o, stderr=e, stdin=subprocess.DEVNULL, cwd=work, env=environment,
            start_new_session=True,
        )  # fmt: skip
        watched = psutil.Process(child.pid)
        while child.poll() is None and time.monotonic() - begun < PATIENCE_S:
            total = 0
            for one in tree(watched) if watched.is_running() else ():
                try:
                    with one.oneshot():
                        total += one.memory_info().rss
                        times = one.cpu_times()
                    cpu[one.pid] = times.user + times.system
                except psutil.Error:
                    continue
            peak = max(peak, total / 1e6)
            time.sleep(0.02)
        hung = child.poll() is None
        if hung:
            os.killpg(child.pid, signal.SIGKILL)
        code = child.wait()
    said = err.read_bytes().decode(errors="replace")
    shown = out.read_bytes().decode(errors="replace")
    wall = time.monotonic() - begun
    outcome = Outcome(case, code, sum(cpu.values()), wall, peak, said.strip(), ())
    wrong = tuple(judged(outcome, said, shown, hung, arguments, work))
    return Outcome(case, code, outcome.cpu_s, wall, peak, said.strip(), wrong)


def judged(
    outcome: Outcome, said: str, shown: str, hung: bool, arguments: argparse.Namespace, work: Path
) -> Iterator[str]:
    """What is not as it should be."""
    if hung:
        yield f"no end after {PATIENCE_S:.0f} s"
    elif outcome.code not in outcome.case.codes:
        yield f"exit code {outcome.code}, not {' or '.join(map(str, outcome.case.codes))}"
    if outcome.case.says not in said + shown:
        yield f"does not say {outcome.case.says}"
    if outcome.case.unsaid and outcome.case.unsaid in said + shown:
        yield f"says {outcome.case.unsaid}"
    if "Traceback" in said + shown:
        yield "a traceback"
    if outcome.code and said.strip().count("\n") > outcome.case.notes:
        yield "more than a line"
    if any(ord(sign) < 32 and sign not in "\n" for sign in said + shown) or "\u202e" in said + shown:
        yield "signs that act on a terminal"
    if "NaN" in shown or "Infinity" in shown:
        yield "JSON that is none"
    if outcome.cpu_s > arguments.seconds:
        yield f"{outcome.cpu_s:.1f} s"
    if outcome.peak_mb > arguments.megabytes:
        yield f"{outcome.peak_mb:.0f} MB"
    if any(work.glob("**/executed*")) or Path("/tmp/a3d-edge-executed").exists():
        yield "it was executed"


def main() -> None:
    """All cases, a line each; exit code 1 when one did not end as it should."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--only", help="cases whose name has this in it")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--megabytes", type=float, default=400.0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="a3d-edge-hostile-") as folder:
        for kind in arguments.kind or KINDS:
            try:
                made = list(KINDS[kind](Path(folder) / kind))
            except ImportError as error:
                print(f"{kind}: left out, {error.name} is not installed")
                continue
            for case in made:
                if arguments.only and arguments.only not in case.name:
                    continue
                work = Path(folder) / "work"
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
                found = run(case, arguments, work)
                outcomes.append((kind, found))
                verdict = "; ".join(found.wrong) or "ok"
                took = f"{found.cpu_s:5.1f} s {found.peak_mb:4.0f} MB"
                line = f"{kind:12} {case.name:34} {found.code:4} {took}  {verdict:20} {found.said[:150]!a}"
                print(line, flush=True)
    bad = sum(bool(one.wrong) for _, one in outcomes)
    print(f"{len(outcomes) - bad} of {len(outcomes)} end as they should")
    if arguments.out:
        before = arguments.out.read_text(encoding="utf-8") if arguments.out.exists() else ""
        arguments.out.write_text(report(outcomes, before), encoding="utf-8")
    sys.exit(1 if bad else 0)


def report(outcomes: list[tuple[str, Outcome]], before: str) -> str:
    """A table by kind; of a kind that was not run now, its row of before."""
    rows = {line.split("|")[1].strip(): line for line in before.splitlines() if line.startswith("| ")}
    for kind in dict.fromkeys(kind for kind, _ in outcomes):
        of = [one for which, one in outcomes if which == kind]
        rows[kind] = (
            f"| {kind} | {len(of)} | {sum(not one.wrong for one in of)} | {max(o.cpu_s for o in of):.1f} | "
            f"{max(o.peak_mb for o in of):.0f} |"
        )
    lines = [
        "# Hostile files",
        "",
        "Written by `python benchmarks/hostile.py --out docs/results/hostile.md`; what is tried is in",
        "`benchmarks/_hostile_cases.py` and, for `run --people`, in `benchmarks/_hostile_people.py`.",
        "Seconds are of the processor, memory is of all processes together. `--kind` renews its rows alone.",
        "",
        "| kind | cases | end as they should | most seconds | most MB |",
        "|---|---|---|---|---|",
        *(rows[kind] for kind in KINDS if kind in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
