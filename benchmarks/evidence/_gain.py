"""What switching gains: the controller, replayed over traces of a device's signals, against what is fixed.

By the measured table of A3D, and the simulator (`a3d_edge.control.simulation`), whose model is stated there.
Its traces are of a machine that takes 125 ms for the largest configuration: so it is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from a3d_edge.configuration import Configuration
from a3d_edge.control.comparison import compare
from a3d_edge.control.trace import find_trace, shipped_traces
from a3d_edge.models.flops import count
from a3d_edge.models.registry import describe
from a3d_edge.table import ConfigurationBudgetTable, Row

__all__ = ["LARGEST_MS", "Gain", "gains", "table_of"]

LARGEST_MS = 125.0
"""Of Slow R-50 at 224²×8, by the traces' milliseconds a GFLOP."""


@dataclass(frozen=True, slots=True)
class Gain:
    """On a trace: expected accuracies; ``late`` or forbidden, of the switching one; None: nothing fixed is
    always in time."""

    trace: str
    switching: float
    fixed: float | None
    best_fixed: str
    possible: float
    late: float
    switches: int


def table_of(accuracies: Mapping[str, float], size: int) -> ConfigurationBudgetTable:
    """Rows of ``slow_small`` with an input of ``size``."""
    network = describe("slow_small").model_copy(update={"size": size})
    rows = []
    for name, accuracy in accuracies.items():
        one = Configuration.parse(name)
        cost = count(network, one)
        rows.append(Row(configuration=one, gflops=cost.gflops, params_m=cost.params_m, accuracy=accuracy))
    return ConfigurationBudgetTable(architecture="slow_small", rows=tuple(rows))


def gains(table: ConfigurationBudgetTable) -> list[Gain]:
    """Of every trace that comes along."""
    most = table.rows[-1].cost
    latencies = {row.configuration: LARGEST_MS * row.cost / most for row in table.rows}
    found = []
    for name in shipped_traces():
        made = compare(table, find_trace(name), latencies=latencies)
        ours, fixed = made.controller, made.best_fixed
        found.append(
            Gain(
                name, ours.expected_accuracy, None if fixed is None else fixed.expected_accuracy,
                "–" if fixed is None else str(fixed.steps[0].running), ours.oracle_accuracy,
                ours.violation_time, ours.switches,
            )
        )  # fmt: skip
    return found
