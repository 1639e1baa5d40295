"""``--alert`` and ``--alerts`` of ``run``: which events are told of, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from a3d_edge.cli.notices import say

if TYPE_CHECKING:
    from a3d_edge.alerts import AlertRule
    from a3d_edge.bundle import Bundle
    from a3d_edge.events import Events
    from a3d_edge.sinks.delivery.alert_file import AlertFile

__all__ = ["ALERT", "ALERTS", "Alerting", "alerting"]

ALERT = typer.Option(None, "--alert", help="Tell of an event: 'fight>0.7 for 1s'. Repeatable.")
ALERTS = typer.Option(None, "--alerts", help="TOML file of alerts, and of where they are told of.")


@dataclass(frozen=True)
class Alerting:
    """The rules, and the file that says where they are told of, if there is one."""

    rules: tuple[AlertRule, ...] = ()
    file: AlertFile | None = None
    beside: Path = Path()

    def events(self, *, patient: bool) -> list[Events]:
        """The sink that takes them there. Raises `UsageError`, `ResourceError`."""
        if self.file is None:
            return []
        from a3d_edge.sinks.delivery.build import alert_events

        names = [rule.called for rule in self.rules]
        made = alert_events(
            self.file, self.beside, names, lambda line: say(f"warning: {line}"), patient=patient
        )
        return [] if made is None else [made]


def alerting(lines: Sequence[str] | None, path: Path | None, bundle: Bundle) -> Alerting:
    """What the two options mean. Raises `UsageError`; everything is checked that can be before the run."""
    if not lines and path is None:
        return Alerting()
    from a3d_edge.alerts import parse_alert, watch_for

    rules = [parse_alert(line, bundle.classes) for line in lines or ()]
    file, beside = None, Path()
    if path is not None:
        from a3d_edge.sinks.delivery.alert_file import AlertFile

        file, beside = AlertFile.read(path, bundle.classes), path.absolute().parent
        rules += file.alert
    watch_for(rules, bundle)
    return Alerting(tuple(rules), file, beside)
