"""Where a run can be asked how it is: ``/metrics``, ``/healthz`` (it lives, its loop turns), ``/readyz``.

``/readyz`` says 200 while a network is loaded and frames come. For this machine alone unless told otherwise.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.events import Events
from a3d_edge.sinks.metrics import exposition, registry_of
from a3d_edge.sinks.run_state import RunState

__all__ = ["MetricsServer", "parse_place"]

AT_ONCE = 8
PATIENCE_S = 5.0


def parse_place(text: str) -> tuple[str, int]:
    """``9400``, ``0.0.0.0:9400`` or ``[::1]:9400``: host and port; 0 is any port that is free."""
    host, _, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    try:
        number = int(port)
        ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        number = -1
    if not (0 <= number < 65536 and port.isascii() and port.isdigit()):
        raise UsageError(f"`metrics` {text}: write a port, such as 9400, or an address and one: 0.0.0.0:9400")
    return host, number


class MetricsServer(Events):
    """Serves a run's state from threads of its own, from its creation to `close`.

    ``place``: see `parse_place`. ``sinks``: see `registry_of`. Raises `ResourceError` when the port is taken.
    """

    def __init__(self, place: str, state: RunState, sinks: Any = ()) -> None:
        registry = registry_of(state, sinks)
        host, port = parse_place(place)
        try:
            self._server = _Server((host, port), state, registry)
        except OSError as error:
            raise ResourceError(
                f"`metrics` {place}: cannot listen there ({error.strerror}); name another port"
            ) from error
        at = self._server.server_address
        self.url = f"http://{f'[{at[0]!s}]' if ':' in str(at[0]) else at[0]!s}:{at[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more. Idempotent."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Its threads are daemons, and so many at the most: whoever connects and says nothing costs one."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, place: tuple[str, int], state: RunState, registry: Any) -> None:
        self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        self.state, self.registry = state, registry
        self._free = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(place, _Answer)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # whoever asked has left


class _Answer(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S
    server_version, sys_version = "a3d-edge", ""

    def do_GET(self) -> None:
        state, path = self.server.state, self.path.partition("?")[0]
        if path == "/metrics":
            body, kind = exposition(self.server.registry, self.headers.get("Accept", ""))
            self._send(200, body, kind)
        elif path == "/healthz":
            self._say(state.moves, "the loop turns", "the loop does not turn")
        elif path == "/readyz":
            self._say(state.flows, "frames come", f"no frames: the source is {state.source_state}")
        else:
            self._send(404, b"there are /metrics, /healthz and /readyz\n", "text/plain")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _say(self, well: bool, good: str, bad: str) -> None:
        self._send(200 if well else 503, f"{good if well else bad}\n".encode(), "text/plain")

    def _send(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
