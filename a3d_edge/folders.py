"""Where our files lie in a user's home: by the XDG base directories, also where there is no home at all."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

__all__ = ["usable_folder", "user_folder"]

NO_HOME = Path("/nonexistent")
"""What Debian calls the home of accounts that have none."""


def user_folder(variable: str, otherwise: str) -> Path:
    """Ours in an XDG base directory; ``otherwise``: where that is, below home, when it is not set.

    A relative one does not count, as the specification says.
    """
    base = os.environ.get(variable, "")
    return (Path(base) if os.path.isabs(base) else _home() / otherwise) / "a3d-edge"  # noqa: PTH117


def _home() -> Path:
    """The user's; a place that is not there if there is none (an unknown user, as in containers)."""
    home = os.environ.get("HOME", "")
    if os.path.isabs(home):  # noqa: PTH117
        return Path(home)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return NO_HOME


def usable_folder(folder: Path) -> Path:
    """Make a folder of ours, and prove that it takes files. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return folder
