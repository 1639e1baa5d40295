"""Events instead of labels: when something begins, goes on and ends, by what a network says."""

from __future__ import annotations

from a3d_edge.alerts.alert import Alert
from a3d_edge.alerts.grammar import parse_alert
from a3d_edge.alerts.rule import AlertRule
from a3d_edge.alerts.watch import AlertWatch, watch_for

__all__ = ["Alert", "AlertRule", "AlertWatch", "parse_alert", "watch_for"]
