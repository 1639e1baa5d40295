"""``a3d-edge eval``: accuracy of configurations on labelled clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from a3d_edge.cli.common import emit, require
from a3d_edge.cli.measuring import (
    Measuring,
    chosen,
    load_subject,
    measure,
    takes_measuring,
)


@takes_measuring
def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint (.pth) or bundle directory.")],
    options: Measuring,
    configuration: Annotated[
        list[str] | None,
        typer.Option("--configuration", help="Such as w0.50-s112-t4; repeatable; default all."),
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")] = False,
) -> None:
    """Accuracy of configurations: the label of a clip is the highest mean score over its windows.

    Under torchrun (``torchrun --nproc-per-node 4 -m a3d_edge eval …``) the processes share the clips.
    """
    require("train", "torch", "av")
    from a3d_edge.configuration import Configuration

    wanted: Sequence[Configuration] = [Configuration.parse(name) for name in configuration or []]
    loaded = load_subject(checkpoint)
    wanted = chosen(checkpoint, loaded, wanted)
    found = measure(checkpoint, loaded, wanted, options, log=not json_lines)
    for c, of in (found or {}).items():
        fields = {
            "configuration": str(c),
            "top1": of.accuracy,
            "top5": of.top(5),
            "clips": len(of.truth),
            "views": options.views,
            "protocol": options.chosen_protocol,
            "per_class": of.per_class(loaded.classes),
        }
        if json_lines:
            emit("accuracy", fields)
        else:
            typer.echo(
                f"{c!s:20} top-1 {of.accuracy:6.1%}  top-5 {of.top(5):6.1%}  {len(of.truth)} clips, "
                f"{options.views_in_words}"
            )
