"""When a picture left the network, as far as it can be known: pure."""

from __future__ import annotations

from collections import deque

__all__ = ["LONGEST_S", "WINDOW_S", "Transit"]

WINDOW_S = 10.0
"""Camera's clock and ours drift apart: what was the quickest way is known for so long."""
LONGEST_S = 5.0
"""More than this no picture waits; a stamp that says so is wrong."""


class Transit:
    """Data that came late, by its own stamps and beside the quickest of the last ten seconds, had waited on
    its way: in the server, a socket, a proxy. It counts as captured that much earlier than it arrived."""

    def __init__(self) -> None:
        self._quickest: deque[tuple[float, float]] = deque()  # (arrival, transit), both rising

    def captured_s(self, arrived_s: float, position_s: float | None) -> float:
        """When it was captured by the clock of ``arrived_s``; a stream without stamps of its own: when it
        came."""
        if position_s is None:
            return arrived_s
        transit = arrived_s - position_s
        while self._quickest and self._quickest[-1][1] >= transit:
            self._quickest.pop()
        self._quickest.append((arrived_s, transit))
        while self._quickest[0][0] < arrived_s - WINDOW_S:
            self._quickest.popleft()
        waited = transit - self._quickest[0][1]
        return arrived_s - (waited if waited <= LONGEST_S else 0.0)
