"""What int8 gains on this machine, by configuration: the table's prior until a device measures."""

from __future__ import annotations

from statistics import median

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.profiling.windows import window_latencies_ms
from a3d_edge.table import ConfigurationBudgetTable

__all__ = ["with_int8_costs"]

ROUNDS = 7


def with_int8_costs(bundle: Bundle, table: ConfigurationBudgetTable) -> ConfigurationBudgetTable:
    """The table with ``int8_cost`` of every int8 row whose fp32 twin is there: medians, interleaved."""
    here = set(table.configurations)
    rows = []
    for row in table.rows:
        if row.precision == "int8" and row.configuration.at("fp32") in here:
            row = row.model_copy(update={"int8_cost": round(_ratio(bundle, row.configuration), 3)})
        rows.append(row)
    return table.with_rows(rows)


def _ratio(bundle: Bundle, int8: Configuration) -> float:
    twins = (bundle.open(configuration) for configuration in (int8, int8.at("fp32")))
    one, other = window_latencies_ms(*twins, windows=ROUNDS)
    return median(one) / median(other)
