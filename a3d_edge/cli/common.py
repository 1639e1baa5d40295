"""What several commands share: progress on stderr, loading with a clear word when an extra is missing."""

from __future__ import annotations

import atexit
import importlib.util
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from a3d_edge.cli.notices import detail, say, told_in_detail
from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.json_lines import JsonLines

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.training.clips import Clip
    from a3d_edge.training.decode import FrameCache
    from a3d_edge.training.evaluation import WindowSet

Report = Callable[[str, int, int], None]


def emit(event: str, fields: dict[str, Any]) -> None:
    """One JSON line on stdout. Raises what `JsonLines` raises."""
    JsonLines(sys.stdout).write(event, fields)


def require(extra: str, *modules: str) -> None:
    """Raise `ResourceError` that names the extra to install when a module is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ResourceError(f"this command needs {', '.join(missing)}: pip install 'a3d-edge[{extra}]'")


@contextmanager
def progress(*, log: bool = False, silent: bool = False) -> Iterator[Report]:
    """A progress bar with ETA on stderr: call it with (what, done, all).

    If stderr is no terminal: nothing, or with ``log`` a line at every tenth. ``silent``: nothing anywhere.
    With ``--verbose`` every step is a line of its own, and there is no bar.
    """
    if told_in_detail():
        yield lambda what, done, total: detail("%s: %d of %d", what, done, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
    from rich.progress import TimeRemainingColumn as Eta

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Eta())
    console = Console(stderr=True)
    if silent or not console.is_terminal:
        yield ProgressLog() if log and not silent else lambda what, done, total: None
        return
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:  # what a continued run begins with was not done in no time: not in the ETA
                tasks[what] = bars.add_task(what, total=total, completed=done)
            bars.update(tasks[what], completed=done, total=total)

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


def step(report: Report, what: str) -> Callable[[int, int], None]:
    """A (done, all) callback for one named step."""
    return lambda done, total: report(what, done, total)


def load_bundle(path: Path | None) -> Bundle:
    """The named bundle, else the default one."""
    from a3d_edge.bundle import Bundle

    loaded = Bundle.default() if path is None else Bundle.load(path)
    detail(
        "bundle %s: %d configurations of %s",
        loaded.path,
        len(loaded.configurations),
        loaded.manifest.architecture,
    )
    return loaded


def usual_cache() -> Path:
    """``$XDG_CACHE_HOME/a3d-edge/frames``, or below ``~/.cache``."""
    from a3d_edge.folders import user_folder

    return user_folder("XDG_CACHE_HOME", ".cache") / "frames"


def cache_folder(folder: Path | None) -> Path:
    """Where decoded frames are kept unless --cache says otherwise; for this command only if that cannot be.

    Raises `ResourceError` when there is no other place either.
    """
    from a3d_edge.folders import usable_folder

    if folder is not None:
        return folder
    usual = usual_cache()
    try:
        return usable_folder(usual)
    except OSError as error:
        place = _folder_of_this_command()
        typer.echo(
            f"warning: {usual}: cannot keep decoded frames ({error.strerror}); they are in {place} until the "
            "end, see --cache", err=True,
        )  # fmt: skip
        return place


def _folder_of_this_command() -> Path:
    try:
        from tempfile import mkdtemp  # --help needs none of it

        place = mkdtemp(prefix="a3d-edge-frames-")
    except OSError as error:
        raise ResourceError(f"no folder for decoded frames ({error}); name one by --cache") from error
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


def warn_if_untrained(checkpoint: Checkpoint) -> None:
    """Say on stderr, in one line, when a checkpoint's narrow widths were never trained (an imported one)."""
    if checkpoint.origin.get("mutually_trained") is not False:
        return
    source = checkpoint.origin.get("imported_from", "elsewhere")
    typer.echo(
        f"note: imported from {source} and never mutually trained: only width 1.00 is as trained, narrower "
        "ones are not; train it ('a3d-edge train --init'), or pin a w1.00 configuration",
        err=True,
    )


def window_set(checkpoint: Checkpoint, clips: list[Clip], cache: Path | None, views: int) -> WindowSet:
    """The windows of clips as a checkpoint's network wants them. Raises `UsageError` for an unknown label."""
    check_labels(clips, checkpoint.classes)
    return _set(checkpoint, clips, cache, views)


def unlabelled_set(checkpoint: Checkpoint, clips: list[Clip], cache: Path | None, views: int) -> WindowSet:
    """The same where it does not matter what the clips are called; without those that cannot be read."""
    from a3d_edge.training.decode import readable

    return _set(checkpoint, readable(clips, frame_cache(checkpoint, cache)), cache, views)


def _set(checkpoint: Checkpoint, clips: list[Clip], cache: Path | None, views: int) -> WindowSet:
    from a3d_edge.training.evaluation import WindowSet

    sampling = checkpoint.description.sampling
    return WindowSet(clips, frame_cache(checkpoint, cache), sampling, checkpoint.preprocessing, views)


def frame_cache(checkpoint: Checkpoint, folder: Path | None) -> FrameCache:
    """Decoded frames as large as any configuration of the network looks at, and no larger."""
    from a3d_edge.training.decode import FrameCache

    sides = [c.size for c in checkpoint.grid()]
    return FrameCache(cache_folder(folder), max(160, checkpoint.description.sampling.fast_size, *sides))


def check_labels(clips: list[Clip], classes: tuple[str, ...]) -> None:
    """Raise `UsageError` when a clip has a label that the network does not know."""
    unknown = sorted({clip.label for clip in clips} - set(classes))
    if unknown:
        raise UsageError(
            f"the data has the label {', '.join(unknown)}; the network knows {', '.join(classes)}"
        )


def choose(clips: list[Clip], fold: int | None, *, held_out: bool) -> list[Clip]:
    """All clips, or one side of a fold."""
    from a3d_edge.training.clips import split_fold

    if fold is None:
        return clips
    rest, held = split_fold(clips, fold)
    return held if held_out else rest


def spread(clips: list[Clip], count: int) -> list[Clip]:
    """About ``count`` clips, at most an equal share of every class, the same ones every time.

    Equal shares, because batch-norm statistics follow the mix of classes: with the 67 quiet clips of ``none``
    among 71 of six actions, the same network named 12 instead of 16 of 19 held-out actions.
    """
    import random

    by_label: dict[str, list[Clip]] = {}
    for clip in clips:
        by_label.setdefault(clip.label, []).append(clip)
    share = -(-count // max(1, len(by_label)))
    decks = [random.Random(0).sample(group, min(share, len(group))) for _, group in sorted(by_label.items())]
    rounds = max((len(deck) for deck in decks), default=0)
    return [deck[i] for i in range(rounds) for deck in decks if i < len(deck)][:count]
