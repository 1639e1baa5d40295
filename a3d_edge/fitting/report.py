"""The page about a fit: one HTML file with its pictures inside, to read, to keep and to send.

summary ─ learning curves ─ accuracy against cost ─ confusion and recall at both ends ─ worst clips ─ cost
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.fitting.worst import WORST, worst_clips
from a3d_edge.plots.quality import accuracy_figure, confusion_figure, learning_figure, svg
from a3d_edge.training.clips import Clip
from a3d_edge.training.evaluation import Scores
from a3d_edge.training.measure import Accuracies
from a3d_edge.training.reliability import wilson_interval
from a3d_edge.training.watch import ends_of

__all__ = ["page"]

CURVES = {
    "training, as it was seen": "accuracy",
    "held out, largest": "val_largest",
    "held out, smallest": "val_smallest",
}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .2rem .7rem; text-align: right }
th:first-child, td:first-child { text-align: left } tr:nth-child(even) { background: #f4f6f8 }
svg { max-width: 100%; height: auto } figure { display: inline-block; margin: .5rem 1rem .5rem 0 }
figure img { display: block } figcaption { font-size: 13px } h2 { margin-top: 2.2rem }
"""


def page(
    found: Accuracies,
    held: Sequence[Clip],
    training: Sequence[Clip],
    bundle: Bundle,
    metrics: Path,
    spent: Mapping[str, Mapping[str, float]],
    cache: str | Path | None,
) -> str:
    """The whole page. ``metrics``: the figures of the training; ``spent``: what the steps took (s)."""
    ends = dict(zip(("largest", "smallest"), ends_of(found.checkpoint), strict=True))
    parts = [
        _summary(found, held, training, bundle, ends),
        _learning(metrics),
        _cost(bundle),
        *(_quality(name, one, found.scores[one], bundle.classes) for name, one in ends.items()),
        _worst(found, held, ends["largest"], cache),
        _spent(spent),
    ]
    title = escape(f"a3d-edge: {bundle.path.name}")
    return (
        f"<!DOCTYPE html>\n<html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>\n"
        f"<h1>{title}</h1>\n" + "\n".join(part for part in parts if part) + "\n</html>\n"
    )


def _summary(
    found: Accuracies,
    held: Sequence[Clip],
    training: Sequence[Clip],
    bundle: Bundle,
    ends: Mapping[str, Configuration],
) -> str:
    rows = [("clips trained on", str(len(training))), ("clips held out", str(len(held)))]
    rows += [("classes", ", ".join(bundle.classes)), ("network", bundle.manifest.architecture)]
    rows += [
        (f"accuracy, {name} ({one})", _share(found.scores[one], bundle.classes)) for name, one in ends.items()
    ]
    rows += [("configurations in the bundle", str(len(bundle.configurations)))]
    note = (
        "The clips that accuracy is measured on also chose the configurations, so it flatters a little: "
        "test on clips of people and places that are in neither."
    )
    return f"{_table(('', ''), rows)}<p>{note}</p>"


def _share(scores: Scores, classes: Sequence[str]) -> str:
    """Accuracy with its interval of 95 % confidence."""
    counts = scores.per_class(classes).values()
    right, clips = (sum(each) for each in zip(*counts, strict=True))
    low, high = wilson_interval(right, clips)
    return f"{right / clips:.1%} of {clips} clips (95 %: {low:.0%} to {high:.0%})"


def _learning(metrics: Path) -> str:
    try:
        with metrics.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except OSError:
        return ""
    if not lines:
        return ""
    values = {name: [_number(line.get(key)) for line in lines] for name, key in CURVES.items()}
    epochs = [_number(line.get("epoch")) or 0.0 for line in lines]
    return f"<h2>Learning</h2>{svg(learning_figure(epochs, values))}"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _cost(bundle: Bundle) -> str:
    rows = bundle.table.rows
    intervals = [row.accuracy_interval for row in rows]
    lines = [
        (
            str(row.configuration),
            f"{row.gflops:.4f}",
            f"{row.cost / rows[-1].cost:.3f}",
            _percent(row.accuracy),
        )
        for row in reversed(rows)
    ]
    head = ("configuration", "GFLOPs", "budget", "accuracy")
    return f"<h2>Accuracy against cost</h2>{svg(accuracy_figure(rows, intervals))}{_table(head, lines)}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _quality(name: str, configuration: Configuration, scores: Scores, classes: Sequence[str]) -> str:
    """Confusion and recall at one end of the range."""
    recalls = [
        (label, f"{right} of {total}", f"{right / total:.0%}")
        for label, (right, total) in scores.per_class(classes).items()
    ]
    picture = svg(confusion_figure(confusion(scores, len(classes)), classes))
    return (
        f"<h2>At the {name}: {configuration}</h2>{picture}"
        f"{_table(('class', 'named right', 'recall'), recalls)}"
    )


def confusion(scores: Scores, classes: int) -> NDArray[np.int64]:
    """Clips by true class and predicted class: ``(classes, classes)``."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (scores.truth, scores.summed.argmax(axis=1)), 1)
    return counts


def _worst(
    found: Accuracies, held: Sequence[Clip], configuration: Configuration, cache: str | Path | None
) -> str:
    shown = worst_clips(found, held, configuration, cache)
    if not shown:
        return ""
    figures = "".join(
        f"<figure><img alt='' src='data:image/jpeg;base64,{one.jpeg}'><figcaption>{escape(one.name)}: "
        f"{escape(one.truth)}, taken for {escape(one.predicted)} ({one.score:.0%} for what it is)"
        "</figcaption></figure>"
        for one in shown
    )
    return f"<h2>The {min(WORST, len(shown))} worst clips, at the largest</h2>{figures}"


def _spent(spent: Mapping[str, Mapping[str, float]]) -> str:
    rows = [(name, f"{one['seconds']:.0f} s", f"{one['cpu_s']:.0f} s") for name, one in spent.items()]
    return f"<h2>What it took</h2>{_table(('step', 'time', 'CPU time'), rows)}" if rows else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}" for cell in head) if any(head) else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in rows)
    return f"<table>{f'<tr>{top}' if top else ''}{body}</table>"
