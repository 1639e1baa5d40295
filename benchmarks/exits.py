"""Does a run end at once, whatever its source is doing? SIGINT and SIGTERM in every state of a source.

    python benchmarks/exits.py [--blocked 200] [--others 20] [--together 2] [--out docs/results/exits.md]

A real ``a3d-edge run`` on a camera (motion JPEG over HTTP, from this process) that is, when the signal comes,

    blocked       connected and silent, its read blocked
    connecting    accepting connections and answering nothing
    away          refusing connections: between two attempts
    saving        live, with ``--save``; the recording must play afterwards

Measured: from the signal to the end of the process, its exit code (130, 143), and what it left: a traceback,
a process of its own that lives on.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np
import psutil
from _options import parser_of

from a3d_edge.device.machine import processor_name

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
LIMIT_S = 30.0


class Camera(BaseHTTPRequestHandler):
    """``/blocked``: 20 pictures, then silence. ``/live``: 30 pictures a second."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        number = 0
        try:
            while True:
                jpeg = cv2.imencode(".jpg", np.full((120, 160, 3), number * 7 % 250, np.uint8))[1].tobytes()
                head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                self.wfile.write(head + jpeg + b"\r\n")
                number += 1
                time.sleep(1 / 30 if self.path == "/live" or number < 20 else 60)
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def places() -> Iterator[dict[str, str]]:
    """A URL for each state."""
    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with socket.socket() as dumb, socket.socket() as refusing:
        dumb.bind(("127.0.0.1", 0))
        dumb.listen(512)
        refusing.bind(("127.0.0.1", 0))
        web = f"http://127.0.0.1:{server.server_port}"
        yield {
            "blocked": f"{web}/blocked",
            "connecting": f"rtsp://127.0.0.1:{dumb.getsockname()[1]}/x",
            "away": f"rtsp://127.0.0.1:{refusing.getsockname()[1]}/x",
            "saving": f"{web}/live",
        }
    server.shutdown()


@dataclass(frozen=True)
class Exit:
    """How one run ended."""

    seconds: float
    code: int
    wanted: int
    fault: str


def one(state: str, url: str, number: int, folder: Path) -> Exit:
    """Start a run, wait until its source is in that state, end it."""
    sent = (signal.SIGINT, signal.SIGTERM)[number % 2]
    film = folder / f"{state}{number}.mp4"
    words = [
        sys.executable,
        "-m",
        "a3d_edge",
        "run",
        "--source",
        url,
        "--json",
        "--budget",
        "0.1",
        "--stall",
        "60",
    ]
    with subprocess.Popen(
        [*words, "--save", str(film)] if state == "saving" else words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        _await(run, state)
        children = psutil.Process(run.pid).children(recursive=True)
        begun = time.monotonic()
        run.send_signal(sent)
        try:
            _, err = run.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            run.kill()
            return Exit(LIMIT_S, 0, CODES[sent], "it did not end")
        seconds = time.monotonic() - begun
    _, alive = psutil.wait_procs(children, timeout=1)
    fault = "traceback" if "Traceback" in err else "a process lives on" if alive else ""
    if state == "saving" and not fault:
        fault = _unplayable(film)
    return Exit(seconds, run.returncode, CODES[sent], fault)


def _await(run: subprocess.Popen[str], state: str) -> None:
    """Until the source is where it is to be, and a little longer."""
    assert run.stdout is not None
    if state == "connecting":
        while run.poll() is None and not psutil.Process(run.pid).children():
            time.sleep(0.2)
        time.sleep(1.0)
        return
    wanted = {"blocked": ("health", "live"), "away": ("health", "connecting"), "saving": ("prediction", None)}
    event, value = wanted[state]
    for line in run.stdout:
        found = json.loads(line)
        if found["event"] == event and (value is None or found["state"] == value):
            break
    time.sleep(1.2 if state == "blocked" else 0.3)


def _unplayable(film: Path) -> str:
    try:
        with av.open(str(film)) as container:
            return "" if sum(1 for _ in container.decode(video=0)) else "an empty film"
    except (av.error.FFmpegError, OSError) as error:
        return f"a film that does not play ({type(error).__name__})"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--blocked", type=int, default=200)
    parser.add_argument("--others", type=int, default=20)
    parser.add_argument("--together", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = []
    with places() as urls, tempfile.TemporaryDirectory() as folder:
        for state, url in urls.items():
            count = given.blocked if state == "blocked" else given.others
            with ThreadPoolExecutor(given.together) as several:
                exits = list(several.map(lambda n, s=state, u=url: one(s, u, n, Path(folder)), range(count)))
            wrong = sum(each.code != each.wanted for each in exits)
            faults = sorted({each.fault for each in exits if each.fault})
            took = [each.seconds for each in exits]
            times = f"{median(took):.2f} s | {max(took):.2f} s"
            rows.append(f"| {state} | {count} | {times} | {wrong} | {', '.join(faults) or 'none'} |")
            print(rows[-1], flush=True)
    options = f"--blocked {given.blocked} --others {given.others} --together {given.together}"
    text = f"""# Does a run end at once

`python benchmarks/exits.py {options}`; {processor_name()}, {os.cpu_count()} cores (load
{os.getloadavg()[1]:.1f}). SIGINT and SIGTERM in turn; the codes are 130 and 143.

| when the signal came, the source was | runs | ended after, median | at worst | wrong codes | other faults |
|---|---|---|---|---|---|
""" + "\n".join(rows)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
