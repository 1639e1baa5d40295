"""`supervision.Detections` in and out: what most Python code about boxes speaks.

The library is asked for only when one of these is called; it is no dependency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.people.box import Detection

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from a3d_edge.people.box import Box, Identity

    class Answered(Protocol):
        """A person's answer (`a3d_edge.events.PersonPrediction`), as far as it counts here."""

        @property
        def id(self) -> Identity: ...
        @property
        def box(self) -> Box: ...
        @property
        def score(self) -> float: ...
        @property
        def label(self) -> str: ...
        @property
        def labels(self) -> tuple[tuple[str, float], ...]: ...


__all__ = ["from_supervision", "to_supervision"]


def from_supervision(detections: Any, person: int | Sequence[int] | None = 0) -> list[Detection]:
    """People of a `supervision.Detections`, as `Recognizer.push` takes them.

    ``person``: the class, or classes, that are people (0 of COCO's 80), None for all. Scores are 1 and
    identities None where it has none. Raises `UsageError` for another object.
    """
    boxes = getattr(detections, "xyxy", None)
    if not isinstance(boxes, np.ndarray) or boxes.ndim != 2 or boxes.shape[1] != 4:
        raise UsageError(f"a {type(detections).__name__} is no supervision.Detections; give one")
    classes, scores, ids = (
        getattr(detections, name, None) for name in ("class_id", "confidence", "tracker_id")
    )
    wanted = None if person is None else {person} if isinstance(person, int) else set(person)
    found = []
    for place, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        if wanted is not None and classes is not None and int(classes[place]) not in wanted:
            continue
        score = 1.0 if scores is None else float(scores[place])
        found.append(Detection((x1, y1, x2, y2), score, None if ids is None else int(ids[place])))
    return found


def to_supervision(people: Iterable[Answered], classes: Sequence[str]) -> Any:
    """The people of a prediction as `supervision.Detections`: boxes, the detections' scores, tracks, the
    likeliest class by its place in ``classes``, and in ``data`` ``class_name``, ``labels`` (all that are
    seen, of each a tuple of (label, score)) and ``id`` as it was told.

    Of identities that are names ``tracker_id`` is their place. Raises `ResourceError` without the library.
    """
    try:
        from supervision import Detections  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise ResourceError("supervision is not installed: pip install supervision") from error
    listed = list(people)
    if not listed:
        return Detections.empty()
    labels = np.empty(len(listed), object)
    labels[:] = [one.labels for one in listed]
    return Detections(
        xyxy=np.array([one.box for one in listed], np.float32),
        confidence=np.array([one.score for one in listed], np.float32),
        class_id=np.array([classes.index(one.label) for one in listed]),
        tracker_id=np.array([one.id if isinstance(one.id, int) else n for n, one in enumerate(listed)]),
        data={
            "class_name": np.array([one.label for one in listed]),
            "labels": labels,
            "id": np.array([str(one.id) for one in listed]),
        },
    )
