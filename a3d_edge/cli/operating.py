"""What a run that nobody watches is asked by and reports to: metrics, a service manager, logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a3d_edge.cli.notices import also_to, say
from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.outputs import claim

if TYPE_CHECKING:
    from a3d_edge.events import Events

__all__ = ["logs", "operating"]

SMALLEST_LOG = 10_000


def log_limit(size: str) -> int:
    """Bytes at which a log is renamed. Raises `UsageError`."""
    from a3d_edge.engine.memory import parse_memory

    try:
        limit = parse_memory(size)
    except UsageError:
        limit = 0
    if limit < SMALLEST_LOG:
        raise UsageError(f"`log_size` {size}: write a size of at least 10KB, such as 10MB")
    return limit


def logs(paths: Iterable[Path], size: str, inputs: Iterable[Path | None]) -> Sequence[Events]:
    """A log for each path, which also gets what is said before and after the run. Raises `UsageError`."""
    from a3d_edge.sinks.log_file import LogEvents

    limit = log_limit(size)
    found: list[LogEvents] = []
    for path in paths:
        try:
            claim(path, name="log", inputs=inputs, overwrite=True)
        except ResourceError as error:  # lines are lost until there is room
            say(f"warning: {error}")
        found.append(LogEvents(path, limit))
        also_to(*(log.line for log in found))
    return found


def operating(source: Any, budget: str, metrics: str | None, sinks: Sequence[Events]) -> list[Events]:
    """More sinks of a run. Raises `UsageError` and `ResourceError` for metrics that cannot be served."""
    from a3d_edge.sinks.systemd import SystemdEvents

    more: list[Events] = []
    if metrics is not None:
        from a3d_edge.sinks.metrics_server import MetricsServer
        from a3d_edge.sinks.run_state import RunState

        state = RunState(source=source, budget=budget)
        server = MetricsServer(metrics, state, sinks)
        say(f"metrics: {server.url}/metrics, /healthz, /readyz")
        more += [state, server]
    if SystemdEvents.wanted():
        more.append(SystemdEvents(source.name))
    return more
