"""Cameras that fail, and what becomes of them: bars of an unattended run, with real servers and real faults.

    python benchmarks/sources.py --servers FOLDER [--rounds 20] [--reconnects 50] [--away 600]
                                 [--out docs/results/sources.md]

FOLDER holds ``rtsp_server.py`` (run by the system's Python, with GStreamer's RTSP server) and
``mjpeg_server.py``. Each server is, in turn, stopped (SIGSTOP) for longer than the watchdog waits, killed
(SIGKILL) and started again after a pause, and restarted at once. Measured, by the reader of a run:

    noticed    from the fault to the state that says so; a kill is noticed by its closed connection
    recovered  from when the server is back (it listens again, or goes on) to the first new picture
    age        true age of every picture: the RTSP server draws the time into it before it encodes
    left       threads, descriptors and anonymous memory of this process after so many reconnections

A stop, and every kill, lasts for a time of its own between 1 and 15 s more than the watchdog's.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import av
import numpy as np
from _options import parser_of

from a3d_edge.device.machine import processor_name
from a3d_edge.device.memory import anonymous_mb
from a3d_edge.video.reader import Reader
from a3d_edge.video.source import open_source

STALL_S = 5.0
FRESH_S = 0.2


class Server:
    """One of the two servers, on a port of its own."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        self.port = _free_port()
        python = "/usr/bin/python3" if kind == "rtsp" else sys.executable
        self._words = [python, str(folder / f"{kind}_server.py"), "--port", str(self.port)]
        self.url = (
            f"rtsp://127.0.0.1:{self.port}/test" if kind == "rtsp" else f"http://127.0.0.1:{self.port}/video"
        )
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> float:
        """Start it; when it listened."""
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return time.monotonic()

    def signal(self, number: int) -> float:
        """Send it a signal; when."""
        assert self._process is not None
        self._process.send_signal(number)
        return time.monotonic()

    def kill(self) -> float:
        """Kill it; when."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        return time.monotonic()


@dataclass
class Watched:
    """What a run's reader sees of a source, taken by a thread of its own."""

    url: str
    taken: int = 0
    last_s: float = 0.0
    ages_ms: list[float] = field(default_factory=list)
    states: list[tuple[float, str, str | None]] = field(default_factory=list)
    pause_s: float = 0.0
    resumed_s: float | None = None  # when a pause was over
    fresh_s: float | None = None  # how long it then took to a picture of now
    stop: bool = False

    def run(self) -> None:
        with Reader(open_source(self.url, stall_s=STALL_S)) as reader:
            while not self.stop:
                frame = reader.get(0.2)
                self.states += [(one.at_s, one.state, one.cause) for one in reader.health()]
                if frame is None:
                    continue
                if self.pause_s:
                    time.sleep(self.pause_s)
                    self.pause_s, self.resumed_s = 0.0, time.monotonic()
                    continue
                now = time.monotonic()
                if self.resumed_s and self.fresh_s is None and now - frame.captured_s < FRESH_S:
                    self.fresh_s = now - self.resumed_s
                self.taken += 1
                self.last_s = frame.captured_s
                if (drawn := _drawn_ms(frame.image)) is not None:
                    self.ages_ms.append(time.monotonic() * 1000 - drawn)

    def wait(self, what: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if what():
                return True
            time.sleep(0.02)
        return False

    def picture_since(self, when: float, seconds: float) -> float | None:
        """Seconds from then to the first picture captured after it."""
        found = self.wait(lambda: self.last_s > when, seconds)
        return self.last_s - when if found else None

    def noticed(self, when: float) -> float | None:
        """Seconds from then to the first state that says that something is wrong."""
        later = [at for at, state, _ in self.states if at > when and state in ("stalled", "reconnecting")]
        return later[0] - when if later else None


@contextmanager
def watching(url: str) -> Iterator[Watched]:
    watched = Watched(url)
    thread = threading.Thread(target=watched.run, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        watched.stop = True
        thread.join(5)


@dataclass
class Found:
    """Of one server: seconds of every fault, by its kind."""

    noticed: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    recovered: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lost: int = 0


def faults(server: Server, watched: Watched, rounds: int, chance: random.Random) -> Found:
    """Stops, kills and restarts in turn."""
    found = Found()
    for number in range(rounds):
        kind = ("stopped", "killed", "restarted")[number % 3]
        watched.wait(lambda: time.monotonic() - watched.last_s < 0.5, 30)
        time.sleep(2 + chance.random())
        if kind == "stopped":
            at = server.signal(signal.SIGSTOP)
            time.sleep(STALL_S + chance.uniform(1, 15))
            back = server.signal(signal.SIGCONT)
        else:
            at = time.monotonic()
            server.kill()
            time.sleep(chance.uniform(1, 15) if kind == "killed" else 0)
            back = server.start()
        took = watched.picture_since(back, 60)
        noticed = watched.noticed(at)
        if took is None or noticed is None:
            found.lost += 1
        else:
            found.recovered[kind].append(took)
            found.noticed[kind].append(noticed)
        print(f"{server.kind} {number + 1} {kind}: noticed {noticed}, recovered {took}", flush=True)
    return found


def reconnections(server: Server, watched: Watched, count: int) -> tuple[tuple[int, int, float], ...]:
    """Threads, descriptors and memory before, and after so many restarts of the server."""
    before = (0, 0, 0.0)
    for number in range(count + 5):
        if number == 5:  # the first ones load what they need
            before = _left()
        back = server.kill()
        back = server.start()
        watched.picture_since(back, 60)
        time.sleep(0.2)
    return before, _left()


def _left() -> tuple[int, int, float]:
    gc.collect()
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), anonymous_mb() or 0.0


def _drawn_ms(image: np.ndarray) -> float | None:
    """The time that the RTSP server drew, if it is one of its pictures."""
    if image.shape[1] < 512 or not 16 < image[40, 4, 0] < 250:
        return None
    bits = image[4:12, :512, 0].reshape(8, 32, 16)[:, :, 4:12].mean(axis=(0, 2)) > 128
    drawn = int("".join("01"[int(bit)] for bit in bits), 2)
    return drawn if 0 <= (int(time.monotonic() * 1000) & 0xFFFFFFFF) - drawn < 60_000 else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _share(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def of(server: Server, given: argparse.Namespace, rows: list[str]) -> None:
    """All of one server, as lines of the page."""
    chance = random.Random(given.seed)
    server.start()
    with watching(server.url) as watched:
        watched.wait(lambda: watched.taken > 90, 30)
        quiet, watched.ages_ms = watched.ages_ms[60:], []
        watched.pause_s = 5.0
        watched.wait(lambda: watched.fresh_s is not None, 20)
        found = faults(server, watched, given.rounds, chance)
        before, after = reconnections(server, watched, given.reconnects)
        away = None
        if given.away:
            server.kill()
            time.sleep(given.away)
            away = watched.picture_since(server.start(), 60)
        server.kill()
    every = [one for some in found.recovered.values() for one in some]
    stops = found.noticed["stopped"]
    rows.append(f"| {server.kind.upper()}: faults ({given.rounds}), not recovered | {found.lost} |")
    took = f"{median(stops):.2f} s, {max(stops):.2f} s"
    rows.append(f"| a stop noticed after (watchdog {STALL_S:.0f} s), median and worst | {took} |")
    kills = found.noticed["killed"] + found.noticed["restarted"]
    rows.append(f"| a kill noticed after, median and worst | {median(kills):.2f} s, {max(kills):.2f} s |")
    for kind, values in sorted(found.recovered.items()):
        rows.append(
            f"| {kind}: recovered after, median and worst | {median(values):.2f} s, {max(values):.2f} s |"
        )
    rows.append(
        f"| **all: recovered after, median and worst** | **{median(every):.2f} s, {max(every):.2f} s** |"
    )
    if away is not None or given.away:
        rows.append(f"| away for {given.away:.0f} s: recovered after | {away:.2f} s |")
    counts = f"{before[0]}, {before[1]} → {after[0]}, {after[1]}"
    rows.append(f"| {given.reconnects} reconnections: threads, descriptors, before and after | {counts} |")
    rows.append(f"| their anonymous memory | {after[2] - before[2]:+.1f} MB |")
    if quiet:
        ages = f"{_share(quiet, 0.5):.0f} ms, {_share(quiet, 0.95):.0f} ms"
        rows.append(f"| true age of a picture when it is taken, p50 and p95 | {ages} |")
    rows.append(
        f"| a consumer that slept 5 s has pictures of now after | {watched.fresh_s or float('nan'):.2f} s |"
    )


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--servers", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--reconnects", type=int, default=50)
    parser.add_argument("--away", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=["rtsp", "mjpeg"])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows: list[str] = []
    for kind in given.kinds:
        of(Server(given.servers, kind), given, rows)
    options = f"--rounds {given.rounds} --reconnects {given.reconnects} --away {given.away:.0f}"
    text = f"""# Sources that fail

`python benchmarks/sources.py --servers FOLDER {options}`; {processor_name()}, {os.cpu_count()} cores
(load {os.getloadavg()[1]:.1f}), PyAV {av.__version__}. Each kind of fault in turn, at random times.

| | |
|---|---|
""" + "\n".join(rows)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
