"""Pictures of a network's quality: every value is where it belongs, and a page can hold them."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from a3d_edge.plots.quality import accuracy_figure, confusion_figure, learning_figure, svg
from a3d_edge.table import Row


def test_learning_curves_leave_out_what_was_not_measured() -> None:
    """In per cent; a series without any value has no line."""
    (axes,) = learning_figure(
        [1, 2, 3], {"train": [0.2, 0.4, 0.6], "val": [None, 0.3, None], "no": [None] * 3}
    ).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines == {"train": [[1, 20], [2, 40], [3, 60]], "val": [[2, 30]]}


def test_accuracy_has_its_interval() -> None:
    """At the row's cost; a row without accuracy is not drawn."""
    rows = [
        Row(configuration="w0.50-s32-t2", gflops=1.0, params_m=1.0, accuracy=0.5),
        Row(configuration="w1.00-s32-t4", gflops=8.0, params_m=1.0),
    ]
    (axes,) = accuracy_figure(rows, [(0.4, 0.6), None]).axes
    drawn = [line.get_xydata().tolist() for line in axes.lines]
    assert drawn == [[[1.0, 40.0], [1.0, 60.0]], [[1.0, 50.0]]]
    assert [text.get_text() for text in axes.texts] == ["32²×2, 0.5"]


def test_a_confusion_says_its_numbers() -> None:
    """Lines are the truth, columns what it was taken for; zeros are left blank."""
    (axes,) = confusion_figure(np.array([[3, 1], [0, 2]]), ("a", "<b>")).axes
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "3",
        (1, 0): "1",
        (1, 1): "2",
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "<b>"]


def test_a_figure_becomes_an_element_of_a_page() -> None:
    """Well-formed without a head, names escaped, the same text every time."""
    drawing = confusion_figure(np.eye(2, dtype=np.int64), ("$a$", "<script>"))
    text = svg(drawing)
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "<script>" not in text
    assert "$a$" in text
    assert svg(confusion_figure(np.eye(2, dtype=np.int64), ("$a$", "<script>"))) == text
