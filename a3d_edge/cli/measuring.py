"""What ``eval`` and ``table build`` share: their options, calibration, and measuring on labelled clips."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a3d_edge.cli.common import (
    Report,
    choose,
    progress,
    spread,
    step,
    unlabelled_set,
    warn_if_untrained,
    window_set,
)
from a3d_edge.cli.outputs import claim
from a3d_edge.errors import UsageError

if TYPE_CHECKING:
    from a3d_edge.configuration import Configuration
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.training.clips import Clip
    from a3d_edge.training.evaluation import Scores, WindowSet
    from a3d_edge.training.scores_file import ScoresFile
    from a3d_edge.training.shards import Share
    from a3d_edge.training.windows import Protocol

DataOption = Annotated[list[Path], typer.Option("--data", help="Clips: CSV or class folders; repeatable.")]
FoldOption = Annotated[int | None, typer.Option("--fold", help="Only this fold of the data.")]
CalibrationOption = Annotated[
    list[Path] | None, typer.Option("--calibration", help="Training clips to calibrate on anew.")
]
CalibrationClipsOption = Annotated[
    int, typer.Option("--calibration-clips", help="Clips to calibrate on.", min=1)
]
NoCalibrationOption = Annotated[
    bool, typer.Option("--no-calibration", help="Full-width statistics for all, to compare.")
]
ViewsOption = Annotated[int, typer.Option("--views", help="Windows a clip, softmax averaged.", min=1)]
ProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        help="runtime: windows as run sees them, spread evenly. paper: 1, 10 or 30 views as the paper tests "
        "(30: 10 starts, each left, centre and right). Default: paper for 1, 10 and 30 views, else runtime.",
    ),
]
ScoresOption = Annotated[
    Path | None,
    typer.Option("--scores", help="File that keeps every clip's scores; run again to continue from it."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1.")]
CacheOption = Annotated[Path | None, typer.Option("--cache", help="Folder of decoded frames.")]


@dataclass(frozen=True, slots=True)
class Measuring:
    """The options, as given. `takes_measuring` makes them those of a command."""

    data: DataOption
    fold: FoldOption = None
    calibration: CalibrationOption = None
    calibration_clips: CalibrationClipsOption = 256
    no_calibration: NoCalibrationOption = False
    views: ViewsOption = 4
    protocol: ProtocolOption = None
    scores: ScoresOption = None
    device: DeviceOption = "cpu"
    cache: CacheOption = None

    def clips(self) -> list[Clip]:
        """The clips to measure on."""
        from a3d_edge.training.clips import list_clips

        return choose(list_clips(self.data), self.fold, held_out=True)

    def training_clips(self) -> list[Clip]:
        """The clips to calibrate on; none where the checkpoint's own statistics are used."""
        from a3d_edge.training.clips import list_clips

        if self.no_calibration or not self.calibration:
            return []
        return spread(choose(list_clips(self.calibration), self.fold, held_out=False), self.calibration_clips)

    def inputs(self, subject: Path) -> list[Path]:
        """The files and folders that are read, ``subject`` the one that is measured."""
        return [subject, *self.data, *(self.calibration or [])]

    @property
    def chosen_protocol(self) -> Protocol:
        """Raises `UsageError` for an unknown one, or one without so many views."""
        from a3d_edge.training.windows import PAPER_VIEWS

        if self.protocol not in (None, "runtime", "paper"):
            raise UsageError(f"unknown --protocol '{self.protocol}'; there are runtime and paper")
        if self.protocol == "paper" and self.views not in PAPER_VIEWS:
            raise UsageError(
                f"--views {self.views}: the paper's protocol has 1, 10 or 30; or use --protocol runtime"
            )
        if self.protocol == "runtime" or self.views not in PAPER_VIEWS:
            return "runtime"
        return "paper"

    @property
    def views_in_words(self) -> str:
        """Such as ``30 views (paper)``."""
        return f"{self.views} view{'s' if self.views > 1 else ''} ({self.chosen_protocol})"


def takes_measuring(command: Callable[..., None]) -> Callable[..., None]:
    """A command as typer is to see it: in the place of its parameter ``options`` are those of `Measuring`."""
    own = inspect.signature(command, eval_str=True).parameters
    shared = inspect.signature(Measuring, eval_str=True).parameters

    @wraps(command)
    def called(**given: Any) -> None:
        options = Measuring(**{name: given.pop(name) for name in shared})
        command(**given, options=options)

    each = [new for one in own.values() for new in (shared.values() if one.name == "options" else [one])]
    wanted = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in each]
    called.__signature__ = inspect.Signature(wanted)  # type: ignore[attr-defined]
    return called


