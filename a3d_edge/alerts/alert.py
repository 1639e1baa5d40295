"""What is told of an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from a3d_edge.alerts.machine import Reason, State

__all__ = ["Alert", "alert_id", "utc"]


def utc(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the millisecond: ``2026-01-31T12:00:00.000Z``."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"


def alert_id(clock_s: float, token: str, number: int) -> str:
    """Unique, a plain file name, and in the order of time: ``20260131T120000250Z-3f9c-1``."""
    return f"{utc(clock_s).translate({ord(c): None for c in '-:.'})}-{token}-{number}"


@dataclass(frozen=True, slots=True)
class Alert:
    """An event that has ``started``, goes on (``updated``) or has ``ended``; all of one have the same ``id``,
    and are numbered by ``seq`` from 1 on.

    ``start_s`` and ``end_s`` (so far) are in the stream's time, the middles of the first and the last window
    that counted: a window's answer does not say where in it something happens. ``stream_time_s``: of the
    newest frame when it was told. ``started_at``, ``ended_at``: the same by the clock, seconds since 1970.
    ``peak``, ``mean``: of the scores that counted. ``score``, ``threshold``, ``configuration``: of the newest
    prediction. ``reason``: why it ended (`a3d_edge.alerts.machine.Reason`).
    """

    id: str
    seq: int
    state: State
    name: str
    label: str
    stream_time_s: float
    start_s: float
    end_s: float
    started_at: float
    ended_at: float
    peak: float
    mean: float
    score: float
    threshold: float
    configuration: str
    source: str | None = None
    reason: Reason | None = None

    @property
    def duration_s(self) -> float:
        """So far."""
        return self.end_s - self.start_s

    def fields(self) -> dict[str, Any]:
        """As JSON values (docs/events.md)."""
        return {
            "id": self.id,
            "seq": self.seq,
            "state": self.state,
            "name": self.name,
            "label": self.label,
            "time": utc(self.started_at),
            "end_time": utc(self.ended_at),
            "stream_time_s": self.stream_time_s,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "duration_s": self.duration_s,
            "peak": self.peak,
            "mean": self.mean,
            "score": self.score,
            "threshold": self.threshold,
            "configuration": self.configuration,
            "source": self.source,
            "reason": self.reason,
        }
