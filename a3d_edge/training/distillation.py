"""Mutual training with spatial–temporal distillation: one step (paper §3.1, Eq. 3)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.models.network import Clips, SlimNetwork
from a3d_edge.models.ranges import Range
from a3d_edge.models.widths import Run
from a3d_edge.task import is_multilabel

__all__ = [
    "BINARY", "CATEGORICAL", "Criterion", "Precision", "StepLosses", "backward", "criterion_of", "logits_of",
    "subnetworks",
]  # fmt: skip

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class StepLosses:
    """Losses of one step, and the share of clips that the first network of the step named correctly.

    ``distillation``: what the students lost, by the teacher's outputs, by the labels, or a share by each.
    Of many labels ``cross_entropy`` is the binary one, and ``accuracy`` the share of classes, over all clips,
    whose score is on the right side of 0.5.
    """

    cross_entropy: float
    distillation: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a task's networks lose.

    ``from_labels``: of logits ``(N, classes)``, labels and smoothing; ``from_teacher``: of logits and the
    teacher's; ``right``: which of the teacher's answers are.
    """

    from_labels: Callable[[Tensor, Tensor, float], Tensor]
    from_teacher: Callable[[Tensor, Tensor], Tensor]
    right: Callable[[Tensor, Tensor], Tensor]


def _divergence(output: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(output.log_softmax(dim=1), teacher.softmax(dim=1), reduction="batchmean")


def _binary_entropy(output: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    smooth = labels * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(output, smooth)


def _binary_divergence(output: Tensor, teacher: Tensor) -> Tensor:
    """Mean over clips and classes of KL(teacher ‖ student) of two outcomes: cross entropy less entropy."""
    wanted = teacher.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(teacher, wanted)
    return F.binary_cross_entropy_with_logits(output, wanted) - entropy


CATEGORICAL = Criterion(
    lambda output, labels, smoothing: F.cross_entropy(output, labels, label_smoothing=smoothing),
    _divergence,
    lambda output, labels: output.argmax(dim=1) == (labels if labels.dim() == 1 else labels.argmax(dim=1)),
)
BINARY = Criterion(_binary_entropy, _binary_divergence, lambda output, labels: (output > 0) == (labels > 0.5))


def subnetworks(
    budget_range: Range, size: int, frames: int, seed: int, step: int, random_widths: int = 1
) -> tuple[Configuration, ...]:
    """The sub-networks of one step, a pure function of (seed, step): minimum width, and random widths."""
    return budget_range.draw(size, frames, random.Random(f"{seed}:{step}"), random_widths)


def backward(
    model: SlimNetwork,
    clips: Clips,
    labels: Tensor,
    students: Sequence[Configuration],
    smoothing: float = 0.0,
    precision: Precision = "fp32",
    *,
    first: Configuration | None = None,
    label_share: float = 0.0,
) -> StepLosses:
    """Accumulate the gradients of one mutual step on clips at γs = γt = 1.

    Full network: cross entropy with the labels. Each student: KL divergence (batch mean, temperature 1,
    weight 1) of its output, on its own size and frames of the same clips, to the full network's detached
    output; a ``label_share`` of its loss is its own cross entropy with the labels instead (the paper: 0).
    Each backward runs before the next forward, so only one graph is alive. ``bf16`` runs the networks
    under autocast; weights, their gradients and the losses are float32.

    Of many labels (`a3d_edge.task`) ``labels`` are ``(N, classes)`` of 0 and 1; the losses are the binary
    cross entropy and, between sigmoids, the binary KL divergence, each a mean over clips and classes.

    To compare: ``first`` runs in the full network's place, at its own width, size and frames.
    """
    own = (clips, Run()) if first is None else (model.fit(clips, first), Run(first.width))
    logits, criterion = logits_of(model, *own, precision), criterion_of(model)
    loss = criterion.from_labels(logits, labels, smoothing)
    loss.backward()  # type: ignore[no-untyped-call]
    teacher = logits.detach()
    distilled = 0.0
    for student in students:
        output = logits_of(model, model.fit(clips, student), model.run_at(student), precision)
        taught = _taught(criterion, output, teacher, labels, smoothing, label_share)
        taught.backward()  # type: ignore[no-untyped-call]
        distilled += taught.item()
    return StepLosses(loss.item(), distilled, criterion.right(teacher, labels).float().mean().item())


def _taught(
    criterion: Criterion, output: Tensor, teacher: Tensor, labels: Tensor, smoothing: float, share: float
) -> Tensor:
    """What a student loses: by the teacher's outputs, and for a share by the labels."""
    if share == 1:
        return criterion.from_labels(output, labels, smoothing)
    taught = criterion.from_teacher(output, teacher)
    if share == 0:
        return taught
    return share * criterion.from_labels(output, labels, smoothing) + (1 - share) * taught


def criterion_of(model: SlimNetwork) -> Criterion:
    """What the networks of its task lose."""
    return BINARY if is_multilabel(model.description.task) else CATEGORICAL


def logits_of(model: SlimNetwork, clips: Clips, run: Run, precision: Precision) -> Tensor:
    """Float32 logits ``(N, classes)``, computed in ``precision``."""
    with torch.autocast(next(model.parameters()).device.type, torch.bfloat16, enabled=precision == "bf16"):
        return model.run(clips, run).float()


def seed_step(seed: int, step: int) -> None:
    """Make dropout of a step depend on (seed, step) alone: a resumed run equals an uninterrupted one."""
    torch.manual_seed(seed * 1_000_003 + step)
