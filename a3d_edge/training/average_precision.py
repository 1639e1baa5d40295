"""How well classes that can be true at once are told: average precision a class, and its mean.

Of a class, clips are ranked by its score; its average precision is Σ (Rₙ − Rₙ₋₁)·Pₙ over the thresholds n at
which recall R rises, P being the precision there: scikit-learn's, without interpolation, clips of equal score
taken together. The mean is over the classes that are true of some clip: as PySlowFast's ``get_map``, by which
the paper tests Charades. The data set's own ``Charades_v1_classify.m`` computes the same where no scores are
equal; a class that is true of no clip makes its mean not a number, and in its test set there is none.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.errors import A3DEdgeError, ResourceError, UsageError

__all__ = ["average_precisions", "mean_average_precision", "require_library"]


def require_library() -> None:
    """Raise `ResourceError` where scikit-learn is missing, before hours are spent that end with it."""
    if importlib.util.find_spec("sklearn") is None:
        raise ResourceError("mean average precision needs scikit-learn: pip install 'a3d-edge[train]'")


def average_precisions(
    scores: NDArray[Any], truth: NDArray[Any], classes: Sequence[str] | None = None
) -> dict[str, float]:
    """Average precision of every class that is true of some clip, by its name (or its number).

    ``scores`` and ``truth`` are ``(clips, classes)``. Raises `UsageError` where no class is true of any clip,
    `A3DEdgeError` for scores that are no numbers.
    """
    require_library()
    from sklearn.metrics import average_precision_score

    true = np.asarray(truth, bool)
    if not np.isfinite(scores).all():
        raise A3DEdgeError("the network's scores are no numbers: its training has diverged; lower `lr`")
    names = [str(place) for place in range(true.shape[1])] if classes is None else list(classes)
    there = np.flatnonzero(true.any(axis=0))
    if not len(there):
        raise UsageError("no class is true of any clip that is measured on; name clips with labels")
    return {names[c]: float(average_precision_score(true[:, c], scores[:, c])) for c in there}


def mean_average_precision(scores: NDArray[Any], truth: NDArray[Any]) -> float:
    """The mean of `average_precisions`, in [0, 1]. Raises what that raises."""
    return float(np.mean(list(average_precisions(scores, truth).values())))
