"""Batches made ahead of the step that takes them: beside it in a thread, or in processes of their own.

A batch is a function of (seed, epoch, place), so who makes it, and when, changes nothing: they come in order,
and a run resumes bit for bit with another number of processes.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any

from a3d_edge.errors import ResourceError

__all__ = ["ahead", "workers_for"]

MOST = 4
SHORT = 100
"""A run of fewer steps is over before processes that load PyTorch have paid."""

Make = Callable[[int, int], Any]
_make: Make | None = None  # of a worker: what it was started for


def workers_for(cores: float, steps: int) -> int:
    """How many processes make batches: all cores but the one that trains; 0 is a thread, as good as one."""
    workers = min(MOST, int(cores) - 1)
    return workers if workers > 1 and steps >= SHORT else 0


def ahead(make: Make, wanted: Sequence[tuple[int, int]], workers: int) -> Generator[Any, None, None]:
    """``make(*each)`` of all that is wanted, in order; at most two for every worker wait, or one of a thread.

    Raises `ResourceError` when a process has died.
    """
    with _executor(make, workers) as (pool, call):
        pending: deque[Any] = deque()
        rest = iter(wanted)
        for each in rest:
            pending.append(pool.submit(call, *each))
            if len(pending) >= max(1, 2 * workers):
                break
        while pending:
            try:
                made = pending.popleft().result()
                following = next(rest, None)
                if following is not None:
                    pending.append(pool.submit(call, *following))
            except BrokenProcessPool as error:
                raise ResourceError(
                    "a process that prepares batches has died (killed, or out of memory); fewer `workers` "
                    "need less, `workers` 0 none"
                ) from error
            yield made


@contextmanager
def _executor(make: Make, workers: int) -> Iterator[tuple[Executor, Make]]:
    if not workers:
        with ThreadPoolExecutor(1) as thread:
            yield thread, make
        return
    context = get_context("spawn")  # a fork would copy PyTorch's threads in whatever state they are
    pool = ProcessPoolExecutor(workers, context, _begin, (make,))
    try:
        yield pool, _call
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin(make: Make) -> None:
    """In a worker: one thread, deaf to Ctrl-C, which is the parent's, and gone when that is."""
    import cv2
    import torch

    global _make
    _make = make
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(epoch: int, place: int) -> Any:
    assert _make is not None
    return _make(epoch, place)