def prepare(
    checkpoint: Checkpoint, wanted: Sequence[Configuration], options: Measuring, report: Report
) -> None:
    """Calibrate the network as the options say. Raises `UsageError` where statistics are missing."""
    from a3d_edge.models.checkpoint import forget_statistics, statistics
    from a3d_edge.training.calibrate import calibrate

    if _is_bundle(checkpoint):
        if options.calibration or options.no_calibration:
            raise UsageError("a bundle has its statistics built in; calibrate its checkpoint instead")
        return
    if options.no_calibration:
        forget_statistics(checkpoint.model)
        return
    if training := options.training_clips():
        windows = unlabelled_set(checkpoint, training, options.cache, 1)
        calibrate(checkpoint.model, wanted, windows, step(report, "calibrate"))
    there = statistics(checkpoint.model)
    if bare := [c for c in wanted if str(c) not in there]:
        others = f" and {len(bare) - 1} more are" if len(bare) > 1 else " is"
        raise UsageError(f"{bare[0]}{others} not calibrated; name training clips with --calibration")


def measure(
    path: Path, checkpoint: Checkpoint, wanted: Sequence[Configuration], options: Measuring, *, log: bool
) -> dict[Configuration, Scores] | None:
    """Scores of configurations; None in all processes but the first, which alone shows progress.

    ``log``: without a terminal, progress is a line on stderr now and then.
    """
    from a3d_edge.training.shards import Share, device_of, evaluate_shared

    share = Share.from_env()
    if options.scores:
        claim(options.scores, flag="--scores", inputs=options.inputs(path), overwrite=True)
    device, windows = device_of(options.device, share), _windows(checkpoint, options)
    kept = _scores_file(path, checkpoint, wanted, windows, options) if options.scores else None
    if kept is not None:
        kept.read()  # refuse a file of something else before any work
    if share.first:
        warn_if_untrained(checkpoint)
    with progress(log=log, silent=not share.first) as report:
        prepare(checkpoint, wanted, options, report)
        checkpoint.model.to(device)
        shown = step(report, _what(share))
        return evaluate_shared(checkpoint.model, wanted, windows, checkpoint.classes, share, kept, shown)


def load_subject(path: Path, engine: str | None = None) -> Checkpoint:
    """A checkpoint, or a bundle in the place of one: then what is measured are its own graphs."""
    if not path.is_dir():
        from a3d_edge.models.checkpoint import load

        return load(path)
    from a3d_edge.bundle import Bundle
    from a3d_edge.engine.engines import DEFAULT, find_engine
    from a3d_edge.training.bundle_model import as_checkpoint

    return as_checkpoint(Bundle.load(path), find_engine(engine or DEFAULT))


def chosen(path: Path, checkpoint: Checkpoint, wanted: Sequence[Configuration]) -> Sequence[Configuration]:
    """Those wanted; else every one of a bundle, or of the range a checkpoint was trained over.

    Raises `UsageError` for one that a bundle does not have.
    """
    from a3d_edge.bundle import Bundle

    if not path.is_dir():
        return wanted or checkpoint.grid()
    bundle = Bundle.load(path)
    for configuration in wanted:
        bundle.table.row(configuration)
    return wanted or bundle.configurations


def _is_bundle(checkpoint: Checkpoint) -> bool:
    from a3d_edge.training.bundle_model import BundleModel

    return isinstance(checkpoint.model, BundleModel)


def _what(share: Share) -> str:
    return "evaluate" if share.size == 1 else f"evaluate (process 1 of {share.size}, its share)"


def _windows(checkpoint: Checkpoint, options: Measuring) -> WindowSet:
    from dataclasses import replace

    windows = window_set(checkpoint, options.clips(), options.cache, options.views)
    return replace(windows, protocol=options.chosen_protocol)


def _scores_file(
    path: Path,
    checkpoint: Checkpoint,
    wanted: Sequence[Configuration],
    windows: WindowSet,
    options: Measuring,
) -> ScoresFile:
    from a3d_edge.training.scores_file import ScoresFile

    assert options.scores is not None
    header: dict[str, Any] = {
        "checkpoint": hashlib.sha256(_identity(path).read_bytes()).hexdigest(),
        "calibration": _calibration(options),
        "protocol": windows.protocol,
        "views": windows.views,
        "clips": _digest(windows.clips),
        "configurations": [str(c) for c in wanted],
    }
    return ScoresFile(options.scores, header, (len(windows.clips), len(wanted), len(checkpoint.classes)))


def _identity(path: Path) -> Path:
    """The file whose digest tells checkpoints and bundles apart."""
    from a3d_edge.manifest import MANIFEST

    return path / MANIFEST if path.is_dir() else path


def _calibration(options: Measuring) -> str:
    if options.no_calibration:
        return "none"
    return _digest(options.training_clips()) if options.calibration else "the checkpoint's own"


def _digest(clips: Sequence[Clip]) -> str:
    """Tells lists of clips apart: by number, files and labels, in order."""
    names = "\n".join(f"{clip.path and clip.path.resolve()}{clip.part}\t{clip.label}" for clip in clips)
    return f"{len(clips)} clips, sha256 {hashlib.sha256(names.encode()).hexdigest()[:16]}"
