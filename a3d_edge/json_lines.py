"""The one writer of JSON Lines: what every command prints with ``--json`` (docs/events.md has the schema)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from a3d_edge.errors import ResourceError
from a3d_edge.json_text import json_text

__all__ = ["SCHEMA_VERSION", "JsonLines"]

SCHEMA_VERSION = 1
"""Of all events. Fields may be added within a version; none is taken away, renamed or given another type."""


class JsonLines:
    """Writes events to a text stream, each on its own line and flushed, so that a reader sees it at once.

    Raises `ReaderLeftError` when the reader has left, which is an end and no failure, and `ResourceError`
    when the stream cannot be written for another reason (a full disk).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, event: str, fields: Mapping[str, Any]) -> None:
        """One line: ``{"event": event, "schema": 1, …fields}``, NaN and infinity as null."""
        line = json_text({"event": event, "schema": SCHEMA_VERSION, **fields})
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except BrokenPipeError as error:
            from a3d_edge.events import (
                ReaderLeftError,  # loads numpy, which ``info --json`` needs not wait for
            )

            raise ReaderLeftError(*error.args) from error
        except OSError as error:
            raise ResourceError(
                f"cannot write the JSON output ({error.strerror}); is the disk full?"
            ) from error
