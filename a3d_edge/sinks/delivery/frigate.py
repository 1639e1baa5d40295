"""Events of Frigate: created when an alert starts, ended when it ends, by its HTTP API.

POST /api/events/CAMERA/LABEL/create   {"duration": null, …} → {"event_id": …}
PUT  /api/events/ID/end                {"end_time": …}

Frigate cannot create an event in the past: it begins when the request comes. One that could not be delivered
for `STALE_S` is left out, for its recording would show something else.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from a3d_edge.errors import ResourceError
from a3d_edge.files import write_atomically
from a3d_edge.json_text import json_object
from a3d_edge.sinks.delivery.http import Endpoint
from a3d_edge.sinks.delivery.sender import RefusedError, Sender

__all__ = ["Frigate"]

STALE_S = 60.0
KEPT = 256
"""Events whose end has not come."""


class Frigate:
    """``camera``: as Frigate calls it. ``folder``: where it is kept which event is which, over restarts."""

    def __init__(
        self, endpoint: Endpoint, camera: str, folder: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._endpoint, self._camera, self._clock = endpoint, camera, clock
        self._file = folder / "frigate.json"
        self._theirs = _known(self._file)
        self.name = f"Frigate at {endpoint.name}"

    def begin(self, sender: Sender) -> None:
        """There is nothing to prepare."""

    def send(self, alert: dict[str, Any], stopping: threading.Event) -> str:
        """Raises what `Endpoint.request` raises."""
        if alert["state"] == "started":
            return self._create(alert)
        if alert["state"] == "ended":
            return self._end(alert)
        return "skipped"  # Frigate has no word for an update

    def end(self) -> None:
        """There is nothing to let go of."""

    def _create(self, alert: dict[str, Any]) -> str:
        if self._clock() - _seconds(alert["time"]) > STALE_S:
            return "stale"
        path = f"/api/events/{quote(self._camera, safe='')}/{quote(alert['label'], safe='')}/create"
        sub_label = None if alert["name"] == alert["label"] else alert["name"]
        body = {
            "sub_label": sub_label,
            "score": alert["peak"],
            "duration": None,
            "include_recording": True,
        }
        theirs = self._endpoint.request("POST", path, body).get("event_id")
        if not isinstance(theirs, str):
            raise RefusedError("it answers without an event_id; is it Frigate?")
        self._theirs[alert["id"]] = theirs
        self._keep()
        return "delivered"

    def _end(self, alert: dict[str, Any]) -> str:
        theirs = self._theirs.get(alert["id"])
        if theirs is None:  # it was never created
            return "stale"
        try:
            path = f"/api/events/{quote(theirs, safe='')}/end"
            self._endpoint.request("PUT", path, {"end_time": _seconds(alert["end_time"])})
        except RefusedError:
            self._forget(alert["id"])
            raise
        self._forget(alert["id"])
        return "delivered"

    def _forget(self, ours: str) -> None:
        self._theirs.pop(ours, None)
        self._keep()

    def _keep(self) -> None:
        self._theirs = dict(list(self._theirs.items())[-KEPT:])
        with suppress(ResourceError):  # a full disk: known until the process ends
            write_atomically(self._file, lambda path: _put(path, self._theirs))


def _put(path: Path, content: dict[str, str]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _known(file: Path) -> dict[str, str]:
    try:
        return {k: str(v) for k, v in json_object(file.read_bytes()).items()}
    except (OSError, ValueError, RecursionError):
        return {}


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
