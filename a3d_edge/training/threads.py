"""How many threads a training step runs on: as many as are quicker here and now.

Threads of one step wait for each other many times a step. On two cores that others use too, a step of the
small network took 4 to 5 s on two threads and 0.4 s on one; how it is on this machine, a short trial says.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch

from a3d_edge.configuration import Configuration
from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.training.distillation import Precision, backward
from a3d_edge.training.reports import Note
from a3d_edge.video.sampler import pathways

__all__ = ["chosen_threads", "quickest"]

ROUNDS = 3
WORTH = 0.8
"""More threads are taken if they need no more than this share of the time: each takes a core from others."""
CLIPS = 4
LONG_S = 5.0
"""A step that takes so long has enough to do for every thread."""


def quickest(step: Callable[[], None], most: int, clock: Callable[[], float] = time.perf_counter) -> int:
    """The number of threads up to ``most`` on which ``step`` is quickest; PyTorch's is left as it was."""
    before = torch.get_num_threads()
    counts = sorted({most, *(2**power for power in range(most.bit_length()))})
    took: dict[int, list[float]] = {count: [] for count in counts}
    try:
        for _ in range(ROUNDS):
            for count in counts:
                torch.set_num_threads(count)
                begun = clock()
                step()
                took[count].append(clock() - begun)
                if count == 1 and took[count][-1] > LONG_S:
                    return most
    finally:
        torch.set_num_threads(before)
    best = counts[0]
    for count in counts[1:]:
        if median(took[count]) <= WORTH * median(took[best]):
            best = count
    return best


@contextmanager
def chosen_threads(checkpoint: Checkpoint, precision: Precision, device: str, note: Note) -> Iterator[None]:
    """Train on the quickest number of threads, which the checkpoint keeps: a run that goes on has the same.

    Nothing is tried on a GPU, where there is one thread, or where ``OMP_NUM_THREADS`` says how many.
    """
    before = torch.get_num_threads()
    if device != "cpu" or before == 1 or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    threads = int(checkpoint.origin.get("threads", 0))
    if not 0 < threads <= before:
        threads = quickest(_step(checkpoint, precision), before)
        checkpoint.origin["threads"] = threads
    if threads < before:
        note(f"training on {threads} of {before} threads, which is quicker here; see OMP_NUM_THREADS")
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _step(checkpoint: Checkpoint, precision: Precision) -> Callable[[], None]:
    """Forward and backward of a copy, the largest network on a few clips of noise."""
    model = copy.deepcopy(checkpoint.model).train()
    sampling = checkpoint.description.sampling
    sides = pathways(sampling, Configuration(1.0, checkpoint.description.size, sampling.frames))
    pictures = [torch.rand(CLIPS, 3, len(each.instants), each.size, each.size) for each in sides]
    clips = pictures if len(pictures) > 1 else pictures[0]
    labels = torch.zeros(CLIPS, dtype=torch.long)

    def step() -> None:
        with torch.random.fork_rng(devices=[]):
            backward(model, clips, labels, (), precision=precision)

    return step
