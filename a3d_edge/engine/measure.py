"""How long a loaded configuration takes for one whole window on this device."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from a3d_edge.engine.session import Network

__all__ = ["window_latencies_ms"]


def window_latencies_ms(network: Network, windows: int = 5) -> list[float]:
    """Milliseconds of ``windows`` windows: every picture encoded anew, then classified.

    One window before them is not counted: the first run allocates. The pictures are zeros, of the sizes and
    numbers that the configuration looks at; what they show makes no difference to the work.
    """
    pictures = [
        np.zeros((len(pathway.instants), 3, pathway.size, pathway.size), np.float32)
        for pathway in network.pathways
    ]
    taken = []
    for _ in range(windows + 1):
        start = time.perf_counter()
        network.classify(*[network.encode(given, place) for place, given in enumerate(pictures)])
        taken.append(1e3 * (time.perf_counter() - start))
    return taken[1:]
