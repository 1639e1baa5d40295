"""How well networks of the task ``boxes`` tell who does what: frame mAP of configurations on key frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.network import to_device
from a3d_edge.training.batches import stacked
from a3d_edge.training.clips import Clip
from a3d_edge.training.frame_map import FrameMap, Labelled, frame_map
from a3d_edge.training.lists.person import Person
from a3d_edge.training.people import asked_of, boxes_of, key_window, people_in, sets_of

if TYPE_CHECKING:
    from a3d_edge.training.evaluation import WindowSet

__all__ = ["PeopleScores", "people_scores", "true_people"]

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PeopleScores:
    """What a configuration says of everybody asked about: sigmoid scores ``(K, classes)`` of every key frame,
    by its number, and of whom they are. Who is not shown to the network scores 0."""

    truth: Mapping[str, Labelled]
    asked: Mapping[str, tuple[Person, ...]]
    scores: Mapping[str, Scores]

    @property
    def clips(self) -> int:
        """Key frames."""
        return len(self.truth)

    @property
    def people(self) -> int:
        """Who was asked about."""
        return sum(len(people) for people in self.asked.values())

    def measured(self, classes: Sequence[str]) -> FrameMap:
        """Frame mAP at an overlap of 0.5; classes are numbered from 1 in their order."""
        found = {name: _every(self.asked[name], scores) for name, scores in self.scores.items()}
        return frame_map(self.truth, found, range(1, len(classes) + 1))

    def fields(self, classes: Sequence[str]) -> dict[str, Any]:
        """What a `Row` says of its quality, by field."""
        of = self.measured(classes)
        if not of.by_class:
            raise UsageError("nobody in the clips does anything of the classes; name clips with labels")
        by_class = {classes[number - 1]: round(value, 6) for number, value in of.by_class.items()}
        return {
            "mean_average_precision": round(of.mean, 6),
            "clips": self.clips,
            "average_precision": by_class,
        }

    @property
    def quality(self) -> float:
        """The mean average precision."""
        count = next((s.shape[1] for s in self.scores.values()), 0)
        return self.measured([""] * count).mean


def _every(people: Sequence[Person], scores: Scores) -> Labelled:
    """Each person as a detection of each class, with its score."""
    count, classes = scores.shape
    return Labelled(
        np.repeat(boxes_of(people), classes, axis=0),
        np.tile(np.arange(1, classes + 1), count),
        scores.astype(np.float64).ravel(),
    )


def true_people(people: Sequence[Person], classes: Sequence[str]) -> Labelled:
    """What is true of people: a box for each of their labels."""
    rows, columns = np.nonzero(sets_of(people, classes))
    return Labelled(boxes_of(people)[rows], columns + 1, np.ones(len(rows)))


def people_scores(
    model: nn.Module,
    configurations: Sequence[Configuration],
    windows: WindowSet,
    classes: Sequence[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Configuration, PeopleScores]:
    """Scores of everybody that is asked about in every clip's key frame, at every configuration.

    Clips that cannot be read are left out, and named in a `DataWarning`. Raises `UsageError` for a clip
    without boxes or a label that is no class, before anything is computed.
    """
    from a3d_edge.training.evaluation import leaving_out

    truth = {str(n): true_people(people_in(clip), classes) for n, clip in enumerate(windows.clips)}
    asked = {str(n): asked_of(clip) for n, clip in enumerate(windows.clips)}
    found: dict[Configuration, dict[str, Scores]] = {c: {} for c in configurations}
    was_training = model.training
    model.eval()
    try:
        with leaving_out(len(windows.clips)) as tried:
            for number, clip in enumerate(windows.clips):
                with tried():
                    for c, scores in _scores_of(model, configurations, windows, clip, len(classes)).items():
                        found[c][str(number)] = scores
                progress(number + 1, len(windows.clips))
    finally:
        model.train(was_training)
    return {
        c: PeopleScores(
            {name: truth[name] for name in scores}, {name: asked[name] for name in scores}, scores
        )
        for c, scores in found.items()
    }


def _scores_of(
    model: nn.Module, configurations: Sequence[Configuration], windows: WindowSet, clip: Clip, classes: int
) -> dict[Configuration, Scores]:
    """Of one key frame: its window is prepared once per size."""
    device = next(model.parameters()).device
    decoded, people = windows.cache.get(clip), boxes_of(asked_of(clip))
    found: dict[Configuration, Scores] = {}
    for size in sorted({c.size for c in configurations}):
        window, placed = key_window(clip, decoded, size, windows.sampling, windows.preprocessing, people)
        given = to_device(BoxedClips.of(stacked([window]), torch.from_numpy(placed.boxes)), device)
        for c in (c for c in configurations if c.size == size):
            scores = np.zeros((len(people), classes), np.float32)
            with torch.inference_mode():
                scores[placed.kept] = model(given, c).sigmoid().float().cpu().numpy()
            found[c] = scores
    return found
