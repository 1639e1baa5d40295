"""Accuracy against cost in the style of the paper's Fig. 6–8: what a line's colour says is given up.

Curves are plain values; matplotlib is loaded only inside `figure` and `save`.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from a3d_edge.child import forget_working_folder
from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.table import ConfigurationBudgetTable, pareto_front

__all__ = [
    "FORMATS",
    "Curve",
    "Deadline",
    "Point",
    "curve",
    "figure",
    "given_up",
    "load_matplotlib",
    "save",
    "short_name",
]

Dimension = Literal["spatial", "temporal", "width", "several"]

FORMATS = ("png", "svg")
COLOURS: dict[Dimension, str] = {
    "spatial": "#d62728",
    "temporal": "#2ca02c",
    "width": "#1f77b4",
    "several": "black",
}
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
FILLS = ("white", "0.7", "0.3")

LIST_ROWS = 16
"""A table of up to so many rows is a list, all joined; a larger one is a grid: its Pareto front is joined."""

LABELLED = 48
"""Up to so many joined points carry their configuration."""

SPOTS = (
    ("left", "top", 4, -3), ("right", "bottom", -4, 3), ("left", "bottom", 4, 3), ("right", "top", -4, -3),
    ("center", "top", 0, -6), ("center", "bottom", 0, 6), ("left", "center", 7, 0),
    ("right", "center", -7, 0), ("center", "top", 0, -14), ("center", "bottom", 0, 14),
)  # fmt: skip
"""Where a label may lie, the best first: its side next to the point, and how far off, in points."""

BAR: dict[str, Any] = {"color": "0.6", "linewidth": 0.9, "markersize": 6, "zorder": 1.5}
"""How an interval looks: under the curves, over the grid."""

MARKER = 5
"""Pixels around a point that its marker covers."""


@dataclass(frozen=True, slots=True)
class Point:
    """One configuration: cost in the axis' unit, accuracy in [0, 1], and its 95 % interval, where known."""

    configuration: Configuration
    cost: float
    accuracy: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A table to draw: the points joined in order of cost, and those shown without a line; ``metric``: what
    their accuracy is (`ConfigurationBudgetTable.metric`)."""

    name: str
    joined: tuple[Point, ...]
    loose: tuple[Point, ...] = ()
    metric: str = "accuracy"


@dataclass(frozen=True, slots=True)
class Deadline:
    """A vertical line at a cost, and what is written beside it."""

    at: float
    text: str


def curve(
    name: str,
    table: ConfigurationBudgetTable,
    latency_ms: Mapping[Configuration, float] | None = None,
    *,
    pareto: bool,
) -> Curve:
    """A table as a curve over GFLOPs, or over latency where that is given by configuration.

    ``pareto`` leaves dominated rows out. Raises `UsageError` for a row without accuracy or latency.
    """
    points = []
    for row in table.rows:
        if row.quality is None:
            raise UsageError(
                f"{name}: {row.configuration} has no accuracy; build the table (a3d-edge table build)"
            )
        if latency_ms is not None and row.configuration not in latency_ms:
            raise UsageError(f"{name}: {row.configuration} has no measured latency; profile this bundle anew")
        cost = row.gflops if latency_ms is None else latency_ms[row.configuration]
        points.append(Point(row.configuration, cost, row.quality, row.accuracy_interval))
    best = pareto_front(points, lambda point: (point.cost, point.accuracy))
    if pareto or len(points) <= LIST_ROWS:
        joined = best if pareto else tuple(sorted(points, key=lambda point: point.cost))
        return Curve(name, joined, metric=table.metric)
    return Curve(name, best, tuple(point for point in points if point not in best), table.metric)


def given_up(one: Configuration, other: Configuration) -> Dimension:
    """The dimension in which two neighbours on a curve differ, or several of them (paper Fig. 6)."""
    differ: list[Dimension] = []
    if one.size != other.size:
        differ.append("spatial")
    if one.frames != other.frames:
        differ.append("temporal")
    if one.width != other.width:
        differ.append("width")
    return differ[0] if len(differ) == 1 else "several"


def short_name(configuration: Configuration) -> str:
    """As the paper writes it: ``224²×8, 0.5``."""
    return f"{configuration.size}²×{configuration.frames}, {configuration.width}"


def load_matplotlib() -> Any:
    """matplotlib, without a ``matplotlibrc`` of the working folder; every plot begins with it.

    That file would come before the user's own and may run code (a backend ``module://…``, LaTeX). There is no
    setting against it, so where it exists matplotlib is loaded as from another folder. An application that
    has loaded matplotlib already keeps what it chose.
    """
    forget_working_folder()  # matplotlib starts programs to find fonts
    if "matplotlib" in sys.modules or not os.path.lexists("matplotlibrc"):
        return import_module("matplotlib")
    with _elsewhere():
        return import_module("matplotlib")


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Stand in the root folder meanwhile."""
    here = os.open(os.curdir, os.O_PATH | os.O_DIRECTORY)
    try:
        os.chdir(os.sep)
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def figure(
    curves: Sequence[Curve], *, x_label: str, title: str = "", deadline: Deadline | None = None
) -> Any:
    """A matplotlib `Figure` of the curves over a logarithmic cost axis, joined points labelled."""
    matplotlib = load_matplotlib()
    with matplotlib.rc_context({"text.parse_math": False}):  # a $ in a file's name is a $
        return _figure(curves, x_label, title, deadline)


