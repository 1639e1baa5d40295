"""What ``run`` sets its controller to, and where its decisions go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from a3d_edge.outputs import claim

if TYPE_CHECKING:
    from a3d_edge.configuration import Budget
    from a3d_edge.control.settings import Settings
    from a3d_edge.events import Events

CONFIG = typer.Option(None, "--config", help="Settings of the controller (.toml; see 'config show').")
DECISIONS = typer.Option(
    None, "--decisions", help="Append every decision to a file of JSON Lines; renamed at --log-size."
)


@dataclass(frozen=True, slots=True)
class Controlling:
    """The controller's settings, and sinks for what it decides."""

    settings: Settings
    sinks: list[Events]


def controlling(
    budget: Budget, config: Path | None, decisions: Path | None, size: str, inputs: Iterable[Path | None]
) -> Controlling:
    """Raises `UsageError` for settings, a trace or a file that cannot be meant."""
    from a3d_edge.control.configured import configured
    from a3d_edge.control.trace import find_trace

    if budget.trace is not None:
        find_trace(budget.trace)  # before anything is opened
    sinks: list[Events] = []
    if decisions is not None:
        from a3d_edge.cli.operating import log_limit
        from a3d_edge.sinks.decision_log import DecisionLog

        claim(decisions, name="decisions", inputs=inputs, overwrite=True)
        sinks.append(DecisionLog(decisions, log_limit(size)))
    return Controlling(configured(config).settings, sinks)
