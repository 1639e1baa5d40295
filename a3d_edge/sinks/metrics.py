"""A run's figures as Prometheus reads them (docs/guides/operate.md lists them): seconds, bytes, ratios.

Names of classes are no labels: there may be any number. What is unknown has no sample; it is never 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from a3d_edge.errors import ResourceError
from a3d_edge.sinks.run_state import BOUNDS_S, Histogram, RunState, bounded

if TYPE_CHECKING:
    from prometheus_client.core import HistogramMetricFamily, Metric

__all__ = ["exposition", "registry_of"]

STATES = ("connecting", "live", "stalled", "reconnecting", "ended", "failed")
SENSORS = {
    "battery_percent": ("battery_ratio", "Charge of the battery.", 0.01),
    "plugged": ("battery_plugged", "Whether the battery is being fed.", 1.0),
    "cpu_others": ("cpu_others_ratio", "Share of our cores that other programs take.", 1.0),
    "temperature_c": ("temperature_celsius", "The processor's temperature.", 1.0),
    "temperature_limit_c": ("temperature_limit_celsius", "Where the processor throttles.", 1.0),
    "memory_available": ("memory_available_ratio", "Share of the memory limit that is free.", 1.0),
}
"""Fields of `Signals`: our names, what they say, and what makes them base units."""


def registry_of(state: RunState, sinks: Sequence[Any] = ()) -> Any:
    """A Prometheus registry of a run, its process' own figures included.

    ``sinks``: of each that has ``counters() -> Mapping[str, int]`` (sent, failed, dropped…) those are read.
    Raises `ResourceError` without prometheus-client.
    """
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector
    except ImportError as error:
        raise ResourceError("`metrics` needs prometheus-client: pip install 'a3d-edge[metrics]'") from error
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Run(state, sinks))
    return registry


def exposition(registry: Any, accepts: str) -> tuple[bytes, str]:
    """The figures now, and their content type: Prometheus' text, or OpenMetrics where that is asked for."""
    from prometheus_client.exposition import choose_encoder

    encode, kind = choose_encoder(accepts)
    return encode(registry), kind


class _Run:
    """Collects when it is asked; nothing is computed before."""

    def __init__(self, state: RunState, sinks: Sequence[Any]) -> None:
        self._state, self._sinks = state, sinks

    def describe(self) -> list[Metric]:
        return []  # nothing is collected on registration

    def collect(self) -> Iterator[Metric]:
        state = self._state
        yield _counter("frames", "Captured frames by what became of them.", "outcome", state.frames())
        yield _counter("predictions", "Predictions.", "configuration", dict(state.predictions))
        yield _counter("switches", "Changes of configuration.", "limiting_signal", dict(state.switches))
        yield _counter("warnings", "What went wrong and the run survived.", None, state.warnings)
        if state.reconnects is not None:
            yield _counter("source_reconnects", "Times the source came back.", None, state.reconnects)
        yield _histogram("prediction_latency_seconds", "Work done for a prediction.", state.latency)
        yield _histogram("prediction_age_seconds", "Age of its newest frame.", state.age)
        if state.latest is not None:
            yield _gauge("latest_age_seconds", "Age of the newest frame, of the last one.", state.latest[0])
            yield _gauge("configuration_info", "What runs.", 1, {"configuration": state.latest[1]})
        if state.silent_s is not None:
            yield _gauge("frame_silence_seconds", "Since a frame was looked at.", state.silent_s)
        yield _gauge("budget_info", "What it may spend.", 1, {"budget": state.budget})
        yield _states(state.source_state)
        yield _gauge("ready", "As /readyz says.", state.flows)
        yield from _sensors(state.signals())
        yield from _counters(self._sinks)


def _counter(name: str, says: str, label: str | None, values: Mapping[str, int] | int) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    if isinstance(values, int):
        return CounterMetricFamily(f"a3d_edge_{name}", says, value=values)
    family = CounterMetricFamily(f"a3d_edge_{name}", says, labels=[label or ""])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauge(name: str, says: str, value: float, labels: Mapping[str, str] | None = None) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"a3d_edge_{name}", says, labels=list(labels or {}))
    family.add_metric(list((labels or {}).values()), float(value))
    return family


def _histogram(name: str, says: str, counted: Histogram) -> HistogramMetricFamily:
    from prometheus_client.core import HistogramMetricFamily

    bounds = [*map(str, BOUNDS_S), "+Inf"]
    buckets = list(zip(bounds, map(float, accumulate(counted.counts)), strict=True))
    return HistogramMetricFamily(f"a3d_edge_{name}", says, buckets=buckets, sum_value=counted.total_s)


def _states(now: str) -> Metric:
    """One sample a state, of which one is 1."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily("a3d_edge_source_state", "Of the source: the one that is 1.", labels=["state"])
    for state in (*STATES, *([] if now in STATES else ["other"])):
        family.add_metric([state], float(state == now or (state == "other" and now not in STATES)))
    return family


def _sensors(signals: Any) -> Iterator[Metric]:
    for field, (name, says, scale) in SENSORS.items():
        value = getattr(signals, field, None)
        if value is not None:
            yield _gauge(name, says, float(value) * scale)


def _counters(sinks: Sequence[Any]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(
        "a3d_edge_sink_events", "What sinks did with events.", labels=["sink", "outcome"]
    )
    known: dict[str, bool] = {}
    for sink in sinks:
        for outcome, count in getattr(sink, "counters", dict)().items():
            kept = bounded(str(outcome), known)
            known[kept] = True
            family.add_metric([type(sink).__name__, kept], count)
    if family.samples:
        yield family
