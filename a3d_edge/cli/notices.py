"""What is worth a line on stderr beside the work: it never stops the work, even where nobody reads it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from a3d_edge.cli.flags import as_flags
from a3d_edge.errors import DataWarning
from a3d_edge.shown import shown

__all__ = ["also_to", "detail", "say", "tell", "tell_others", "told_in_detail", "warnings_as_lines"]

_others: list[Callable[[str], None]] = []


def also_to(*writes: Callable[[str], None]) -> None:
    """Lines for people go there too, whatever stderr is; and nowhere else any more."""
    _others[:] = writes


def tell_others(line: str) -> None:
    """One line to whoever hears lines beside stderr."""
    for write in _others:
        write(line)


def tell(line: str) -> None:
    """One line on stdout, for people; what came from a file in it does nothing but show. Raises `OSError`."""
    print(shown(line), flush=True)  # noqa: T201 - prints for the commands


def say(line: str) -> None:
    """One line on stderr, if it can be written; parameters that it names are shown as options."""
    text = shown(" ".join(as_flags(line).split("\n")))
    tell_others(text)
    if sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - prints for the commands
    except OSError:  # its reader has left, or its disk is full
        return


def told_in_detail() -> bool:
    """Whether somebody wants debug lines; `logging` is loaded only then (or by whoever runs something)."""
    logging = sys.modules.get("logging")
    return logging is not None and logging.getLogger("a3d_edge").isEnabledFor(logging.DEBUG)


def detail(line: str, *values: object) -> None:
    """A debug line of ``logging``, with ``values`` put in; see ``--verbose``."""
    if told_in_detail():
        sys.modules["logging"].getLogger("a3d_edge").debug(
            line, *(shown(one) if isinstance(one, str) else one for one in values)
        )


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Our own warnings become one line each, told once a command; others are shown as always."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", DataWarning)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, DataWarning):
                say(f"warning: {message}")
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
