"""What a fit has finished, kept beside its results, so that the same call goes on, or finds nothing to do.

A step is done when its record is there and was made from the same: the same clips, options and version of the
step before. Whatever it wrote has the digest that the record says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.files import write_atomically
from a3d_edge.manifest import digest
from a3d_edge.reading import read_regular

__all__ = ["State", "content_digest", "fingerprint", "mark_of"]

NAME = "fit.json"
STATE_BYTES = 16_000_000
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class State:
    """The records of a work folder."""

    folder: Path

    def done(self, step: str, made_from: str) -> dict[str, Any] | None:
        """What a step recorded, if it was made from the same and its files are as it left them."""
        record = self._read().get(step)
        if not isinstance(record, dict) or record.get("made_from") != made_from:
            return None
        files = record.get("files", {})
        kept = all(map(_is_as_left, files.values()))
        result = record.get("result")
        return result if kept and isinstance(result, dict) else None

    def record(self, step: str, made_from: str, result: Mapping[str, Any], files: Mapping[str, Path]) -> None:
        """Note that a step is done; ``files`` by the names that the records keep."""
        known = {name: {"path": str(path), "sha256": content_digest(path)} for name, path in files.items()}
        entry = {"made_from": made_from, "result": dict(result), "files": known}
        content = {"schema_version": SCHEMA, **self._read(), step: entry}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise ResourceError(f"{self.folder}: cannot be made ({error.strerror})") from error
        write_atomically(self.folder / NAME, lambda temporary: _write(temporary, text))

    def _read(self) -> dict[str, Any]:
        path = self.folder / NAME
        try:
            content = json.loads(read_regular(path, STATE_BYTES))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{path}: cannot be read ({error}); delete it to fit anew") from error
        if not isinstance(content, dict) or content.get("schema_version") != SCHEMA:
            raise UsageError(f"{path}: is not of this version; delete it to fit anew")
        return content


def fingerprint(*parts: object) -> str:
    """A short digest of plain values, to tell what a step was made from."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _is_as_left(known: Any) -> bool:
    try:
        return bool(content_digest(Path(known["path"])) == known["sha256"])
    except (OSError, KeyError, TypeError):
        return False


def content_digest(path: Path) -> str:
    """The digest of a file, or of a folder's files by name."""
    if not path.is_dir():
        return digest(path)
    return fingerprint(*((file.name, digest(file)) for file in sorted(path.iterdir()) if file.is_file()))


def mark_of(path: Path | None) -> tuple[int, int]:
    """What changes when a file is mended or put back: its size and when it was written; zeros without one."""
    try:
        status = path.stat() if path else None
    except OSError:
        status = None
    return (status.st_size, status.st_mtime_ns) if status else (0, 0)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
