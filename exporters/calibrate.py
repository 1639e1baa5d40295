"""Batch-norm statistics of every configuration (paper §3; DESIGN §3).

Training normalises each batch by its own statistics, so a switchable network has no single set that suits
all its widths, sizes and frame counts. After training, the statistics of each configuration are measured on
training clips that run at that configuration.

Which variance: the population variance over all activations of all batches, E[x²] − E[x]². Averaging the
batches' own variances instead would leave out how the batch means differ, and the result would depend on how
clips fall into batches. Below the first batch norm, activations still depend on the batch a clip is in, as
they do in training; large batches keep that small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.checkpoint import norms
from a3d_edge.models.layers import Run
from a3d_edge.models.slow import Slow, fit_input
from a3d_edge.training.evaluation import WindowSet

__all__ = ["calibrate", "calibrate_one"]


def calibrate(
    model: Slow,
    configurations: Sequence[Configuration],
    windows: WindowSet,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Measure and keep the statistics of every configuration; nothing else of the model changes.

    Raises `UsageError` when there is no clip to calibrate on.
    """
    done = 0
    for size in sorted({c.size for c in configurations}):
        batches = [clips for _, clips in windows.at_size(size)]
        for configuration in (c for c in configurations if c.size == size):
            calibrate_one(model, configuration, batches)
            done += 1
            progress(done, len(configurations))


def calibrate_one(model: Slow, configuration: Configuration, batches: Iterable[Tensor]) -> None:
    """Forget a configuration's statistics and measure them on batches ``(N, 3, T, S, S)``.

    On an error the model is as it was.
    """
    layers = norms(model)
    run = Run(configuration.width, collect=True)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for clips in batches:
                model.run(fit_input(clips, configuration), run)
        found = {name: norm.collected for name, norm in layers.items()}
        if any(moments is None for moments in found.values()):
            raise UsageError("no clip to calibrate on; name training clips with --calibration")
        for name, moments in found.items():
            assert moments is not None
            layers[name].calibrated[str(configuration)] = moments.mean_and_variance()
    finally:
        for norm in layers.values():
            norm.collected = None
        model.train(was_training)
