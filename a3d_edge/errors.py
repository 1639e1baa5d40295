"""Every error this library raises on purpose.

Each message says what was wrong, where (file, key or `parameter`) and what to do next. The command line turns
the branch into its exit code, `parameter` into its option, and prints one line, no traceback.

    A3DEdgeError                1  something failed while running
    ├── UsageError              2  an argument, option or value that cannot be meant; a ValueError too
    ├── SourceError             3  a camera, file, folder or stream that cannot be read
    ├── BundleError             4  a bundle or table that is missing, altered or not ours
    │   └── CheckpointError     4  the same for a checkpoint
    └── ResourceError           5  the device has too little of something (disk, memory, a library)

What is no error but should be known is warned of with `DataWarning`; the command line prints it as one line.
"""

from __future__ import annotations

__all__ = [
    "A3DEdgeError",
    "BundleError",
    "CheckpointError",
    "DataWarning",
    "ResourceError",
    "SourceError",
    "UsageError",
]


class A3DEdgeError(Exception):
    """Base of all errors raised on purpose; catch this one to catch them all."""

    exit_code = 1


class UsageError(A3DEdgeError, ValueError):
    """An argument, option or value that cannot be meant; a `ValueError`, as Python's own calls raise."""

    exit_code = 2


class SourceError(A3DEdgeError):
    """A video source that cannot be opened or read; ``cause``: the kind of failure, where it is known
    (`a3d_edge.video.causes.Cause`)."""

    exit_code = 3

    def __init__(self, *words: object, cause: str | None = None) -> None:
        super().__init__(*words)
        self.cause = cause


class BundleError(A3DEdgeError):
    """A bundle or table that is missing, altered, incomplete or of another format."""

    exit_code = 4


class CheckpointError(BundleError):
    """A checkpoint that is missing, altered, unsafe or of another format."""


class ResourceError(A3DEdgeError):
    """The device lacks something that the work needs: disk, memory, or an optional library."""

    exit_code = 5


class DataWarning(UserWarning):
    """Something about the data that is probably not meant: columns that nobody uses, clips listed twice."""
