"""Every decision of the controller as a JSON line in a file that stays small."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO, cast

from a3d_edge.control.policy import Decision
from a3d_edge.events import Events, SinkLostError, Summary
from a3d_edge.json_lines import JsonLines
from a3d_edge.sinks.jsonl import plain
from a3d_edge.sinks.log_file import LogFile, WholeLines

__all__ = ["DecisionLog"]


class DecisionLog(Events):
    """Appends to a `LogFile`: what was decided and why, predicted and measured latency, the next way up.

    Lines that cannot be written are counted, and told at the end.
    """

    every_frame = False

    def __init__(self, path: Path, limit: int) -> None:
        self.file = LogFile(path, limit)
        self._lines = JsonLines(cast("TextIO", WholeLines(self.file.write)))
        self._begun: float | None = None

    def decision(self, decision: Decision) -> None:
        """One line."""
        self._begun = decision.at_s if self._begun is None else self._begun
        self._lines.write("decision", plain(self._fields(decision)))

    def summary(self, summary: Summary) -> None:
        if self.file.lost:
            raise SinkLostError(f"{self.file.path}: {self.file.lost} lines were lost ({self.file.why})")

    def close(self) -> None:
        self.file.close()

    def _fields(self, decision: Decision) -> dict[str, Any]:
        at, up = decision.at_s, decision.next_up_s
        return {
            "time_s": None if at is None or self._begun is None else at - self._begun,
            "configuration": str(decision.configuration),
            "changed": decision.changed,
            "reason": decision.reason,
            "limiting_signal": decision.limiting_signal,
            "predicted_ms": decision.predicted_ms,
            "measured_ms": decision.measured_ms,
            "next_up_s": None if at is None or up is None else max(0.0, up - at),
        }
