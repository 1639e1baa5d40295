"""Events as JSON Lines: one object a line, for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from a3d_edge.errors import ResourceError
from a3d_edge.events import Events, Prediction, ReaderLeftError, Summary, Switch
from a3d_edge.json_text import json_text

__all__ = ["SCHEMA_VERSION", "JsonEvents", "JsonLines", "plain"]

SCHEMA_VERSION = 1
DECIMALS = 6
MILLISECOND_DECIMALS = 3


class JsonLines:
    """Writes events to a text stream, each on its own line and flushed, so that a reader sees it at once.

    Raises `ReaderLeftError` when the reader has left, which is an end and no failure, and `ResourceError`
    when the stream cannot be written for another reason (a full disk).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, event: str, fields: Mapping[str, Any]) -> None:
        """One line: ``{"schema": 1, "event": event, …fields}``, numbers rounded, NaN and infinity as null."""
        line = json_text({"schema": SCHEMA_VERSION, "event": event} | plain(fields))
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except BrokenPipeError as error:
            raise ReaderLeftError(*error.args) from error
        except OSError as error:
            raise ResourceError(
                f"cannot write the JSON output ({error.strerror}); is the disk full?"
            ) from error


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
    """A run as JSON Lines (DESIGN §6): prediction, switch and summary; warnings go to ``err`` as text."""

    def __init__(self, lines: JsonLines, err: TextIO) -> None:
        self._lines, self._err = lines, err

    def prediction(self, prediction: Prediction) -> None:
        self._lines.write("prediction", prediction.fields())

    def switch(self, switch: Switch) -> None:
        self._lines.write("switch", switch.fields())

    def warning(self, message: str) -> None:
        self._err.write(f"warning: {message}\n")

    def summary(self, summary: Summary) -> None:
        """The last line."""
        self._lines.write("summary", summary.fields())
