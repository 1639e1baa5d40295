"""What a window takes before there is a picture: a network is run on blank ones, to begin with what fits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from a3d_edge.engine.people import probe_boxes
from a3d_edge.engine.session import Network
from a3d_edge.task import BOXES

__all__ = ["blank_pictures", "rehearsal_ms", "run_whole_window"]

Pictures = NDArray[np.float32]  # (T, 3, S, S)

SLOW_MS = 50.0
"""A device that takes so long for a window is not kept waiting for more of them."""
TIMES = 3


def blank_pictures(network: Network) -> list[Pictures]:
    """One window of zeros, for every pathway: what they show makes no difference to the work."""
    return [np.zeros((len(one.instants), 3, one.size, one.size), np.float32) for one in network.pathways]


def run_whole_window(network: Network, pictures: Sequence[Pictures]) -> NDArray[np.float32]:
    """Scores ``(classes,)``, every picture of every pathway encoded; of one person where it is of people."""
    features = [network.encode(given, place) for place, given in enumerate(pictures)]
    if network.task != BOXES:
        return network.classify(*features)
    scores: NDArray[np.float32] = network.classify(*features, boxes=probe_boxes(network.pathways[0].size))[0]
    return scores


def rehearsal_ms(network: Network, clock: Callable[[], float] = time.perf_counter) -> float:
    """Milliseconds of a blank window: the median of three after a first that allocates, or a slow first."""
    pictures = blank_pictures(network)

    def taken_ms() -> float:
        begun = clock()
        run_whole_window(network, pictures)
        return 1e3 * (clock() - begun)

    first = taken_ms()
    return first if first > SLOW_MS else median(taken_ms() for _ in range(TIMES))
