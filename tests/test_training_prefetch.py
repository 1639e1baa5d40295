"""Batches made ahead: the same ones in the same order, by a thread or by processes, one of which may die."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from a3d_edge.errors import ResourceError  # noqa: E402
from a3d_edge.training.batches import Batches  # noqa: E402
from a3d_edge.training.clips import list_clips  # noqa: E402
from a3d_edge.training.decode import FrameCache  # noqa: E402
from a3d_edge.training.prefetch import ahead, workers_for  # noqa: E402
from a3d_edge.video.preprocess import Preprocessing  # noqa: E402
from a3d_edge.video.sampler import Sampling  # noqa: E402


def test_processes_give_the_batches_of_a_thread(clip_list: Path, frame_cache: FrameCache) -> None:
    """Bit for bit, from any step on, across epochs."""
    classes = ("right", "down", "still")
    spec = Preprocessing()
    batches = Batches(
        list_clips([clip_list]), classes, frame_cache, 32, Sampling(4, 2), spec, 4, 3, busy=True
    )
    alone = list(batches.stream(1, 7))
    apart = list(replace(batches, workers=2).stream(1, 7))
    assert [step for step, _, _ in apart] == [step for step, _, _ in alone] == [1, 2, 3, 4, 5, 6]
    for (_, clips, labels), (_, others, theirs) in zip(alone, apart, strict=True):
        assert torch.equal(clips, others)
        assert torch.equal(labels, theirs)


def die_at_two(epoch: int, place: int) -> int:
    """As a process that the kernel ends for want of memory."""
    if place == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return place


def test_a_process_that_dies_is_one_sentence() -> None:
    """Never a wait without an end."""
    made = ahead(die_at_two, [(0, place) for place in range(9)], 1)
    with pytest.raises(ResourceError, match=r"has died \(killed, or out of memory\); fewer `workers`"):
        list(made)


def fail(epoch: int, place: int) -> int:
    """As a clip that is gone."""
    raise FileNotFoundError(f"{epoch} {place}")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_reaches_the_one_who_asks(workers: int) -> None:
    """As it was raised."""
    with pytest.raises(FileNotFoundError, match="3 4"):
        list(ahead(fail, [(3, 4)], workers))


def test_a_process_a_core_but_one() -> None:
    """And none where that is one, which a thread does as well, or where a run is short."""
    assert [workers_for(cores, 1000) for cores in (1, 2, 3, 4, 64)] == [0, 0, 2, 3, 4]
    assert workers_for(64, 99) == 0
