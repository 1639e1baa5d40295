"""The figure of `a3d-edge explain`: where and when two configurations find their reasons (paper Fig. 1).

heading
title of the first configuration
┌────┐ ┌────┐ ┌────┐ ┌────┐   the frames it saw, in their places in time, heat upon them
└────┘ └────┘ └────┘ └────┘
  ▇      ▂      ▅      ▁      what each adds to the logit
title of the second
┌────┐ ╌╌╌╌╌╌ ┌────┐ ╌╌╌╌╌╌   frames it did not see stay empty
└────┘        └────┘
  ▅             ▇
scale
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.plots.curves import load_matplotlib

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from a3d_edge.configuration import Configuration

__all__ = ["Explained", "draw", "overlay", "save", "upsampled"]

Image = NDArray[np.uint8]

FOR, AGAINST = (217, 38, 26), (26, 89, 230)
OPACITY = 0.75  # of the strongest contribution: the picture stays visible
COLOUR_LEFT = 0.35  # of the picture's own: red and blue are then the heat's alone

LONGEST_NAME = 36  # letters of a class in a row's title
HEADING_LETTERS = 7.4  # to an inch, at the least
# Inches.
MARGIN, LINE, BARS, TICKS, LEGEND = 0.75, 0.19, 0.85, 0.45, 0.60
SLOT, NARROWEST_SLOT, TALLEST, NARROWEST = 1.65, 0.80, 2.2, 9.5


@dataclass(frozen=True, slots=True)
class Explained:
    """One configuration's view of a window.

    ``slots`` are the places of its frames among the window's; ``heat`` ``(T, h, w)`` the contributions of
    positions of the square input; ``shares`` ``(T,)`` what each frame adds to the logit, which is
    ``sum(shares) + fast + bias``. Shares count positions in the letterbox too, which no picture can show.
    ``score`` is the prediction's, ``label_score`` that of the explained class.
    """

    configuration: Configuration
    gflops: float
    prediction: str
    score: float
    label_score: float
    logit: float
    bias: float
    fast: float
    slots: tuple[int, ...]
    heat: NDArray[np.float64]
    shares: NDArray[np.float64]


def draw(
    rows: Sequence[Explained], pictures: Sequence[Image], times: Sequence[float], label: str, heading: str
) -> Figure:
    """The figure of a class over the window's ``pictures`` (RGB, visible part) at ``times`` in seconds."""
    load_matplotlib()
    from matplotlib.figure import Figure

    page = _Page.of(pictures, len(rows), heading)
    figure = Figure(figsize=(page.width, page.height), dpi=110)
    _text(figure, page, page.height - 0.12, page.heading, size=11, weight="bold")
    top = page.height - 0.12 - page.heading_height
    limit = _limits(rows)
    for row in rows:
        _titles(figure, page, top, row, label)
        top -= 3 * LINE + 0.12
        _pictures(_axes(figure, page, top, page.tall), page, row, pictures)
        top -= page.tall + 0.06
        last = row is rows[-1]
        _bars(_axes(figure, page, top, BARS), row, times, limit, "seconds into the clip" if last else "")
        top -= BARS + TICKS
    _legend(figure, page)
    return figure


def save(figure: Figure, path: Path, kind: str) -> None:
    """Write a figure as ``png`` or ``svg``; the same figure gives the same bytes."""
    matplotlib = load_matplotlib()
    # Composed, the pictures of an SVG would be resampled to the figure's own resolution.
    with matplotlib.rc_context({"svg.hashsalt": "a3d-edge", "image.composite_image": False}):
        figure.savefig(path, format=kind, metadata={"Date": None} if kind == "svg" else None)


def overlay(picture: Image, heat: NDArray[np.float64], largest: float) -> Image:
    """A picture ``(H, W, 3)`` with heat ``(H, W)`` upon it: red for the class, blue against it.

    ``largest`` is the contribution of full colour.
    """
    grey = picture.mean(axis=2, keepdims=True)
    muted = grey + COLOUR_LEFT * (picture - grey)
    strength = np.clip(heat / max(largest, 1e-12), -1.0, 1.0)[..., None]
    colour = np.where(strength > 0, np.array(FOR, float), np.array(AGAINST, float))
    opacity = OPACITY * np.abs(strength)
    return np.asarray(np.rint(muted * (1 - opacity) + colour * opacity), np.uint8)


