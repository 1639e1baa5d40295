"""Batch-norm statistics of every configuration (paper §3).

Training normalises each batch by its own statistics, so a switchable network has no single set that suits
all its widths, sizes and frame counts. After training, the statistics of each configuration are measured on
training clips that run at that configuration.

Which variance: the population variance over all activations of all batches, E[x²] − E[x]². Averaging the
batches' own variances instead would leave out how the batch means differ, and the result would depend on how
clips fall into batches. Below the first batch norm, activations still depend on the batch a clip is in, as
they do in training; large batches keep that small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.checkpoint import norms
from a3d_edge.models.network import Clips, SlimNetwork
from a3d_edge.training.evaluation import WindowSet

__all__ = ["calibrate", "calibrate_one", "calibrate_together"]


def calibrate(
    model: SlimNetwork,
    configurations: Sequence[Configuration],
    windows: WindowSet,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Measure and keep the statistics of every configuration; nothing else of the model changes.

    Each batch of windows is prepared once and run at every configuration of its size, so that no more than a
    batch is held. ``progress`` counts clips, once for every size. Raises `UsageError` when there is no clip
    to calibrate on.
    """
    sizes = sorted({c.size for c in configurations})
    for place, size in enumerate(sizes):
        here = [c for c in configurations if c.size == size]
        calibrate_together(model, here, _reported(windows, size, place, len(sizes), progress))


def _reported(
    windows: WindowSet, size: int, place: int, sizes: int, progress: Callable[[int, int], None]
) -> Iterator[Clips]:
    total = len(windows.clips)
    for owners, clips in windows.at_size(size):
        yield clips
        progress(place * total + int(owners[-1]) + 1, sizes * total)


def calibrate_one(model: SlimNetwork, configuration: Configuration, batches: Iterable[Clips]) -> None:
    """Forget a configuration's statistics and measure them on batches of clips. See `calibrate_together`."""
    calibrate_together(model, [configuration], batches)


def calibrate_together(
    model: SlimNetwork, configurations: Sequence[Configuration], batches: Iterable[Clips]
) -> None:
    """Measure the statistics of several configurations on the same batches of clips.

    On an error the model is as it was. Raises `UsageError` when there is no batch.
    """
    layers = norms(model)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for clips in batches:
                for configuration in configurations:
                    run = model.run_at(configuration, statistics=str(configuration), collect=True)
                    model.run(model.fit(clips, configuration), run)
        if any(len(norm.collected) < len(set(configurations)) for norm in layers.values()):
            raise UsageError("no clip to calibrate on; name training clips with `calibration`")
        for norm in layers.values():
            for run, moments in norm.collected.items():
                norm.calibrate(run, moments)
    finally:
        for norm in layers.values():
            norm.collected.clear()
        model.train(was_training)
