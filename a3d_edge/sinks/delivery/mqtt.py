"""Alerts by MQTT, at least once (QoS 1), and each rule as a binary sensor of Home Assistant.

TOPIC/alert             the alert's JSON line
TOPIC/RULE/state        ON or OFF, retained
TOPIC/available         online or offline (last will), retained
PREFIX/binary_sensor/NODE/RULE/config    discovery, retained
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from a3d_edge.broker import Broker, broker_of, client_of, require_mqtt
from a3d_edge.json_text import json_text
from a3d_edge.sinks.delivery.sender import AwayError, Sender

__all__ = ["Broker", "Mqtt", "broker_of", "discovery_of", "require_mqtt"]

ACKNOWLEDGED_S, LOOK_S = 10.0, 0.2
KEEPALIVE_S = 15
RECONNECT_S = (1, 30)


def discovery_of(topic: str, rules: Sequence[str], prefix: str) -> dict[str, str]:
    """Home Assistant's discovery: topics and their payloads, a binary sensor for each rule."""
    node = slug(topic)
    device = {"identifiers": [f"a3d-edge-{node}"], "name": topic, "manufacturer": "a3d-edge"}
    found = {}
    for rule in rules:
        content = {
            "name": rule,
            "unique_id": f"a3d-edge-{node}-{slug(rule)}",
            "state_topic": f"{topic}/{slug(rule)}/state",
            "payload_on": "ON",
            "payload_off": "OFF",
            "availability_topic": f"{topic}/available",
            "payload_available": "online",
            "payload_not_available": "offline",
            "json_attributes_topic": f"{topic}/{slug(rule)}/attributes",
            "qos": 1,
            "device": device,
        }
        found[f"{prefix}/binary_sensor/{node}/{slug(rule)}/config"] = json_text(content)
    return found


def slug(text: str) -> str:
    """As part of a topic and of an id: letters, digits, ``_`` and ``-``; another name stays another."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", text)
    return plain if plain == text else f"{plain}_{sum(i * ord(c) for i, c in enumerate(text, 1)) % 65536:04x}"


class Mqtt:
    """``topic``: what all of ours begin with. ``rules``: the names of alerts. ``prefix``: of Home Assistant's
    discovery, empty for none."""

    def __init__(self, broker: Broker, topic: str, rules: Sequence[str], prefix: str) -> None:
        self._broker, self._topic, self._rules, self._prefix = broker, topic, rules, prefix
        self.name = broker.name
        self._client: Any = None
        self._connected = threading.Event()
        self._reason = "no answer"
        self._going: dict[str, bool] = dict.fromkeys(rules, False)
        self._unanswered: tuple[dict[str, Any], list[Any]] | None = None

    def begin(self, sender: Sender) -> None:
        """Begin to connect; from then on the library's own thread sees to it."""
        client = client_of(self._broker)
        client.will_set(f"{self._topic}/available", "offline", qos=1, retain=True)
        client.reconnect_delay_set(*RECONNECT_S)

        def connected(client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
            if code.is_failure:
                self._reason = str(code)
                return
            self._greet(client)
            self._connected.set()
            sender.hurry()

        def gone(client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
            if self._connected.is_set():  # else it was refused, and that is why
                self._reason = "the connection was lost"
            self._connected.clear()

        client.on_connect, client.on_disconnect = connected, gone
        client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S)
        client.loop_start()
        self._client = client

    def send(self, alert: dict[str, Any], stopping: threading.Event) -> str:
        """Returns once the broker has acknowledged it. Raises `AwayError`."""
        _wait(lambda: self._connected.wait(LOOK_S), stopping)
        if not self._connected.is_set():
            raise AwayError(self._reason)
        if self._unanswered is None or self._unanswered[0] is not alert:
            self._unanswered = (alert, self._publish(alert))
        published = self._unanswered[1]
        try:  # those that are on their way the library sends again after a reconnection
            if not _wait(lambda: all(_acknowledged(one) for one in published), stopping):
                raise AwayError("no acknowledgement")
        except (RuntimeError, ValueError) as error:  # not even on its way: the connection has just gone
            self._unanswered = None
            raise AwayError(self._reason) from error
        self._unanswered = None
        return "delivered"

    def end(self) -> None:
        """Say that we leave, and disconnect."""
        if self._client is None:
            return
        if self._connected.is_set():
            last = self._client.publish(f"{self._topic}/available", "offline", qos=1, retain=True)
            with suppress(RuntimeError, ValueError):
                last.wait_for_publish(0.3)
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self, alert: dict[str, Any]) -> list[Any]:
        rule, on = slug(alert["name"]), alert["state"] != "ended"
        self._going[alert["name"]] = on
        line = json_text({"event": "alert", "schema": 1, **alert})
        publish = self._client.publish
        return [
            publish(f"{self._topic}/alert", line, qos=1),
            publish(f"{self._topic}/{rule}/attributes", line, qos=1, retain=True),
            publish(f"{self._topic}/{rule}/state", "ON" if on else "OFF", qos=1, retain=True),
        ]

    def _greet(self, client: Any) -> None:
        """After each connection, for the broker may have forgotten all."""
        if self._prefix:
            for topic, payload in discovery_of(self._topic, self._rules, self._prefix).items():
                client.publish(topic, payload, qos=1, retain=True)
        client.publish(f"{self._topic}/available", "online", qos=1, retain=True)
        for name, on in self._going.items():
            client.publish(f"{self._topic}/{slug(name)}/state", "ON" if on else "OFF", qos=1, retain=True)


def _acknowledged(published: Any) -> bool:
    """Waits a little for it. Raises `RuntimeError`, `ValueError` where it was not sent."""
    published.wait_for_publish(LOOK_S)
    return bool(published.is_published())


def _wait(done: Callable[[], bool], stopping: threading.Event) -> bool:
    """Until it is done, or too long, or to stop; whether it is done."""
    until = time.monotonic() + ACKNOWLEDGED_S
    while not (there := done()) and time.monotonic() < until and not stopping.is_set():
        pass
    return there
