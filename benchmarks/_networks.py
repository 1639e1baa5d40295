"""Networks of random weights that compute as trained ones do, for benchmarks that ask nothing of accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch

from a3d_edge.configuration import Configuration
from a3d_edge.models.network import Clips, SlimNetwork
from a3d_edge.models.registry import describe
from a3d_edge.task import SINGLE, Task
from a3d_edge.training.calibrate import calibrate_together

__all__ = ["alive", "calibrate_by_size"]

Some = TypeVar("Some", bound=Clips)


def alive(arch: str, classes: int, task: Task = SINGLE) -> SlimNetwork:
    """Random weights; no batch norm at its initial value, where blocks are the identity.

    A block adds to its input less than that is, as in trained networks: otherwise a rounding of int8 grows
    from block to block, and two engines that round differently no longer agree.
    """
    torch.manual_seed(0)
    model = describe(arch, classes).model_copy(update={"task": task}).build().eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            low, high = (0.5, 0.9) if name.endswith("norm.weight") else (-0.2, 0.2)
            share = 0.3 if name.endswith(".c.norm.weight") else 1.0
            parameter.data.uniform_(share * low, share * high)
    return model


def calibrate_by_size(
    model: SlimNetwork, configurations: Iterable[Configuration], clips_of: Callable[[int], Some]
) -> dict[int, Some]:
    """Calibrate each configuration on the clips of its size; these."""
    by_size: dict[int, list[Configuration]] = {}
    for configuration in configurations:
        by_size.setdefault(configuration.size, []).append(configuration)
    clips = {}
    for size, here in sorted(by_size.items()):
        clips[size] = clips_of(size)
        calibrate_together(model, here, [clips[size]])
    return clips
