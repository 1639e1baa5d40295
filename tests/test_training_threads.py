"""The number of threads that a step is trained on: the quickest, kept by the run, put back after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.training import threads
from a3d_edge.training.threads import chosen_threads, quickest


def machine(seconds: Callable[[int], float]) -> tuple[Callable[[], None], Callable[[], float], list[int]]:
    """A step that takes so many seconds on so many threads, by a clock of its own."""
    now, seen = [0.0], []

    def step() -> None:
        seen.append(torch.get_num_threads())
        now[0] += seconds(torch.get_num_threads())

    return step, lambda: now[0], seen


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        (lambda count: 0.4 * count, 1),  # they wait for each other
        (lambda count: 4.0 / count, 6),
        (lambda count: 1.0 if count == 1 else 0.9, 1),  # not worth a core
        (lambda count: 1.0 / min(count, 4), 4),
    ],
)
def test_the_quickest_is_taken_and_of_about_equals_the_fewest(
    seconds: Callable[[int], float], best: int
) -> None:
    """1, 2, 4 and all of them are tried in turns; what PyTorch had is put back."""
    step, clock, seen = machine(seconds)
    assert quickest(step, 6, clock) == best
    assert seen[:4] == [1, 2, 4, 6]
    assert torch.get_num_threads() == 1


def test_one_that_is_busy_for_seconds_is_not_tried_long() -> None:
    """A large network fills every thread, and a trial of it would take minutes."""
    step, clock, seen = machine(lambda count: 60.0 / count)
    assert quickest(step, 4, clock) == 4
    assert seen == [1]


def test_a_run_that_goes_on_has_the_threads_that_it_began_with(
    tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums of other threads differ in the last bits; so the choice is the run's, made once, and told."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    tried, notes = [], []
    monkeypatch.setattr(threads, "quickest", lambda step, most: tried.append(step) or 2)
    torch.set_num_threads(4)
    try:
        for _ in range(2):
            with chosen_threads(tiny_checkpoint, "fp32", "cpu", notes.append):
                assert torch.get_num_threads() == 2
            assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(1)
    assert (len(tried), tiny_checkpoint.origin["threads"]) == (1, 2)
    assert notes == ["training on 2 of 4 threads, which is quicker here; see OMP_NUM_THREADS"] * 2
    before = {name: value.clone() for name, value in tiny_checkpoint.model.state_dict().items()}
    tried[0]()
    after = tiny_checkpoint.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())  # a copy was tried


def test_whoever_says_how_many_is_not_tried(
    tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the environment; and one thread, or a GPU, leaves nothing to choose."""
    monkeypatch.setattr(threads, "quickest", lambda step, most: pytest.fail("tried"))
    for device, said in (("cpu", "4"), ("cuda", None), ("cpu", None)):
        if said is None:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", said)
        with chosen_threads(tiny_checkpoint, "fp32", device, pytest.fail):
            assert torch.get_num_threads() == 1
