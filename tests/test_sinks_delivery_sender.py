"""Delivery by HTTP: retried while the other side is away, given up where it refuses; webhook and Frigate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures_delivery import Server, eventually, fields, free_port, server

from a3d_edge.errors import UsageError
from a3d_edge.sinks.delivery import sender as sender_module
from a3d_edge.sinks.delivery.frigate import Frigate
from a3d_edge.sinks.delivery.http import Endpoint
from a3d_edge.sinks.delivery.outbox import Outbox
from a3d_edge.sinks.delivery.sender import Deliverer, Sender
from a3d_edge.sinks.delivery.webhook import Webhook

CANARY = "c4n4ry"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off in hundredths."""
    monkeypatch.setattr(sender_module, "FIRST_S", 0.02)
    monkeypatch.setattr(sender_module, "LONGEST_S", 0.1)


class Started:
    """A sender with its outbox, and what it said."""

    def __init__(self, make: Callable[[Path], Deliverer], folder: Path) -> None:
        self.said: list[str] = []
        self.box = Outbox(folder / "q", self.said.append)
        self.sender = Sender(make(self.box.folder), self.box, self.said.append)

    def put(self, *alerts: dict[str, Any]) -> None:
        for one in alerts:
            self.box.put(one)
        self.sender.hurry()

    def stop(self) -> None:
        self.sender.stop()
        self.sender.join(5)
        self.box.close()


def webhook(url: str, timeout_s: float = 5.0, **headers: str) -> Callable[[Path], Deliverer]:
    """To an address."""
    return lambda folder: Webhook(Endpoint(url, headers, timeout_s, "webhook[0].url"))


def test_a_webhook_gets_the_alerts_line(server: Server, tmp_path: Path) -> None:
    """With credentials as headers, whatever letters they have, the query, and a key of its own."""
    to = webhook(f"http://u:p%23%2F@{server.url}/hook?token={CANARY}", **{"X-Own": "1"})
    started = Started(to, tmp_path)
    started.put(fields("started"), fields("ended"))
    eventually(lambda: started.sender.idle)
    started.stop()
    (method, path, headers, body), other = server.requests
    assert (method, path) == ("POST", f"/hook?token={CANARY}")
    assert headers["Authorization"] == "Basic dTpwIy8="
    assert headers["X-Own"] == "1"
    assert body == {"event": "alert", "schema": 1, **fields("started", **_times(body))}
    assert headers["Idempotency-Key"] != other[2]["Idempotency-Key"]
    assert started.sender.counts == {"delivered": 2, "retries": 0, "refused": 0, "queued": 0, "dropped": 0}


def _times(body: dict[str, Any]) -> dict[str, float]:
    """What `fields` took from the clock."""
    from datetime import datetime

    times = {"started_at": body["time"], "ended_at": body["end_time"]}
    return {key: datetime.fromisoformat(text[:-1] + "+00:00").timestamp() for key, text in times.items()}


def test_what_is_away_is_tried_again_and_said_once(tmp_path: Path) -> None:
    """Nothing listens, then one that fails, then one that works: all comes, in order, once."""
    port = free_port()
    started = Started(webhook(f"http://user:{CANARY}@127.0.0.1:{port}/hook?key={CANARY}"), tmp_path)
    started.put(fields("started"), fields("ended"))
    eventually(lambda: started.sender.counts["retries"] >= 2)
    late = Server(port)
    late.status = 503
    eventually(lambda: len(late.requests) >= 2)
    late.status = 200
    before = len(late.requests)
    eventually(lambda: started.sender.idle)
    started.stop()
    late.stop()
    assert [body["state"] for *_, body in late.requests[-2:]] == ["started", "ended"]
    assert len(late.requests) <= before + 3
    assert started.said == [
        f"alerts to http://127.0.0.1:{port}: Connection refused; trying again (said once; the summary counts)"
    ]
    assert CANARY not in str(started.sender.counts)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "it answers 404"), (302, "it answers 302, another address; give that one")],
)
def test_what_is_refused_is_left_out(server: Server, tmp_path: Path, status: int, reason: str) -> None:
    """Counted, said once; the next is delivered all the same."""
    server.status = status
    started = Started(webhook(f"http://{server.url}/"), tmp_path)
    started.put(fields("started"), fields("ended"))
    eventually(lambda: started.sender.idle)
    server.status = 200
    started.put(fields("started", 2))
    eventually(lambda: started.sender.idle)
    started.stop()
    counts = started.sender.counts
    assert (counts["refused"], counts["delivered"], counts["retries"]) == (2, 1, 0)
    assert started.said == [
        f"alerts to http://{server.url}: {reason}; it is left out (said once; the summary counts)"
    ]


