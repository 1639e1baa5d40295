"""A battery that drains and is charged, a processor that grows hot: how soon a run answers.

    python benchmarks/device.py --mock FOLDER/mock_device.py [--rounds 5] [--out docs/results/device.md]

The mock runs a real ``a3d-edge run`` on a device whose files below /sys it replaces (umockdev, with the
system's Python); psutil reads them unmodified. Sensors are read once a second. Measured by the clock, from
the word that the mock has changed something to the line of the decision log in which the signal limits the
run, and to the one in which the configuration has changed. Other signals are switched off by a settings file,
so that a busy machine does not decide.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median

from _options import parser_of

from a3d_edge.control.controller import SENSING_INTERVAL_S
from a3d_edge.device.machine import describe_machine

SETTINGS = "[control]\ncpu = []\nmemory = []\nmemory_pressure = []\n"
PHASE_S = 0.37
"""So much later in each round: scenes of the demo begin and end, and readings come, at the same moments."""


@dataclass(frozen=True)
class Change:
    """``words`` for the mock, at ``at_s``; ``signal`` is what then limits the run."""

    kind: str
    words: str
    at_s: float
    signal: str


CHANGES = (
    Change("battery", "12", 12.0, "battery"),
    Change("temperature", "91", 12.0, "temperature"),
)
BEFORE = {"battery": "80", "temperature": "71"}
AFTER = {"battery": "12+", "temperature": "71"}
SECONDS = 48.0
BACK_S = 18.0


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--mock", type=Path, required=True)
    parser.add_argument("--python", default="/usr/bin/python3", help="what the mock runs on")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = [
        "# A device that changes",
        "",
        f"`python benchmarks/device.py --mock FOLDER/mock_device.py --rounds {options.rounds}`; "
        f"{describe_machine()['name']}, load {os.getloadavg()[0]:.1f}, psutil {version('psutil')}.",
        f"Sensors are read every {SENSING_INTERVAL_S:g} s; seconds after the change, median and worst.",
        "",
        "| change | limits the run | the configuration is another | from, to | back, after the change back |",
        "|---|---|---|---|---|",
    ]
    for change in CHANGES:
        found = [
            one_run(options, replace(change, at_s=change.at_s + PHASE_S * number))
            for number in range(options.rounds)
        ]
        words = f"{change.kind} {BEFORE[change.kind]} → {change.words} → {AFTER[change.kind]}"
        seen, other, back = (column([one[k] for one in found]) for k in ("limits", "changed", "back"))
        lines.append(f"| {words} | {seen} | {other} | {found[0]['between']} | {back} |")
        print(lines[-1], flush=True)
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n")


def column(values: list[float | None]) -> str:
    there = [value for value in values if value is not None]
    missing = f", {len(values) - len(there)} never" if len(there) < len(values) else ""
    return (f"{median(there):.2f} s, {max(there):.2f} s" if there else "") + missing


def one_run(options, change: Change) -> dict:
    """What the decision log of one run says, and when it said it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "settings.toml").write_text(SETTINGS)
        log = place / "decisions.jsonl"
        program = str(Path(sys.executable).parent / "a3d-edge")
        plan = f"0:{BEFORE[change.kind]},{change.at_s:g}:{change.words}"
        plan += f",{BACK_S:g}:{AFTER[change.kind]}"
        command = [
            options.python, str(options.mock), f"--{change.kind}", plan, "--",
            program, "run", "--source", "demo", "--seconds", f"{SECONDS:g}",
            "--decisions", str(log), "--config", str(place / "settings.toml"),
        ]  # fmt: skip
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **quiet) as process:
            told: list[tuple[float, str]] = []
            listening = threading.Thread(target=listen, args=(process, told))
            listening.start()
            decisions = list(read_as_it_grows(log, process))
            listening.join()
        if process.returncode:
            raise SystemExit("\n".join(line for _, line in told))
    changed_at, back_at = (
        next(at for at, line in told if line.startswith(f"mock: {change.kind} {words} at"))
        for words in (change.words, AFTER[change.kind])
    )
    before = [d for at, d in decisions if at < changed_at][-1]["configuration"]
    during = [(at, d) for at, d in decisions if changed_at <= at < back_at]
    after = [(at, d) for at, d in decisions if at >= back_at]
    low = during[-1][1]["configuration"]
    return {
        "limits": first(during, changed_at, lambda d: d["limiting_signal"] == change.signal),
        "changed": first(during, changed_at, lambda d: d["configuration"] != before),
        "between": f"{before}, {low}",
        "back": first(after, back_at, lambda d: d["configuration"] != low),
    }


def first(decisions, since: float, fits) -> float | None:
    return next((at - since for at, decision in decisions if fits(decision)), None)


def listen(process: subprocess.Popen[str], told: list[tuple[float, str]]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        told.append((time.monotonic(), line.strip()))


def read_as_it_grows(log: Path, process: subprocess.Popen[str]):
    """(moment, decision) of each whole line, as soon as it is there."""
    rest, place = "", 0
    while True:
        ended = process.poll() is not None
        if log.exists():
            with log.open(encoding="utf-8") as file:
                file.seek(place)
                text = file.read()
                place = file.tell()
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                yield time.monotonic(), json.loads(line)
        if ended:
            return
        time.sleep(0.02)


if __name__ == "__main__":
    main()
