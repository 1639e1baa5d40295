"""`supervision.Detections` in and out, with the library where it is there, and without it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.events import PersonPrediction
from a3d_edge.people.box import Detection
from a3d_edge.people.interchange import from_supervision, to_supervision

CLASSES = ("sit", "walk")
PEOPLE = (
    PersonPrediction(7, (1, 2, 3, 4), 0.5, (("walk", 0.9), ("sit", 0.1)), (("walk", 0.9),)),
    PersonPrediction(9, (5, 6, 7, 8), 1.0, (("sit", 0.2), ("walk", 0.1))),
)


class Theirs:
    """Its fields, as the library documents them."""

    def __init__(self, **fields: Any) -> None:
        self.xyxy = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
        self.class_id = np.array([0, 2])
        self.confidence: Any = np.array([0.5, 0.25])
        self.tracker_id: Any = None
        self.__dict__.update(fields)


def test_people_are_taken_from_detections() -> None:
    """Of the class that is a person, or all; with tracks where there are."""
    assert from_supervision(Theirs()) == [Detection((1, 2, 3, 4), 0.5)]
    assert from_supervision(Theirs(), person=(0, 2))[1] == Detection((5, 6, 7, 8), 0.25)
    tracked = Theirs(tracker_id=np.array([3, 4]), confidence=None)
    assert from_supervision(tracked, person=None) == [
        Detection((1, 2, 3, 4), 1.0, 3), Detection((5, 6, 7, 8), 1.0, 4),
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"a list is no supervision\.Detections"):
        from_supervision([1, 2])


def test_answers_become_detections() -> None:
    """There and back: boxes, scores and tracks stay; labels are kept beside."""
    pytest.importorskip("supervision")
    found = to_supervision(PEOPLE, CLASSES)
    assert found.data["class_name"].tolist() == ["walk", "sit"]
    assert found.class_id.tolist() == [1, 0]
    assert found.data["labels"].tolist() == [(("walk", 0.9),), ()]
    assert from_supervision(found, person=None) == [Detection(one.box, one.score, one.id) for one in PEOPLE]
    assert len(to_supervision((), CLASSES)) == 0
    assert found[found.confidence > 0.6].data["id"].tolist() == ["9"]


def test_without_the_library_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with how to install it."""
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ResourceError, match="pip install supervision"):
        to_supervision(PEOPLE, CLASSES)
