"""Boxes by MQTT: messages as the lines of a file, or Frigate's events.

    mqtt://user:password@host:1883/edge/people
    mqtts://host/frigate/events?camera=yard&size=1280x720

By MQTT 5, in which who receives says how large a message may be. The connection is the library's own
thread's: it comes when it comes, and again when it is lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from a3d_edge.broker import broker_of, client_of, require_mqtt
from a3d_edge.errors import SourceError, UsageError
from a3d_edge.people.feed_line import MOST_BYTES, Message, content_of, message_of
from a3d_edge.people.frigate import FrigateEvents, is_frigate
from a3d_edge.people.live_lines import LiveLines
from a3d_edge.people.protocols import Sighting
from a3d_edge.shown import shown
from a3d_edge.video.frame import Frame

__all__ = ["BoxesByMqtt"]

KEEPALIVE_S = 15
RECONNECT_S = (1, 30)
LONGEST_TOPIC = 1000
MOST_PACKET = 2 * MOST_BYTES
"""A message and its topic. The broker keeps what is larger: the library would first hold all of it."""
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


class BoxesByMqtt:
    """``url``: the broker, its path the topic; ``camera`` and ``size`` (of the picture that boxes are in) may
    be asked for behind a ``?``. Raises `UsageError`, `ResourceError`, neither of which repeats a password."""

    def __init__(self, url: str) -> None:
        require_mqtt()
        broker = broker_of(url, "`people`")
        parts = urlsplit(url)
        topic = unquote(parts.path.lstrip("/"))
        self.name = f"{broker.name}/{shown(topic)}"
        if not topic or len(topic) > LONGEST_TOPIC:
            raise UsageError(f"`people` {broker.name}: which topic is not said; write mqtt://host/TOPIC")
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        size, camera = asked.pop("size", None), asked.pop("camera", None)
        sides = None if size is None else _SIZE.fullmatch(size)
        if asked or (size is not None and sides is None):
            raise UsageError(f"`people` {self.name}: behind the ? there are camera=NAME and size=1280x720")
        self._size = None if sides is None else (float(sides[1]), float(sides[2]))
        self._frigate = FrigateEvents(camera, self._size)
        self._heard_frigate = False
        self._lines = LiveLines(f"`people` {self.name}")
        self._client = self._begun(client_of(broker, newest=True), broker.host, broker.port, topic)

    def until(self, frame: Frame) -> Sequence[Sighting]:
        """What has come since the frame before; of Frigate whoever is there."""
        found = [self._heard(line, frame) for line in self._lines.taken()]
        if self._heard_frigate:
            found.append(self._placed(self._frigate.message(frame.captured_s), frame))
        return [one for one in found if one is not None]

    @property
    def left_out(self) -> int:
        """Messages that were wrong, or too many."""
        return self._lines.left_out

    def warnings(self) -> Sequence[str]:
        """Messages that were left out, one of each kind; that the broker refuses us."""
        return self._lines.warnings()

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _heard(self, line: bytes, frame: Frame) -> Sighting | None:
        where = f"`people` {self.name}"
        try:
            content = content_of(line, where)
            if is_frigate(content):
                self._heard_frigate = True
                self._frigate.hear(content, frame.captured_s, where)
                return None
            message = message_of(content, where)
        except SourceError as error:
            self._lines.refuse(error)
            return None
        return self._placed(message if message.size else replace(message, size=self._size), frame)

    def _placed(self, message: Message, frame: Frame) -> Sighting | None:
        try:
            return self._lines.placed(message, frame)
        except SourceError as error:
            self._lines.refuse(error)
            return None

    def _begun(self, client: Any, host: str, port: int, topic: str) -> Any:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        def connected(client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
            if code.is_failure:
                self._lines.warn(f"`people` {self.name}: the broker refuses us ({code}); it is asked again")
            else:
                client.subscribe(topic)

        def came(client: Any, data: Any, message: Any) -> None:
            self._lines.heard(len(message.payload))
            self._lines.put(bytes(message.payload[: MOST_BYTES + 1]))

        def failed(client: Any, data: Any) -> None:
            self._lines.warn(f"`people` {self.name}: the broker cannot be reached; it is tried again")

        client.on_connect, client.on_message, client.on_connect_fail = connected, came, failed
        client.reconnect_delay_set(*RECONNECT_S)
        asked = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        asked.MaximumPacketSize = MOST_PACKET
        client.connect_async(host, port, KEEPALIVE_S, properties=asked)
        client.loop_start()
        return client