def upsampled(heat: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Heat ``(h, w)`` of the square input, over the visible part ``height × width`` centred in it."""
    side = max(height, width)
    whole = cv2.resize(np.asarray(heat, np.float64), (side, side), interpolation=cv2.INTER_LINEAR)
    top, left = (side - height) // 2, (side - width) // 2
    return np.asarray(whole[top : top + height, left : left + width], np.float64)


@dataclass(frozen=True, slots=True)
class _Page:
    """Sizes in inches; ``fill`` is the part of a slot's width that its picture takes."""

    width: float
    height: float
    slots: int
    tall: float
    fill: float
    heading: str

    @classmethod
    def of(cls, pictures: Sequence[Image], rows: int, heading: str) -> _Page:
        """A page wide enough for the slots and for the text."""
        slot = min(SLOT, max(NARROWEST_SLOT, 13.0 / len(pictures)))
        width = max(NARROWEST, 2 * MARGIN + slot * len(pictures))
        slot = (width - 2 * MARGIN) / len(pictures)
        height, across = pictures[0].shape[:2]
        tall = min(TALLEST, 0.94 * slot * height / across)
        line = int((width - 2 * MARGIN) * HEADING_LETTERS)
        wrapped = textwrap.fill(heading, line, max_lines=3, placeholder=" …")
        top = 0.24 + LINE * 1.2 * len(wrapped.splitlines())
        row = 3 * LINE + 0.18 + tall + BARS + TICKS
        return cls(
            width, top + rows * row + LEGEND, len(pictures), tall, tall * across / height / slot, wrapped
        )

    @property
    def heading_height(self) -> float:
        """Inches from the heading's top to the first row."""
        return 0.12 + LINE * 1.2 * len(self.heading.splitlines())


def _titles(figure: Figure, page: _Page, top: float, row: Explained, label: str) -> None:
    _text(figure, page, top, f"{row.configuration}, {row.gflops:.3g} GFLOPs", weight="bold")
    other = "" if row.prediction == label else f"; {_short(label)} {row.label_score:.1%}"
    _text(figure, page, top - LINE, f"predicts {_short(row.prediction)} {row.score:.1%}{other}")
    fast = f" {_signed(row.fast)} (Fast pathway)" if row.fast else ""
    parts = f"{_signed(sum(row.shares))} (frames){fast} {_signed(row.bias)} (bias)"
    _text(figure, page, top - 2 * LINE, f"logit {_signed(row.logit)} = {parts}", color="0.35")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")  # as long as the plus


def _text(figure: Figure, page: _Page, top: float, text: str, *, size: float = 9.5, **style: Any) -> None:
    # Names are other people's text: a dollar sign is no formula.
    place = (MARGIN / page.width, top / page.height)
    figure.text(*place, text, fontsize=size, va="top", parse_math=False, **style)


def _axes(figure: Figure, page: _Page, top: float, height: float) -> Any:
    left, across = MARGIN / page.width, 1 - 2 * MARGIN / page.width
    axes = figure.add_axes((left, (top - height) / page.height, across, height / page.height))
    axes.set_xlim(-0.5, page.slots - 0.5)
    return axes


def _pictures(axes: Any, page: _Page, row: Explained, pictures: Sequence[Image]) -> None:
    from matplotlib.patches import Rectangle

    axes.axis("off")
    largest = float(np.abs(row.heat).max())
    seen = dict(zip(row.slots, row.heat, strict=True))
    for slot, picture in enumerate(pictures):
        left, right = slot - page.fill / 2, slot + page.fill / 2
        if slot in seen:
            heat = upsampled(seen[slot], *picture.shape[:2])
            axes.imshow(overlay(picture, heat, largest), extent=(left, right, 0, 1), aspect="auto")
            continue
        dashed: dict[str, Any] = {"ls": "--", "lw": 0.8, "ec": "0.7", "clip_on": False}
        axes.add_patch(Rectangle((left, 0), page.fill, 1, fill=False, **dashed))
        axes.text(slot, 0.5, "not seen", ha="center", va="center", color="0.5", fontsize=8)
    axes.set(xlim=(-0.5, page.slots - 0.5), ylim=(0, 1))


def _limits(rows: Sequence[Explained]) -> tuple[float, float]:
    """One scale for all rows, with room for the numbers at the bars' ends."""
    shares = np.concatenate([row.shares for row in rows])
    low, high = min(0.0, float(shares.min())), max(0.0, float(shares.max()))
    room = 0.32 * max(high - low, 1e-6)
    return (low - room if low < 0 else 0.0), (high + room if high > 0 else 0.0)


def _bars(
    axes: Any, row: Explained, times: Sequence[float], limit: tuple[float, float], time_label: str
) -> None:
    colours = ["#%02x%02x%02x" % (FOR if share >= 0 else AGAINST) for share in row.shares]
    axes.bar(row.slots, row.shares, width=0.5, color=colours)
    for slot, share in zip(row.slots, row.shares, strict=True):
        up = share >= 0
        axes.annotate(
            _signed(share),
            (slot, share),
            xytext=(0, 2 if up else -2),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            fontsize=8,
        )
    axes.axhline(0, color="0.3", lw=0.8)
    axes.set_ylim(*limit)
    axes.set_xticks(range(len(times)), [f"{time:.2f}" for time in times], fontsize=8)
    axes.set_ylabel("logit", fontsize=8)
    axes.set_xlabel(time_label, fontsize=8)
    axes.tick_params(axis="y", labelsize=7)
    axes.locator_params(axis="y", nbins=3)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _legend(figure: Figure, page: _Page) -> None:
    """The colour scale over a middle grey, and what it means."""
    strip = np.full((12, 200, 3), 140, np.uint8)
    scale = np.broadcast_to(np.linspace(-1.0, 1.0, 200), (12, 200))
    axes = figure.add_axes((MARGIN / page.width, 0.20 / page.height, 1.6 / page.width, 0.12 / page.height))
    axes.imshow(overlay(strip, scale, 1.0), aspect="auto")
    axes.axis("off")
    words = "against the class … for it; full colour is the row's largest contribution of one position"
    figure.text((MARGIN + 1.7) / page.width, 0.26 / page.height, words, fontsize=8, va="center", color="0.35")
