"""What int8 gains on this machine, by configuration: the table's prior until a device measures."""

from __future__ import annotations

import time
from statistics import median

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.session import BundleNetwork, available_threads, probe_pictures
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
    threads = available_threads()
    twins = [BundleNetwork(bundle, configuration, threads) for configuration in (int8, int8.at("fp32"))]
    pictures = [probe_pictures(pathway) for pathway in twins[0].pathways]
    seconds: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for place, network in enumerate(twins):
            begun = time.perf_counter()
            network.logits(*network.encode_window(pictures))
            seconds[place].append(time.perf_counter() - begun)
    return median(seconds[0]) / median(seconds[1])
