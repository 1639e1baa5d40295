"""What is asked of a network: its scores, and that files of the one class of before say nothing of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from a3d_edge.configuration import Configuration
from a3d_edge.row import Row
from a3d_edge.table import ConfigurationBudgetTable
from a3d_edge.task import is_multilabel, scores_of

LOGITS = np.array([1000.0, 0.0, -2.0])
CHEAP = Configuration.parse("w0.50-s128-t4")


def test_scores_of_one_class_sum_to_one() -> None:
    """One class: softmax, of logits over the temperature."""
    scores = scores_of(np.array([1.0, 3.0]), "single", 2.0)
    assert scores.dtype == np.float32
    assert scores == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e)])


def test_scores_of_many_labels_stand_for_themselves() -> None:
    """Each class a sigmoid, without overflow at any logit; of boxes too."""
    with np.errstate(over="raise", invalid="raise"):
        scores = scores_of(LOGITS, "multilabel")
    assert scores == pytest.approx([1.0, 0.5, 1 / (1 + np.exp(2.0))])
    assert (scores_of(LOGITS, "boxes") == scores).all()
    assert is_multilabel("boxes")
    assert is_multilabel("multilabel")
    assert not is_multilabel("single")


def test_a_table_of_one_class_does_not_name_its_task() -> None:
    """Tables are what they were; one of many labels says so, names its metric, and comes back."""
    row = Row(configuration=CHEAP, gflops=1.0, params_m=1.0, mean_average_precision=0.25)
    plain = ConfigurationBudgetTable(architecture="slow_small", rows=(row,))
    many = ConfigurationBudgetTable(architecture="slow_small", task="multilabel", rows=(row,))
    assert "task" not in json.loads(plain.to_json())
    assert plain.metric == "accuracy"
    assert json.loads(many.to_json())["task"] == "multilabel"
    assert many.metric == "mAP"
    again = ConfigurationBudgetTable.model_validate_json(many.to_json())
    assert again.with_rows(again.rows).task == "multilabel"
    assert again.rows[0].quality == 0.25


def test_a_row_has_one_quality() -> None:
    """Accuracy and mean average precision exclude each other."""
    with pytest.raises(ValueError, match="a task has one"):
        Row(configuration=CHEAP, gflops=1.0, params_m=1.0, accuracy=0.5, mean_average_precision=0.25)