def _figure(curves: Sequence[Curve], x_label: str, title: str, deadline: Deadline | None) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(11, 7), dpi=120, layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    axes.set_xscale("log")
    for number, one in enumerate(curves):
        _draw(axes, one, number)
    _dress(axes, x_label, title, _metric(curves))
    text = None if deadline is None else _draw_deadline(axes, deadline)
    _legends(drawing, curves)
    drawing.draw_without_rendering()  # settles the layout, which the labels are fitted into
    drawing.set_layout_engine("none")
    if sum(len(one.joined) for one in curves) <= LABELLED:
        _label(axes, curves, text)
    return drawing


def save(drawing: Any, path: Path, format: str) -> None:
    """Write a figure as ``png`` or ``svg``, the same bytes every time; text in an SVG stays text."""
    matplotlib = load_matplotlib()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "a3d-edge"}):
        drawing.savefig(path, format=format, metadata={"Date": None} if format == "svg" else None)


def _draw(axes: Any, one: Curve, number: int) -> None:
    marker, fill = MARKERS[number % len(MARKERS)], FILLS[number % len(FILLS)]
    style = LINES[number % len(LINES)]
    for dearer, cheaper in zip(one.joined[1:], one.joined, strict=False):
        colour = COLOURS[given_up(dearer.configuration, cheaper.configuration)]
        ends = ([cheaper.cost, dearer.cost], [100 * cheaper.accuracy, 100 * dearer.accuracy])
        axes.plot(*ends, style, color=colour, linewidth=1.6, zorder=2)
    for point in one.joined:  # of dominated rows they would hide the rest
        if point.interval is not None:
            axes.plot([point.cost] * 2, [100 * end for end in point.interval], "-_", **BAR)
    for points, size, face, edge in ((one.loose, 3, "0.8", "0.8"), (one.joined, 5.5, fill, "0.15")):
        across, up = [point.cost for point in points], [100 * point.accuracy for point in points]
        look = {"markersize": size, "markerfacecolor": face, "markeredgecolor": edge, "zorder": 3}
        axes.plot(across, up, marker, linestyle="none", **look)


def _metric(curves: Sequence[Curve]) -> str:
    """What is drawn upwards. Raises `UsageError` for curves of different measures."""
    metrics = sorted({one.metric for one in curves})
    if len(metrics) > 1:
        raise UsageError(f"{' and '.join(metrics)} cannot be drawn over each other; draw tables of one task")
    return metrics[0]


