"""What a trained network is worth, in three pictures: how it learnt, what it knows at which cost, its errors.

Plain values in, matplotlib figures out; `svg` makes one a string for a page.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.plots.curves import load_matplotlib, short_name
from a3d_edge.table import Row

__all__ = ["accuracy_figure", "confusion_figure", "learning_figure", "svg"]

NUMBERED = 20
"""Up to so many classes a cell of the confusion matrix says its number."""


def learning_figure(epochs: Sequence[float], values: Mapping[str, Sequence[float | None]]) -> Any:
    """Shares in [0, 1] over epochs, a line for each name; None where it was not measured."""
    drawing, axes = _canvas((7.0, 3.2))
    for name, series in values.items():
        there = [(epoch, 100 * one) for epoch, one in zip(epochs, series, strict=True) if one is not None]
        if there:
            axes.plot(*zip(*there, strict=True), marker="o", markersize=3, linewidth=1.4, label=name)
    axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 100))
    axes.grid(alpha=0.3)
    if values:
        axes.legend(frameon=False, fontsize=9)
    return drawing


def accuracy_figure(rows: Sequence[Row], intervals: Sequence[tuple[float, float] | None]) -> Any:
    """Accuracy over GFLOPs of one window, fp32 filled and int8 hollow, with 95 % intervals where known."""
    drawing, axes = _canvas((7.0, 3.6))
    for row, interval in zip(rows, intervals, strict=True):
        if row.quality is None:
            continue
        at, height = row.cost, 100 * row.quality
        if interval is not None:
            axes.plot([at, at], [100 * edge for edge in interval], color="0.75", linewidth=1, zorder=1)
        face = "#1f77b4" if row.precision == "fp32" else "white"
        axes.plot([at], [height], "o", color="#1f77b4", markerfacecolor=face, markersize=5, zorder=2)
        if row.precision == "fp32":
            axes.annotate(
                short_name(row.configuration), (at, height), (4, -3), textcoords="offset points", fontsize=7
            )
    axes.set_xscale("log")
    axes.set(xlabel="cost: GFLOPs of a window, in fp32 terms (log)", ylabel="accuracy (%)", ylim=(0, 100))
    axes.grid(alpha=0.3)
    return drawing


def confusion_figure(counts: NDArray[np.int64], classes: Sequence[str]) -> Any:
    """Clips by true class (line) and predicted class (column); shades are shares of the line."""
    side = 2.0 + 0.32 * len(classes)
    drawing, axes = _canvas((side + 0.8, side))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=90, fontsize=8)
    axes.set_yticks(ticks, classes, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    if len(classes) <= NUMBERED:
        for true, predicted in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[true, predicted] > 0.5 else "black"
            axes.text(
                predicted,
                true,
                str(counts[true, predicted]),
                ha="center",
                va="center",
                color=colour,
                fontsize=8,
            )
    return drawing


def svg(drawing: Any) -> str:
    """A figure as the SVG element of a page: no file, no document head, the same text every time."""
    matplotlib = load_matplotlib()
    text = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "a3d-edge", "text.parse_math": False}
    ):
        drawing.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return text.getvalue().partition("<!DOCTYPE")[2].partition(">")[2].strip()


def _canvas(size: tuple[float, float]) -> tuple[Any, Any]:
    matplotlib = load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"text.parse_math": False}):
        drawing = Figure(figsize=size, dpi=100, layout="constrained")
        FigureCanvasAgg(drawing)
        return drawing, drawing.add_subplot()
