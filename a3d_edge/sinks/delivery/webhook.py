"""Each alert POSTed as JSON to an address."""

from __future__ import annotations

import threading
from typing import Any

from a3d_edge.sinks.delivery.http import Endpoint
from a3d_edge.sinks.delivery.sender import Sender

__all__ = ["Webhook"]


class Webhook:
    """The body is the alert's JSON line. A receiver that got one already knows it by ``Idempotency-Key``."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.name = endpoint.name

    def begin(self, sender: Sender) -> None:
        """There is nothing to prepare."""

    def send(self, alert: dict[str, Any], stopping: threading.Event) -> str:
        """Raises what `Endpoint.request` raises."""
        key = f"{alert['id']}-{alert.get('seq')}"
        body = {"event": "alert", "schema": 1, **alert}
        self._endpoint.request("POST", "", body, **{"Idempotency-Key": key})
        return "delivered"

    def end(self) -> None:
        """There is nothing to let go of."""
