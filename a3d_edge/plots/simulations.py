"""A simulation over time: what may be spent and what is, which configuration runs, and what limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from a3d_edge.control.simulation import Simulation
from a3d_edge.files import write_atomically
from a3d_edge.plots.curves import load_matplotlib, save

__all__ = ["save_simulation", "simulation_figure"]

COLOURS = {
    "none": "0.85", "deadline": "#d62728", "battery": "#2ca02c", "cpu": "#1f77b4", "temperature": "#ff7f0e",
    "memory": "#9467bd", "pressure": "#8c564b", "budget": "#17becf",
}  # fmt: skip


def simulation_figure(result: Simulation) -> Any:
    """Three panels over one time axis. Raises `ResourceError` without matplotlib."""
    load_matplotlib()
    from matplotlib.figure import Figure

    times = [step.t for step in result.steps]
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    budget, running, limiting = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 0.6))
    order = sorted(result.cost, key=lambda one: result.cost[one])
    share = [result.cost[step.running] for step in result.steps]
    budget.step(
        times, [step.share for step in result.steps], where="post", color="0.5", label="allowed by signals"
    )
    budget.step(times, share, where="post", color="#1f77b4", label="spent")
    wrong = [
        (step.t, spent) for step, spent in zip(result.steps, share, strict=True) if step.late or step.over
    ]
    if wrong:
        budget.plot(
            *zip(*wrong, strict=True),
            ".",
            color="#d62728",
            markersize=3,
            label="late, or over what is allowed",
        )
    budget.set_ylabel("share of the largest")
    budget.set_ylim(0, 1.05)
    budget.legend(loc="lower right", fontsize=8)
    rank = {one: place for place, one in enumerate(order)}
    running.step(times, [rank[step.best] for step in result.steps], where="post", color="0.7", label="oracle")
    running.step(
        times,
        [rank[step.running] for step in result.steps],
        where="post",
        color="#1f77b4",
        label="controller",
    )
    used = sorted({rank[step.running] for step in result.steps})
    shown = [place for number, place in enumerate(used) if number % max(1, len(used) // 12) == 0]
    running.set_yticks(shown, [str(order[place]) for place in shown], fontsize=7)
    running.legend(loc="lower right", fontsize=8)
    for step in result.steps:
        limiting.axvspan(
            step.t, step.t + step.lasts, color=COLOURS.get(step.limiting_signal, "black"), linewidth=0
        )
    for name in dict.fromkeys(step.limiting_signal for step in result.steps):
        limiting.plot([], [], color=COLOURS.get(name, "black"), linewidth=6, label=name)
    limiting.set_yticks([])
    limiting.set_ylabel("limits")
    limiting.set_xlabel("seconds")
    limiting.legend(loc="upper left", ncols=8, fontsize=7, bbox_to_anchor=(0, -0.9))
    figure.suptitle(
        f"{result.trace}: accuracy {result.expected_accuracy:.1%} of {result.oracle_accuracy:.1%}, "
        f"{result.violation_time:.1%} of the time in violation, {result.switches} switches",
        fontsize=10,
    )
    return figure


def save_simulation(result: Simulation, path: Path) -> None:
    """Draw it into a file (.png, .svg). Raises `ResourceError` without matplotlib or room."""
    figure, format = simulation_figure(result), path.suffix.lower().lstrip(".")
    write_atomically(path, lambda temporary: save(figure, temporary, format))
