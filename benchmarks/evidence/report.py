"""Makes docs/results/evidence.md and its figure of the logs alone, and says what is missing.

    python benchmarks/evidence/report.py [--name evidence_long]

NAME: of the logs' folder and of the page, both in docs/results, and of what a person says of it, beside this
file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from _figures import curve
from _findings import Findings
from _logs import read_logs
from _plan import LETTERS, plan
from _tables import SECTIONS

from a3d_edge.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", default="evidence")
    parser.add_argument("--logs", type=Path, help="another folder")
    parser.add_argument("--out", type=Path, help="another page")
    parser.add_argument("--notes", type=Path, help="other words; they come first")
    parser.add_argument("--steps", type=Path, default=RESULTS / "evidence_steps.json")
    given = parser.parse_args()
    given.logs = given.logs or RESULTS / given.name
    given.out = given.out or RESULTS / f"{given.name}.md"
    given.notes = given.notes or Path(__file__).with_name(f"{given.name}.md")
    logs = read_logs(given.logs)
    if not logs:
        print(f"report: {given.logs} holds no log; run.py makes them", file=sys.stderr)
        return 2
    try:
        found = Findings(logs, json.loads(given.steps.read_text()) if given.steps.exists() else {})
        notes = given.notes.read_text(encoding="utf-8").rstrip("\n") if given.notes.exists() else ""
        text = "\n".join(page(found, given.logs.name, given.out.with_suffix(".png").name, notes)) + "\n"
    except ValueError as error:
        print(f"report: {given.logs}: {error}", file=sys.stderr)
        return 2
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(given.out, lambda temporary: _write(temporary, text))
    curve(found, given.out.with_suffix(".png"))
    missing = [run.name for run in plan(found.scale) if run.name not in logs]
    print(f"{given.out}: of {len(logs)} runs; {len(missing)} are missing")
    return 0


def page(found: Findings, folder: str, figure: str, notes: str) -> Iterator[str]:
    """The whole of it; ``notes``: what a person says of it."""
    machines = sorted({log.content["machine"] for log in found.logs.values()})
    whole = {log.content["commit"] for log in found.logs.values()}
    commits = sorted(f"{one[:8]}{'+' if one.endswith('+') else ''}" for one in whole)
    there = sum(f"testbed-a3d-s{seed}" in found.logs for seed in found.scale.seeds)
    hours = sum(log.content["cpu_s"] for log in found.logs.values()) / 3600
    yield "# The paper's claims, shown"
    yield ""
    yield f"`python benchmarks/evidence/report.py --name {folder}`, of the logs in `{folder}/`, which"
    yield "`run.py` makes."
    yield f"Machines: {', '.join(machines)}; commits {', '.join(commits)}."
    yield (
        f"Drawn set: {found.scale.train} training, {found.scale.validate} validation and {found.scale.test} "
        f"test clips of other seeds, {there} of {len(found.scale.seeds)} planned seeds of training, "
        f"{found.scale.epochs} epochs, input {found.scale.size}²; {hours:.2f} CPU-hours of training."
    )
    yield "Differences are points on the same clips, with intervals of 95 % (bootstrap over clips and seeds)."
    if notes:
        yield ""
        yield notes
    yield ""
    yield f"![accuracy against compute]({figure})"
    for letter, (title, lines) in SECTIONS.items():
        yield ""
        yield f"## {letter}. {title}"
        yield ""
        yield from lines(found)
        yield ""
        yield missing_of(found, letter)


def missing_of(found: Findings, letter: str) -> str:
    """Which runs of a letter are still to be made."""
    assert letter in LETTERS
    every = [run.name for run in plan(found.scale) if letter in run.letters]
    left = [name for name in every if name not in found.logs]
    if not left:
        return f"All {len(every)} runs of this are there."
    some = ", ".join(left[:4]) + (" …" if len(left) > 4 else "")
    return f"Missing: {len(left)} of {len(every)} runs ({some})."


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
