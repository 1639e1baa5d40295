"""Alerts under faults: a run on a network camera, and every place that its alerts go to fails in turn.

    python benchmarks/alert_soak.py [--seconds 600] [--every 15] [--out FILE]

`a3d-edge run` on an MJPEG camera of drawn scenes, with a switch of configuration every seventh window, alerts
for every class, clips, a timeline, a webhook, MQTT and Frigate. Every 15 s another fault is injected for 5 s:
the broker is stopped; the webhook answers 503, does not answer, is not there; the camera closes its
connections, sends nothing for 3 s; Frigate answers 503. At the end all are well for 20 s, then SIGTERM. Said
are: memory's slope after 2 minutes, whether every frame is accounted for, and for each place whether every
alert that was told came to it or is still in its queue. It needs mosquitto, and the extra mqtt.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from _film import scenes
from _options import parser_of

from a3d_edge import Bundle
from a3d_edge.device.machine import processor_name

ABOUT = """A run on a network camera of drawn scenes, with a switch every seventh window, alerts for six
classes, clips, a timeline, a webhook, MQTT and Frigate. At every interval another fault, for 5 s: the broker
is stopped; the webhook answers 503, does not answer, is not there; the camera closes its connections, sends
nothing for 3 s; Frigate answers 503. At the end SIGTERM. An alert told is delivered, queued, or lost."""
RATE, SETTLED_S, FAULT_S, WELL_S = 12.0, 120.0, 5.0, 20.0
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Quiet(BaseHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        pass


class Camera:
    """MJPEG of drawn scenes, again and again. ``cut`` rises: connections end. ``stalled``: it is silent."""

    def __init__(self, pictures: int = 600) -> None:
        drawn = itertools.islice(scenes(60, width=320, height=240), pictures)
        self.jpegs = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in drawn]
        self.cut, self.stalled, self.port = 0, False, free_port()
        camera = self

        class Handler(Quiet):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with contextlib.suppress(OSError):
                    camera.send(self.wfile)

        ThreadingHTTPServer.daemon_threads = True
        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def send(self, to: Any) -> None:
        begun, cut = time.monotonic(), self.cut
        for index in itertools.count():
            time.sleep(max(0.0, begun + index / RATE - time.monotonic()))
            while self.stalled:
                time.sleep(0.05)
            if self.cut != cut:
                return
            jpeg = self.jpegs[int(time.monotonic() * RATE) % len(self.jpegs)]
            to.write(
                b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                + jpeg
                + b"\r\n"
            )


class Receiver:
    """An HTTP server that keeps what is sent: a webhook's alerts, Frigate's requests."""

    def __init__(self) -> None:
        self.port, self.status, self.wait_s = free_port(), 200, 0.0
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.start()

    def start(self) -> None:
        receiver = self

        class Handler(Quiet):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(receiver.wait_s)
                if receiver.status == 200:
                    receiver.got.append((self.path, body))
                with contextlib.suppress(OSError):
                    self.send_response(receiver.status)
                    self.end_headers()
                    self.wfile.write(json.dumps({"event_id": f"f{len(receiver.got)}"}).encode())

            do_PUT = do_POST  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Broker:
    """Mosquitto, and a subscriber whose session it keeps."""

    def __init__(self, folder: Path) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        assert MOSQUITTO is not None, "apt-get install mosquitto"
        self.port, self.restarts, self.folder = free_port(), 0, folder
        folder.mkdir()
        (folder / "c").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\n"
            + ("user root\n" if os.getuid() == 0 else "")
        )
        self.start()
        self.got: list[dict[str, Any]] = []
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="soak", clean_session=False)
        self.client.reconnect_delay_set(1, 2)
        self.client.on_message = lambda client, data, message: self.got.append(json.loads(message.payload))
        self.client.connect("127.0.0.1", self.port)
        self.client.subscribe("soak/alert", qos=1)
        self.client.loop_start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(self.folder / "c")], stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            time.sleep(0.1)
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return

    def stop(self) -> None:
        self.restarts += 1
        self.process.terminate()
        self.process.wait(10)


def alerts_toml(folder: Path, hook: Receiver, frigate: Receiver, broker: Broker) -> Path:
    """The file of alerts."""
    rules = "".join(
        f'[[alert]]\nclass = "{label}"\nthreshold = 0.3\nrelease = "500ms"\nupdate = "1s"\n'
        for label in Bundle.default().classes
        if label != "none"
    )
    path = folder / "alerts.toml"
    path.write_text(
        f'queue = "queue"\n{rules}[timeline]\nfile = "timeline.jsonl"\nrotate = "100MB"\n'
        '[clips]\nfolder = "clips"\nbefore = "2s"\nafter = "1s"\nkeep_size = "20MB"\n'
        f'[[webhook]]\nurl = "http://127.0.0.1:{hook.port}/hook"\ntimeout = "2s"\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\ntopic = "soak"\n'
        f'[frigate]\nurl = "http://127.0.0.1:{frigate.port}"\ncamera = "yard"\ntimeout = "2s"\n'
    )
    return path


def faults(
    camera: Camera, hook: Receiver, frigate: Receiver, broker: Broker
) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """Name, how it begins, how it ends."""
    yield from itertools.cycle(
        (
            ("broker stopped", broker.stop, broker.start),
            (
                "webhook answers 503",
                lambda: setattr(hook, "status", 503),
                lambda: setattr(hook, "status", 200),
            ),
            ("camera closes", lambda: setattr(camera, "cut", camera.cut + 1), lambda: None),
            ("webhook silent", lambda: setattr(hook, "wait_s", 4.0), lambda: setattr(hook, "wait_s", 0.0)),
            ("webhook gone", hook.stop, hook.start),
            (
                "camera stalls",
                lambda: setattr(camera, "stalled", True),
                lambda: setattr(camera, "stalled", False),
            ),
            (
                "Frigate answers 503",
                lambda: setattr(frigate, "status", 503),
                lambda: setattr(frigate, "status", 200),
            ),
        )
    )


def key(alert: dict[str, Any]) -> tuple[str, int]:
    """What tells alerts apart."""
    return alert["id"], alert["seq"]


Soaked = tuple[list[dict[str, Any]], list[tuple[float, float]], list[str], float, int, dict[str, Any]]
"""Output, memory (MB) over time (s), faults, seconds of the end, exit code, what each place got."""


def soak(args: Any, folder: Path) -> Soaked:
    """The run under faults."""
    camera, hook, frigate, broker = Camera(), Receiver(), Receiver(), Broker(folder / "broker")
    words = ["--source", f"http://127.0.0.1:{camera.port}/video", "--switch-every", "7", "--json"]
    command = [
        sys.executable,
        "-m",
        "a3d_edge",
        "run",
        *words,
        "--alerts",
        str(alerts_toml(folder, hook, frigate, broker)),
    ]
    out, err = (folder / "out").open("w+"), (folder / "err").open("w+")
    run = subprocess.Popen(command, stdout=out, stderr=err)
    begun, memory, done = time.monotonic(), [], []
    waiting = faults(camera, hook, frigate, broker)
    next_s, mend, mend_s = args.every, None, 0.0
    while (now := time.monotonic() - begun) < args.seconds and run.poll() is None:
        memory.append((now, psutil.Process(run.pid).memory_info().rss / 1e6))
        if mend is not None and now >= mend_s:
            mend()
            mend = None
        if now >= next_s and now < args.seconds - WELL_S - FAULT_S:
            name, begin, mend = next(waiting)
            begin()
            done.append(name)
            mend_s, next_s = now + (3.0 if name == "camera stalls" else FAULT_S), next_s + args.every
        time.sleep(1.0)
    ended = time.monotonic()
    run.send_signal(signal.SIGTERM)
    code = run.wait(60)
    took = time.monotonic() - ended
    time.sleep(2.0)
    broker.client.loop_stop()
    broker.stop()
    lines = [json.loads(line) for line in (folder / "out").read_text().splitlines()]
    print((folder / "err").read_text(), file=sys.stderr)
    places = {
        "webhook": [body for _, body in hook.got],
        "mqtt": broker.got,
        "frigate": frigate.got,
        "restarts": broker.restarts - 1,
    }
    return lines, memory, done, took, code, places


def accounted(name: str, told: set[tuple[str, int]], got: list[dict[str, Any]], queue: Path) -> str:
    """Whether all came, or waits."""
    came = [key(one) for one in got]
    waits = {
        key(json.loads(path.read_text()))
        for folder in queue.glob(f"{name}-*")
        for path in folder.glob("0*.json")
    }
    lost = told - set(came) - waits
    foreign = set(came) - told
    return (
        f"{name}: {len(told & set(came))} of {len(told)} alerts delivered, {len(waits)} in the queue, "
        f"{len(lost)} lost, {len(came) - len(set(came))} delivered twice, {len(foreign)} that nobody told"
    )


def report(args: Any, folder: Path) -> list[str]:
    """What came of it."""
    lines, memory, done, took, code, places = soak(args, folder)
    alerts = [line for line in lines if line["event"] == "alert"]
    told = {key(one) for one in alerts}
    states: dict[str, list[str]] = {}
    for one in alerts:
        states.setdefault(one["id"], []).append(one["state"])
    proper = sum(
        s[0] == "started" and s[-1] == "ended" and set(s[1:-1]) <= {"updated"} for s in states.values()
    )
    summary = next((line for line in lines if line["event"] == "summary"), {})
    frames = summary.get("frames_used", 0) + sum(summary.get("dropped", {}).values())
    settled = [(at, mb) for at, mb in memory if at > min(SETTLED_S, args.seconds / 3)]
    slope = float(np.polyfit(*zip(*settled, strict=True), 1)[0]) * 60.0
    timeline = [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]
    written = {key(one) for one in timeline if one["event"] == "alert"}
    created = sum(path.endswith("/create") for path, _ in places["frigate"])
    return [
        f"{memory[-1][0]:.0f} s, {len(done)} faults, "
        f"the broker stopped {places['restarts']} times; {processor_name()}",
        f"memory: {memory[-1][1]:.0f} MB at the end, "
        f"slope {slope:+.2f} MB a minute after {settled[0][0]:.0f} s",
        f"frames: {summary.get('frames_captured')} captured, {frames} used or dropped for a reason; "
        f"{summary.get('switches')} switches",
        f"events: {len(states)}, {proper} of them started, updated, ended in this order",
        accounted("webhook", told, places["webhook"], folder / "queue"),
        accounted("mqtt", told, places["mqtt"], folder / "queue"),
        f"timeline: {len(told & written)} of {len(told)} alerts; "
        f"clips: {sum(one['event'] == 'clip' for one in timeline)} complete",
        f"Frigate: {created} events created, {len(places['frigate']) - created} ended",
        f"SIGTERM: exit {code} after {took:.2f} s",
        f"counts: `{json.dumps(summary.get('alerts', {}))}`",
    ]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--every", type=float, default=15.0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        lines = report(args, Path(name))
    command = f"python benchmarks/alert_soak.py --seconds {args.seconds:g} --every {args.every:g}"
    beside = f"beside other work (load {os.getloadavg()[2]:.0f})"
    head = f"# Alerts under faults\n\n`{command}`, {beside}. {ABOUT}\n\n"
    text = head + "".join(f"- {line}\n" for line in lines)
    print(text)
    if args.out is not None:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
