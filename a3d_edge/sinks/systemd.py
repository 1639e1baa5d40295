"""A run as a service of systemd (``Type=notify``): ready with its first frame, its watchdog fed by frames.

A loop that turns without seeing anything is restarted: what feeds the watchdog is a frame that was processed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from a3d_edge.events import Events, Prediction, Summary
from a3d_edge.video.frame import Frame

__all__ = ["SystemdEvents", "notify"]

STATUS_EVERY_S = 5.0
FEEDS = 4
"""A watchdog is fed so many times in its interval at the most; half of that would do."""


def notify(*lines: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send ``NAME=value`` lines to the service manager that started us; False where none takes them.

    sd_notify(3): one datagram to the socket that ``NOTIFY_SOCKET`` names; a first ``@`` stands for a zero.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.setblocking(False)  # a manager that does not read holds no frame
        out.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)
        out.send("\n".join(lines).encode())
        return True
    return False


class SystemdEvents(Events):
    """Tells systemd READY at the first frame, WATCHDOG at frames, STATUS now and then, STOPPING last."""

    every_frame = False

    def __init__(
        self,
        source: str,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment, self._clock = environment, clock
        self._interval_s = _watchdog_s(environment) / FEEDS
        self._fed = self._told = float("-inf")
        self._ready = False
        self._tell(f"STATUS=waiting for the first frame of {source}")

    @classmethod
    def wanted(cls, environment: Mapping[str, str] = os.environ) -> bool:
        """Whether a service manager waits to be told."""
        return bool(environment.get("NOTIFY_SOCKET"))

    def frame(self, frame: Frame, latest: Prediction | None) -> None:
        now = self._clock()
        if not self._ready:
            self._ready = True
            self._tell("READY=1", "STATUS=frames come, no prediction yet")
        if now - self._fed >= self._interval_s:
            self._fed = now
            self._tell("WATCHDOG=1")
        if latest is not None and now - self._told >= STATUS_EVERY_S:
            self._told = now
            seen = " ".join(label for label, _ in latest.shown)
            self._tell(f"STATUS={latest.configuration}, {seen}, {latest.latency_ms:.0f} ms")

    def summary(self, summary: Summary) -> None:
        """The run is ending."""
        self._tell(
            "STOPPING=1", f"STATUS={summary.frames_captured} frames, {summary.predictions} predictions"
        )

    def _tell(self, *lines: str) -> None:
        notify(*(" ".join(line.split()) for line in lines), environment=self._environment)


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """systemd's interval; infinite without a watchdog, or with one that is another process'."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return float("inf")
    with suppress(ValueError):
        if (microseconds := int(environment.get("WATCHDOG_USEC", "0"))) > 0:
            return microseconds / 1e6
    return float("inf")
