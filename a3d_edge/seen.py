"""Which of a window's labels count as seen, by the thresholds that the bundle's table has; of people each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.events import PersonPrediction, Ranking
from a3d_edge.people.box import Box, Identity, Person
from a3d_edge.task import is_multilabel

__all__ = ["SeenLabels", "anybodys"]

UNKNOWN = 0.5
"""Of many labels, the score that counts where the table has no threshold: as likely as not."""


@dataclass(frozen=True)
class SeenLabels:
    """Looks scores up against a bundle's thresholds; those of a configuration are gathered once."""

    bundle: Bundle
    _by_configuration: dict[Configuration, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    def best(self, configuration: Configuration, label: str, score: float) -> bool | None:
        """Whether the best label is seen; None where its threshold is not known."""
        threshold = self.bundle.threshold(configuration, label)
        return None if threshold is None else score > threshold

    def labels(
        self, configuration: Configuration, scores: NDArray[Any]
    ) -> tuple[tuple[str, float], ...] | None:
        """Of many labels all that are seen, with their scores ``(classes,)``, best first; else None."""
        if not is_multilabel(self.bundle.task):
            return None
        there = np.flatnonzero(scores > self._thresholds(configuration))
        ordered = there[np.argsort(-scores[there], kind="stable")]
        return tuple((self.bundle.classes[place], float(scores[place])) for place in ordered.tolist())

    def people(
        self,
        configuration: Configuration,
        scores: NDArray[Any],
        people: Sequence[Person],
        newest: Mapping[Identity, Box],
    ) -> tuple[PersonPrediction, ...]:
        """What each does, of scores ``(K, classes)``; ``newest``: where they were seen last."""
        return tuple(
            PersonPrediction(
                one.id, one.box, one.score, Ranking(self.bundle.classes, own),
                self.labels(configuration, own) or (), newest.get(one.id),
            )
            for one, own in zip(people, scores, strict=True)
        )  # fmt: skip

    def _thresholds(self, configuration: Configuration) -> NDArray[np.float64]:
        if configuration not in self._by_configuration:
            known = self.bundle.table.row(configuration).thresholds or {}
            found = np.array([known.get(name, UNKNOWN) for name in self.bundle.classes])
            self._by_configuration[configuration] = found
        return self._by_configuration[configuration]


def anybodys(scores: NDArray[Any]) -> NDArray[Any]:
    """Scores ``(classes,)`` of a window; of people ``(K, classes)`` the highest of each class, or 0."""
    return scores if scores.ndim == 1 else scores.max(axis=0, initial=0.0)
