"""What the policy says."""

from __future__ import annotations

from dataclasses import dataclass, field

from a3d_edge.configuration import Configuration

__all__ = ["Decision"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to run next. ``changed``: other than the decision before; ``reason``: a sentence for people;
    ``limiting_signal``: battery, cpu, temperature, memory, pressure, deadline, budget or none.

    ``predicted_ms``: the latency to expect of it, ``measured_ms`` its latest; ``next_up_s``: when it may
    go up at the earliest, ``at_s``: when this was decided, both on the controller's clock. None: unknown.
    """

    configuration: Configuration
    changed: bool
    reason: str
    limiting_signal: str
    predicted_ms: float | None = field(default=None, compare=False)
    measured_ms: float | None = field(default=None, compare=False)
    next_up_s: float | None = field(default=None, compare=False)
    at_s: float | None = field(default=None, compare=False)
