"""Building a table: accuracy measured on real clips, cost counted, rows ordered and selected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_bundle import CONFIGURATIONS, calibrated_checkpoint

torch = pytest.importorskip("torch")
pytest.importorskip("av")

from a3d_edge.models.flops import count  # noqa: E402
from a3d_edge.training.clips import list_clips  # noqa: E402
from a3d_edge.training.decode import FrameCache  # noqa: E402
from a3d_edge.training.evaluation import WindowSet, evaluate  # noqa: E402
from a3d_edge.training.reliability import measured_fields  # noqa: E402
from a3d_edge.training.tabulate import tabulate  # noqa: E402
from a3d_edge.video.sampler import Sampling  # noqa: E402


def test_rows_are_measured_counted_and_selected(tmp_path: Path, clip_list: Path) -> None:
    """Each row has the accuracy of its configuration on the clips, and its own cost; of the front, each
    dearer row is more accurate."""
    checkpoint = calibrated_checkpoint()
    windows = WindowSet(
        list_clips([clip_list]), FrameCache(tmp_path), Sampling(4, 2), checkpoint.preprocessing, views=2
    )
    scores = evaluate(checkpoint.model, CONFIGURATIONS, windows, checkpoint.classes)
    table = tabulate(checkpoint, scores, "12 clips, 2 views")
    assert {str(row.configuration): row.accuracy for row in table.rows} == {
        str(c): pytest.approx(score.accuracy, abs=1e-6) for c, score in scores.items()
    }
    assert len({row.accuracy for row in table.rows}) > 1
    for row in table.rows:
        of = scores[row.configuration]
        known = measured_fields(of, checkpoint.classes)
        assert known == {name: getattr(row, name) for name in known}
        assert row.clips == 12
        assert of.windows is not None
        np.testing.assert_allclose(of.windows.sum(axis=1), of.summed, rtol=1e-6)
    for row in table.rows:
        cost = count(checkpoint.description, row.configuration)
        assert (row.gflops, row.params_m) == (cost.gflops, cost.params_m)
    assert (table.architecture, table.measured_on) == ("tiny", "12 clips, 2 views")

    accuracies = [row.accuracy or 0.0 for row in table.pareto().rows]
    assert accuracies == sorted(set(accuracies))
