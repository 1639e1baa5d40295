"""``a3d-edge flops``: what a configuration costs, counted as the paper counts."""

from __future__ import annotations

import typer

from a3d_edge.cli.common import emit, require
from a3d_edge.errors import UsageError


def flops(
    arch: str = typer.Option("slow_r50", "--arch", help="Architecture."),
    width: float = typer.Option(1.0, "--width", help="Width factor γw, above 0 and at most 1."),
    size: int = typer.Option(224, "--size", help="Input side in pixels."),
    frames: int = typer.Option(8, "--frames", help="Frames T."),
    json_lines: bool = typer.Option(False, "--json", help="JSON on stdout."),
) -> None:
    """Count GFLOPs (multiply–accumulates, 1e9) and parameters (1e6) of one configuration."""
    from a3d_edge.configuration import Configuration

    configuration = Configuration(width, size, frames)
    require("export", "torch")
    from a3d_edge.models.flops import count
    from a3d_edge.models.registry import describe

    description = describe(arch)
    if size > 4096 or frames > 1024:
        raise UsageError(f"--size {size} --frames {frames} is beyond any network here; at most 4096 and 1024")
    cost = count(description, configuration)
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