def _dress(axes: Any, x_label: str, title: str, metric: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xlabel(x_label)
    axes.set_ylabel(f"{'top-1 accuracy' if metric == 'accuracy' else metric} (%)")
    axes.set_title(title, fontsize=11)
    axes.grid(True, which="major", color="0.92", linewidth=0.8, zorder=0)
    axes.margins(x=0.09, y=0.12)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_deadline(axes: Any, deadline: Deadline) -> Any:
    """The line, and its text along it: above rising curves at the left, below them at the right."""
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, deadline.at / 1.3), max(high, deadline.at * 1.3))
    axes.axvline(deadline.at, color="0.3", linestyle=(0, (6, 3)), linewidth=1.2, zorder=1)
    top = deadline.at < math.prod(axes.get_xlim()) ** 0.5
    height, align = (0.98, "top") if top else (0.02, "bottom")
    place_at = {"xy": (deadline.at, height), "xycoords": ("data", "axes fraction")}
    offset = {"xytext": (4, 0), "textcoords": "offset points"}
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    look = {"rotation": 90, "va": align, "ha": "left", "fontsize": 8, "color": "0.3", "bbox": ground}
    return axes.annotate(deadline.text, **place_at, **offset, **look)


def _legends(drawing: Any, curves: Sequence[Curve]) -> None:
    """The tables above the axes, the colour key below."""
    from matplotlib.lines import Line2D

    tables = [
        Line2D(
            [], [], color="0.4", linestyle=LINES[i % len(LINES)], marker=MARKERS[i % len(MARKERS)],
            markerfacecolor=FILLS[i % len(FILLS)], markeredgecolor="0.15", label=one.name,
        )
        for i, one in enumerate(curves)
    ]  # fmt: skip
    if any(one.loose for one in curves):
        dots: dict[str, Any] = {
            "marker": "o",
            "markersize": 3,
            "markerfacecolor": "0.8",
            "markeredgecolor": "0.8",
        }
        tables.append(Line2D([], [], linestyle="none", label="dominated rows", **dots))
    if any(point.interval for one in curves for point in one.joined):
        tables.append(Line2D([], [], marker="|", linestyle="-", label="95 % interval of confidence", **BAR))
    look = {"ncols": min(3, len(tables)), "fontsize": 9, "handlelength": 4}
    drawing.legend(handles=tables, loc="outside upper center", **look)
    key = [Line2D([], [], color=colour, linewidth=2, label=name) for name, colour in COLOURS.items()]
    words = {"ncols": len(key), "fontsize": 9, "title": "dimension given up from one point to the next"}
    drawing.legend(handles=key, loc="outside lower center", title_fontsize=9, **words)


def _label(axes: Any, curves: Sequence[Curve], deadline: Any | None) -> None:
    """Each point's configuration beside it, where it covers no other text and no marker and the fewest lines;
    a point with no such place has none."""
    from matplotlib.transforms import Bbox

    lines = [line.get_path().transformed(line.get_transform()) for line in axes.lines if _is_drawn(line)]
    points = [point for one in curves for point in one.joined]
    pixels = axes.transData.transform([(point.cost, 100 * point.accuracy) for point in points])
    taken = [Bbox.from_extents(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in pixels]
    taken += [] if deadline is None else [deadline.get_window_extent()]
    for point in points:
        text = axes.annotate(
            short_name(point.configuration), (point.cost, 100 * point.accuracy), (0, 0),
            textcoords="offset points", fontsize=7, color="0.15", zorder=4,
        )  # fmt: skip
        boxes = {spot: _put(text, spot) for spot in SPOTS}
        free = [
            spot for spot, box in boxes.items()
            if not box.count_overlaps(taken) and axes.bbox.contains(*box.min) and axes.bbox.contains(*box.max)
        ]  # fmt: skip
        if free:
            best = min(free, key=lambda spot: sum(line.intersects_bbox(boxes[spot]) for line in lines))
            taken.append(_put(text, best))
        else:
            text.remove()


def _is_drawn(line: Any) -> bool:
    return bool(line.get_linestyle() != "None")


def _put(text: Any, spot: tuple[str, str, float, float]) -> Any:
    """Move a text beside its point; what it covers there, in pixels."""
    across, up, right, above = spot
    text.set(ha=across, va=up, position=(right, above))
    return text.get_window_extent()
