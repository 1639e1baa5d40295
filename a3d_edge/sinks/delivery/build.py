"""From a file of alerts to the sink that takes them where it says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from a3d_edge.folders import user_folder
from a3d_edge.outputs import require_writable
from a3d_edge.sinks.delivery.alert_events import AlertEvents, Place
from a3d_edge.sinks.delivery.alert_file import AlertFile, ClipsTable, TimelineTable
from a3d_edge.sinks.delivery.frigate import Frigate
from a3d_edge.sinks.delivery.http import Endpoint
from a3d_edge.sinks.delivery.mqtt import Mqtt, broker_of, require_mqtt
from a3d_edge.sinks.delivery.recorder import ClipSettings
from a3d_edge.sinks.delivery.timeline import Timeline
from a3d_edge.sinks.delivery.webhook import Webhook

__all__ = ["alert_events", "default_queue"]


def default_queue() -> Path:
    """``$XDG_STATE_HOME/a3d-edge/alerts``, or below ``~/.local/state``."""
    return user_folder("XDG_STATE_HOME", ".local/state") / "alerts"


def alert_events(
    file: AlertFile, beside: Path, names: Sequence[str], say: Callable[[str], None], *, patient: bool = False
) -> AlertEvents | None:
    """The sink; None where the file names no place. ``beside``: the folder that its paths begin at.
    ``names``: of all alerts. ``patient``: frames may wait, as a file's may. Raises `UsageError`,
    `ResourceError`."""
    places = _places(file, beside, names)
    if not places and file.timeline is None and file.clips is None:
        return None
    return AlertEvents(
        say,
        timeline=None if file.timeline is None else _timeline(file.timeline, beside),
        clips=None if file.clips is None else _clips(file.clips, beside),
        places=places,
        patient=patient,
    )


def _places(file: AlertFile, beside: Path, names: Sequence[str]) -> list[Place]:
    queue = default_queue() if file.queue is None else beside / file.queue
    places = []
    for number, hook in enumerate(file.webhook):
        endpoint = Endpoint(hook.url, hook.headers, hook.timeout, f"webhook[{number}].url")
        places.append(Place(queue / _key("webhook", hook.url), lambda _, to=endpoint: Webhook(to)))  # type: ignore[misc]
    if file.mqtt is not None:
        require_mqtt()
        broker, topic = broker_of(file.mqtt.url, "mqtt.url"), file.mqtt.topic.rstrip("/")
        client = partial(Mqtt, broker, topic, tuple(names), file.mqtt.discovery.rstrip("/"))
        places.append(Place(queue / _key("mqtt", f"{broker.name} {topic}"), lambda _: client()))
    if file.frigate is not None:
        there = file.frigate
        endpoint = Endpoint(there.url, there.headers, there.timeout, "frigate.url")
        folder = queue / _key("frigate", f"{endpoint.name} {there.camera}")
        places.append(Place(folder, partial(Frigate, endpoint, there.camera)))
    return places


def _key(kind: str, where: str) -> str:
    """The folder of a place's queue: the same for the same place, and no credentials in it."""
    return f"{kind}-{hashlib.sha256(where.encode()).hexdigest()[:12]}"


def _timeline(table: TimelineTable, beside: Path) -> Timeline:
    path = beside / table.file
    require_writable(path, name="timeline.file")
    return Timeline(path, table.rotate, table.keep)


def _clips(table: ClipsTable, beside: Path) -> ClipSettings:
    return ClipSettings(
        folder=beside / table.folder,
        before_s=table.before,
        after_s=table.after,
        longest_s=table.longest,
        rate=table.rate,
        height=table.height,
        memory=table.memory,
        clips=table.video,
        snapshots=table.snapshot,
        keep_s=table.keep,
        keep_bytes=table.keep_size,
    )
