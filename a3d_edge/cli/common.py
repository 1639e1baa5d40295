"""What several commands share: progress on stderr, loading with a clear word when an extra is missing."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from a3d_edge.bundles import DEFAULT, names
from a3d_edge.cli.notices import detail, say, told_in_detail
from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.json_lines import JsonLines

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle

BUILT_IN = f"a built-in one's name ({names()})"
BUNDLE_HELP = f"Bundle: a folder, or {BUILT_IN}; {DEFAULT} if not given."
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")]


def emit(event: str, fields: dict[str, Any]) -> None:
    """One JSON line on stdout. Raises what `JsonLines` raises."""
    JsonLines(sys.stdout).write(event, fields)


def require(extra: str, *modules: str) -> None:
    """Raise `ResourceError` that names the extra to install when a module is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ResourceError(f"this command needs {', '.join(missing)}: pip install 'a3d-edge[{extra}]'")


class DetailedReport(Protocol):
    """A `Report` that may be told how it goes, too."""

    def __call__(self, what: str, done: int, total: int, how: str = "", /) -> None: ...


@contextmanager
def progress(*, log: bool = False, silent: bool = False) -> Iterator[DetailedReport]:
    """A progress bar with ETA on stderr: call it with (what, done, all), and how it goes.

    If stderr is no terminal: nothing, or with ``log`` a line at every tenth. ``silent``: nothing anywhere.
    With ``--verbose`` every step is a line of its own, and there is no bar.
    """
    if told_in_detail():
        yield lambda what, done, total, how="": detail("%s: %d of %d %s", what, done, total, how)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
    from rich.progress import TimeRemainingColumn as Eta

    how_it_goes = TextColumn("{task.fields[how]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Eta(), how_it_goes)
    console = Console(stderr=True)
    if silent or not console.is_terminal:
        logged = ProgressLog() if log and not silent else None
        yield lambda what, done, total, how="": logged(what, done, total) if logged else None
        return
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int, how: str = "", /) -> None:
            if what not in tasks:  # what a continued run begins with was not done in no time: not in the ETA
                tasks[what] = bars.add_task(what, total=total, completed=done, how=how)
            bars.update(tasks[what], completed=done, total=total, how=how)

        yield report


class ProgressLog:
    """Progress for a log: a line on stderr when another tenth is done, with the time left at this pace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, tuple[float, int]] = {}  # what -> (when, done then)
        self._tenths: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        begun_at, begun_with = self._begun.setdefault(what, (self._clock(), done))
        tenth = 10 * done // max(1, total)
        if tenth <= self._tenths.setdefault(what, 10 * begun_with // max(1, total)):
            return
        self._tenths[what] = tenth
        left = (self._clock() - begun_at) / max(1, done - begun_with) * (total - done)
        ending = f", about {left:.0f} s left" if done < total else ""
        say(f"{what}: {done} of {total}{ending}")


def load_bundle(what: str | Path | None) -> Bundle:
    """The bundle of a folder or a name, else the default one."""
    from a3d_edge.bundle import Bundle
    from a3d_edge.private_folder import shared_place

    loaded = Bundle.default() if what is None else Bundle.find(what)
    if (place := shared_place(loaded.path)) is not None:
        say(f"note: others may write to {place}, and exchange the bundle; copy it to a folder of your own")
    detail(
        "bundle %s: %d configurations of %s",
        loaded.path,
        len(loaded.configurations),
        loaded.manifest.architecture,
    )
    return loaded


def window_seconds(text: str) -> float:
    """Seconds of a window, such as 4s. Raises `UsageError`."""
    unit, scale = ("ms", 1e-3) if text.endswith("ms") else ("s", 1.0)
    try:
        seconds = float(text.removesuffix(unit)) * scale
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"`window` {text}: write seconds, such as 4s or 1.5s")
    return seconds
