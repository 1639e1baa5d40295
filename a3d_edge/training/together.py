"""Processes that work as one (torchrun): joined, and, while they train, each step's gradients averaged.

Every process gets its share of the global batch and runs all sub-passes of the step on it; then one
all-reduce averages the gradients, and every process makes the same update. Batch norms normalise by the
global batch (`a3d_edge.models.batch_norm`), so that the update is that of one process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from a3d_edge.errors import A3DEdgeError
from a3d_edge.training.distillation import StepLosses
from a3d_edge.training.share import Share

__all__ = ["agreed", "averaged", "joined", "others_needed", "turn"]

LONGEST = timedelta(days=14)
"""How long a process waits for the others: the first one validates, and shares differ in length."""


@contextmanager
def joined(share: Share, device: str = "cpu") -> Iterator[None]:
    """In touch with the other processes, if there are any: by NCCL between GPUs, else over gloo."""
    if share.size == 1:
        yield
        return
    with others_needed():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=LONGEST)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def others_needed() -> Iterator[None]:
    """What goes wrong between processes is one sentence."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise A3DEdgeError(
            "another process of this run has ended or cannot be reached; see what it said, and run again"
        ) from error


@contextmanager
def turn(share: Share) -> Iterator[None]:
    """The first process does it, then the others, who find what it has left in the cache."""
    if share.size > 1 and not share.first:
        _barrier()
    yield
    if share.size > 1 and share.first:
        _barrier()


def _barrier() -> None:
    with others_needed():
        dist.barrier()


def averaged(model: nn.Module, losses: StepLosses, processes: int, device: torch.device) -> StepLosses:
    """Average the gradients of all processes, in place, and their losses, by one all-reduce."""
    if processes == 1:
        return losses
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    told = torch.tensor([losses.cross_entropy, losses.distillation, losses.accuracy], device=device)
    flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), told])
    with others_needed():
        dist.all_reduce(flat)
    flat /= processes
    _spread(flat, gradients)
    return StepLosses(*flat[-3:].tolist())


def _spread(flat: Tensor, gradients: Sequence[Tensor]) -> None:
    place = 0
    for gradient in gradients:
        gradient.copy_(flat[place : place + gradient.numel()].reshape(gradient.shape))
        place += gradient.numel()


def agreed(stop: bool, processes: int, device: torch.device) -> bool:
    """What the first process says, in all of them."""
    if processes == 1:
        return stop
    said = torch.tensor([float(stop)], device=device)
    with others_needed():
        dist.broadcast(said, 0)
    return bool(said.item())
