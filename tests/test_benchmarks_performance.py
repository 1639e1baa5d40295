"""The benchmark beside other runtimes: fair sides, paired ratios, and targets that can be missed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from a3d_edge.configuration import Configuration
from a3d_edge.models.widths import Run

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))

    return importlib.import_module


def test_the_plain_network_of_a_width_computes_what_the_slimmable_one_does(module: Any) -> None:
    """The other sides run the same network with layers of its own width, not a wider or uncalibrated one."""
    subject = module("_perf_subject")
    model = module("_networks").alive("slow_small", 5)
    configuration = Configuration(0.5, 32, 2)
    clip = subject.pictures(configuration).transpose(0, 1)[None]
    for norm in (one.norm for one in model.modules() if hasattr(one, "norm")):
        channels = norm.channels_at(0.5)
        norm.calibrated[str(configuration)] = (torch.full((channels,), 0.1), torch.full((channels,), 1.7))
    with torch.inference_mode():
        expected = model.run(clip, Run(0.5, str(configuration)))
        plain = subject.plain_network(model, configuration)
        torch.testing.assert_close(plain(clip), expected, rtol=1e-4, atol=1e-5)
    assert sum(p.numel() for p in plain.parameters()) < 0.4 * sum(p.numel() for p in model.parameters())


def test_every_side_has_a_turn_in_every_round(module: Any) -> None:
    """As many figures as rounds, the warm-up not among them; who begins changes from round to round."""
    rounds, turns = module("_perf_rounds"), []
    sides = {name: (lambda name=name: turns.append(name)) for name in "ab"}
    times = rounds.in_rounds(sides, rounds=3, warm_up=1)
    assert {name: len(values) for name, values in times.ms.items()} == {"a": 3, "b": 3}
    assert len(times.load) == 3
    assert "".join(turns[:: rounds.MOST_RUNS + 1]) == "baabbaab"


def test_a_ratio_is_of_the_same_rounds(module: Any) -> None:
    """A machine that is three times slower in one round does not change it."""
    assert module("_perf_rounds").median_of_ratios([1.0, 3.0, 9.0], [2.0, 6.0, 2.0]) == 0.5


def test_the_page_says_which_targets_are_missed(module: Any) -> None:
    """Ours slower than the plain export: the cell says so; quicker: it does not."""
    targets, sides = module("_perf_targets"), module("_perf_sides")
    names = [*sides.OURS, *(name + sides.STREAMED for name in sides.OURS)]
    every = [*names, sides.EAGER, sides.PLAIN, sides.OV_PLAIN]
    quick = {name: [1.0, 1.0] for name in names} | {name: [10.0, 10.0] for name in every if name not in names}
    slow = quick | {sides.PLAIN: [0.5, 0.5]}
    one = {"gmac": 1.0, "streaming_gmac": 0.7}
    data = {
        "configurations": {"w0.50-s128-t2": one | {"ms": quick}, "w1.00-s224-t8": one | {"ms": slow}},
        "rows": 14,
        "running": [],
        "disk": {"fp32": 109, "single": 100},
    }
    lines = list(targets.targets(data))
    first = next(line for line in lines if line.startswith("| fp32, ORT"))
    assert first == "| fp32, ORT, against the plain export in ORT | ≤ 1 | 0.10 | **2.00 (no)** |"
    disk = next(line for line in lines if line.startswith("| bundle on disk"))
    assert disk.endswith("| ≤ 1.08× | 1.09× | **no** |")
