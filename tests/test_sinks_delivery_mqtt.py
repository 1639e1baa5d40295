"""Alerts by MQTT against a real mosquitto: QoS 1 through restarts, last will, discovery."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_delivery import (
    Mosquitto,
    Subscriber,
    eventually,
    fields,
    mosquitto,
    needs_mosquitto,
)
from fixtures_events import kind_of

from a3d_edge.errors import UsageError
from a3d_edge.sinks.delivery import mqtt as mqtt_module
from a3d_edge.sinks.delivery import sender as sender_module
from a3d_edge.sinks.delivery.mqtt import Mqtt, broker_of, discovery_of, slug
from a3d_edge.sinks.delivery.outbox import Outbox
from a3d_edge.sinks.delivery.sender import Sender

pytest.importorskip("paho.mqtt")

CANARY = "c4n4ry"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "FIRST_S", 0.05)
    monkeypatch.setattr(sender_module, "LONGEST_S", 0.2)
    monkeypatch.setattr(mqtt_module, "ACKNOWLEDGED_S", 1.0)
    monkeypatch.setattr(mqtt_module, "RECONNECT_S", (1, 1))


def start(url: str, folder: Path) -> tuple[Sender, list[str]]:
    """A sender to a broker, for the alerts hug and kick; and what it says."""
    said: list[str] = []
    box = Outbox(folder / "q", said.append)
    client = Mqtt(broker_of(url, "mqtt.url"), "edge/yard", ("hug", "kick"), "homeassistant")
    return Sender(client, box, said.append), said


def stop(sender: Sender) -> None:
    sender.stop()
    sender.join(5)
    sender.outbox.close()


@needs_mosquitto
def test_an_alert_is_published_and_its_state_kept(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The line, ON and OFF retained, online and offline; discovery of a sensor for each alert."""
    hearing = Subscriber(mosquitto.port)
    sender, said = start(f"mqtt://127.0.0.1:{mosquitto.port}", tmp_path)
    for state in ("started", "ended"):
        sender.outbox.put(fields(state))
        sender.hurry()
    eventually(lambda: sender.idle)
    stop(sender)
    eventually(lambda: "offline" in hearing.of("edge/yard/available"))
    lines = [json.loads(line) for line in hearing.of("edge/yard/alert")]
    assert [(kind_of(line), line["state"]) for line in lines] == [("alert", "started"), ("alert", "ended")]
    assert hearing.of("edge/yard/hug/state")[-2:] == ["ON", "OFF"]
    assert hearing.of("edge/yard/kick/state") == ["OFF"]
    assert hearing.of("edge/yard/available") == ["online", "offline"]
    [config] = hearing.of(sensor := f"homeassistant/binary_sensor/{slug('edge/yard')}/hug/config")
    assert json.loads(config) == json.loads(discovery_of("edge/yard", ("hug",), "homeassistant")[sensor])
    hearing.stop()
    late = Subscriber(mosquitto.port)
    late.stop()
    assert said == []


@needs_mosquitto
def test_a_broker_that_is_restarted_twice_loses_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Alerts that come while it is away wait, and come in order; said once."""
    hearing = Subscriber(mosquitto.port)
    sender, said = start(f"mqtt://127.0.0.1:{mosquitto.port}", tmp_path)
    sent = 0
    for _ in range(2):
        for running in (True, False):
            if not running:
                mosquitto.stop()
            for _ in range(5):
                sent += 1
                sender.outbox.put(fields("started" if sent % 2 else "ended", sent))
                sender.hurry()
            if running:
                eventually(lambda: sender.idle)
        eventually(lambda: sender.counts["retries"] > 0)
        mosquitto.start()
        eventually(lambda: sender.idle)
    eventually(lambda: len(set(hearing.of("edge/yard/alert"))) == sent)
    stop(sender)
    hearing.stop()
    numbers = [int(json.loads(line)["id"].rpartition("-")[2]) for line in hearing.of("edge/yard/alert")]
    assert sorted(set(numbers)) == list(range(1, sent + 1))
    assert list(dict.fromkeys(numbers)) == sorted(set(numbers))
    assert sender.counts["delivered"] == sent
    assert len(said) == 1


@needs_mosquitto
def test_a_process_that_is_killed_is_offline(mosquitto: Mosquitto, dies: Callable[..., None]) -> None:
    """By the last will, which the broker says for it."""
    hearing = Subscriber(mosquitto.port)
    dies(mosquitto.port)
    eventually(lambda: hearing.of("edge/yard/available") == ["online", "offline"])
    hearing.stop()


@pytest.fixture
def dies(tmp_path: Path) -> Callable[..., None]:
    """A process that connects and is gone without a word."""

    def run(port: int) -> None:
        import sys

        code = (
            "import os, threading, time\n"
            "from a3d_edge.sinks.delivery.mqtt import Mqtt, broker_of\n"
            f"client = Mqtt(broker_of('mqtt://127.0.0.1:{port}', ''), 'edge/yard', (), '')\n"
            "class Sender:\n    def hurry(self): pass\n"
            "client.begin(Sender())\nassert client._connected.wait(20)\ntime.sleep(0.5)\nos._exit(1)\n"
        )
        subprocess.run([sys.executable, "-c", code], timeout=60, check=False, cwd=tmp_path)

    return run


@needs_mosquitto
def test_a_broker_that_refuses_is_said_without_the_password(tmp_path: Path) -> None:
    """Nothing is lost: the queue waits for one that does not."""
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker", "allow_anonymous false")
    sender, said = start(f"mqtt://user:{CANARY}@127.0.0.1:{broker.port}", tmp_path)
    sender.outbox.put(fields())
    sender.hurry()
    eventually(lambda: said)
    stop(sender)
    broker.stop()
    assert said == [
        f"alerts to mqtt://127.0.0.1:{broker.port}: Not authorized; trying again "
        "(said once; the summary counts)"
    ]
    assert len(sender.outbox) == 1
    assert CANARY not in repr(broker_of(f"mqtt://user:{CANARY}@host", ""))


def test_names_are_parts_of_topics() -> None:
    """Another name stays another; what is no broker is not repeated."""
    assert slug("hug") == "hug"
    assert len({slug("a b"), slug("a_b"), slug("a/b"), slug("a+b")}) == 4
    assert not set("/#+ ") & set(slug("a b/#+"))
    assert broker_of("mqtts://u:p%2F@host", "").port == 8883
    with pytest.raises(UsageError) as caught:
        broker_of(f"http://user:{CANARY}@host", "mqtt.url")
    assert CANARY not in str(caught.value)
