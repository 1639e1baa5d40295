"""What a run will cost before it is made: the measured cost of its step times its steps; what it computes.

A step is measured on random clips, in CPU-seconds of one process, and kept in a file with the machine's name.
Decoding is not in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from _plan import Run, range_of
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.device.machine import describe_machine
from a3d_edge.files import write_atomically
from a3d_edge.models.flops import count
from a3d_edge.models.network import Clips, NetworkDescription
from a3d_edge.models.ranges import find_range
from a3d_edge.models.registry import describe
from a3d_edge.training.distillation import backward
from a3d_edge.training.recipe import RECIPES, epochs_for
from a3d_edge.training.settings import Settings, drawn
from a3d_edge.video.sampler import pathways

__all__ = ["Costs", "epochs_of", "gflops", "gmacs_a_clip", "network_of", "settings_of"]

SAMPLED = 8  # steps that are timed; which sub-networks are drawn makes them differ
COUNTED = 200  # steps whose compute is counted


def network_of(run: Run, classes: int) -> NetworkDescription:
    """What it trains."""
    return describe(run.arch, classes).model_copy(update={"size": run.changes["size"]})


def settings_of(run: Run, epochs: int) -> Settings:
    """What its training loop is told."""
    recipe = RECIPES["small"]
    told = {
        name: run.changes.get(name, getattr(recipe, name))
        for name in ("mutual", "students_from", "random_widths", "distillation", "multi_resolution", "alone")
    }
    return Settings(epochs=epochs, seed=run.changes["seed"], **told)


def epochs_of(run: Run, clips: int) -> int:
    """As told, or as many as the small recipe takes of so many clips."""
    told = run.changes.get("epochs")
    return epochs_for(clips, run.changes.get("batch", RECIPES["small"].batch)) if told is None else int(told)


@cache
def gflops(arch: str, size: int, configuration: Configuration, classes: int = 12) -> float:
    """Multiply–accumulates (1e9) of a window of a network of that input side; kept, for counting is slow."""
    network = describe(arch, classes).model_copy(update={"size": size})
    return count(network, configuration).gflops


def _roughly(arch: str, network: NetworkDescription, one: Configuration) -> float:
    """With the width to a twentieth; of a single pathway, half of the frames are half of the compute."""
    scale = one.frames / network.frames if network.sampling.alpha == 1 else 1.0
    frames = network.frames if network.sampling.alpha == 1 else one.frames
    rough = Configuration(round(one.width * 20) / 20, one.size, frames)
    return scale * gflops(arch, network.size, rough, network.classes)


def gmacs_a_clip(run: Run, classes: int = 12) -> float:
    """Multiply–accumulates (1e9) of the forward passes of a training step, a clip: the mean of many steps."""
    network, settings = network_of(run, classes), settings_of(run, 1)
    within, found = find_range(range_of(run)), 0.0
    for step in range(COUNTED):
        first, students = drawn(settings, within, network.size, network.frames, step, COUNTED)
        for one in (first or Configuration(1.0, network.size, network.frames), *students):
            found += _roughly(run.arch, network, one)
    return found / COUNTED


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured CPU-seconds, kept in a file."""

    file: Path

    def hours(self, run: Run, as_long_as: Run, clips: int, tested: int) -> float:
        """CPU-hours of a run on so many clips, whose training takes what that of another (or itself) does."""
        batch = int(as_long_as.changes.get("batch", RECIPES["small"].batch))
        steps = epochs_of(as_long_as, clips) * max(1, clips // batch)
        return (steps * self.step(as_long_as, batch) + tested * self.testing(run)) / 3600

    def step(self, run: Run, batch: int) -> float:
        """CPU-seconds of a training step."""
        settings = settings_of(run, 1)
        key = f"{run.arch} {run.changes['size']} batch {batch} {range_of(run)} {_scheme(settings)}"
        return self._kept(key, lambda: _timed_step(network_of(run, 12), settings, range_of(run), batch))

    def testing(self, run: Run) -> float:
        """CPU-seconds a test clip, of all configurations: the largest's by their share of its compute."""
        network = network_of(run, 12)
        full = Configuration(1.0, network.size, network.frames)
        whole = self._kept(f"{run.arch} {network.size} forward", lambda: _timed_forward(network, full))
        one = gflops(run.arch, network.size, full)
        each = (gflops(run.arch, network.size, Configuration.parse(name)) for name in run.configurations)
        costs = [cost / one for cost in each]
        again = sum(costs[run.configurations.index(name)] for name in run.few) * len(run.calibrations[1:])
        return whole * (sum(costs) + again)

    def _kept(self, key: str, measure: Any) -> float:
        machine = describe_machine()["name"]
        there = json.loads(self.file.read_text()) if self.file.exists() else {}
        if there.get("machine") != machine:
            there = {"machine": machine, "cpu_s": {}}
        if key not in there["cpu_s"]:
            there["cpu_s"][key] = round(measure(), 5)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(there, indent=1) + "\n"
            write_atomically(self.file, lambda temporary: _write(temporary, text))
        return float(there["cpu_s"][key])


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _scheme(settings: Settings) -> str:
    if settings.alone is not None:
        return f"alone {settings.alone}"
    told = {"multi": settings.multi_resolution, "mutual": settings.mutual, "late": settings.students_from}
    return f"{told} widths {settings.random_widths} distillation {settings.distillation}"


def _clips(network: NetworkDescription, configuration: Configuration, batch: int) -> Clips:
    several = [
        torch.randn(batch, 3, len(pathway.instants), pathway.size, pathway.size).contiguous(
            memory_format=torch.channels_last_3d
        )
        for pathway in pathways(network.sampling, configuration)
    ]
    return several[0] if len(several) == 1 else several


def _timed_step(network: NetworkDescription, settings: Settings, range_name: str, batch: int) -> float:
    """The mean of some, after one that is not counted."""
    torch.manual_seed(0)
    model = network.build().train()
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    side = network.size
    if settings.alone is not None and network.sampling.alpha == 1:
        side = Configuration.parse(settings.alone).size
    clips = _clips(network, Configuration(1.0, side, network.frames), batch)
    labels: Tensor = torch.arange(batch) % network.classes
    begun = 0.0
    late = round(settings.students_from * SAMPLED)
    for step in range(-1, SAMPLED):
        if step == 0:
            begun = time.process_time()
        place = max(step, late) if step < 0 else step
        first, students = drawn(
            settings, find_range(range_name), network.size, network.frames, place, SAMPLED
        )
        backward(model, clips, labels, students, first=first, label_share=settings.labels_of_students)
    return (time.process_time() - begun) / SAMPLED


def _timed_forward(network: NetworkDescription, configuration: Configuration) -> float:
    model = network.build().eval()
    clip = _clips(network, configuration, 1)
    with torch.inference_mode():
        model(clip, None)
        begun = time.process_time()
        for _ in range(SAMPLED):
            model(clip, None)
    return (time.process_time() - begun) / SAMPLED


def total(hours: Sequence[float]) -> float:
    """Of what is known."""
    return sum(one for one in hours if one > 0)
