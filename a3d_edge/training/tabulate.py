"""The configuration–budget table of a checkpoint: accuracy measured and cost counted, row by row."""

from __future__ import annotations

from collections.abc import Mapping

from a3d_edge.configuration import Configuration
from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.models.flops import count
from a3d_edge.table import ConfigurationBudgetTable, Row
from a3d_edge.training.evaluation import Scores
from a3d_edge.training.people_evaluation import PeopleScores
from a3d_edge.training.reliability import measured_fields

__all__ = ["tabulate"]


def tabulate(
    checkpoint: Checkpoint,
    scores: Mapping[Configuration, Scores] | Mapping[Configuration, PeopleScores],
    measured_on: str,
) -> ConfigurationBudgetTable:
    """A row of every configuration that has scores; select with ``.pareto()``.

    ``measured_on`` says in words which clips the accuracy is of, and how many views.
    """
    rows = tuple(_row(checkpoint, configuration, of) for configuration, of in scores.items())
    description = checkpoint.description
    return ConfigurationBudgetTable(
        architecture=description.name, task=description.task, measured_on=measured_on, rows=rows
    )


def _row(checkpoint: Checkpoint, configuration: Configuration, scores: Scores | PeopleScores) -> Row:
    if isinstance(scores, PeopleScores):
        fields = scores.fields(checkpoint.classes)
    else:
        fields = measured_fields(scores, checkpoint.classes)
    cost = count(checkpoint.description, configuration)
    return Row(
        configuration=configuration,
        gflops=cost.gflops,
        streaming_gflops=cost.streaming_gflops,
        params_m=cost.params_m,
        **fields,
    )
