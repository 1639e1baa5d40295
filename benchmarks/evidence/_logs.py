"""One small file a run: what it was, how it went, and how every test clip came out.

A clip's margin is the mean score of its class less the best of the others: above 0 it was named correctly.
Margins are kept in 127 steps of a byte, rounded away from 0, so that none changes its side, and compressed.
"""

from __future__ import annotations

import base64
import json
import subprocess
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.files import write_atomically

__all__ = ["Log", "commit_of", "margins_of", "read_logs", "unpacked", "write_log"]

STEPS = 127


@dataclass(frozen=True, slots=True)
class Log:
    """A run's file. ``tests``: by test (``test``, ``test:64``, ``val``) and configuration, packed margins."""

    name: str
    content: Mapping[str, Any]

    def correct(self, configuration: str, test: str = "test") -> NDArray[np.float64]:
        """1 for every test clip that was named correctly, else 0: ``(N,)``."""
        return (unpacked(self.content["tests"][test][configuration]) > 0).astype(np.float64)

    def has(self, configuration: str, test: str = "test") -> bool:
        """Whether that was measured."""
        return configuration in self.content["tests"].get(test, {})

    @property
    def groups(self) -> NDArray[np.intp] | None:
        """Which test clips belong together ``(N,)``; None where each stands for itself."""
        there = self.content.get("groups")
        return None if there is None else np.array(there, np.intp)


def margins_of(summed: NDArray[np.float64], truth: NDArray[np.intp]) -> str:
    """Scores ``(N, classes)``, summed over views, packed as margins. A tie counts as evaluation counts it:
    to the class that comes first."""
    whole = summed / np.maximum(summed.sum(axis=1, keepdims=True), 1e-12)
    rows = np.arange(len(truth))
    others = whole.copy()
    others[rows, truth] = -np.inf
    margin = whole[rows, truth] - others.max(axis=1)
    steps = np.ceil(np.abs(margin) * STEPS)
    right = whole.argmax(axis=1) == truth
    signed = np.where(right, np.maximum(steps, 1), -steps).astype(np.int8)
    return base64.b64encode(zlib.compress(signed.tobytes(), 9)).decode("ascii")


def unpacked(text: str) -> NDArray[np.int8]:
    """The margins again, in steps of 1/127."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.int8)


def write_log(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    """Whole, or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    write_atomically(folder / f"{name}.json", lambda temporary: _write(temporary, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def read_logs(folder: Path) -> dict[str, Log]:
    """All that are there, by run."""
    return {
        path.stem: Log(path.stem, json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob("*.json"))
    }


def commit_of(root: Path) -> str:
    """The commit that is checked out, with a plus where files of it were changed."""

    def git(*words: str) -> str:
        told = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
        return told.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD") + ("+" if changed else "")
