"""What processes wait for, as the kernel counts it (PSI): shares of time between two readings."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["Pressure"]

SHORTEST_S = 0.25
"""Between two readings; over less, the kernel's own steps show."""


class Pressure:
    """Share 0..1 of the time in which something waited for one resource (``some``): `read` it now and again.

    ``resource``: cpu, memory or io. Of our own cgroup where that tells it (v2), else of the machine. Nothing
    raises: None where the kernel does not tell, and at the first reading.
    """

    def __init__(
        self, resource: str, clock: Callable[[], float], root: Path = Path("/"), groups: Sequence[Path] = ()
    ) -> None:
        own = [group / f"{resource}.pressure" for group in groups[:1]]
        places = [*own, root / "proc/pressure" / resource]
        self._place = next((place for place in places if _waited_s(place) is not None), None)
        self._clock = clock
        self._before: tuple[float, float] | None = None
        self._latest: float | None = None

    def read(self) -> float | None:
        """The share since the reading before."""
        if self._place is None:
            return None
        now = self._clock()
        if self._before is not None and now - self._before[0] < SHORTEST_S:
            return self._latest
        before, waited = self._before, _waited_s(self._place)
        self._before = None if waited is None else (now, waited)
        self._latest = None
        if before is not None and waited is not None:
            self._latest = min(1.0, max(0.0, (waited - before[1]) / (now - before[0])))
        return self._latest


def _waited_s(place: Path) -> float | None:
    try:
        found = re.search(r"^some .*total=(\d+)", place.read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return None
    return None if found is None else int(found[1]) / 1e6