def test_a_server_that_does_not_answer_holds_nobody(server: Server, tmp_path: Path) -> None:
    """Stopping does not wait for it; what was not delivered is there the next time."""
    server.wait_s = 3.0
    started = Started(webhook(f"http://{server.url}/"), tmp_path)
    started.put(fields("started"), fields("ended"))
    eventually(lambda: server.requests)
    begun = time.monotonic()
    started.sender.stop()
    started.sender.join(0.1)
    assert time.monotonic() - begun < 1.0
    started.box.close()
    assert len(Outbox(tmp_path / "q", print)) == 2


@pytest.mark.parametrize(
    "url", [f"ftp://user:{CANARY}@host", f"http://u:{CANARY}/#@:x/", "http://", f"{CANARY}"]
)
def test_an_address_that_cannot_be_is_not_repeated(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(UsageError) as caught:
        Endpoint(url, {}, 1.0, "webhook[0].url")
    assert str(caught.value).startswith("webhook[0].url: is no address of http or https; ")
    assert CANARY not in str(caught.value)


def test_an_event_of_frigate_is_created_and_ended(server: Server, tmp_path: Path) -> None:
    """By its own id, also when the process was another meanwhile; updates are not for it."""
    server.body = {"success": True, "event_id": "1700000000.1-abc"}
    first = Started(lambda folder: _frigate(server, folder), tmp_path)
    first.put(fields("started", name="yard"), fields("updated"))
    eventually(lambda: first.sender.idle)
    first.stop()
    second = Started(lambda folder: _frigate(server, folder), tmp_path)
    eventually(lambda: second.sender.idle)
    second.stop()
    (method, path, _, body), (method2, path2, _, body2) = server.requests
    assert (method, path) == ("POST", "/api/events/front%20yard/hug/create")
    assert body == {"sub_label": "yard", "score": 0.9, "duration": None, "include_recording": True}
    assert (method2, path2) == ("PUT", "/api/events/1700000000.1-abc/end")
    assert body2["end_time"] == pytest.approx(time.time(), abs=60)


def test_an_event_that_is_long_over_is_not_created(server: Server, tmp_path: Path) -> None:
    """Frigate would record something else; neither is one ended that was never created."""
    started = Started(lambda folder: _frigate(server, folder), tmp_path)
    started.put(fields("started", started_at=time.time() - 100), fields("ended"))
    eventually(lambda: started.sender.idle)
    started.stop()
    assert server.requests == []
    assert started.sender.counts["stale"] == 2


def _frigate(server: Server, folder: Path) -> Frigate:
    return Frigate(Endpoint(f"http://{server.url}", {}, 5.0, "frigate.url"), "front yard", folder)


def test_a_fault_of_a_deliverer_does_not_end_the_thread(tmp_path: Path) -> None:
    """It is tried again, as what is away."""

    class Faulty:
        name = "faulty"
        tries = 0

        def begin(self, sender: Sender) -> None:
            pass

        def send(self, alert: dict[str, Any], stopping: threading.Event) -> str:
            self.tries += 1
            if self.tries < 3:
                raise KeyError("x")
            return "delivered"

        def end(self) -> None:
            pass

    started = Started(lambda folder: Faulty(), tmp_path)
    started.put(fields())
    eventually(lambda: started.sender.idle)
    started.stop()
    assert started.said == ["alerts to faulty: KeyError; trying again (said once; the summary counts)"]
