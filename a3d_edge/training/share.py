"""Which of the processes that torchrun has started this one is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Share"]


@dataclass(frozen=True, slots=True)
class Share:
    """Which one of ``size`` processes this is; ``local`` counts those of this machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Share:
        """What torchrun says in the environment; the only process where it says nothing."""
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= set(environment):
            return cls()
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        return cls(*(int(environment.get(name, "0")) for name in names))

    @property
    def first(self) -> bool:
        """Whether this is the process that gathers, prints and shows progress."""
        return self.rank == 0

    def of(self, count: int) -> range:
        """The numbers below ``count`` that are this process's."""
        return range(self.rank, count, self.size)
