"""A run as JSON Lines: one object a line, for programs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from a3d_edge.alerts import Alert
from a3d_edge.events import Events, Prediction, Summary, Switch, utc
from a3d_edge.json_lines import SCHEMA_VERSION, JsonLines
from a3d_edge.video.health import Health

__all__ = ["SCHEMA_VERSION", "JsonEvents", "JsonLines", "plain"]

DECIMALS = 6
MILLISECOND_DECIMALS = 3


def plain(value: Any, key: str = "") -> Any:
    """``value`` in JSON's own types; numbers below a key in ms get 3 decimals, all others 6."""
    kind = type(value)  # the usual types first: abstract ones are slow to tell
    if kind is float:
        return _number(value, key)
    if kind is str or kind is int:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {str(name): plain(item, _unit(str(name), key)) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if kind is list or (isinstance(value, Sequence) and not isinstance(value, str)):
        return [plain(item, key) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item(), key)
    return _number(value, key) if isinstance(value, float) else str(value)


def _unit(name: str, above: str) -> str:
    """``p50`` in ``latency_ms`` is in milliseconds too."""
    return above if above.endswith("_ms") else name


def _number(value: float, key: str) -> float | None:
    if not math.isfinite(value):
        return None
    return round(value, MILLISECOND_DECIMALS if key.endswith("_ms") else DECIMALS)


class JsonEvents(Events):
    """A run as JSON Lines (docs/events.md): predictions, switches, summary; warnings are text on ``err``."""

    def __init__(self, lines: JsonLines, err: TextIO) -> None:
        self._lines, self._err = lines, err

    def prediction(self, prediction: Prediction) -> None:
        self._lines.write("prediction", plain(prediction.fields()))

    def switch(self, switch: Switch) -> None:
        self._lines.write("switch", plain(switch.fields()))

    def alert(self, alert: Alert) -> None:
        self._lines.write("alert", plain(alert.fields()))

    def health(self, health: Health) -> None:
        at = utc(time.time() - (time.monotonic() - health.at_s))
        self._lines.write("health", plain({**health.fields(), "time": at}))
        if health.is_told:
            self._err.write(f"{health.line}\n")

    def warning(self, message: str) -> None:
        self._err.write(f"warning: {message}\n")

    def summary(self, summary: Summary) -> None:
        """The last line."""
        self._lines.write("summary", plain(summary.fields()))
