"""Batch norms of single configurations, tuned once the weights that all of them share are trained.

Mutual training gives all configurations one weight and bias a batch norm, or one a value of each dimension
(`a3d_edge.models.levels`), and each its own statistics. What is normalised has as many values as channels,
and costs a bundle nothing to be another at each configuration; networks that switch widths have had a set of
them for each since slimmable networks (Yu et al., 2019). Here they are learned last, all else as it is, and
folded into the statistics (`SlimBatchNorm.calibrate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from a3d_edge.configuration import Configuration
from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.checkpoint import norms
from a3d_edge.models.network import Clips, SlimNetwork, to_device
from a3d_edge.models.widths import Run
from a3d_edge.training.distillation import criterion_of, logits_of, seed_step
from a3d_edge.training.loop import learning_rate
from a3d_edge.training.settings import Settings

__all__ = ["LR", "tune"]

LR = 5e-3
WARMUP = 0.05


def tune(
    model: SlimNetwork,
    configurations: Sequence[Configuration],
    batches: Iterable[tuple[int, Clips, Tensor]],
    steps: int,
    settings: Settings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Learn each configuration's own stretch and shift of what its batch norms normalise; nothing else.

    A step runs every configuration on one of the ``steps`` ``batches`` of (step, clips, labels). Each learns
    from the labels and from the full network, as much from either. Statistics have to be calibrated after
    it. Raises `A3DEdgeError` when a loss is not finite; on an error the network is as it was.
    """
    layers = norms(model)
    before = {name: dict(norm.tuned) for name, norm in layers.items()}
    try:
        learned = [one for c in configurations for one in _begun(model, c)]
        optimizer = torch.optim.AdamW(learned, lr=LR, weight_decay=0.0)
        pace, place = replace(settings, lr=LR, warmup=WARMUP, tenth_at=()), next(model.parameters()).device
        with _weights_kept(model):
            for done, (step, clips, labels) in enumerate(batches):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(pace, done, steps)
                seed_step(settings.seed, step)
                optimizer.zero_grad(set_to_none=True)
                _backward(model, configurations, to_device(clips, place), labels.to(place), settings)
                optimizer.step()
                progress(done + 1, steps)
    except BaseException:
        for name, norm in layers.items():
            norm.tuned = before[name]
        raise
    for norm in layers.values():
        norm.tuned = {key: (a.detach().cpu(), b.detach().cpu()) for key, (a, b) in norm.tuned.items()}


def _begun(model: SlimNetwork, configuration: Configuration) -> Iterator[Tensor]:
    """A configuration's stretch and shift of every batch norm, at first of no effect."""
    for norm in norms(model).values():
        channels = norm.channels_at(configuration.width)
        pair = tuple(norm.weight.new_zeros(channels).requires_grad_() for _ in range(2))
        norm.tuned[str(configuration)] = (pair[0], pair[1])
        yield from pair


def _backward(
    model: SlimNetwork,
    configurations: Sequence[Configuration],
    clips: Clips,
    labels: Tensor,
    settings: Settings,
) -> None:
    criterion = criterion_of(model)
    with torch.no_grad():
        teacher = logits_of(model, clips, Run(), settings.precision)
    for configuration in configurations:
        run = model.run_at(configuration, statistics=str(configuration))
        output = logits_of(model, model.fit(clips, configuration), run, settings.precision)
        loss = criterion.from_labels(output, labels, settings.smoothing)
        loss = loss + criterion.from_teacher(output, teacher)
        if not bool(torch.isfinite(loss)):
            raise A3DEdgeError(f"`tune`: the loss of {configuration} is not finite; leave it at 0")
        loss.backward()  # type: ignore[no-untyped-call]


@contextmanager
def _weights_kept(model: nn.Module) -> Iterator[None]:
    """In training mode, without gradients of weights, and with the full network's statistics as they were."""
    was_training, buffers = model.training, [buffer.clone() for buffer in model.buffers()]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.train().requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_()
        for buffer, value in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(value)
        model.train(was_training)
