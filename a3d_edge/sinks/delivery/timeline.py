"""A file of what happened, a JSON line each, that begins anew when it has grown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from a3d_edge.json_text import json_text

__all__ = ["Timeline"]


class Timeline:
    """Appends to ``path``; at ``rotate_bytes`` it becomes ``path.1``, that ``path.2``, and so on up to
    ``keep``.

    Each line is whole: one that an earlier process could not finish is ended first.
    """

    def __init__(self, path: Path, rotate_bytes: int, keep: int) -> None:
        self.path, self._rotate_bytes, self._keep = path, rotate_bytes, keep
        self.lines = 0

    def write(self, event: str, fields: Mapping[str, Any]) -> int:
        """Append a line; its bytes. Raises `OSError` where it cannot be, and nothing of it is then left."""
        line = json_text({"event": event, "schema": 1, **fields}).encode() + b"\n"
        size = self.path.stat().st_size if self.path.exists() else 0
        if size and size + len(line) > self._rotate_bytes:
            self._rotate()
            size = 0
        with self.path.open("a+b", buffering=0) as file:
            if size:
                file.seek(-1, 2)
                line = line if file.read(1) == b"\n" else b"\n" + line
            try:
                written = file.write(line)
                if written != len(line):
                    raise OSError(28, "No space left on device")
            except OSError:
                file.truncate(size)
                raise
        self.lines += 1
        return len(line)

    def _rotate(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        if self._keep:
            self.path.replace(self._numbered(1))
        else:
            self.path.unlink()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
