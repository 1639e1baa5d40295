"""The figure: accuracy against compute, one network that was trained mutually, and networks trained alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from _findings import Findings, Side
from _plan import COMPARED, LINES
from _tables import A3D, front, ours

from a3d_edge.files import write_atomically

__all__ = ["curve"]

COLOURS = {"width": "tab:blue", "size": "tab:red", "frames": "tab:green"}
"""Of the dimension that is cut, as in the paper's Fig. 6."""


def curve(found: Findings, file: Path) -> None:
    """Draw it; what is not there yet is left out."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture, axes = pyplot.subplots(figsize=(6.4, 4.2), constrained_layout=True)
    kind = ours(found)
    word = "A3D" if kind == A3D else "A3D, switched"
    chosen = [Side(kind, name) for name in front(found, kind)]
    _line(axes, found, chosen, f"{word}, chosen on validation", "black", "-o")
    for dimension, colour in COLOURS.items():
        sides = [Side(kind, found.named(one)) for one in LINES[dimension]]
        _line(axes, found, sides, f"{word}, {dimension} alone", colour, ":.")
    names = [found.named(one) for one in COMPARED]
    _line(
        axes, found, [Side(f"{kind}-tuned", name) for name in names], f"{word} and tuned", "tab:purple", "^"
    )
    if kind != A3D:
        _line(axes, found, [Side(A3D, name) for name in names], "A3D as in the paper", "tab:gray", "x")
    sides = [Side(f"testbed-alone-{name}", name) for name in names]
    _line(axes, found, sides, "each trained alone", "tab:orange", "s")
    axes.set(xscale="log", xlabel="GFLOPs of a window", ylabel="accuracy on drawn test clips, %")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
    drawn = io.BytesIO()
    picture.savefig(drawn, format="png", dpi=110, metadata={"Software": None})
    pyplot.close(picture)
    write_atomically(file, lambda temporary: _write(temporary, drawn.getvalue()))


def _line(axes: object, found: Findings, sides: Sequence[Side], label: str, colour: str, style: str) -> None:
    there = [(found.gflops(side.configuration), found.accuracy(side)) for side in sides]
    points = sorted((cost, one) for cost, one in there if one is not None)
    if not points:
        return
    costs = [cost for cost, _ in points]
    middle = [100 * one.mean for _, one in points]
    ends = [
        [100 * (one.mean - one.low) for _, one in points],
        [100 * (one.high - one.mean) for _, one in points],
    ]
    axes.errorbar(costs, middle, yerr=ends, fmt=style, color=colour, label=label, capsize=2, lw=1)  # type: ignore[attr-defined]


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
