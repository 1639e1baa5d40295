"""``a3d-edge fit``: clips to a bundle, and a page about it, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a3d_edge.cli.common import BUILT_IN, OverwriteOption, emit, progress, require, window_seconds
from a3d_edge.cli.notices import say, tell
from a3d_edge.cli.train_log import TrainLog


def fit(
    data: Annotated[
        list[Path], typer.Argument(help="Clips: lists or class folders; several are put together.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Bundle directory to write.")],
    val: Annotated[
        list[Path] | None,
        typer.Option(
            "--val", help="Clips to choose on (default: the split val, else --share of the groups)."
        ),
    ] = None,
    share: Annotated[
        float, typer.Option("--share", help="Share of the groups that is held out.", min=0.01, max=0.9)
    ] = 0.2,
    recipe: Annotated[
        str, typer.Option("--recipe", help="auto, small or kinetics; see 'a3d-edge train --help'.")
    ] = "auto",
    arch: Annotated[str | None, typer.Option("--arch", help="Architecture (default: the recipe's).")] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init", help=f"Begin with the weights of this checkpoint, or bundle: a folder, or {BUILT_IN}."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Epochs (default: the recipe's).", min=1)
    ] = None,
    window: Annotated[str | None, typer.Option("--window", help="What one window spans, such as 4s.")] = None,
    view: Annotated[
        str | None,
        typer.Option("--view", help="whole, moving (the part that moves) or close (what moves most)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of weights, order and augmentation.", min=0)
    ] = None,
    every_row: Annotated[
        bool, typer.Option("--all", help="Measure every configuration of the range, not about twelve.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1.")] = "cpu",
    cache: Annotated[Path | None, typer.Option("--cache", help="Folder of decoded frames.")] = None,
    overwrite: OverwriteOption = False,
    json_lines: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")] = False,
) -> None:
    """Check, split, train, measure, select, export in both precisions and prove. The same command goes on."""
    for extra, modules in (("train", ("torch", "av")), ("export", ("onnx_ir",)), ("plot", ("matplotlib",))):
        require(extra, *modules)
    from a3d_edge.fitting.steps import fit as fit_clips

    seconds = None if window is None else window_seconds(window)
    named = {"arch": arch, "epochs": epochs, "seed": seed, "window": seconds, "view": view}
    changes = {name: value for name, value in named.items() if value is not None}
    with progress() as report:
        done = fit_clips(
            data, out, recipe, changes=changes, validation=val or [], share=share, init=init,
            every_row=every_row, device=device, cache=cache, overwrite=overwrite, report=report,
            on_step=TrainLog(report, json_lines), note=say,
        )  # fmt: skip
    rows = done.table.rows
    if json_lines:
        ends = {"largest": rows[-1].accuracy, "smallest": rows[0].accuracy}
        emit("fitted", {"path": str(done.bundle), "report": str(done.report), "rows": len(rows), **ends})
        return
    tell(f"{done.bundle}: {len(rows)} configurations; see {done.report}")
    tell(f"Try it: a3d-edge run --bundle {done.bundle} --camera 0")
