"""Measured latencies as a picture: a line for every configuration, the median as a mark, a whisker to p95."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from a3d_edge.plots.curves import load_matplotlib
from a3d_edge.table import Latency, ProfileRow

__all__ = ["figure"]


@dataclass(frozen=True, slots=True)
class _Series:
    """One kind of latency: its key in a row, what people read, its look, its place within the line."""

    key: str
    name: str
    colour: str
    marker: str
    place: float


SERIES = (
    _Series("latency_ms", "whole window, the network alone", "#1f77b4", "o", 0.22),
    _Series("streaming_ms", "one prediction of a stream, all its work", "#2ca02c", "s", 0.0),
    _Series("paced_ms", "at the camera's rate, from a frame's arrival", "#d62728", "D", -0.22),
)


def figure(rows: Sequence[ProfileRow], *, title: str, hop_ms: float) -> Any:
    """A matplotlib `Figure`, cheapest configuration at the top; hollow marks are noisy.

    ``hop_ms``: between two predictions at the camera's rate; what takes longer cannot keep up.
    """
    matplotlib = load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"text.parse_math": False}):
        drawing = Figure(figsize=(10, 2.4 + 0.42 * len(rows)), dpi=120, layout="constrained")
        FigureCanvasAgg(drawing)
        axes = drawing.add_subplot()
        for series in SERIES:
            _draw(axes, rows, series)
        _dress(axes, rows, title)
        _draw_hop(axes, hop_ms)
        _legend(drawing, rows)
    return drawing


def _draw(axes: Any, rows: Sequence[ProfileRow], series: _Series) -> None:
    for number, row in enumerate(rows):
        found: Latency | None = getattr(row, series.key)
        if found is None:
            continue
        height = len(rows) - 1 - number + series.place
        axes.plot([found.p50, found.p95], [height, height], color=series.colour, linewidth=1.4, zorder=2)
        axes.plot([found.p95], [height], "|", color=series.colour, markersize=7, zorder=2)
        face = "white" if row.noisy else series.colour
        look = {"markersize": 5.5, "markerfacecolor": face, "markeredgecolor": series.colour, "zorder": 3}
        axes.plot([found.p50], [height], series.marker, **look)


def _dress(axes: Any, rows: Sequence[ProfileRow], title: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [str(row.configuration) for row in reversed(rows)], fontsize=9)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("latency (ms): median, and a whisker to the 95th percentile")
    axes.set_title(title, fontsize=10)
    axes.grid(True, axis="x", color="0.92", linewidth=0.8, zorder=0)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for line in range(1, len(rows)):
        axes.axhline(line - 0.5, color="0.9", linewidth=0.6, zorder=0)


def _draw_hop(axes: Any, hop_ms: float) -> None:
    """The time between two predictions, where it lies near what was measured."""
    low, high = axes.get_xlim()
    if not low / 3 < hop_ms < 3 * high:
        return
    axes.set_xlim(min(low, hop_ms / 1.2), max(high, hop_ms * 1.2))
    axes.axvline(hop_ms, color="0.3", linestyle=(0, (6, 3)), linewidth=1.2, zorder=1)
    look = {"rotation": 90, "va": "top", "ha": "right", "fontsize": 8, "color": "0.3"}
    axes.annotate(
        f"a prediction every {hop_ms:.0f} ms", (hop_ms, 0.98), (-3, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", **look,
    )  # fmt: skip


def _legend(drawing: Any, rows: Sequence[ProfileRow]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=one.colour, marker=one.marker, markersize=5.5, label=one.name)
        for one in SERIES
        if any(getattr(row, one.key) is not None for row in rows)
    ]
    if any(row.noisy for row in rows):
        look: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": "0.3"}
        label = "hollow: noisy, two passes differ by more than 10 %"
        handles.append(Line2D([], [], linestyle="none", marker="o", label=label, **look))
    drawing.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
