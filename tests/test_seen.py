"""Several labels of one window: which are seen, and how a prediction, its lines and the demo tell them."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from fixtures_bundle import LARGEST, SMALLEST
from fixtures_events import kind_of

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.errors import BundleError
from a3d_edge.events import Prediction, Scene, Summary
from a3d_edge.manifest import check_manifest
from a3d_edge.seen import SeenLabels
from a3d_edge.sinks.jsonl import plain
from a3d_edge.sinks.overlay import draw_overlay
from a3d_edge.sinks.text import TextEvents

SCORES = np.array([0.2, 0.9, 0.6], np.float32)  # of right, down, still


def many(bundle: Bundle, thresholds: dict[str, float] | None) -> Bundle:
    """The same bundle as one of many labels, with these thresholds at every configuration."""
    rows = [row.model_copy(update={"thresholds": thresholds}) for row in bundle.table.rows]
    table = bundle.table.with_rows(rows).model_copy(update={"task": "multilabel"})
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"task": "multilabel"}), table=table)


def prediction(labels: tuple[tuple[str, float], ...] | None, truth: str | None = None) -> Prediction:
    top = (("down", 0.9), ("still", 0.6), ("right", 0.2))
    found = Prediction(2.5, 0.6, "down", 0.9, top, LARGEST, 20.25, 31.0, truth=truth)
    return replace(found, seen=None if labels is None else bool(labels), labels=labels)


def test_what_exceeds_its_class_s_threshold_is_seen(bundle: Bundle) -> None:
    """The best first, whatever the order of the classes; a threshold of each class."""
    seen = SeenLabels(many(bundle, {"right": 0.1, "down": 0.95, "still": 0.5}))
    assert [label for label, _ in seen.labels(SMALLEST, SCORES) or ()] == ["still", "right"]
    assert seen.best(SMALLEST, "down", 0.9) is False
    assert SeenLabels(many(bundle, None)).labels(SMALLEST, SCORES) == (
        ("down", pytest.approx(0.9)), ("still", pytest.approx(0.6)),
    )  # fmt: skip
    assert SeenLabels(many(bundle, None)).labels(SMALLEST, SCORES * 0.1) == ()


def test_a_network_of_one_class_has_no_such_labels(bundle: Bundle) -> None:
    """Its predictions are what they were, to the field."""
    assert SeenLabels(bundle).labels(SMALLEST, SCORES) is None
    assert "labels" not in prediction(None).fields()


def test_a_prediction_tells_all_that_is_seen() -> None:
    """In JSON, which fits the schema, and in text; of nothing seen, the best with a question mark."""
    two, none = prediction((("down", 0.9), ("still", 0.6))), prediction(())
    line = {"event": "prediction", "schema": 1, **plain(two.fields())}
    assert kind_of(line) == "prediction"
    assert line["labels"] == [{"label": "down", "score": 0.9}, {"label": "still", "score": 0.6}]
    assert plain(none.fields())["labels"] == []
    assert none.shown == (("down?", 0.9),)
    out = io.StringIO()
    for one in (two, none):
        TextEvents(out, io.StringIO()).prediction(one)
    first, second = out.getvalue().splitlines()
    assert first.split()[2:6] == ["down", "90%,", "still", "60%"]
    assert second.split()[2:4] == ["down?", "90%"]


def test_the_picture_tells_them_too() -> None:
    """In the headline, which shrinks to fit."""
    picture = np.full((240, 320, 3), 90, np.uint8)
    plain_ = draw_overlay(picture, label="down", score=0.9, configuration="c", latency_ms=1.0)
    more = draw_overlay(
        picture, label="down", score=0.9, configuration="c", latency_ms=1.0, others=(("still", 0.6),)
    )
    white = [int((one[200:] > 240).all(axis=2).sum()) for one in (plain_, more)]
    assert white[1] > white[0] > 0


def test_the_demo_s_sets_are_compared_as_sets() -> None:
    """A prediction agrees when it sees just what is acted; a scene when the highest sums are just those."""
    seen = (("down", 0.9), ("still", 0.6))
    assert prediction(seen, "down;still").agrees
    assert not prediction(seen, "down").agrees
    assert prediction(None, "down").agrees
    summary = Summary()
    summary.count(prediction(seen, "down;still"))
    summary.end()
    assert (summary.agreed, summary.scenes_agreed, summary.scenes) == (1, 1, 1)
    sums = defaultdict(float, {"down": 1.8, "still": 1.2, "right": 0.4})
    assert Scene(0, "down", sums, many=True).agrees
    assert not Scene(0, "right;still", sums, many=True).agrees


def test_a_table_and_a_description_of_another_task_are_noticed(bundle: Bundle) -> None:
    """Files of two bundles that were mixed."""
    mixed = many(bundle, None).manifest
    with pytest.raises(BundleError, match=r"task is not that of description\.task"):
        check_manifest(bundle.path / "manifest.json", mixed)
    assert bundle.manifest.model_dump(mode="json").keys() & {"task"} == set()


def test_a_configuration_s_thresholds_are_its_own(bundle: Bundle) -> None:
    """After a switch others count."""
    rows = [
        row.model_copy(update={"thresholds": {"down": 0.5 if row.configuration == SMALLEST else 0.95}})
        for row in bundle.table.rows
    ]
    changed = replace(many(bundle, None), table=bundle.table.with_rows(rows))
    seen = SeenLabels(changed)

    def names(configuration: Configuration) -> list[str]:
        return [label for label, _ in seen.labels(configuration, SCORES) or ()]

    assert names(SMALLEST) == ["down", "still"]
    assert names(LARGEST) == ["still"]
