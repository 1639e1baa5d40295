"""A run asked over HTTP how it is, by a real client, while it runs."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_bundle import Here, start_cli
from test_sinks_run_state import frame, prediction

from a3d_edge.device.signals import Signals
from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.events import Summary
from a3d_edge.sinks.metrics_server import MetricsServer, parse_place
from a3d_edge.sinks.run_state import RunState

pytest.importorskip("prometheus_client")
from prometheus_client.parser import text_string_to_metric_families

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "operate.md"


class Running:
    """In the place of a `Runtime`."""

    turned_at: float | None = None
    signals = Signals(battery_percent=50.0, plugged=True, temperature_c=60.0)

    def stop(self) -> None:
        pass

    def account(self) -> Summary:
        return Summary(10, 4, {"not_sampled": 5, "overrun": 1})


class Webhook:
    def counters(self) -> dict[str, int]:
        return {"sent": 3, "failed": 1}


def asked(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(text: str) -> dict[str, float]:
    """By name and labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(one.labels.items()))
            found[f"{one.name}{{{labels}}}" if labels else one.name] = one.value
    return found


@pytest.fixture
def served() -> Iterator[tuple[RunState, str]]:
    state = RunState(budget="80ms")
    state.bind(Running())
    server = MetricsServer("0", state, [Webhook(), object()])
    yield state, server.url
    server.close()


def test_figures_are_what_the_run_was_told(served: tuple[RunState, str]) -> None:
    """Base units; frames by outcome; of what is unknown there is no sample."""
    state, url = served
    state.frame(frame(), None)
    state.prediction(prediction(latency_ms=20.0, age_ms=50.0))
    found = samples(asked(f"{url}/metrics")[1])
    expected = {
        "a3d_edge_frames_total{outcome=used}": 4,
        "a3d_edge_frames_total{outcome=overrun}": 1,
        "a3d_edge_predictions_total{configuration=w0.50-s18-t1}": 1,
        "a3d_edge_prediction_latency_seconds_count": 1,
        "a3d_edge_prediction_latency_seconds_bucket{le=0.01}": 0,
        "a3d_edge_prediction_latency_seconds_bucket{le=0.02}": 1,
        "a3d_edge_latest_age_seconds": 0.05,
        "a3d_edge_configuration_info{configuration=w0.50-s18-t1}": 1,
        "a3d_edge_budget_info{budget=80ms}": 1,
        "a3d_edge_source_state{state=live}": 1,
        "a3d_edge_source_state{state=failed}": 0,
        "a3d_edge_battery_ratio": 0.5,
        "a3d_edge_temperature_celsius": 60,
        "a3d_edge_sink_events_total{outcome=sent,sink=Webhook}": 3,
        "a3d_edge_ready": 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["process_resident_memory_bytes"] > 1e6
    assert not any(name.startswith("a3d_edge_memory") for name in found)


def test_every_name_is_in_the_guide(served: tuple[RunState, str]) -> None:
    """With its labels; and nothing is there that no longer exists."""
    state, url = served
    state.frame(frame(), None)
    state.prediction(prediction())
    told = re.findall(r"^# TYPE (a3d_edge_\w+)", asked(f"{url}/metrics")[1], re.MULTILINE)
    page = GUIDE.read_text(encoding="utf-8")
    assert [name for name in told if f"`{name}" not in page] == []
    assert len(told) > 12


def test_health_and_readiness(served: tuple[RunState, str]) -> None:
    """503 with the reason until frames come; 404 elsewhere; other methods are refused."""
    state, url = served
    assert asked(f"{url}/healthz") == (200, "the loop turns\n")
    assert asked(f"{url}/readyz") == (503, "no frames: the source is connecting\n")
    state.frame(frame(), None)
    assert asked(f"{url}/readyz?x=1") == (200, "frames come\n")
    assert asked(f"{url}/") == (404, "there are /metrics, /healthz and /readyz\n")
    request = urllib.request.Request(f"{url}/metrics", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(request, timeout=10)


def test_who_connects_and_says_nothing_takes_no_more_than_there_is(served: tuple[RunState, str]) -> None:
    """A bounded number of threads; those beyond are turned away, and others are served again afterwards."""
    _, url = served
    place = ("127.0.0.1", int(url.rpartition(":")[2]))
    silent = [socket.create_connection(place) for _ in range(12)]
    for one in silent:
        one.close()
    answers = list(_until_served(url))
    assert answers[-1] == 200


def _until_served(url: str) -> Iterator[int]:
    for _ in range(50):
        try:
            code = asked(f"{url}/healthz")[0]
        except OSError:
            continue
        yield code
        if code == 200:
            return


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("9400", ("127.0.0.1", 9400)),
        ("0.0.0.0:9400", ("0.0.0.0", 9400)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_places(text: str, place: tuple[str, int]) -> None:
    """This machine alone, unless told otherwise."""
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "x", "70000", "-1", "host.example:80", "1.2.3.4", "::1:x", "٣"])
def test_no_places(text: str) -> None:
    """Told what to write."""
    with pytest.raises(UsageError, match=r"write a port, such as 9400"):
        parse_place(text)


def test_a_port_that_is_taken(here: Here, bundle_folder: Path, clip: Path) -> None:
    """One line and the exit code of a lack, before the run."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        words = ("run", "--source", clip, "--bundle", bundle_folder, "--metrics", port)
        code, out, err = here(*words)
    assert (code, out) == (5, "")
    assert (
        err == f"error: --metrics {port}: cannot listen there (Address already in use); name another port\n"
    )


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ResourceError, match=r"pip install 'a3d-edge\[metrics\]'"):
        MetricsServer("0", RunState())


def test_a_run_is_asked_while_it_runs(bundle_folder: Path, tmp_path: Path) -> None:
    """Its figures agree with its summary as far as they go; they end with it."""
    process = start_cli(
        "run", "--source", "demo", "--bundle", bundle_folder, "--json", "--metrics", 0, cwd=tmp_path
    )
    assert process.stderr is not None
    assert process.stdout is not None
    url = re.findall(r"http://[\d.:]+", process.stderr.readline())[0]
    for _ in range(5):
        process.stdout.readline()
    found = samples(asked(f"{url}/metrics")[1])
    assert asked(f"{url}/readyz")[0] == asked(f"{url}/healthz")[0] == 200
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    summary = json.loads(out.splitlines()[-1])
    assert (process.returncode, summary["event"]) == (143, "summary")
    assert "Traceback" not in err
    assert 1 <= sum(v for name, v in found.items() if "predictions_total" in name) <= summary["predictions"]
    frames = {name: value for name, value in found.items() if name.startswith("a3d_edge_frames_total")}
    assert 0 < sum(frames.values()) <= summary["frames_captured"]
    with pytest.raises(OSError):
        asked(f"{url}/healthz")
