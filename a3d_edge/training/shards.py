"""An evaluation shared by several processes (torchrun), kept in a file as it goes on, and resumed.

clip i belongs to process i mod size
process k:  its clips that no file holds ─ clip_scores ─ FILE.rank<k>, a line a clip   (one process: FILE)
process 0:  once all are done, all files ─ FILE, in clip order ─ Scores
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.training.evaluation import (
    ClipScores,
    Scores,
    WindowSet,
    by_configuration,
    clip_scores,
    leaving_out,
    truth_of,
)
from a3d_edge.training.scores_file import ScoresFile
from a3d_edge.training.share import Share
from a3d_edge.training.together import joined, others_needed

__all__ = ["Share", "device_of", "evaluate_shared"]


def device_of(name: str, share: Share) -> torch.device:
    """The device to run on; plain ``cuda`` is this process's own one under torchrun. Raises `UsageError`."""
    try:
        device = torch.device(name)
        if name == "cuda" and share.size > 1:
            device = torch.device("cuda", share.local)
        torch.zeros(1, device=device).cpu()  # back again: some kinds of device hold no numbers
    except (RuntimeError, AssertionError, ImportError) as error:  # PyTorch without CUDA asserts
        raise UsageError(
            f"`device` {name}: PyTorch cannot use it here; write cpu, or a device there is, such as cuda:0"
        ) from error
    return device


def evaluate_shared(
    model: nn.Module,
    configurations: Sequence[Configuration],
    windows: WindowSet,
    classes: Sequence[str],
    share: Share | None = None,
    scores: ScoresFile | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Configuration, Scores] | None:
    """As `evaluate`, this process's share of the clips; all scores in process 0, None in the others.

    ``progress`` is told (clips done, all) of this process's share. Raises `A3DEdgeError` when another
    process has ended before its share was done.
    """
    share = share or Share()
    truth = truth_of(windows.clips, classes, windows.task)
    own = share.of(len(truth))
    with joined(share):
        found = scores.read() if scores is not None else {}
        missing = [number for number in own if number not in found]
        with _keeping(scores if missing else None, share) as keep:
            progress(len(own) - len(missing), len(own))
            with leaving_out(len(own)) as tried:
                for done, number in enumerate(missing, start=len(own) - len(missing) + 1):
                    with tried():
                        found[number] = clip_scores(model, configurations, windows, number)
                        keep(number, found[number])
                    progress(done, len(own))
        everything = _gathered(found, share, scores)
    if everything is None:
        return None
    if scores is not None:
        scores.finish(everything)
    return by_configuration(configurations, everything, truth)


def _keeping(
    scores: ScoresFile | None, share: Share
) -> AbstractContextManager[Callable[[int, ClipScores], None]]:
    if scores is None:
        return nullcontext(lambda clip, scores: None)
    return scores.appending(share.rank if share.size > 1 else None)


def _gathered(
    found: dict[int, ClipScores], share: Share, scores: ScoresFile | None
) -> dict[int, ClipScores] | None:
    """The scores of all processes, once all are done, in process 0; None in the others."""
    if share.size == 1:
        return found
    shares: list[Any] | None = [None] * share.size if share.first else None
    with others_needed():
        if scores is not None:
            dist.barrier()
        else:
            dist.gather_object(found, shares)
    if not share.first:
        return None
    return scores.read() if scores is not None else {k: v for part in shares or () for k, v in part.items()}
