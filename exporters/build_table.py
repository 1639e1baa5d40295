"""The configuration–budget table of a checkpoint: accuracy measured and cost counted, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from a3d_edge.configuration import Configuration
from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.models.flops import count
from a3d_edge.table import ConfigurationBudgetTable, Row
from a3d_edge.training.evaluation import WindowSet, evaluate

__all__ = ["build_table"]


def build_table(
    checkpoint: Checkpoint,
    configurations: Sequence[Configuration],
    validation: WindowSet,
    measured_on: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ConfigurationBudgetTable:
    """Rows of all configurations, with the statistics that the checkpoint holds; select with ``.pareto()``.

    ``measured_on`` says in words which clips the accuracy is of.
    """
    scores = evaluate(checkpoint.model, configurations, validation, checkpoint.classes, progress)
    rows = []
    for configuration in configurations:
        cost = count(checkpoint.description, configuration)
        accuracy = round(scores[configuration].accuracy, 6)
        rows.append(
            Row(
                configuration=str(configuration),
                accuracy=accuracy,
                gflops=cost.gflops,
                params_m=cost.params_m,
            )
        )
    return ConfigurationBudgetTable(
        architecture=checkpoint.description.name, measured_on=measured_on, rows=tuple(rows)
    )
