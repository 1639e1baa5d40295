"""A file of what happened, a JSON line each, that begins anew when it has grown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from a3d_edge.json_text import json_text
from a3d_edge.sinks.log_file import LogFile

__all__ = ["Timeline"]


class Timeline:
    """Appends to ``path``; at ``rotate_bytes`` it becomes ``path.1``, and so on to ``keep``."""

    def __init__(self, path: Path, rotate_bytes: int, keep: int) -> None:
        self.path = path
        self._log = LogFile(path, rotate_bytes, keep)
        self.lines = 0

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._log.lost

    def write(self, event: str, fields: Mapping[str, Any]) -> str | None:
        """Append a line; why it could not be, where it could not."""
        lost = self._log.lost
        self._log.write(json_text({"event": event, "schema": 1, **fields}))
        if self._log.lost > lost:
            return self._log.why
        self.lines += 1
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._log.close()
