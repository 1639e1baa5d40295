"""What ``--help`` shows beside an option's own words: groups, an example, and the options every command has.

Plain text by typer's own formatter: its groups need rich, whose import would double what ``--help`` takes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from functools import cache
from pathlib import Path
from typing import Any

import typer
import typer.main
from typer.core import TyperCommand

from a3d_edge.errors import UsageError

__all__ = ["EXAMPLES", "Command", "loudness"]

GROUPS = {
    "Source": "--camera --source --realtime --stall --give-up --allow-redirect --people --people-every",
    "Data": "--data --val --share --fold --task --classes --rendered --rendered-share --balanced --draw "
    "--mirror --validation --views --protocol --proposals --proposal-score",
    "Network": "--bundle --checkpoint --arch --init --key --input --aspect --view --window --range --table "
    "--configuration --all --precision --width --size --frames --boxes",
    "Budget": "--budget --config --profile --hop --switch-every --compare",
    "Training": "--recipe --epochs --batch --lr --warmup --weight-decay --optimizer --label-smoothing "
    "--dropout --mutual --alone --multi-resolution --no-distillation --label-share --switchable-norms "
    "--random-widths --students-from --quickest --mixup --tune --patience --seed --resume --tensorboard",
    "Calibration and proof": "--calibration --calibration-clips --no-calibration "
    "--parity-clips --range-clips",
    "Measuring": "--windows --paced --measure --keep-noisy --interval",
    "Device": "--engine --threads --memory --device --workers --cache",
    "Picture": "--x --deadline --title --pareto --label --start",
    "Ending": "--max-predictions --seconds",
    "Events": "--alert --alerts",
    "Output": "--out --json --save --save-profile --save-profile-as --scores --plot --decisions --overwrite "
    "--show --all-rows --names --metrics --log --log-size --verbose --quiet",
}
"""In the order in which they are shown; what is in none comes last. An option has one group everywhere."""

EXAMPLES = {
    "run": "a3d-edge run --camera 0 --budget 80ms",
    "export": "a3d-edge export net.pth --calibration clips.csv --precision both --out bundle/",
    "import": "a3d-edge import SLOW_8x8_R50.pyth --arch slow_r50 --out paper.pth",
    "info": "a3d-edge info bundle/ --json",
    "verify": "a3d-edge verify bundle/ --engine openvino",
    "bench": "a3d-edge bench bundle/ --save-profile",
    "flops": "a3d-edge flops --arch slow_r50 --width 0.5 --size 128 --frames 2",
    "fit": "a3d-edge fit clips.csv --out bundle/",
    "train": "a3d-edge train --data clips.csv --out net.pth",
    "eval": "a3d-edge eval net.pth --data clips.csv --fold 1 --calibration clips.csv",
    "explain": "a3d-edge explain clip.mp4 --out why.png",
    "table build": "a3d-edge table build net.pth --data val.csv --out table.json",
    "table show": "a3d-edge table show a3d_slow_8x8_0.016",
    "data check": "a3d-edge data check clips.csv",
    "doctor": "a3d-edge doctor --json",
    "cache show": "a3d-edge cache show",
    "cache clear": "a3d-edge cache clear",
    "config show": "a3d-edge config show",
    "simulate": "a3d-edge simulate drain --table a3d_slow_8x8_0.016_grid",
    "record-signals": "a3d-edge record-signals --out signals.jsonl --seconds 60",
    "table plot": "a3d-edge table plot bundle/ --out curve.svg",
}


def _with_loudness(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say on stderr what is done, and when."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Nothing on stderr but errors."),
) -> None:
    """Only its options count."""


@cache
def _loudness_options() -> list[Any]:
    """As typer makes them: how its own classes are called changes between its versions."""
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.command()(_with_loudness)
    return list(typer.main.get_command(holder).params)


class Command(TyperCommand):
    """A command whose help is grouped and has an example, and that takes ``--verbose`` and ``--quiet``."""

    def __init__(self, name: str | None, **given: Any) -> None:
        super().__init__(name, **given)
        self.params.extend(_loudness_options())

    def invoke(self, ctx: Any) -> Any:
        """Run it, as loud as is asked for."""
        verbose, quiet = (bool(ctx.params.pop(name, False)) for name in ("verbose", "quiet"))
        with loudness(verbose=verbose, quiet=quiet):
            return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then the options by their groups."""
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in ("Arguments", *GROUPS, "Options")}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                argument = param.param_type_name == "argument"
                sections["Arguments" if argument else _group(param.opts)].append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The example."""
        example = EXAMPLES.get(_words(ctx))
        if example:
            with formatter.section("Example"):
                formatter.write_text(example)


def _words(ctx: Any) -> str:
    """The command without the program, which ``python -m`` calls otherwise."""
    return "" if ctx.parent is None else f"{_words(ctx.parent)} {ctx.info_name}".strip()


def _group(flags: list[str]) -> str:
    return next((name for name, options in GROUPS.items() if set(flags) & set(options.split())), "Options")


@contextmanager
def loudness(*, verbose: bool, quiet: bool) -> Iterator[None]:
    """Debug lines of ``logging`` (``a3d_edge``) on stderr; or nothing on it. Raises `UsageError` for both.

    Errors are printed outside of it, and so come through.
    """
    if verbose and quiet:
        raise UsageError("--verbose and --quiet exclude each other")
    with ExitStack() as after:
        if quiet:
            after.enter_context(redirect_stderr(after.enter_context(Path("/dev/null").open("w"))))
        if verbose:
            after.enter_context(_debug_lines())
        yield


@contextmanager
def _debug_lines() -> Iterator[None]:
    import logging  # not needed for --help

    log, handler = logging.getLogger("a3d_edge"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(relativeCreated)7.0f ms  %(message)s"))
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
