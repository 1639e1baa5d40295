"""MQTT: where a broker is, who we are to it, and whether the library is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from a3d_edge.errors import ResourceError, UsageError

__all__ = ["Broker", "broker_of", "client_of", "require_mqtt"]

PORTS = {"mqtt": 1883, "mqtts": 8883}


def require_mqtt() -> None:
    """Raise `ResourceError` that names the extra where the library is missing."""
    try:
        import paho.mqtt.client  # noqa: F401
    except ImportError as error:
        raise ResourceError("`mqtt` needs paho-mqtt: pip install 'a3d-edge[mqtt]'") from error


@dataclass(frozen=True)
class Broker:
    """Where a broker is, and who we are to it."""

    host: str
    port: int
    secure: bool
    user: str | None
    password: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """Without credentials."""
        return f"{'mqtts' if self.secure else 'mqtt'}://{self.host}:{self.port}"


def broker_of(url: str, where: str) -> Broker:
    """The broker of ``mqtt://user:password@host:1883``. Raises `UsageError`, which does not repeat it."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in PORTS or not parts.hostname or not port:
        raise UsageError(
            f"{where}: is no address of a broker; write it like mqtt://host:1883 or "
            "mqtts://user:password@host, and '#', '/', '?' of a password as %23, %2F, %3F"
        )
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return Broker(parts.hostname, port, parts.scheme == "mqtts", user, password)


def client_of(broker: Broker, *, newest: bool = False) -> Any:
    """A client of the library that says who we are, by TLS where the address asks for it; not connected.

    ``newest``: by MQTT 5 instead of 3.1.1.
    """
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    protocol = MQTTProtocolVersion.MQTTv5 if newest else MQTTProtocolVersion.MQTTv311
    client = Client(CallbackAPIVersion.VERSION2, protocol=protocol)
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    if broker.secure:
        client.tls_set()
    return client
