"""``a3d-edge flops``: what a configuration costs, counted as the paper counts."""

from __future__ import annotations

import typer

from a3d_edge.cli.common import emit, require
from a3d_edge.errors import UsageError


def flops(
    arch: str = typer.Option("slow_r50", "--arch", help="Architecture."),
    width: float = typer.Option(1.0, "--width", help="Width factor γw, above 0 and at most 1."),
    size: int = typer.Option(None, "--size", help="Input side in pixels (default: the network's)."),
    frames: int = typer.Option(None, "--frames", help="Frames T (default: the network's)."),
    boxes: int | None = typer.Option(
        None, "--boxes", help="With the head for people in boxes (task boxes): so many of them.", min=0
    ),
    json_lines: bool = typer.Option(False, "--json", help="JSON on stdout."),
) -> None:
    """Count GFLOPs (multiply–accumulates, 1e9) and parameters (1e6) of one configuration."""
    require("export", "torch")
    from a3d_edge.configuration import Configuration
    from a3d_edge.models.flops import count
    from a3d_edge.models.registry import describe

    description = describe(arch)
    if boxes is not None:
        if not description.has_box_head:
            raise UsageError(f"`boxes`: {arch} has no head for them; Slow and SlowFast have")
        description = description.model_copy(update={"task": "boxes"})
    configuration = Configuration(width, _given(size, description.size), _given(frames, description.frames))
    if configuration.size > 4096 or configuration.frames > 1024:
        raise UsageError(f"{configuration} is beyond any network here; at most 4096 pixels and 1024 frames")
    cost = count(description, configuration, 1 if boxes is None else boxes)
    fields = {
        "arch": arch,
        "configuration": str(configuration),
        "gflops": cost.gflops,
        "params_m": cost.params_m,
        "streaming_gflops": cost.streaming_gflops,
    }
    if json_lines:
        emit("flops", fields)
        return
    typer.echo(f"{arch} {configuration}: {cost.gflops:.4g} GFLOPs, {cost.params_m:.4g} M parameters, "
               f"{cost.streaming_gflops:.4g} GFLOPs a prediction when streaming")  # fmt: skip


def _given(value: int | None, default: int) -> int:
    return default if value is None else value
