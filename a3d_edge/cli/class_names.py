"""Class names as an option gives them."""

from __future__ import annotations

from pathlib import Path

from a3d_edge.cli.notices import say
from a3d_edge.errors import UsageError
from a3d_edge.labels import label_of, look_alikes, same_labels
from a3d_edge.reading import read_regular

__all__ = ["class_names"]


FILE_BYTES = 16_000_000


def class_names(text: str) -> tuple[str, ...]:
    """Names from a comma-separated list, or else from a file, one a line, spelled as labels are.

    Raises `UsageError` for a name that is empty or there twice, and when there is none.
    """
    names = [label_of(name) for name in (text.split(",") if "," in text else _lines(text))]
    if not any(names):
        raise UsageError(f"--classes {text}: no names")
    if "" in names:
        raise UsageError(
            f"--classes {text}: name {names.index('') + 1} is empty; remove a comma, or write it"
        )
    if twice := same_labels(names):
        raise UsageError(f"--classes {text}: '{twice[0]}' is there twice")
    for group in look_alikes(names):
        say(f"warning: --classes: {', '.join(map(repr, group))} look alike, but are different classes")
    return tuple(names)


def _lines(text: str) -> list[str]:
    try:
        lines = read_regular(Path(text), FILE_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:  # ValueError: no text, or a name that no file can have
        raise UsageError(
            f"--classes {text}: cannot be read as a file of names, one a line; or write the names with "
            "commas between"
        ) from error
    return [line for line in lines if line.strip()]
