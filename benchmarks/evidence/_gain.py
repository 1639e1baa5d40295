"""What switching gains over the best configuration that is fixed and never late: expected accuracy, no clips.

A trace says for how long a device is how much slower than when its table was measured; what was decided
meanwhile comes from whoever decides (the controller, replayed), or from `best_possible`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Row", "Stretch", "best_fixed", "best_possible", "expected", "late_share"]


@dataclass(frozen=True, slots=True)
class Row:
    """A configuration's measured accuracy, and latency on the device when nothing slows it."""

    accuracy: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many seconds in which everything takes ``slowed`` times as long as the table says."""

    seconds: float
    slowed: float


def expected(decided: Sequence[str], trace: Sequence[Stretch], table: Mapping[str, Row]) -> float:
    """Mean accuracy over the time of a trace, of the configuration that was decided for each stretch.

    Raises ValueError where they are not as many.
    """
    return _over(trace, [table[name].accuracy for name in decided])


def late_share(
    decided: Sequence[str], trace: Sequence[Stretch], table: Mapping[str, Row], deadline_ms: float
) -> float:
    """Share of the time in which what was decided misses the deadline."""
    pairs = zip(decided, trace, strict=True)
    return _over(trace, [float(table[c].latency_ms * part.slowed > deadline_ms) for c, part in pairs])


def best_fixed(trace: Sequence[Stretch], table: Mapping[str, Row], deadline_ms: float) -> str | None:
    """The most accurate configuration that is never late; of equals the quicker one. None where none is."""
    slowest = max(part.slowed for part in trace)
    in_time = {c: row for c, row in table.items() if row.latency_ms * slowest <= deadline_ms}
    return max(in_time, key=lambda c: (in_time[c].accuracy, -in_time[c].latency_ms), default=None)


def best_possible(trace: Sequence[Stretch], table: Mapping[str, Row], deadline_ms: float) -> tuple[str, ...]:
    """What somebody who knows the trace decides: no controller gains more without being late.

    Where all are late it is the quickest.
    """
    quickest = min(table, key=lambda c: table[c].latency_ms)
    return tuple(best_fixed([part], table, deadline_ms) or quickest for part in trace)


def _over(trace: Sequence[Stretch], values: Sequence[float]) -> float:
    seconds = sum(part.seconds for part in trace)
    return sum(part.seconds * value for part, value in zip(trace, values, strict=True)) / seconds
