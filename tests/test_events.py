"""What a run reports: names and units of the JSON fields, and the sums of a summary."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from a3d_edge.configuration import Configuration
from a3d_edge.events import LATENCIES_KEPT, TOP, Prediction, Ranking, Summary, Switch

LARGE, SMALL = Configuration(1.0, 224, 8), Configuration(0.5, 128, 2)


def prediction(latency_ms: float = 20.0, truth: str | None = None, label: str = "hug") -> Prediction:
    """A prediction among twelve classes."""
    top = tuple((label if i == 0 else f"class {i}", 0.5 / (i + 1)) for i in range(12))
    return Prediction(2.5, 0.6, label, 0.5, top, LARGE, latency_ms, 31.0, truth=truth)


def test_fields_of_a_prediction() -> None:
    """The names that programs rely on; at most ten classes in ``top``, best first."""
    fields = prediction().fields()
    assert list(fields) == [
        "stream_time_s",
        "window_start_s",
        "label",
        "score",
        "top",
        "configuration",
        "latency_ms",
        "age_ms",
        "padded",
        "time",
        "source",
        "reason",
        "limiting_signal",
    ]
    assert fields["configuration"] == "w1.00-s224-t8"
    assert fields["padded"] is False
    assert len(fields["top"]) == TOP
    assert fields["top"][0] == {"label": "hug", "score": 0.5}
    json.dumps(fields, allow_nan=False)


def test_the_time_of_a_prediction_is_utc() -> None:
    """To the millisecond, whatever the time zone here; unknown where nobody has told it."""
    found = replace(prediction(), captured_at=1769860800.25).fields()
    assert found["time"] == "2026-01-31T12:00:00.250Z"
    assert prediction().fields()["time"] is None


def test_whether_it_counts_as_seen_is_told_only_where_it_is_known() -> None:
    """Programs by a field, people by a question mark."""
    known, unseen, seen = (replace(prediction(), seen=seen) for seen in (None, False, True))
    assert "seen" not in known.fields()
    assert (unseen.fields()["seen"], seen.fields()["seen"]) == (False, True)
    assert [one.shown_label for one in (known, unseen, seen)] == ["hug", "hug?", "hug"]


def test_truth_is_told_only_where_it_is_known() -> None:
    """Of the demo alone."""
    assert "truth" not in prediction().fields()
    assert prediction(truth="kick").fields()["truth"] == "kick"


def test_fields_of_a_switch() -> None:
    """From, to, reason and limiting signal."""
    assert Switch(1.5, LARGE, SMALL, "others use 90 % of the CPU", "cpu").fields() == {
        "stream_time_s": 1.5,
        "from": "w1.00-s224-t8",
        "to": "w0.50-s128-t2",
        "reason": "others use 90 % of the CPU",
        "limiting_signal": "cpu",
    }


def test_an_empty_summary() -> None:
    """Latency of no prediction is null, not zero."""
    fields = Summary().fields()
    assert fields["predictions"] == 0
    assert fields["latency_ms"] == {"p50": None, "p95": None}
    assert "truth" not in fields
    json.dumps(fields, allow_nan=False)


def test_a_summary_counts() -> None:
    """Predictions by configuration, percentiles of latency, and how many agree with the truth."""
    summary = Summary(frames_captured=100, frames_used=60, dropped={"not_sampled": 40}, switches=2)
    for latency in range(1, 101):
        summary.count(prediction(float(latency)))
    summary.count(prediction(1.0, truth="hug"))
    summary.count(prediction(1.0, truth="kick"))
    fields = summary.fields()
    assert fields["predictions"] == 102
    assert fields["configurations"] == {"w1.00-s224-t8": 102}
    assert fields["latency_ms"]["p50"] == pytest.approx(50, abs=1)
    assert fields["latency_ms"]["p95"] == pytest.approx(95, abs=1)
    assert fields["truth"] == {"agreed": 1, "of": 2, "scenes_agreed": 0, "scenes": 0}
    assert fields["frames_captured"] == fields["frames_used"] + sum(fields["dropped"].values())


def test_a_scenes_label_is_its_highest_summed_score() -> None:
    """Two weak right answers outweigh one strong wrong one; another take is another scene."""
    summary = Summary()
    for take, label, score in ((0, "hug", 0.6), (0, "hug", 0.6), (0, "kick", 0.9), (1, "kick", 0.5)):
        top = ((label, score), ("push", 0.1))
        summary.count(Prediction(2.5, 0.6, label, score, top, LARGE, 1.0, 1.0, truth="hug", take=take))
    assert (summary.scenes_agreed, summary.scenes) == (1, 1)
    summary.end()
    summary.end()
    assert (summary.scenes_agreed, summary.scenes) == (1, 2)


@pytest.mark.parametrize(
    ("count", "p50", "p95"), [(1, 0.0, 0.0), (2, 1.0, 1.0), (3, 1.0, 2.0), (20, 10.0, 19.0)]
)
def test_percentiles_of_few(count: int, p50: float, p95: float) -> None:
    """They are latencies that occurred."""
    summary = Summary()
    for latency in reversed(range(count)):
        summary.count(prediction(float(latency)))
    assert (summary.percentile_ms(0.5), summary.percentile_ms(0.95)) == (p50, p95)


def test_a_run_of_weeks_does_not_grow() -> None:
    """Percentiles are of the latest predictions only; counts go on."""
    summary = Summary()
    for number in range(LATENCIES_KEPT + 100):
        summary.count(prediction(1000.0 if number < 100 else 1.0))
    assert len(summary.latencies_ms) == LATENCIES_KEPT
    assert summary.percentile_ms(1.0) == 1.0
    assert summary.predictions == LATENCIES_KEPT + 100


def test_a_ranking_is_a_sequence_of_labels_with_scores_best_first() -> None:
    """It reads as the tuple of all pairs would, with Python's own numbers."""
    ranking = Ranking(("a", "b", "c"), np.array([0.25, 0.5, 0.125], np.float32))
    pairs = (("b", 0.5), ("a", 0.25), ("c", 0.125))
    assert ranking == pairs
    assert hash(ranking) == hash(pairs)
    assert repr(ranking) == repr(pairs)
    assert ranking != pairs[:2]
    assert list(ranking) == list(pairs)
    assert (len(ranking), ranking[0], ranking[-1], ranking[:2]) == (3, pairs[0], pairs[2], pairs[:2])
    assert type(ranking[0][1]) is float
    assert sorted(ranking) == sorted(pairs)
