"""Real places for alerts to go to: an HTTP server that can fail, a mosquitto, a disk of 1 MB; and alerts."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from a3d_edge import Alert
from a3d_edge.alerts.machine import State
from a3d_edge.sinks.jsonl import plain

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="needs mosquitto: apt-get install mosquitto")


def alert(state: State = "started", number: int = 1, **changes: Any) -> Alert:
    """A hug from 2 to 3 s."""
    fields: dict[str, Any] = {
        "id": f"20231114T221319000Z-abcd-{number}", "seq": 2 if state == "ended" else 1, "state": state,
        "name": "hug", "label": "hug",
        "stream_time_s": 4.0, "start_s": 2.0, "end_s": 3.0, "started_at": time.time() - 2.0,
        "ended_at": time.time() - 1.0, "peak": 0.9, "mean": 0.8, "score": 0.7, "threshold": 0.5,
        "configuration": "w1.00-s96-t8", "source": "yard", "reason": "below" if state == "ended" else None,
    }  # fmt: skip
    return Alert(**{**fields, **changes})


def fields(state: State = "started", number: int = 1, **changes: Any) -> dict[str, Any]:
    """As they are kept and sent."""
    return dict(plain(alert(state, number, **changes).fields()))


def eventually(what: Callable[[], object], longest_s: float = 20.0) -> None:
    """Wait for it; an assertion that it came."""
    until = time.monotonic() + longest_s
    while not what():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


class Server(ThreadingHTTPServer):
    """Keeps each request: method, path, headers, JSON. ``status``: what it answers, ``body`` with it."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.status, self.body, self.wait_s = 200, {}, 0.0
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.command, self.path, dict(self.headers), content))
        time.sleep(self.server.wait_s)
        with suppress(OSError):  # whoever asked may have left
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(json.dumps(self.server.body).encode())

    do_PUT = do_POST  # noqa: N815


@pytest.fixture
def server() -> Iterator[Server]:
    """On the loopback."""
    made = Server()
    yield made
    made.stop()


def free_port() -> int:
    """One that nobody listens to."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Mosquitto:
    """A broker on the loopback that keeps sessions and retained messages over `restart`."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port, self._process = free_port(), None
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            "\n".join(
                (
                    f"listener {self.port} 127.0.0.1",
                    *(lines or ("allow_anonymous true",)),
                    "persistence true",
                    f"persistence_location {folder}/",
                    "autosave_interval 1",
                    *((f"user {os.environ.get('USER', 'root')}",) if os.getuid() == 0 else ()),
                )
            )
        )
        self.start()

    def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        eventually(self._listens)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """For whoever may connect."""
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker")
    yield broker
    broker.stop()


class Subscriber:
    """Hears everything, in a session that the broker keeps: topic, payload, retained."""

    def __init__(self, port: int, user: str | None = None, password: str | None = None) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard: list[tuple[str, str, bool]] = []
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="subscriber", clean_session=False)
        if user is not None:
            self.client.username_pw_set(user, password)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_message = lambda client, data, message: self.heard.append(
            (message.topic, message.payload.decode(), message.retain)
        )
        self.client.connect("127.0.0.1", port)
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *given: subscribed.set()
        self.client.subscribe("#", qos=1)
        self.client.loop_start()
        assert subscribed.wait(10)

    def of(self, topic: str) -> list[str]:
        """The payloads of a topic."""
        return [payload for name, payload, _ in self.heard if name == topic]

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def fill(folder: Path) -> Path:
    """A file that takes all that its disk has left."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return path


@contextmanager
def disk_of(folder: Path, size: str) -> Iterator[Path]:
    """A disk of that size. Skips where none can be mounted."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("needs to mount a tmpfs: run as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
